"""Fixtures of the fault tests."""

import pytest
import structlog


@pytest.fixture(autouse=True)
def logs_of_this_test() -> None:
    """The command line, called in this process by another test, has pointed them to a stream that is closed now."""
    structlog.reset_defaults()
