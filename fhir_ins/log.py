"""Structured logs: one JSON object a line on standard output, never identity data.

Libraries may log at warning and above only; what they say passes through the same lines.
"""

import logging
import sys
from types import TracebackType

import orjson
import structlog


def configure() -> None:
    """Set up structlog and the standard library's logging for this process."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[Forwarding()], force=True)


def places(traceback: TracebackType | None) -> list[str]:
    """Where a failure passed, as file:line function: the messages of exceptions may quote a patient."""
    found = []
    while traceback:
        code = traceback.tb_frame.f_code
        found.append(f"{code.co_filename}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return found


class Forwarding(logging.Handler):
    """Hands a library's record to structlog, its arguments left out: they may be anything."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(record.levelno, "library", logger=record.name, message=str(record.msg)[:200])
