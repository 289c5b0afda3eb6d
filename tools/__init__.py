"""What developers and machines run around the product; nothing here is part of it.

bootstrap.py   makes `.venv` as `uv.lock` says and finds or installs what the tests need from the system
browser.py     where Chromium is on this machine

Both use the standard library only: they run before anything is installed.
"""
