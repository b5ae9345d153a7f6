"""The only reader of the clock: aware UTC datetimes, and a monotonic counter for durations."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What tells the time; tests give one of their own."""

    def now(self) -> datetime:
        """The time now, aware, in UTC, to the microsecond."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The time now, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one place

    def monotonic_s(self) -> float:
        """Seconds since the machine started or thereabouts."""
        return time.monotonic()


def rfc3339(moment: datetime) -> str:
    """`2026-11-22T08:15:30Z`: the form that OCFL asks for and people can read (RFC 3339, to the second)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
