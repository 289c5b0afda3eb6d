"""The browser, the world it visits, and somebody at the browser whose complaints fail the test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.visitor import Visitor
from tests.browser.world import World, world
from tests.services.chromium import executable, launch_arguments

Begin = Callable[..., Visitor]


# Of the package and not of the session: another test module may start a Playwright of its own afterwards.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable(), args=launch_arguments())
        yield started
        started.close()


@pytest.fixture(scope="package")
def site(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The provider and its two applications."""
    database = tmp_path_factory.mktemp("browser") / "idp.db"
    shutil.copyfile(sqlite_template, database)
    with world(f"sqlite:///{database}") as found:
        yield found


@pytest.fixture
def visit(browser: Browser, site: World) -> Iterator[Begin]:
    """Makes visitors. When the test ends, nothing may have been wrong on any page that they saw."""
    visitors: list[Visitor] = []

    def begin(script: bool = True, **options: Any) -> Visitor:
        given = {"locale": "nl-NL", "viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"}
        context = browser.new_context(**(given | options), java_script_enabled=script)
        context.set_default_timeout(30_000)
        visitors.append(Visitor(context, site.issuer, script))
        return visitors[-1]

    yield begin
    faults = [fault for visitor in visitors for fault in visitor.watch.faults]
    for visitor in visitors:
        visitor.context.close()
    assert faults == []


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def script(request: pytest.FixtureRequest) -> bool:
    """Every test that asks for it runs with JavaScript and without."""
    return bool(request.param)
