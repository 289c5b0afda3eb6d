"""A certified demonstration, a stand-in for the suite, and a browser that obeys what the kit wrote for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.certification import suite as suites
from tests.certification.automation import Automation
from tests.certification.party import Provider
from tests.certification.suite import Suite
from tests.demo.command import Demo, base_port, running
from tests.services.chromium import executable, launch_arguments

Begin = Callable[..., Automation]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable(), args=launch_arguments())
        yield started
        started.close()


@pytest.fixture(scope="module")
def suite() -> Iterator[Suite]:
    with suites.running() as answering:
        yield answering


@pytest.fixture(scope="module")
def demo(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """`idp demo --certification`, on http."""
    folder = tmp_path_factory.mktemp("certification")
    port = str(base_port())
    with running(folder, "--certification", "--suite", suite.url, IDP_DEMO_PORT=port) as started:
        yield started


@pytest.fixture(scope="module")
def provider(demo: Demo) -> Provider:
    return Provider(demo.answer["issuer"])


@pytest.fixture
def module(browser: Browser, demo: Demo, suite: Suite) -> Iterator[Begin]:
    """Begins a module of the suite: a browser without cookies, and the configuration of its plan."""
    contexts = []

    def begin(name: str, plan: str = "oidcc-basic-certification-test-plan") -> Automation:
        # The suite's browsers speak English and believe any certificate.
        context = browser.new_context(locale="en-US", ignore_https_errors=True)
        context.set_default_timeout(30_000)
        contexts.append(context)
        return Automation(context, configuration(demo, plan), name)

    suite.forget()
    yield begin
    for context in contexts:
        context.close()


def configuration(demo: Demo, plan: str) -> dict[str, Any]:
    """What stands in the file of the first plan of this name."""
    entry = next(each for each in demo.answer["certification"]["plans"] if each["plan"].startswith(plan))
    found: dict[str, Any] = json.loads(Path(entry["configuration"]).read_text())
    return found
