"""Where the folders lie that stand beside the package: `templates`, `migrations`, `config`.

In a checkout they stand at the root of the repository, in a wheel inside the package.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def folder(name: str) -> Path:
    """The folder `name` of this installation.

    Raises FileNotFoundError when neither place holds it: the installation is broken.
    """
    for candidate in (_PACKAGE / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"this installation holds no folder {name!r}")
