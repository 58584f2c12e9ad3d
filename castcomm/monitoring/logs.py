"""Structured logs: one JSON object per line, or colours on a console.

Lines of the standard library's loggers (Django, Celery, Uvicorn) take the same way, so each carries the
request id, the user's id and the organization's id that are bound to its context.
"""

from __future__ import annotations

import logging
import logging.config
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.types import Processor

from castcomm.monitoring.redaction import redact

# Chatty below these levels, whatever LOG_LEVEL says.
_QUIET = {
    "asyncio": "WARNING",
    "daphne": "WARNING",
    # Ticks come every second; what they did is logged by the services.
    "celery.worker.strategy": "WARNING",
    "celery.app.trace": "WARNING",
    "kombu": "WARNING",
    "urllib3": "WARNING",
    "django.server": "WARNING",
    "uvicorn.access": "WARNING",
    "fontTools": "WARNING",
}

# Django's defaults and Uvicorn give these handlers of their own, whose lines nobody cleans.
_WITHOUT_HANDLERS = ("django", "django.server", "uvicorn", "uvicorn.access", "uvicorn.error")


def _loggers() -> dict[str, dict[str, Any]]:
    loggers: dict[str, dict[str, Any]] = {name: {"level": level} for name, level in _QUIET.items()}
    for name in _WITHOUT_HANDLERS:
        loggers.setdefault(name, {"level": "INFO"}).update(handlers=[], propagate=True)
    return loggers


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
    ]


def _renderers(log_format: str) -> list[Processor]:
    tail: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        structlog.processors.UnicodeDecoder(),
        redact,
    ]
    if log_format == "json":
        return [*tail, structlog.processors.EventRenamer("message"), structlog.processors.JSONRenderer()]
    return [*tail, structlog.dev.ConsoleRenderer(colors=False)]


def configure(config: Mapping[str, Any]) -> None:
    """Set up logging from ``{"level": "INFO", "format": "json" | "console"}`` (settings.LOGGING)."""
    shared = _shared_processors()
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "structured": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "processors": _renderers(str(config["format"])),
                    "foreign_pre_chain": [*shared, structlog.stdlib.ExtraAdder()],
                }
            },
            "handlers": {"stream": {"class": "logging.StreamHandler", "formatter": "structured"}},
            "root": {"handlers": ["stream"], "level": config["level"]},
            "loggers": _loggers(),
        }
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
