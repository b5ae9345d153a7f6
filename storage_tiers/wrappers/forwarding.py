"""A tier that hands everything on to another one; wrappers change what they are about, and nothing else."""

import io
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, Self, cast

from repository.errors import TierDeniedError
from repository.model import VersionSummary
from repository.ocfl.inventory import Inventory
from repository.stop import StopToken
from storage_tiers.contract.trial import TrialTier
from storage_tiers.fixity_outcome import Depth, FixityOutcome
from storage_tiers.identity import TierIdentity
from storage_tiers.port import Capabilities, ExpectedVersion, OpenedVersion, Placed, StorageTier, Usage, VersionRef


class ForwardingTier:
    """A `StorageTier` in front of another one."""

    def __init__(self, inner: StorageTier) -> None:
        self._inner = inner

    @property
    def identity(self) -> TierIdentity:
        """The inner tier's."""
        return self._inner.identity

    @property
    def capabilities(self) -> Capabilities:
        """The inner tier's."""
        return self._inner.capabilities

    def put_version(self, source: OpenedVersion, *, stop: StopToken) -> Placed:
        """See the port."""
        return self._inner.put_version(source, stop=stop)

    def open_version(self, ref: VersionRef, *, location: str | None = None) -> OpenedVersion:
        """See the port."""
        return self._inner.open_version(ref, location=location)

    def stat_version(self, ref: VersionRef) -> VersionSummary:
        """See the port."""
        return self._inner.stat_version(ref)

    def list_versions(self, *, after: VersionRef | None = None) -> Iterator[VersionRef]:
        """See the port."""
        return self._inner.list_versions(after=after)

    def verify_version(self, expected: ExpectedVersion, *, depth: Depth, stop: StopToken) -> FixityOutcome:
        """See the port."""
        return self._inner.verify_version(expected, depth=depth, stop=stop)

    def quarantine_version(self, ref: VersionRef, *, note: Mapping[str, object]) -> str:
        """See the port."""
        return self._inner.quarantine_version(ref, note=note)

    def usage(self) -> Usage:
        """See the port."""
        return self._inner.usage()

    def close(self) -> None:
        """See the port."""
        self._inner.close()

    def remove_trial(self, ref: VersionRef) -> None:
        """See `TrialTier`; refused where the inner tier cannot be tried."""
        if not isinstance(self._inner, TrialTier):
            raise TierDeniedError("This tier has no means to remove what a trial has put there")
        self._inner.remove_trial(ref)


class ForwardingVersion:
    """An `OpenedVersion` in front of another one; `on_read` is told the bytes of each piece before it is handed on."""

    def __init__(self, inner: OpenedVersion, on_read: Callable[[int], object]) -> None:
        self._inner, self._on_read = inner, on_read

    @property
    def summary(self) -> VersionSummary:
        """The inner version's."""
        return self._inner.summary

    @property
    def inventory(self) -> Inventory:
        """The inner version's."""
        return self._inner.inventory

    @property
    def inventory_bytes(self) -> bytes:
        """The inner version's."""
        return self._inner.inventory_bytes

    @property
    def sizes(self) -> Mapping[str, int]:
        """The inner version's."""
        return self._inner.sizes

    def contents(self, *, stop: StopToken) -> Iterator[tuple[str, BinaryIO]]:
        """See the port."""
        for path, stream in self._inner.contents(stop=stop):
            yield path, self._forward(stream)

    def open(self, content_path: str, *, offset: int = 0, length: int | None = None) -> BinaryIO:
        """See the port."""
        return self._forward(self._inner.open(content_path, offset=offset, length=length))

    def __enter__(self) -> Self:
        """Enter the inner version."""
        self._inner.__enter__()
        return self

    def __exit__(self, *details: object) -> None:
        """Leave the inner version."""
        self._inner.__exit__(*details)

    def _forward(self, stream: BinaryIO) -> BinaryIO:
        return cast("BinaryIO", _ForwardingStream(stream, self._on_read))


class _ForwardingStream(io.RawIOBase):
    def __init__(self, inner: BinaryIO, on_read: Callable[[int], object]) -> None:
        super().__init__()
        self._inner, self._on_read = inner, on_read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        size: int = self._inner.readinto(buffer)  # type: ignore[attr-defined]
        if size:
            self._on_read(size)
        return size

    def close(self) -> None:
        self._inner.close()
        super().close()
