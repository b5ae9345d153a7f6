"""A tier in memory: the smallest example of a driver, and the tier of tests that are not about a medium."""

import io
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO, Self, cast

from repository.errors import CopyConflictError, IntegrityError, NotFoundError, SourceReadError
from repository.hashing import CHUNK_BYTES
from repository.model import VersionSummary
from repository.ocfl.inventory import Inventory
from repository.stop import StopToken
from storage_tiers.contract.trial import require_trial
from storage_tiers.fixity_outcome import Depth, FixityFinding, FixityOutcome, FixityState
from storage_tiers.identity import TierIdentity
from storage_tiers.port import Capabilities, ExpectedVersion, OpenedVersion, Placed, PutStatus, Usage, VersionRef
from storage_tiers.reading import CheckedStream, finding, identity_findings, read_in_full


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryVersion:
    """An `OpenedVersion` of bytes in memory.

    Args:
        summary: what is to be known of it.
        inventory: its own.
        inventory_bytes: as they would be stored.
        sizes: content path -> bytes that each file must have.
        files: content path -> the bytes that are there; what differs from inventory and sizes is damage.
    """

    summary: VersionSummary
    inventory: Inventory
    inventory_bytes: bytes
    sizes: Mapping[str, int]
    files: Mapping[str, bytes]

    @property
    def ref(self) -> VersionRef:
        """Its name on every tier."""
        return VersionRef(self.summary.object_path, self.summary.record.number)

    @property
    def expected(self) -> ExpectedVersion:
        """What a catalogue would know of it."""
        return ExpectedVersion(
            object_id=self.summary.id, ref=self.ref, inventory_digest=self.summary.record.inventory_digest
        )

    def contents(self, *, stop: StopToken) -> Iterator[tuple[str, BinaryIO]]:
        """Every file that the version added."""
        for path, digest in self.inventory.added_content().items():
            stop.check()
            stream = CheckedStream(
                partial(self._file, path),
                algorithm=self.inventory.digest_algorithm,
                digest=digest,
                size_bytes=self.sizes[path],
                where=path,
            )
            yield path, cast("BinaryIO", stream)

    def open(self, content_path: str, *, offset: int = 0, length: int | None = None) -> BinaryIO:
        """One file, or a part of it; raises SourceReadError."""
        try:
            file = self._file(content_path)
        except NotFoundError as error:
            raise SourceReadError(error) from error
        file.seek(offset)
        return file if length is None else io.BytesIO(file.read(length))

    def __enter__(self) -> Self:
        """Opened already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def _file(self, content_path: str) -> BinaryIO:
        if content_path not in self.files:
            raise NotFoundError("A stored file is missing", where=content_path)
        return io.BytesIO(self.files[content_path])


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryTier:
    """A `StorageTier` that is gone with the process. Tests may damage what is in `versions`."""

    identity: TierIdentity
    versions: dict[VersionRef, MemoryVersion] = field(default_factory=dict)
    quarantined: dict[str, tuple[MemoryVersion, Mapping[str, object]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def capabilities(self) -> Capabilities:
        """What memory can do."""
        return Capabilities(parallel_reads=8, parallel_writes=8)

    def put_version(self, source: OpenedVersion, *, stop: StopToken) -> Placed:
        """Store a version; see the port."""
        ref = VersionRef(source.summary.object_path, source.summary.record.number)
        if self._is_there(ref, source):
            return Placed(status=PutStatus.ALREADY_PRESENT)
        files = {}
        for path, stream in source.contents(stop=stop):
            with stream:
                files[path] = _read(stream, stop=stop)
        if files.keys() != source.sizes.keys():
            raise SourceReadError(IntegrityError("The source gave other files than the version has", where=ref))
        version = MemoryVersion(
            summary=source.summary,
            inventory=source.inventory,
            inventory_bytes=source.inventory_bytes,
            sizes=dict(source.sizes),
            files=files,
        )
        with self._lock:
            if self._is_there(ref, source):  # somebody else was first
                return Placed(status=PutStatus.ALREADY_PRESENT)
            self.versions[ref] = version
        return Placed(status=PutStatus.STORED)

    def open_version(self, ref: VersionRef, *, location: str | None = None) -> MemoryVersion:  # noqa: ARG002
        """Open a version for reading."""
        try:
            return self.versions[ref]
        except KeyError:
            raise NotFoundError("There is no such version here", where=_named(ref)) from None

    def stat_version(self, ref: VersionRef) -> VersionSummary:
        """What is to be known of a version."""
        return self.open_version(ref).summary

    def list_versions(self, *, after: VersionRef | None = None) -> Iterator[VersionRef]:
        """Every version that was there when it was asked, in order."""
        with self._lock:
            refs = sorted(self.versions)
        yield from (ref for ref in refs if after is None or ref > after)

    def verify_version(self, expected: ExpectedVersion, *, depth: Depth, stop: StopToken) -> FixityOutcome:
        """Read a copy and compare it with what is expected."""
        try:
            opened = self.open_version(expected.ref)
        except NotFoundError as error:
            return FixityOutcome(findings=(finding(error, None),))
        if depth is not Depth.PRESENCE:
            return read_in_full(opened, expected, stop=stop)
        missing = (
            FixityFinding(state=FixityState.MISSING, path=path) for path in opened.sizes if path not in opened.files
        )
        return FixityOutcome(findings=(*identity_findings(opened, expected), *missing), files=len(opened.sizes))

    def quarantine_version(self, ref: VersionRef, *, note: Mapping[str, object]) -> str:
        """Move a version out of the way."""
        with self._lock:
            version = self.open_version(ref)
            place = f"quarantine-{len(self.quarantined) + 1}"
            self.quarantined[place] = version, dict(note)
            del self.versions[ref]
        return place

    def usage(self) -> Usage:
        """Memory cannot say."""
        return Usage(total_bytes=None, free_bytes=None)

    def close(self) -> None:
        """Nothing is held."""

    def remove_trial(self, ref: VersionRef) -> None:
        """Remove one version of a trial object; see `TrialTier`."""
        require_trial(ref)
        with self._lock:
            self.versions.pop(ref, None)

    def _is_there(self, ref: VersionRef, source: OpenedVersion) -> bool:
        found = self.versions.get(ref)
        if found is not None and found.inventory_bytes != source.inventory_bytes:
            raise CopyConflictError(
                "Something else lies where this version belongs",
                where=_named(ref),
                next_step="nothing was overwritten; compare the two, and move the wrong one to quarantine",
            )
        if found is None and ref.number > 1 and VersionRef(ref.object_path, ref.number - 1) not in self.versions:
            raise NotFoundError(
                "The version before this one is not on the tier",
                where=_named(ref),
                next_step="versions are copied in their order: copy that one first",
            )
        return found is not None


def _read(stream: BinaryIO, *, stop: StopToken) -> bytes:
    parts = []
    while part := stream.read(CHUNK_BYTES):
        stop.check()
        parts.append(part)
    return b"".join(parts)


def _named(ref: VersionRef) -> str:
    return f"{ref.object_path} v{ref.number}"
