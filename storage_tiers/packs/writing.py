"""Writing a version as a pack (`storage_tiers.pack`): its size is known before, and nothing of it lies on a disk.

Not the standard library's zipfile: that took three times as long, and checks no digest before it writes.
"""

import io
import zlib
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from repository.errors import IntegrityError, NotFoundError, SourceReadError
from repository.hashing import CHUNK_BYTES
from repository.ocfl.inventory import INVENTORY_FILE, Inventory, sidecar_bytes, sidecar_name
from repository.ocfl.storage_root import OBJECT_DECLARATION_PREFIX
from repository.stop import StopToken
from storage_tiers.packs.layout import (
    FULL_16,
    LOCAL_HEADER,
    MAX_WHOLE_BYTES,
    PackEntry,
    descriptor,
    directory_record,
    end_records,
    lay_out,
    local_header,
)
from storage_tiers.port import OpenedVersion

_BUFFER_BYTES = CHUNK_BYTES + LOCAL_HEADER.size + FULL_16 + MAX_WHOLE_BYTES + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PackPlan:
    """Where everything will lie in a pack, and how large it will be."""

    size_bytes: int
    entries: tuple[PackEntry, ...]

    @property
    def directory_offset(self) -> int:
        """Where the directory will begin."""
        return self.entries[-1].end


def own_files(inventory: Inventory, inventory_bytes: bytes) -> dict[str, bytes]:
    """The files of a version's pack that no manifest lists: path -> content.

    Args:
        inventory: the version's own.
        inventory_bytes: the same as it is stored.
    """
    folder, algorithm = str(inventory.head), inventory.digest_algorithm
    files = {
        f"{folder}/{INVENTORY_FILE}": inventory_bytes,
        f"{folder}/{sidecar_name(algorithm)}": sidecar_bytes(inventory_bytes, algorithm),
    }
    if inventory.head.number == 1:
        declaration = f"{OBJECT_DECLARATION_PREFIX}{inventory.spec_version}"
        files[declaration] = f"{declaration.removeprefix('0=')}\n".encode()
    return files


def plan_pack(source: OpenedVersion) -> PackPlan:
    """The exact size and layout of a version's pack; no content is read.

    Raises:
        SourceReadError: the source lacks a file, or has one with a name that a pack cannot hold.
    """
    own = own_files(source.inventory, source.inventory_bytes)
    stored = source.sizes
    sizes = {path: _size(stored, path) for path in source.inventory.added_content()}
    sizes |= {path: len(data) for path, data in own.items()}
    entries = tuple(lay_out(sorted(sizes.items())))
    directory_bytes = sum(entry.directory_bytes for entry in entries)
    end = end_records(len(entries), directory_offset=entries[-1].end, directory_bytes=directory_bytes)
    return PackPlan(size_bytes=entries[-1].end + directory_bytes + len(end), entries=entries)


def write_pack(source: OpenedVersion, *, stop: StopToken) -> Iterator[memoryview]:
    """The bytes of a version's pack, in order, `plan_pack(source).size_bytes` in all.

    Each chunk is overwritten when the next is taken. Of a file up to 4 MiB nothing is handed out before its digest was
    found right; of a larger one, its end is not.

    Args:
        source: read once.
        stop: polled once a file and once a chunk.

    Returns: chunks of 1 MiB or less. Memory: 5 MiB, and the list of files.

    Raises:
        SourceReadError: the source failed; what was handed out is not a pack.
        OperationCancelledError: stop was set; the same holds.
    """
    plan = plan_pack(source)
    own = own_files(source.inventory, source.inventory_bytes)
    contents = source.contents(stop=stop)
    out, checksums = _Outgoing(), []
    for entry in plan.entries:
        stop.check()
        with _stream_of(entry, own, contents) as stream:
            if entry.is_streamed:
                checksums.append((yield from _streamed(entry, stream, out=out, stop=stop)))
            else:
                checksums.append(_whole(entry, stream, out=out))
        yield from out.chunks()
    for path, _ in contents:  # nothing; a source may also raise when it has come to its end
        raise _untrue(path, "the inventory does not list it")
    directory_bytes = 0
    for entry, crc32 in zip(plan.entries, checksums, strict=True):
        directory_bytes += out.add(directory_record(entry, crc32))
        yield from out.chunks()
    end = {"directory_offset": plan.directory_offset, "directory_bytes": directory_bytes}
    out.add(end_records(len(plan.entries), **end))
    yield from out.chunks(rest=True)


