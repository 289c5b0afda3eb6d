"""Drafts the next migration: what has to change from the migrations there are to the models.

    .venv/bin/python -m tools.draft_migration "Sessions know their device"

The draft is for reading and correcting: Alembic sees neither CHECK constraints of tables that exist nor what a release
that still runs needs.
"""

import re
import sys
import tempfile
from pathlib import Path

from alembic import command

from idp.schema import metadata
from idp.store import schema


def draft(message: str) -> str:
    """The path of the new file in `migrations/versions`, named after its running number and the message."""
    config = schema.configuration()
    slug = re.sub(r"[^a-z0-9]+", "_", message.lower()).strip("_")
    with tempfile.TemporaryDirectory() as place:
        url = f"sqlite:///{Path(place) / 'draft.db'}"
        scripts = Path(config.get_main_option("script_location") or "") / "versions"
        number = len(list(scripts.glob("*.py"))) + 1
        config.set_main_option("file_template", f"{number:04}_{slug}")
        if number > 1:
            schema.upgrade(url)
        engine = schema.engine(url)
        with engine.begin() as connection:
            config.attributes |= {"connection": connection, "metadata": metadata}
            made = command.revision(config, message, autogenerate=True, rev_id=f"{number:04}")
        engine.dispose()
    return str(getattr(made, "path", ""))


if __name__ == "__main__":
    print(draft(sys.argv[1]))
