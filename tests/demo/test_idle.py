"""`idp demo --idle`, with a real stopwatch: two applications, one clock, and an end that both hear of."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.demo.command import IDP, Demo, base_port, code, environment, running
from tests.live import Person

# Seconds. Enough for a busy machine to answer in between.
IDLE = 8.0
BY_A_PERSON = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1"}
BY_A_SCRIPT = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}


class Browser(Person):
    """Somebody whose browser says what it does, as browsers do."""

    def click(self, url: str) -> requests.Response:
        return self._cookies.get(url, headers=BY_A_PERSON, timeout=30)

    def poll(self, url: str) -> Any:
        return self._cookies.get(url, headers=BY_A_SCRIPT, timeout=30).json()

    def is_signed_in(self, application: str) -> bool:
        """As a page that polls both of its own address and the kit's sees it."""
        own, kit = self.poll(f"{application}/api/session"), self.poll(f"{application}/session/status")
        assert kit["signed_in"] == (kit["expires_in"] is not None)
        return bool(own["signed_in"] and kit["signed_in"])


def signed_in_at_both(demo: Demo) -> Browser:
    anna = Browser()
    page = demo.logging_in("anna", anna)
    page = anna.submit(page, {"code": code(demo.answer["users"]["anna"]["totp_key"])}, button="code-submit")
    assert page.heading == "Welkom, Anna de Wit"
    assert anna.open(f"{demo.rapportages}/login").heading == "Welkom, Anna de Wit"
    return anna


def told(demo: Demo, *words: str) -> Any:
    """What an `idp` command says of the running demonstration."""
    command = [*IDP, "--config", demo.answer["config"], *words, "--json"]
    answer = subprocess.run(command, env=environment(), capture_output=True, check=True, timeout=60)
    return json.loads(answer.stdout)


def test_activity_in_one_application_keeps_both_and_silence_ends_both_although_their_pages_poll(tmp_path: Path) -> None:
    with running(tmp_path, "--idle", f"{IDLE:.0f}", IDP_DEMO_PORT=str(base_port())) as demo:
        assert "does nothing for 8s" in demo.errors.read_text()
        anna = signed_in_at_both(demo)
        last = began = time.monotonic()
        while last < began + 1.5 * IDLE:
            time.sleep(0.5)
            last = time.monotonic()
            assert "Welkom, Anna" in anna.click(f"{demo.atosi}/").text
        assert anna.is_signed_in(demo.atosi) and anna.is_signed_in(demo.rapportages)

        ended: dict[str, float] = {}
        while len(ended) < 2 and time.monotonic() < last + 3 * IDLE:
            for application in {demo.atosi, demo.rapportages} - ended.keys():
                if not anna.is_signed_in(application):
                    ended[application] = time.monotonic() - last
            time.sleep(0.2)
        assert ended.keys() == {demo.atosi, demo.rapportages}, "polling kept somebody signed in"
        # A second for whole seconds in answers, and some for a machine with much to do.
        assert all(IDLE - 1.5 <= after <= IDLE + 5 for after in ended.values()), ended
        for application in ended:
            assert "U bent automatisch uitgelogd" in anna.click(f"{application}/").text

        for _ in range(100):
            (session,) = told(demo, "session", "list", "--ended")
            receipts = told(demo, "session", "show", session["sid"])["receipts"]
            if all(each["outcome"] == "delivered" for each in receipts):
                break
            time.sleep(0.2)
        assert [(each["client_id"], each["outcome"]) for each in receipts] == [
            ("atosi", "delivered"),
            ("rapportages", "delivered"),
        ]
        assert session["reason"] == "idle" and all(each["delay"] is not None for each in receipts)


@pytest.mark.parametrize(("given", "complaint"), [("soon", "--idle"), ("1", "at least 3s"), ("-5", "--idle")])
def test_idle_that_is_no_time_to_log_in_is_refused(given: str, complaint: str) -> None:
    refused = subprocess.run([*IDP, "demo", f"--idle={given}"], env=environment(), capture_output=True, text=True)
    assert refused.returncode == 2 and complaint in refused.stderr
