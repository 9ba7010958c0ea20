"""How both servers write their log: constant event names, data in fields, no secrets.

Events are structlog's; what libraries write with the standard library's logging passes through the
same processors, so that one line is one JSON object whoever wrote it.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from flight_member.settings import LogSection

# The last word of a field's name: `token` and `join_token`, but not `token_id`.
_SECRET_FIELDS = frozenset(
    {"password", "token", "ticket", "authorization", "secret", "bearer", "key"}
)


def configure_logging(section: LogSection, *, cluster: str) -> None:
    """Send every log line of this process to standard error.

    Args:
        section: Level and format.
        cluster: Written into every line, so that logs of several servers can be joined.
    """
    as_json = section.format == "json" or (section.format == "auto" and not sys.stderr.isatty())
    shared: list[structlog.types.Processor] = [
        lambda _logger, _method, event: {"cluster": cluster, **event},
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _withhold_secrets,
    ]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), _withhold_secrets],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([structlog.processors.format_exc_info] if as_json else []),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(section.level.upper())


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of one module."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def _withhold_secrets(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for field, value in event.items():
        if field.lower().rpartition("_")[2] in _SECRET_FIELDS:
            event[field] = "withheld"
        elif isinstance(value, dict):
            event[field] = _withhold_secrets(_logger, _method, dict(value))
    return event
