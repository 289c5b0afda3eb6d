"""The tests mirror `idp/`: what proves a module lies under the same path.

services/   the real parts that tests run against: PostgreSQL, SMTP, Chromium, Node
"""
