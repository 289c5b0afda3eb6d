"""The browser commands of a suite's configuration, obeyed by Chromium as the suite's own runners obey them.

    find the first entry whose `match` fits the URL (and whose `match-limit` is not used up)
    obey its tasks in order: on another page than that of its `match` a task is left out if `optional`, and else fails
    ["text", by, what, value]  ["click", by, what]  ["wait", "contains", part of the URL, seconds]
    ["wait", by, what, seconds, regular expression in its text, what to do with a picture of the page]

Everything else raises AssertionError: a configuration that asks for more is not understood here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from playwright.sync_api import BrowserContext, Page, expect

Json = Mapping[str, Any]
PICTURES = ("update-image-placeholder", "update-image-placeholder-optional")


class Automation:
    """One module's browser: tabs that share cookies, and `pictures`, the texts of the pages that were looked at."""

    def __init__(self, context: BrowserContext, configuration: Json, module: str) -> None:
        self._context = context
        self.configuration = {**configuration, **configuration.get("override", {}).get(module, {})}
        self._left = {
            number: entry["match-limit"]
            for number, entry in enumerate(self.configuration["browser"])
            if "match-limit" in entry
        }
        self.pictures: list[str] = []

    def visit(self, url: str) -> str:
        """The URL at which somebody is left after the tasks for this one. Raises AssertionError."""
        tasks = self._tasks_for(url)
        page = self._context.new_page()
        try:
            page.goto(url)
            for task in tasks:
                self._obey(page, task)
            return page.url
        finally:
            page.close()

    def cookies_of(self, site: str) -> list[Any]:
        """What this browser keeps for a site."""
        return list(self._context.cookies(site))

    def _tasks_for(self, url: str) -> list[Json]:
        for number, entry in enumerate(self.configuration["browser"]):
            if not matches(entry["match"], url) or self._left.get(number) == 0:
                continue
            if number in self._left:
                self._left[number] -= 1
            return list(entry["tasks"])
        raise AssertionError(f"no entry of `browser` is for {url}")

    def _obey(self, page: Page, task: Json) -> None:
        page.wait_for_load_state()
        if not matches(task["match"], page.url):
            assert task.get("optional"), (
                f"{task['task']} is for {task['match']}, and this is {page.url}:\n{_text(page)}"
            )
            return
        for command in task["commands"]:
            self._do(page, *command)

    def _do(self, page: Page, verb: str, by: str, what: str, *more: Any) -> None:
        if (verb, by) == ("wait", "contains"):
            # Not `wait_for_url`: it waits for another load, which the page may have had.
            page.wait_for_function("part => location.href.includes(part)", arg=what, timeout=more[0] * 1000)
            return
        assert by == "id", f"{by} is no way to find an element here"
        element = page.locator(f"#{what}")
        if verb == "text":
            element.clear()
            element.fill(more[0])
        elif verb == "click":
            element.click()
        elif verb == "wait":
            seconds, *pattern = more
            element.wait_for(state="attached", timeout=seconds * 1000)
            if pattern:
                expect(element).to_have_text(re.compile(pattern[0]), timeout=seconds * 1000)
            if len(pattern) > 1:
                assert pattern[1] in PICTURES
                self.pictures.append(_text(page))
        else:
            raise AssertionError(f"{verb} is no command")


def matches(pattern: str, url: str) -> bool:
    """As the suite compares: `*` stands for anything, everything else for itself."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), url, re.DOTALL) is not None


def _text(page: Page) -> str:
    return page.locator("body").inner_text()
