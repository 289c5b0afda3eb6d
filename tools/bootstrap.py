"""Make this checkout ready to run: `python3 -m tools.bootstrap demo|check|test`.

    demo    .venv with the provider and what `idp demo` needs
    check   .venv with everything, for the checkers
    test    the same, and Chromium

    python3 -m venv ──> .venv-tools (pip, uv at UV_VERSION) ──> uv sync --locked ──> .venv ──> stamp in .venv

The interpreter that runs this file is the one that .venv uses; no Python is ever downloaded. The stamp names
the contents of `uv.lock` and both `pyproject.toml`, so a second run with nothing changed takes a fraction of a
second. As root on Debian a missing `python3-venv` or `chromium` is installed; anybody else is told what to
install. Only the standard library is used.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.browser import ADVICE, find_chromium

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".venv-tools"
TOOLS_VENV = TOOLS / "venv"
VENV = ROOT / ".venv"
STAMP = VENV / "bootstrap.json"

UV_VERSION = "0.13.9"
OLDEST_PYTHON = (3, 11)

SYNC = {
    # Inexact: whoever tries the demo between two test runs keeps what the tests need.
    "demo": ("--no-dev", "--extra", "demo", "--inexact"),
    "check": ("--all-extras", "--all-groups"),
}


class CannotBootstrap(Exception):
    """A sentence for the person at the keyboard: what is missing and what to do."""


def main(arguments: Sequence[str]) -> int:
    """The checkout is ready for the purpose named; otherwise the reason is on standard error and 1 is returned."""
    if len(arguments) != 1 or arguments[0] not in ("demo", "check", "test"):
        print("usage: python3 -m tools.bootstrap demo|check|test", file=sys.stderr)
        return 2
    try:
        prepare(arguments[0])
    except CannotBootstrap as reason:
        print(reason, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as failure:
        command = " ".join(map(str, failure.cmd))
        print(f"This command ended with exit code {failure.returncode}: {command}", file=sys.stderr)
        return 1
    return 0


def prepare(purpose: str) -> None:
    """`.venv` is as the lock file says for the purpose, and for `test` Chromium is installed."""
    if sys.version_info[:2] < OLDEST_PYTHON:
        oldest, found = ".".join(map(str, OLDEST_PYTHON)), ".".join(map(str, sys.version_info[:3]))
        raise CannotBootstrap(
            f"Python {oldest} or later is needed and this is {found}. Name another one: make PYTHON=python{oldest} ..."
        )
    with one_at_a_time():
        packages = "demo" if purpose == "demo" else "check"
        if not is_current(packages):
            sync(packages)
        if purpose == "test" and find_chromium() is None:
            install_system_package("chromium", ADVICE)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Holds off a second bootstrap of the same checkout until this one is done."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fingerprint() -> str:
    """Names all that decides what belongs in .venv: the project's files, uv, and the place (scripts hold it)."""
    digest = hashlib.sha256(f"{UV_VERSION} {ROOT}".encode())
    for name in ("uv.lock", "pyproject.toml", "clients/python/pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def is_current(packages: str) -> bool:
    """True when .venv runs and was last made from the files as they are now, with at least these packages."""
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return False
    wide_enough = stamp.get("packages") in (packages, "check")
    return wide_enough and stamp.get("fingerprint") == fingerprint() and runs(venv_python(VENV))


def sync(packages: str) -> None:
    """.venv holds what `uv.lock` says, and the stamp says so."""
    uv = installed_uv()
    STAMP.unlink(missing_ok=True)
    print(f"Installing the packages of uv.lock into {VENV.name} ...", flush=True)
    # Compiled now: where Python may not write beside the packages, every process would compile them again.
    run([uv, "sync", "--locked", "--compile-bytecode", *SYNC[packages]], env=uv_environment())
    STAMP.write_text(json.dumps({"packages": packages, "fingerprint": fingerprint()}) + "\n")


def uv_environment() -> dict[str, str]:
    """The caller's environment, with what would lead uv to another interpreter or folder taken out."""
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "UV_PYTHON")}
    environment["UV_PROJECT_ENVIRONMENT"] = str(VENV)
    environment["UV_PYTHON_DOWNLOADS"] = "never"
    if not runs(venv_python(VENV)):
        environment["UV_PYTHON"] = sys.executable
    if not os.access(os.environ.get("HOME", ""), os.W_OK):
        environment.setdefault("UV_CACHE_DIR", str(TOOLS / "cache"))
    return environment


def installed_uv() -> Path:
    """uv at UV_VERSION, with an environment of its own: `uv sync` takes out of .venv what is not locked."""
    uv = TOOLS_VENV / "bin" / "uv"
    if uv.exists() and version_of(uv) == UV_VERSION:
        return uv
    python = venv_python(TOOLS_VENV)
    if not runs(python) or not runs(python, "-m", "pip"):
        make_tools_environment()
    print(f"Installing uv {UV_VERSION} into {TOOLS.name} ...", flush=True)
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    run([python, "-m", "pip", "install", *quiet, f"uv=={UV_VERSION}"])
    return uv


def make_tools_environment() -> None:
    """The environment of the tools has an interpreter with pip."""
    command = [sys.executable, "-m", "venv", "--clear", str(TOOLS_VENV)]
    if subprocess.run(command, check=False, cwd=ROOT, capture_output=True).returncode == 0:
        return
    advice = (
        f"`{sys.executable} -m venv` does not work here: Debian keeps it in a package of its own. "
        "Install it (Debian: `apt-get install python3-venv`) and run this again."
    )
    install_system_package("python3-venv", advice)
    if subprocess.run(command, check=False, cwd=ROOT).returncode != 0:
        raise CannotBootstrap(advice)


def install_system_package(package: str, advice: str) -> None:
    """The package is installed, which takes root and apt; whoever lacks one of them gets the advice instead."""
    apt = shutil.which("apt-get")
    if os.geteuid() != 0 or apt is None:
        raise CannotBootstrap(advice)
    print(f"Installing {package} with apt-get ...", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run([apt, "update", "-qq"], env=environment)
    run([apt, "install", "-y", "-qq", "--no-install-recommends", package], env=environment)


def venv_python(folder: Path) -> Path:
    return folder / "bin" / "python"


def runs(*command: str | Path) -> bool:
    """True when the command can say its version."""
    return version_of(*command) is not None


def version_of(*command: str | Path) -> str | None:
    """The second word of what `command --version` prints, or None when it does not run."""
    try:
        answer = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return (answer.stdout.split() + ["", ""])[1]


def run(command: Sequence[str | Path], env: dict[str, str] | None = None) -> None:
    """The command has ended well, in the checkout. Raises CalledProcessError."""
    subprocess.run(command, cwd=ROOT, env=env, check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
