"""What developers and machines run around the product; nothing here is part of it.

bootstrap.py         makes `.venv` as `uv.lock` says and finds or installs what the tests need from the system
browser.py           where Chromium is on this machine
draft_migration.py   the next migration, drafted from what the models say
template_lint.py     what no template may contain
screenshots.py       the pictures of the pages and `docs/gallery.md`

The first two use the standard library only: they run before anything is installed.
"""
