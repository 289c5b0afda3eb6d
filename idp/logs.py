"""The log on standard error: one line for each request and each fault, as JSON or for people.

No query, no form, no cookie and no header of a request is ever logged, so no code, token or password can be.
"""

import logging
import sys
from typing import Any

import structlog

from idp.settings import LogSettings


def configure(settings: LogSettings) -> None:
    """Everything that this process logs goes to standard error in the form that was asked for."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any] = (
        [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
        if settings.format == "json"
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger("idp")
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    root.propagate = False
