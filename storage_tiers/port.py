"""The port: what every place where copies live can do, whatever it is made of.

The unit is one version of one object: the folder `v<N>/` of an OCFL object. A driver (disk, object store, memory)
implements `StorageTier`; a wrapper (retry, throttle, read-only, metering, zone guard) implements it too and hands on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import BinaryIO, Protocol, Self

from repository.model import ObjectId, VersionSummary
from repository.ocfl.inventory import Inventory
from repository.stop import StopToken
from storage_tiers.fixity_outcome import Depth, FixityOutcome
from storage_tiers.identity import TierIdentity


@dataclass(frozen=True, slots=True, order=True)
class VersionRef:
    """One version of one object on any tier; sorts by the object's path, then by number."""

    object_path: str
    """Folder of the object below the storage root, the same on every tier."""
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedVersion:
    """What the catalogue knows of a version, enough to prove every byte of a copy of it.

    The digest of the version's inventory covers the digests of all its files.
    """

    object_id: ObjectId
    ref: VersionRef
    inventory_digest: str
    """Of the version's own `inventory.json`, hex, by the inventory's own algorithm."""
    location: str | None = None
    """Where a tier said that it put this copy (`Placed.location`); None where it said nothing."""


class PutStatus(StrEnum):
    """What putting a version came to."""

    STORED = "stored"
    ALREADY_PRESENT = "already present"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A version that is durable on a tier.

    Args:
        status: whether it was written now.
        location: where exactly, for a tier that may hold several things under one name; JSON, opaque to others.
    """

    status: PutStatus
    location: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Space on a tier, in bytes; `free_bytes` is what we may still write. None where a tier cannot say."""

    total_bytes: int | None
    free_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a tier can do; where it is found out by trying, `tier validate` says so.

    Args:
        parallel_reads: how many versions may well be read at once.
        parallel_writes: how many versions may well be written at once.
        random_access: whether one file of a version is read without reading the others.
        immutable: whether what is stored is locked against deletion, by whomever.
        server_checksum: whether the server refuses bytes that do not match the digest sent with them.
        recall_delay_s: how long it takes until the first byte comes; 0 for what is online.
        found: name of a feature -> whether the server has it, as probed.
    """

    parallel_reads: int = 1
    parallel_writes: int = 1
    random_access: bool = True
    immutable: bool = False
    server_checksum: bool = False
    recall_delay_s: float = 0.0
    found: Mapping[str, bool] = field(default_factory=dict)


class OpenedVersion(Protocol):
    """A version that lies on some tier, opened for reading; the source of every copy. A context manager.

    Everything that goes wrong while reading is raised as `SourceReadError`, with the reason as its cause: whoever
    copies can tell the source's trouble from the target's.
    """

    @property
    def summary(self) -> VersionSummary:
        """What is to be known of it without its payload; read when it is first asked for."""
        ...

    @property
    def inventory(self) -> Inventory:
        """The version's own: its head is this version."""
        ...

    @property
    def inventory_bytes(self) -> bytes:
        """As it is stored; it agrees with its sidecar, and `summary.record.inventory_digest` is its digest."""
        ...

    @property
    def sizes(self) -> Mapping[str, int]:
        """Content path -> bytes, of exactly the files that this version added (`inventory.added_content()`).

        A file that is gone counts 0 where the inventory gives no size; its stream says what is wrong.
        """
        ...

    def contents(self, *, stop: StopToken) -> Iterator[tuple[str, BinaryIO]]:
        """Every file that the version added, once, in the order of the content paths, for one pass over all bytes.

        A stream is read to its end before the next one is taken. It raises SourceReadError (of an IntegrityError) at
        its end at the latest, unless its bytes have the size and the digest that the inventory says.
        """
        ...

    def open(self, content_path: str, *, offset: int = 0, length: int | None = None) -> BinaryIO:
        """One file, or a part of it, without reading the others where the tier can. Digests are not checked.

        Raises:
            SourceReadError: it is not there or cannot be read.
        """
        ...

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


class StorageTier(Protocol):
    """One place where copies live.

    1. `put_version` MUST NOT overwrite, alter or remove anything that is stored, whatever happens and however many
       put the same at the same time.
    2. When `put_version` returns, the version MUST be durable and complete; until then nobody MUST see it.
    3. `put_version` MUST store exactly the bytes that the source gave, and only when all of them have their digests;
       a source that fails MUST leave nothing that others see.
    4. `put_version` of what is there already MUST return ALREADY_PRESENT when it is the same version (its
       inventory has the same digest), and raise CopyConflictError when it is not; it MUST NOT take a name, a size or a
       label for the proof of content: that is `verify_version`.
    5. Versions of an object MUST be put in their order; a version whose predecessor is missing is refused with
       NotFoundError.
    6. After a kill at any moment, the same `put_version` again MUST succeed, and leave nothing else behind.
    7. "Could not read" MUST be told apart from "is not there" and from "is not what it should be".
    8. A driver's errors MUST come out as RepositoryError, also from iterators and streams that it returned.
    9. All methods MUST be safe to call from several threads at once.
    """

    @property
    def identity(self) -> TierIdentity:
        """Who it is; read from the tier when it was opened, and compared with what was wanted."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    def put_version(self, source: OpenedVersion, *, stop: StopToken) -> Placed:
        """Store a version that is read from another tier.

        Memory: bounded, whatever the version's size; no temporary file of the size of the version.

        Raises:
            CopyConflictError: something else lies there under this name.
            NotFoundError: the version before it is not there.
            SourceReadError: the source could not be read, or was not what it should be.
            TierError: the tier could not be written.
            OperationCancelledError: stop was set.
        """
        ...

    def open_version(self, ref: VersionRef, *, location: str | None = None) -> OpenedVersion:
        """Open a version for reading.

        Raises:
            NotFoundError: it is not there.
            IntegrityError: its inventory is not what was written.
            TierError: the tier could not be read.
        """
        ...

    def stat_version(self, ref: VersionRef) -> VersionSummary:
        """What the tier says of a version, read from its small files; no payload is read.

        Raises: as `open_version`.
        """
        ...

    def list_versions(self, *, after: VersionRef | None = None) -> Iterator[VersionRef]:
        """Every version there is, in order, beginning after one. Memory: one page."""
        ...

    def verify_version(self, expected: ExpectedVersion, *, depth: Depth, stop: StopToken) -> FixityOutcome:
        """Read a copy from the medium and compare it with what is expected. Trouble is an outcome, not an error.

        Raises:
            OperationCancelledError: stop was set.
        """
        ...

    def quarantine_version(self, ref: VersionRef, *, note: Mapping[str, object]) -> str:
        """Move a copy that is bad out of the way, with a note beside it; its name is free afterwards.

        Nothing is deleted, and no other object is touched. Where a tier cannot give up an older version alone, as an
        OCFL object on a disk, all versions of the object go with it; `stat_version` tells which are still there.

        Returns: where it lies now.

        Raises:
            NotFoundError: it is not there.
            TierDeniedError: the tier is immutable and gives up no name.
            TierError: the tier could not be written.
        """
        ...

    def usage(self) -> Usage:
        """Space on the tier. Raises TierError."""
        ...

    def close(self) -> None:
        """Give back connections. Nothing stored depends on it."""
        ...
