"""Packs for tests: made whole, forged, kept without their zeros, and read from memory by ranges."""

import io
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Self

from repository.hashing import CHUNK_BYTES
from repository.ocfl.inventory import Inventory, VersionNumber
from repository.stop import StopToken
from storage_tiers.packs.layout import descriptor, directory_record, end_records, lay_out, local_header
from storage_tiers.packs.reading import PackReader
from storage_tiers.packs.version import PackedVersion
from storage_tiers.packs.writing import plan_pack, write_pack
from storage_tiers.port import OpenedVersion
from tests.doubles.opened_versions import InMemoryVersion, make_version

_ZEROS = bytes(CHUNK_BYTES)


@dataclass
class MemoryRanges:
    """A `RangeReader` that keeps account of what was asked; `error` comes at a place of the pack."""

    data: bytes
    requests: list[tuple[int, int]] = field(default_factory=list)
    error: tuple[int, Exception] | None = None

    def read_range(self, offset: int, length: int) -> BinaryIO:
        self.requests.append((offset, length))
        return _Range(self.data[offset : offset + length], offset, self.error)


class _Range(io.BytesIO):
    def __init__(self, data: bytes, offset: int, error: tuple[int, Exception] | None) -> None:
        super().__init__(data)
        self._offset, self._error = offset, error

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """In pieces of odd lengths, as they come from a network."""
        buffer = memoryview(buffer)[:7001]
        if self._error is not None:
            left = self._error[0] - self._offset - self.tell()
            if left <= 0:
                raise self._error[1]
            buffer = buffer[:left]
        return super().readinto(buffer)


def pack_bytes(source: OpenedVersion) -> bytes:
    """The pack of a version, whole."""
    return b"".join(bytes(chunk) for chunk in write_pack(source, stop=StopToken()))


def packed(version: InMemoryVersion, data: bytes) -> tuple[PackedVersion, MemoryRanges]:
    """A version opened from a pack that should be its own."""
    ranges = MemoryRanges(data)
    reader = PackReader(ranges, len(data), where="s3:v1.zip")
    return PackedVersion(version.summary, version.inventory, version.inventory_bytes, reader), ranges


def forged_pack(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Files under any names in any order, written as a pack is written."""
    files = list(files)
    body = directory = b""
    entries = lay_out((path, len(data)) for path, data in files)
    for entry, (_, data) in zip(entries, files, strict=True):
        crc32 = zlib.crc32(data)
        body += local_header(entry, crc32) + data + descriptor(entry, crc32)
        directory += directory_record(entry, crc32)
    return body + directory + end_records(len(files), directory_offset=len(body), directory_bytes=len(directory))


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticVersion:
    """A version of files of any size that lie nowhere: zeros, with the name at the beginning; no digests."""

    sizes: Mapping[str, int]
    inventory: Inventory
    inventory_bytes: bytes
    summary: object

    @classmethod
    def of(cls, sizes: Mapping[str, int]) -> "SyntheticVersion":
        """Content path -> bytes."""
        like = make_version()
        manifest = {f"{number:0128x}": (path,) for number, path in enumerate(sizes)}
        inventory = replace(like.inventory, manifest=manifest, head=VersionNumber(1))
        return cls(sizes=sizes, inventory=inventory, inventory_bytes=b"synthetic\n", summary=like.summary)

    def contents(self, *, stop: StopToken) -> Iterator[tuple[str, BinaryIO]]:
        stop.check()
        for path in sorted(self.sizes):
            yield path, _Zeros(path.encode(), self.sizes[path])  # type: ignore[misc]

    def open(self, content_path: str, *, offset: int = 0, length: int | None = None) -> BinaryIO:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _Zeros(io.RawIOBase):
    def __init__(self, beginning: bytes, size_bytes: int) -> None:
        super().__init__()
        self._beginning, self._left = beginning, size_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        beginning, self._beginning = self._beginning[: self._left], b""
        if beginning:
            size = min(len(beginning), len(buffer))
            buffer[:size] = beginning[:size]
            self._beginning = b"" if size == len(beginning) else beginning[size:]
        else:
            size = min(self._left, len(buffer), len(_ZEROS))
            buffer[:size] = _ZEROS[:size]
        self._left -= size
        return size


class SparseFile(io.RawIOBase):
    """A file in memory that forgets pages of zeros: gigabytes of them cost nothing. Written once, from the start.

    It can be read as a file, and by ranges.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pages: dict[int, bytes] = {}
        self._filling = bytearray()
        self.size_bytes = 0
        self._position = 0

    def append(self, data: memoryview) -> None:
        self._filling += data
        self.size_bytes += len(data)
        while len(self._filling) >= CHUNK_BYTES:
            self._keep(bytes(self._filling[:CHUNK_BYTES]), self.size_bytes - len(self._filling))
            del self._filling[:CHUNK_BYTES]

    def finish(self) -> None:
        self._keep(bytes(self._filling), self.size_bytes - len(self._filling))

    def _keep(self, page: bytes, offset: int) -> None:
        if page != _ZEROS:
            self._pages[offset // CHUNK_BYTES] = page

    def as_file(self) -> io.BufferedReader:
        """For programs that read files."""
        return io.BufferedReader(self)

    def read_range(self, offset: int, length: int) -> BinaryIO:
        other = SparseFile()
        other._pages, other.size_bytes, other._position = self._pages, offset + length, offset
        return other  # type: ignore[return-value]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset + (0, self._position, self.size_bytes)[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        page, start = divmod(self._position, CHUNK_BYTES)
        data = memoryview(self._pages.get(page, _ZEROS))[start:][: max(0, self.size_bytes - self._position)]
        size = min(len(buffer), len(data))
        memoryview(buffer)[:size] = data[:size]
        self._position += size
        return size


def sparse_pack(source: OpenedVersion) -> SparseFile:
    """The pack of a version of gigabytes of zeros."""
    file = SparseFile()
    for chunk in write_pack(source, stop=StopToken()):
        file.append(chunk)
    file.finish()
    assert file.size_bytes == plan_pack(source).size_bytes
    return file
