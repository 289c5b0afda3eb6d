"""A checkout of the project, installed on a database of its own and served as `idp serve` does it.

It is set up by its own commands and spoken to over HTTP, so that any revision can be measured beside another.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests

from tests.live import NetworkBrowser
from tests.services.ports import free_port
from tests.services.processes import ChildProcess

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "een lang geheim wachtwoord voor de meting"  # noqa: S105 - of people who are nobody
CALLBACK = "https://app.example/callback"
CLIENT = "bench"
STARTS_WITHIN = 120.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@contextmanager
def checkout(revision: str, repository: Path = ROOT) -> Iterator[Path]:
    """The files of another revision, while the block runs."""
    with tempfile.TemporaryDirectory(prefix="idp-bench-") as folder:
        place = Path(folder) / "checkout"
        git = ["git", "-C", str(repository), "worktree"]
        subprocess.run([*git, "add", "--detach", str(place), revision], check=True, capture_output=True)
        try:
            yield place
        finally:
            subprocess.run([*git, "remove", "--force", str(place)], check=True, capture_output=True)


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in: the cookies of their browser."""

    cookie: str


class Installation:
    """The provider of one checkout. `secret` is that of its one client."""

    def __init__(self, root: Path, database_url: str, folder: Path, threads: int) -> None:
        self.root, self._folder = root, folder
        self.port = free_port()
        self.issuer = f"http://localhost:{self.port}"
        # A package of this name stands in the other checkout too, so the counting application stands alone.
        shutil.copyfile(ROOT / "bench" / "counting.py", folder / "idp_bench_counting.py")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")}
        self._environment = inherited | {
            "PYTHONPATH": f"{root}{os.pathsep}{folder}",
            "IDP_MODE": "test",
            "IDP_ISSUER": self.issuer,
            "IDP_SECRET_KEY": "a secret key of a measurement, 0123456789",
            "IDP_DATABASE__URL": database_url,
            "IDP_SERVER__PORT": str(self.port),
            "IDP_SERVER__WORKERS": "1",
            "IDP_SERVER__THREADS": str(threads),
            # Nothing but requests is measured.
            "IDP_SERVER__WORKER_EMBEDDED": "false",
            "IDP_LOG__LEVEL": "error",
        }
        self._process: ChildProcess | None = None
        self.secret = ""

    def set_up(self, people: int) -> None:
        """There are tables, a client and so many people. Raises CalledProcessError with what a command said."""
        self._command("db", "upgrade")
        self._command("org", "add", "10234", "--name", "De Linde")
        for number in range(people):
            self._command(
                "user", "add", "10234", f"p{number}", "--name", "Anna de Wit", "--password-stdin", said=PASSWORD
            )
        made = self._command(
            *("client", "add", "Bench", "--id", CLIENT, "--first-party", "--redirect-uri", CALLBACK, "--json"),
            *("--refresh-tokens", "--client-credentials"),
        )
        self.secret = json.loads(made)["client_secret"]

    def _command(self, *words: str, said: str = "") -> str:
        command = [sys.executable, "-m", "idp.cli", *words]
        done = subprocess.run(
            command, cwd=self._folder, env=self._environment, input=said, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr}")
        return done.stdout

    @contextmanager
    def served(self, counting: bool = False) -> Iterator[None]:
        """It answers while the block runs."""
        application = ["--application", "idp_bench_counting:application"] if counting else []
        command = [sys.executable, "-m", "idp.cli", "serve", *application]
        with ChildProcess(command, environment=self._environment, folder=self._folder) as process:
            self._process = process
            process.wait_until_answers(f"{self.issuer}/health/ready", timeout=STARTS_WITHIN)
            yield

    def cpu_seconds(self) -> float:
        """What its processes have used of the processor so far; 0 where the system does not tell."""
        return cpu_seconds_of_tree(self._process.pid) if self._process else 0.0

    def sign_in(self, number: int) -> Person:
        """The person of this number, signed in with a browser."""
        cookies = requests.Session()
        cookies.trust_env = False
        page = NetworkBrowser(self.issuer, cookies).open(f"/authorize?{urlencode(request(number))}")
        filled_in = {"organisation": "10234", "username": f"p{number}", "password": PASSWORD}
        arrived = page.submit(filled_in, button="login-submit").departure.url
        if "code" not in dict(parse_qsl(urlsplit(arrived).query)):
            raise RuntimeError(f"nobody signed in: {arrived}")
        return Person("; ".join(f"{each.name}={each.value}" for each in cookies.cookies))


def request(number: int, **more: str) -> dict[str, str]:
    """An authorization request, with the challenge of `VERIFIER`."""
    return {
        "client_id": CLIENT,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid profile email",
        "state": f"state-{number}",
        "nonce": f"nonce-{number}",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **more,
    }


# RFC 7636, appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def cpu_seconds_of_tree(pid: int) -> float:
    """The processor time of a process and its descendants, as Linux keeps it."""
    parents: dict[int, tuple[int, int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1]), int(fields[11]) + int(fields[12])
    return _ticks(pid, parents) / TICKS_PER_SECOND


def _ticks(pid: int, parents: Mapping[int, tuple[int, int]]) -> int:
    own = parents.get(pid, (0, 0))[1]
    children: Sequence[int] = [child for child, (parent, _) in parents.items() if parent == pid]
    return own + sum(_ticks(child, parents) for child in children)
