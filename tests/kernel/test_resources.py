"""Where the folders lie that stand beside the package."""

import pytest

from idp.kernel.resources import folder


@pytest.mark.parametrize(
    ("name", "holds"), [("templates", "base.html"), ("migrations", "env.py"), ("config", "default.toml")]
)
def test_folder_of_this_installation_is_found(name: str, holds: str) -> None:
    assert (folder(name) / holds).is_file()


def test_folder_that_is_not_there_is_an_error_that_names_it() -> None:
    with pytest.raises(FileNotFoundError, match="'nothing'"):
        folder("nothing")
