"""A tier that tries again what failed for the moment."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from repository.errors import RepositoryError
from repository.model import VersionSummary
from repository.stop import StopToken
from storage_tiers.port import OpenedVersion, Placed, StorageTier, Usage, VersionRef
from storage_tiers.wrappers.forwarding import ForwardingTier

_Answer = TypeVar("_Answer")


class RetryingTier(ForwardingTier):
    """Repeats what raised a retryable error, after waits that double from one to the next.

    Not repeated: `verify_version`, whose trouble is an answer and not an error; `quarantine_version`, which cannot be
    done twice, so that a lost answer would look like a copy that was never there; and reading an opened version, where
    whoever reads begins again.

    Args:
        inner: the tier.
        stop: ends a wait where the call brings no token of its own.
        attempts: how often at most.
        first_wait_s: before the second attempt.
        longest_wait_s: between any two.
    """

    def __init__(
        self,
        inner: StorageTier,
        *,
        stop: StopToken,
        attempts: int = 5,
        first_wait_s: float = 0.5,
        longest_wait_s: float = 30.0,
    ) -> None:
        super().__init__(inner)
        self._stop = stop
        self._waits = [min(first_wait_s * 2**number, longest_wait_s) for number in range(attempts - 1)]

    def put_version(self, source: OpenedVersion, *, stop: StopToken) -> Placed:
        """Store a version; each attempt reads the source from its beginning."""
        return self._repeat(lambda: self._inner.put_version(source, stop=stop), stop)

    def open_version(self, ref: VersionRef, *, location: str | None = None) -> OpenedVersion:
        """See the port."""
        return self._repeat(lambda: self._inner.open_version(ref, location=location), self._stop)

    def stat_version(self, ref: VersionRef) -> VersionSummary:
        """See the port."""
        return self._repeat(lambda: self._inner.stat_version(ref), self._stop)

    def usage(self) -> Usage:
        """See the port."""
        return self._repeat(self._inner.usage, self._stop)

    def list_versions(self, *, after: VersionRef | None = None) -> Iterator[VersionRef]:
        """Every version, in order; a listing that breaks off goes on after the last version that came."""
        waits = iter(self._waits)
        while True:
            try:
                for ref in self._inner.list_versions(after=after):
                    after, waits = ref, iter(self._waits)
                    yield ref
            except RepositoryError as error:
                _wait_or_raise(error, waits, self._stop)
            else:
                return

    def _repeat(self, call: Callable[[], _Answer], stop: StopToken) -> _Answer:
        waits = iter(self._waits)
        while True:
            try:
                return call()
            except RepositoryError as error:
                _wait_or_raise(error, waits, stop)


def _wait_or_raise(error: RepositoryError, waits: Iterator[float], stop: StopToken) -> None:
    """Wait until the next attempt; raise the error when there is to be none."""
    wait_s = next(waits, None) if error.retryable else None
    if wait_s is None:
        raise error
    stop.wait(wait_s)
    stop.check()
