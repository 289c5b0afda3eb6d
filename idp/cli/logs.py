"""What is written to standard error: JSON lines for machines, or lines for people."""

import logging.config
from typing import Any

import structlog

from idp.settings import LogSettings

BEFORE = (
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configuration(log: LogSettings) -> dict[str, Any]:
    """For `logging.config.dictConfig`, and for granian, whose own messages then look the same."""
    rendering = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
        if log.format == "json"
        # Prettier tracebacks would show the values of variables, and so secrets.
        else [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
                "foreign_pre_chain": list(BEFORE),
            }
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"},
        },
        "root": {"handlers": ["stderr"], "level": log.level.upper()},
        # Alembic tells which dialect it uses, at each start.
        "loggers": {"alembic": {"level": "WARNING"}},
    }


def set_up(log: LogSettings) -> None:
    """From now on everything that this process logs is written so."""
    logging.config.dictConfig(configuration(log))