class _Outgoing:
    """Collects what is small, so that chunks are large; one buffer for a whole pack."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_BUFFER_BYTES))
        self.filled = 0

    def add(self, data: bytes) -> int:
        self.view[self.filled : self.filled + len(data)] = data
        self.filled += len(data)
        return len(data)

    def chunks(self, *, rest: bool = False) -> Iterator[memoryview]:
        """What fills a chunk; with `rest`, all there is."""
        start = 0
        while self.filled - start >= (1 if rest else CHUNK_BYTES):
            end = min(start + CHUNK_BYTES, self.filled)
            yield self.view[start:end]
            start = end
        left = self.filled - start
        self.view[:left] = self.view[start : self.filled]
        self.filled = left


def _stream_of(entry: PackEntry, own: Mapping[str, bytes], contents: Iterator[tuple[str, BinaryIO]]) -> BinaryIO:
    if entry.path in own:
        return io.BytesIO(own[entry.path])
    path, stream = next(contents, ("nothing more", None))
    if stream is None or path != entry.path:
        raise _untrue(entry.path, f"wanted was {entry.path!r}, the source gave {path!r}")
    return stream


def _whole(entry: PackEntry, stream: BinaryIO, *, out: _Outgoing) -> int:
    """Read a file into the buffer, behind the place of its header; returns its CRC-32."""
    start = out.filled + entry.data_offset - entry.offset
    body, filled = out.view[start : start + entry.size_bytes + 1], 0  # a byte more: a file that is too long shows
    while size := stream.readinto(body[filled:]):  # type: ignore[attr-defined]
        filled += size
    _check_size(entry, filled)
    crc32 = zlib.crc32(body[:filled])
    out.add(local_header(entry, crc32))
    out.filled += filled
    return crc32


def _streamed(
    entry: PackEntry, stream: BinaryIO, *, out: _Outgoing, stop: StopToken
) -> Generator[memoryview, None, int]:
    """Hand a file on while it is read; returns its CRC-32."""
    out.add(local_header(entry, 0))
    yield from out.chunks(rest=True)
    chunk, crc32, filled = out.view[:CHUNK_BYTES], 0, 0
    while size := stream.readinto(chunk):  # type: ignore[attr-defined]
        stop.check()
        filled += size
        if filled > entry.size_bytes:
            break
        crc32 = zlib.crc32(chunk[:size], crc32)
        yield chunk[:size]
    _check_size(entry, filled)
    out.add(descriptor(entry, crc32))
    return crc32


def _check_size(entry: PackEntry, found_bytes: int) -> None:
    if found_bytes != entry.size_bytes:
        found = "more" if found_bytes > entry.size_bytes else f"{found_bytes:,}"
        raise _untrue(entry.path, f"it should have {entry.size_bytes:,} bytes, and has {found}")


def _size(sizes: Mapping[str, int], path: str) -> int:
    """The size of a content file that a pack can hold."""
    try:
        if len(path.encode()) > FULL_16:
            raise _untrue(path[:200], "its name is longer than 65,535 bytes")
        return sizes[path]
    except UnicodeEncodeError:
        raise _untrue(repr(path), "its name cannot be written in UTF-8") from None
    except KeyError:
        missing = NotFoundError("A stored file is missing", where=path, next_step="restore it from another copy")
        raise SourceReadError(missing) from None


def _untrue(where: str, why: str) -> SourceReadError:
    cause = IntegrityError(
        "A version that was to be copied is not what its inventory says",
        where=where,
        why=why,
        next_step="run `jindang ocfl validate` on the object, and restore it from another copy",
    )
    return SourceReadError(cause)
