"""The figures of several processes are one, and are served where nothing else is."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from idp.metrics.exposition import FiguresOfChildren, answering, folder_for_children, listening
from idp.metrics.figures import Figures
from tests.metrics.scraped import of, scraped
from tests.services.ports import free_port

COUNT = """
from datetime import timedelta
from idp.metrics.figures import Figures
figures = Figures()
figures.notice_settled("atosi", "delivered", timedelta(seconds=3))
figures.notice_settled("atosi", "expired", None)
print("counted", flush=True)
input()
"""


class Child:
    """A process that counts one delivered and one expired notice, and lives until it is killed."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-c", COUNT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None and self._process.stdout.readline() == b"counted\n"

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def test_figures_of_children_are_added_up_and_stay_when_a_child_dies_and_another_begins() -> None:
    with folder_for_children() as folder:
        told = FiguresOfChildren(folder)
        assert of(told) == {}
        first, second = Child(), Child()
        assert of(told)['idp_logout_notices_total{outcome="expired"}'] == 2
        first.kill()
        third = Child()
        figures = of(told)
        assert figures['idp_logout_notices_total{outcome="expired"}'] == 3
        assert figures['idp_logout_notices_total{outcome="refused"}'] == 0
        assert figures['idp_logout_notice_delay_seconds_bucket{le="3.0"}'] == 3
        assert figures['idp_logout_notice_delay_seconds_bucket{le="2.0"}'] == 0
        second.kill()
        third.kill()
    assert not folder.exists()


def test_file_of_a_child_that_died_while_it_made_it_spoils_nothing(tmp_path: Path) -> None:
    (tmp_path / "counter_1.db").touch()
    assert of(FiguresOfChildren(tmp_path)) == {}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_figures_are_at_the_port_until_the_block_ends(host: str) -> None:
    port = free_port()
    with answering(listening(host, port, [Figures().registry])):
        told = scraped(port, f"[{host}]" if ":" in host else host)
        assert told['idp_logout_notices_total{outcome="delivered"}'] == 0
        with pytest.raises(OSError, match="Address already in use"):
            listening(host, port, [])
    listening(host, port, []).server_close()


def test_somebody_who_connects_and_says_nothing_keeps_nobody_else_waiting() -> None:
    port = free_port()
    with answering(listening("127.0.0.1", port, [])), socket.create_connection(("127.0.0.1", port)):
        assert any(name.startswith("idp_build_info") for name in scraped(port))
