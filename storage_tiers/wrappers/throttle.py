"""A tier that is read and written no faster than so many bytes a second."""

import threading

from repository.clock import Clock
from repository.stop import StopToken
from storage_tiers.fixity_outcome import Depth, FixityOutcome
from storage_tiers.port import ExpectedVersion, OpenedVersion, Placed, StorageTier, VersionRef
from storage_tiers.wrappers.forwarding import ForwardingTier, ForwardingVersion

_BURST_S = 0.25
"""Unused time that may be made up for, so that short pauses cost nothing."""


class TokenBucket:
    """Bytes that may pass, shared by all threads: whoever takes some books the time that they need, then waits for it.

    Args:
        rate_bps: bytes a second.
        clock: what tells the time.
    """

    def __init__(self, rate_bps: int, *, clock: Clock) -> None:
        if rate_bps <= 0:
            raise ValueError(f"a rate of {rate_bps} bytes a second lets nothing pass")
        self._rate_bps, self._clock = rate_bps, clock
        self._lock = threading.Lock()
        self._booked_until_s = clock.monotonic_s()

    def take(self, size_bytes: int, *, stop: StopToken) -> None:
        """Return when these bytes may pass. Raises OperationCancelledError when stop is set meanwhile."""
        wait_s = self.owe(size_bytes)
        if wait_s > 0:
            stop.wait(wait_s)
            stop.check()

    def owe(self, size_bytes: int) -> float:
        """Book the time of bytes that have passed already; returns the seconds until all that is booked is over."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            self._booked_until_s = max(self._booked_until_s, now_s - _BURST_S) + size_bytes / self._rate_bps
            return self._booked_until_s - now_s


class ThrottledTier(ForwardingTier):
    """Limits what is put, what is read, and what verifying reads; the three share one rate.

    The tier itself reads when it verifies: such bytes are paid for afterwards, one version at a time, so that the
    rate holds over several versions and not within one.

    Args:
        inner: the tier.
        rate_bps: bytes a second, all threads together.
        clock: what tells the time.
        stop: ends a wait where the call brings no token of its own.
    """

    def __init__(self, inner: StorageTier, *, rate_bps: int, clock: Clock, stop: StopToken) -> None:
        super().__init__(inner)
        self._bucket, self._stop = TokenBucket(rate_bps, clock=clock), stop

    def put_version(self, source: OpenedVersion, *, stop: StopToken) -> Placed:
        """Store a version that comes no faster than the rate."""
        paced = ForwardingVersion(source, lambda size_bytes: self._bucket.take(size_bytes, stop=stop))
        return self._inner.put_version(paced, stop=stop)

    def open_version(self, ref: VersionRef, *, location: str | None = None) -> OpenedVersion:
        """Open a version that is read no faster than the rate."""
        opened = self._inner.open_version(ref, location=location)
        return ForwardingVersion(opened, lambda size_bytes: self._bucket.take(size_bytes, stop=self._stop))

    def verify_version(self, expected: ExpectedVersion, *, depth: Depth, stop: StopToken) -> FixityOutcome:
        """Verify when what was read before is paid for."""
        self._bucket.take(0, stop=stop)
        outcome = self._inner.verify_version(expected, depth=depth, stop=stop)
        self._bucket.owe(outcome.read_bytes)
        return outcome
