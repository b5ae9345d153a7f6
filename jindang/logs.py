"""How log events are written: `time level event key=value` on standard error."""

import logging
import sys

import structlog


def configure_logs(*, verbose: bool) -> None:
    """Events from INFO on with `verbose`, else from ERROR on: the command line tells warnings in its own words."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO if verbose else logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
