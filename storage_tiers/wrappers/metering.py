"""A tier that counts what is done with it."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from repository.errors import RepositoryError
from repository.model import VersionSummary
from repository.stop import StopToken
from storage_tiers.fixity_outcome import Depth, FixityOutcome
from storage_tiers.port import ExpectedVersion, OpenedVersion, Placed, StorageTier, Usage, VersionRef
from storage_tiers.wrappers.forwarding import ForwardingTier, ForwardingVersion

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class TierCounts:
    """What was done with a tier since it was opened.

    Args:
        calls: method of the port -> how often.
        errors: name of the error -> how often a call or a listing ended with it.
        written_bytes: payload given to the tier, whether or not it was stored in the end.
        read_bytes: that came from opened versions and from verifying.
    """

    calls: Mapping[str, int]
    errors: Mapping[str, int]
    written_bytes: int
    read_bytes: int


class MeteredTier(ForwardingTier):
    """Counts calls, errors and bytes; `counts()` gives them at any time, from any thread."""

    def __init__(self, inner: StorageTier) -> None:
        super().__init__(inner)
        self._lock = threading.Lock()
        self._calls: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def counts(self) -> TierCounts:
        """What was counted so far."""
        with self._lock:
            return TierCounts(
                calls=dict(self._calls),
                errors=dict(self._errors),
                written_bytes=self._bytes["written"],
                read_bytes=self._bytes["read"],
            )

    def put_version(self, source: OpenedVersion, *, stop: StopToken) -> Placed:
        """See the port."""
        counted = ForwardingVersion(source, lambda size_bytes: self._add("written", size_bytes))
        return self._count("put_version", lambda: self._inner.put_version(counted, stop=stop))

    def open_version(self, ref: VersionRef, *, location: str | None = None) -> OpenedVersion:
        """See the port."""
        opened = self._count("open_version", lambda: self._inner.open_version(ref, location=location))
        return ForwardingVersion(opened, lambda size_bytes: self._add("read", size_bytes))

    def stat_version(self, ref: VersionRef) -> VersionSummary:
        """See the port."""
        return self._count("stat_version", lambda: self._inner.stat_version(ref))

    def list_versions(self, *, after: VersionRef | None = None) -> Iterator[VersionRef]:
        """See the port."""
        listing = self._count("list_versions", lambda: self._inner.list_versions(after=after))
        try:
            yield from listing
        except RepositoryError as error:
            self._failed(error)
            raise

    def verify_version(self, expected: ExpectedVersion, *, depth: Depth, stop: StopToken) -> FixityOutcome:
        """See the port."""
        outcome = self._count("verify_version", lambda: self._inner.verify_version(expected, depth=depth, stop=stop))
        self._add("read", outcome.read_bytes)
        return outcome

    def quarantine_version(self, ref: VersionRef, *, note: Mapping[str, object]) -> str:
        """See the port."""
        return self._count("quarantine_version", lambda: self._inner.quarantine_version(ref, note=note))

    def usage(self) -> Usage:
        """See the port."""
        return self._count("usage", self._inner.usage)

    def _count(self, name: str, call: Callable[[], _Answer]) -> _Answer:
        with self._lock:
            self._calls[name] += 1
        try:
            return call()
        except RepositoryError as error:
            self._failed(error)
            raise

    def _failed(self, error: RepositoryError) -> None:
        with self._lock:
            self._errors[type(error).__name__] += 1

    def _add(self, what: str, size_bytes: int) -> None:
        with self._lock:
            self._bytes[what] += size_bytes
