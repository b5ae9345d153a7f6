"""Versions in memory that can be copied to a tier: a source without a disk, and with damage on request."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, Self

from repository.aip import METADATA_PATH, PAYLOAD, metadata_bytes
from repository.errors import NotFoundError, SourceReadError, UnreadableError
from repository.hashing import MultiHasher
from repository.model import Metadata, ObjectId, VersionRecord, VersionSummary
from repository.ocfl.inventory import Inventory, VersionBlock, VersionNumber
from repository.ocfl.layout import HashAndIdLayout
from repository.stop import StopToken
from storage_tiers.port import ExpectedVersion, VersionRef
from storage_tiers.reading import CheckedStream

IDENTIFIER = "urn:example:archive:J019-1"
FIRST_DAY = datetime(2026, 1, 1, 8, tzinfo=UTC)
NEVER = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class InMemoryVersion:
    """An `OpenedVersion` of bytes in memory.

    The methods below give a copy of it that is damaged; its inventory and sizes stay what they were, so that only
    reading finds out. `stored` has what lies there (content path -> bytes) of the files that this version added.
    """

    summary: VersionSummary
    inventory: Inventory
    inventory_bytes: bytes
    sizes: Mapping[str, int]
    stored: Mapping[str, bytes]
    fails_after: Mapping[str, int] = field(default_factory=dict)
    """Content path -> bytes after which the medium refuses to give more."""

    @property
    def ref(self) -> VersionRef:
        return VersionRef(self.summary.object_path, self.summary.record.number)

    @property
    def expected(self) -> ExpectedVersion:
        """What the catalogue would know of it."""
        return ExpectedVersion(
            object_id=self.summary.id, ref=self.ref, inventory_digest=self.summary.record.inventory_digest
        )

    def with_flipped_byte(self, content_path: str, offset: int = 0) -> "InMemoryVersion":
        """One bit of one byte is another one."""
        data = bytearray(self.stored[content_path])
        data[offset] ^= 0x01
        return replace(self, stored={**self.stored, content_path: bytes(data)})

    def with_truncated_file(self, content_path: str, size_bytes: int) -> "InMemoryVersion":
        return replace(self, stored={**self.stored, content_path: self.stored[content_path][:size_bytes]})

    def without_file(self, content_path: str) -> "InMemoryVersion":
        return replace(self, stored={path: data for path, data in self.stored.items() if path != content_path})

    def with_read_error(self, content_path: str, *, after_bytes: int = 0) -> "InMemoryVersion":
        """A bad sector: what comes before it can be read."""
        return replace(self, fails_after={**self.fails_after, content_path: after_bytes})

    def contents(self, *, stop: StopToken) -> Iterator[tuple[str, BinaryIO]]:
        for path, digest in self.inventory.added_content().items():
            stop.check()
            stream = CheckedStream(
                lambda path=path: self._opened(path),  # type: ignore[misc]
                algorithm=self.inventory.digest_algorithm,
                digest=digest,
                size_bytes=self.sizes[path],
                where=f"memory:{path}",
            )
            yield path, stream  # type: ignore[misc]

    def open(self, content_path: str, *, offset: int = 0, length: int | None = None) -> BinaryIO:
        try:
            stream = self._opened(content_path)
            stream.seek(offset)
            return io.BytesIO(stream.read() if length is None else stream.read(length))
        except (NotFoundError, UnreadableError) as error:
            raise SourceReadError(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _opened(self, content_path: str) -> BinaryIO:
        if content_path not in self.stored:
            raise NotFoundError("A stored file is missing", where=f"memory:{content_path}")
        return _Medium(self.stored[content_path], fails_after=self.fails_after.get(content_path, NEVER))


class _Medium(io.BytesIO):
    """The bytes of a file, of which the last ones may lie on a bad sector."""

    def __init__(self, data: bytes, *, fails_after: int) -> None:
        super().__init__(data)
        self._fails_after = fails_after

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if self._fails_after != NEVER:
            buffer = memoryview(buffer)[: self._fails_after - self.tell()]
            if not buffer:
                raise UnreadableError("A stored file could not be read", where="memory", why="Input/output error")
        return super().readinto(buffer)

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if self._fails_after != NEVER and self.tell() > self._fails_after:
            raise UnreadableError("A stored file could not be read", where="memory", why="Input/output error")
        return data


def make_version(
    number: int = 1,
    files: Mapping[str, bytes] | None = None,
    *,
    previous: InMemoryVersion | None = None,
    identifier: str = IDENTIFIER,
    metadata: Metadata | None = None,
    algorithm: str = "sha512",
) -> InMemoryVersion:
    """A version as ingest would store it; `metadata/object.json` comes by itself.

    Args:
        number: of the version; `previous` is the one before it, for any but the first.
        files: logical path -> bytes, all that the version holds (`data/a.txt`). What has the same bytes as a file of
            an earlier version is not stored again.
        previous: the version before; gives the identifier too.
        identifier: the object's URI.
        metadata: what is said of the object; nothing in particular by default.
        algorithm: sha512 or sha256.
    """
    assert (previous.summary.record.number if previous else 0) == number - 1, "versions come one after the other"
    metadata = metadata or Metadata()
    identifier = previous.summary.id.uri if previous else identifier
    logical = {"data/a.txt": f"text of v{number}\n".encode()} if files is None else dict(files)
    logical.setdefault(METADATA_PATH, metadata_bytes(metadata))
    manifest = dict(previous.inventory.manifest) if previous else {}
    state: dict[str, tuple[str, ...]] = {}
    stored: dict[str, bytes] = {}
    for path, data in sorted(logical.items()):
        digest = _digest(data, algorithm)
        if digest not in manifest:
            content_path = f"v{number}/content/{path}"
            manifest[digest] = (content_path,)
            stored[content_path] = data
        state[digest] = (*state.get(digest, ()), path)
    created = FIRST_DAY + timedelta(days=number - 1)
    block = VersionBlock(created=created.isoformat(), state=state, message=f"version {number}", user_name="林档案")
    inventory = Inventory(
        id=identifier,
        head=VersionNumber(number),
        versions={**(previous.inventory.versions if previous else {}), VersionNumber(number): block},
        manifest=manifest,
        digest_algorithm=algorithm,
    )
    sizes = {path: len(data) for path, data in stored.items()}
    payload = [data for path, data in logical.items() if path.startswith(PAYLOAD)]
    data = inventory.to_bytes()
    record = VersionRecord(
        number=number,
        created=created,
        message=f"version {number}",
        agent="林档案",
        inventory_digest=_digest(data, algorithm),
        files=len(payload),
        size_bytes=sum(map(len, payload)),
        stored_bytes=sum(sizes.values()),
    )
    return InMemoryVersion(
        summary=VersionSummary(
            id=ObjectId(identifier),
            object_path=HashAndIdLayout().object_path(identifier),
            metadata=metadata,
            record=record,
        ),
        inventory=inventory,
        inventory_bytes=data,
        sizes=sizes,
        stored=stored,
    )


def _digest(data: bytes, algorithm: str) -> str:
    hasher = MultiHasher([algorithm])
    hasher.update(data)
    return hasher.digests()[algorithm]
