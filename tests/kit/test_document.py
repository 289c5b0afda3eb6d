"""The example of `docs/relying-applications.md` is an application, and its tables are complete."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from flask import Flask, Response

from idp.kernel.clock import FixedClock, SystemClock
from idp_kit import SessionKit
from idp_kit.store import ELSEWHERE, INACTIVITY, UNREACHABLE
from tests.demo import hostile_provider
from tests.demo.hostile_provider import HostileProvider, Key
from tests.kit.conftest import MakeKit, is_signed_in, signed_in, tell

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT, README = ROOT / "docs" / "relying-applications.md", ROOT / "clients" / "python" / "README.md"


def application_of(document: Path) -> str:
    """The first piece of Python in a document is a whole application."""
    found = re.search(r"```python\n(.*?)```", document.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def provider_now(rsa_key: Key) -> Iterator[HostileProvider]:
    """By the clock of the machine, as the application of the document."""
    with hostile_provider.running(SystemClock(), rsa_key) as running:
        running.clients = {"rooster": running.clients["atosi"]}
        yield running


def test_application_of_the_document_signs_in_warns_and_is_signed_out(
    provider_now: HostileProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = application_of(DOCUMENT)
    assert "http://localhost:8000" in source
    (tmp_path / "app.py").write_text(source.replace("http://localhost:8000", provider_now.issuer))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROOSTER_SECRET", provider_now.clients["rooster"])
    monkeypatch.setenv("ROOSTER_KEY", "a key for tests only")
    names: dict[str, object] = {"__name__": "app"}
    exec(compile((tmp_path / "app.py").read_text(), "app.py", "exec"), names)  # noqa: S102 - it is ours
    kit, app = names["kit"], names["app"]
    assert isinstance(kit, SessionKit) and isinstance(app, Flask)
    try:
        assert app.test_client().get("/").headers["Location"] == "/login?next=/"
        browser = signed_in(kit)
        assert browser.get("/signed-out").headers["Location"] == "/", "nobody was signed out"
        page = browser.get("/").text
        assert "Welkom, Anna de Wit" in page and 'src="/session/session.js"' in page
        notice = provider_now.logout_token(lambda claims: claims.update(aud="rooster"))
        assert app.test_client().post("/session/backchannel-logout", data={"logout_token": notice}).status_code == 200
        assert not is_signed_in(browser)
        gone = browser.get("/signed-out", query_string={"next": "/?week=3"})
        assert gone.status_code == 200 and "<h1>U bent uitgelogd</h1>" in gone.text
        assert "ook hier uitgelogd" in gone.text and 'href="/login?next=/?week%3D3"' in gone.text
        assert all(each in text for text in (page, gone.text) for each in ('<meta charset="utf-8">', 'name="viewport"'))
        assert set(cast(dict[str, str], names["WHY"])) == {INACTIVITY, ELSEWHERE, UNREACHABLE}
        stranger = app.test_client().get("/signed-out")
        assert stranger.status_code == 200 and 'href="/login?next=/"' in stranger.text
    finally:
        kit.close()


def test_document_names_everything_that_a_page_is_told(
    make_kit: MakeKit, provider: HostileProvider, clock: FixedClock
) -> None:
    provider.absolute_timeout = timedelta(minutes=31)
    browser = signed_in(make_kit())
    clock.move(timedelta(minutes=10))
    tell(browser)
    provider.instead["/session/activity"] = lambda: Response("no", 503)
    clock.move(timedelta(minutes=2))
    told = tell(browser)
    assert isinstance(told, dict) and {"reported", "at_limit"} <= told.keys(), told
    table = re.findall(
        r"^\| `(\w+)` \|", DOCUMENT.read_text().partition("### If you write the script")[2], re.MULTILINE
    )
    assert told.keys() | {"mark"} <= set(table)
    assert all(f'`"{why}"`' in DOCUMENT.read_text() for why in (INACTIVITY, ELSEWHERE, UNREACHABLE))


@pytest.mark.parametrize("document", [DOCUMENT, README], ids=lambda document: document.name)
def test_example_keeps_sessions_where_all_processes_of_an_application_find_them(document: Path) -> None:
    text, source = document.read_text(), application_of(document)
    assert "SqliteStore(" in source and "MemoryStore" not in source
    assert "session_script(" in source and '@app.get("/signed-out")' in source
    assert "signs out only one process of several" in text, "the reason"
