"""Reading a pack (`storage_tiers.pack`) from wherever it lies, by ranges of bytes; nothing in it is trusted.

What a writer of packs would have written is made again from names, sizes and checksums, and compared with what is
there. So nothing is understood that was not written on purpose: no compression, no gap, no second name for a file.
"""

import io
import itertools
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, Final, Protocol, cast

from repository.errors import (
    DigestMismatchError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    RepositoryError,
    SourceReadError,
)
from repository.hashing import CHUNK_BYTES
from repository.ocfl.validate_paths import CONTENT, conflicts, path_problems
from storage_tiers.packs.layout import (
    DIRECTORY_RECORD,
    END,
    END_64,
    END_64_LOCATOR,
    FULL_16,
    FULL_32,
    PackEntry,
    descriptor,
    directory_record,
    end_records,
    is_declaration,
    local_header,
    pack_error,
)
from storage_tiers.reading import read_error

TAIL_BYTES: Final = 256 << 10
"""What is read first: it holds the directory of a pack of about 2,000 files."""

MAX_DIRECTORY_BYTES: Final = 1 << 30

_MAX_DIRECTORY_SHARE: Final = 3
"""A directory record is at most this many times as long as the local header that it repeats."""

_ENTRY_NAME: Final = re.compile(r"(v0*[1-9][0-9]*)/.+", re.ASCII | re.DOTALL)


class RangeReader(Protocol):
    """Something of which any part can be read: an object on a server, a file."""

    def read_range(self, offset: int, length: int) -> BinaryIO:
        """A stream of exactly these bytes, read with `readinto`; whoever asked closes it.

        Asking and reading raise RepositoryError or OSError; a stream that ends early is taken for a damaged pack.
        """
        ...


class PackReader:
    """A pack of which the size is known.

    Args:
        ranges: where its bytes come from.
        size_bytes: of the whole pack.
        where: path or key, for messages.
    """

    def __init__(self, ranges: RangeReader, size_bytes: int, *, where: str) -> None:
        self.where = where
        self._ranges, self._size_bytes = ranges, size_bytes
        self._entries: dict[str, PackEntry] | None = None

    def directory(self) -> tuple[PackEntry, ...]:
        """All files of the pack, in order. One request, or two for a pack of many files; none the second time.

        Raises:
            IntegrityError: it is not a pack, or not whole.
            RepositoryError: as the source of the bytes raises it.
        """
        return tuple(self._by_path().values())

    def open(self, path: str, *, offset: int = 0, length: int | None = None) -> BinaryIO:
        """One file of the pack, or the part of it that is there; one request, made at the first read.

        Nothing is checked but the length. Reading raises SourceReadError.

        Raises:
            NotFoundError: the pack has no such file.
            InvalidInputError: offset or length is negative.
            RepositoryError: as `directory`.
        """
        entry = self._by_path().get(path)
        if entry is None:
            raise NotFoundError("The pack has no such file", where=f"{self.where}: {path}")
        if offset < 0 or (length is not None and length < 0):
            raise InvalidInputError("A part of a file cannot begin before it", where=f"{self.where}: {path}")
        left = max(entry.size_bytes - offset, 0)
        wanted = left if length is None else min(length, left)
        return cast("BinaryIO", self._range(entry.data_offset + offset, wanted))

    def entries_in_order(self) -> Iterator[tuple[PackEntry, BinaryIO]]:
        """Every file of the pack, in order, from a single request for all of it; every byte is looked at.

        A stream is read to its end before the next one is taken. It raises SourceReadError, at its end at the latest,
        when its records or its CRC-32 are not what the directory says; the next file still comes.

        Raises:
            SourceReadError: while iterating: the source of the bytes has failed, no further file comes.
            RepositoryError: as `directory`.
        """
        entries = self.directory()
        with closing(self._range(0, entries[-1].end)) as pack:
            for entry in entries:
                yield entry, cast("BinaryIO", _EntryStream(entry, pack, where=f"{self.where}: {entry.path}"))
                pack.skip_to(entry.end)

    def _range(self, offset: int, length: int) -> "_RangeStream":
        return _RangeStream(self._ranges, offset=offset, length=length, where=self.where)

    def _read(self, offset: int, length: int) -> bytes:
        try:
            with closing(self._range(offset, length)) as stream:
                return stream.take(length)
        except SourceReadError as error:
            raise error.cause from error

    def _by_path(self) -> dict[str, PackEntry]:
        if self._entries is None:
            self._entries = {entry.path: entry for entry in self._read_directory()}
        return self._entries

    def _read_directory(self) -> list[PackEntry]:
        tail_offset = max(0, self._size_bytes - TAIL_BYTES)
        tail = self._read(tail_offset, self._size_bytes - tail_offset)
        count, directory_bytes, offset = _read_end(tail, self._size_bytes, where=self.where)
        if offset < tail_offset:
            tail, tail_offset = self._read(offset, tail_offset - offset) + tail, offset
        start = offset - tail_offset
        entries = _parse_directory(tail[start : start + directory_bytes], count, offset, where=self.where)
        _check_names(entries, where=self.where)
        return entries


class _RangeStream(io.RawIOBase):
    """Exactly the bytes of a range, opened at the first read; everything that goes wrong is a SourceReadError.

    After an error it gives nothing more: what comes next would be at a place that nobody knows.
    """

    def __init__(self, ranges: RangeReader, *, offset: int, length: int, where: str) -> None:
        super().__init__()
        self._ranges, self._where = ranges, where
        self._start, self._end = offset, offset + length
        self.position = offset
        self._raw: BinaryIO | None = None
        self._failure: RepositoryError | None = None

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        """The next bytes; 0 at the end of the range only."""
        view = memoryview(buffer)[: self._end - self.position]
        if self._failure is None and view:
            try:
                if self._raw is None:
                    self._raw = self._ranges.read_range(self._start, self._end - self._start)
                size: int = self._raw.readinto(view)  # type: ignore[attr-defined]
                self.position += size
                if size:
                    return size
                self._failure = pack_error("it ends before it should: it is cut off", self._where)
            except OSError as error:
                self._failure = read_error(error, self._where)
            except SourceReadError as error:
                self._failure = error.cause
            except RepositoryError as error:
                self._failure = error
        if self._failure is not None:
            raise SourceReadError(self._failure) from self._failure
        return 0

    def take(self, length: int) -> bytes:
        """Exactly so many bytes."""
        data = bytearray(length)
        view, filled = memoryview(data), 0
        while filled < length:
            filled += self.readinto(view[filled:])
        return bytes(data)

    def skip_to(self, position: int) -> None:
        """Read what nobody wants."""
        while self.position < position:
            self.take(min(CHUNK_BYTES, position - self.position))

    def close(self) -> None:
        """Close what is below."""
        if self._raw is not None and not self.closed:
            self._raw.close()
        super().close()


class _EntryStream(io.RawIOBase):
    """The content of one file while the whole pack is read; its records and its CRC-32 are checked on the way."""

    def __init__(self, entry: PackEntry, pack: _RangeStream, *, where: str) -> None:
        super().__init__()
        self._entry, self._pack, self._where = entry, pack, where
        self._crc32 = 0
        self._failure: IntegrityError | None = None

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        """The next bytes; the last ones only when all was as it must be."""
        entry, pack = self._entry, self._pack
        if self._failure is None and pack.position == entry.offset:
            self._expect(local_header(entry, entry.crc32), "local header")
            if not entry.size_bytes:
                self._finish()
        if self._failure is not None:
            raise SourceReadError(self._failure)
        data_end = entry.data_offset + entry.size_bytes
        view = memoryview(buffer)[: max(0, data_end - pack.position)]
        size = pack.readinto(view) if view else 0
        self._crc32 = zlib.crc32(view[:size], self._crc32)
        if size and pack.position == data_end:
            self._finish()
            if self._failure is not None:
                raise SourceReadError(self._failure)
        return size

    def _expect(self, record: bytes, name: str) -> None:
        if record and self._pack.take(len(record)) != record:
            self._failure = pack_error(f"the {name} of the file is not what the directory says", self._where)

    def _finish(self) -> None:
        entry = self._entry
        self._expect(descriptor(entry, entry.crc32), "data descriptor")
        if self._crc32 != entry.crc32:
            self._failure = DigestMismatchError(
                "A file in a pack is not what was written",
                where=self._where,
                expected=f"CRC-32 {entry.crc32:08x}",
                observed=f"CRC-32 {self._crc32:08x}",
            )


def _read_end(tail: bytes, size_bytes: int, *, where: str) -> tuple[int, int, int]:
    """How many files a pack has, and where its directory is: count, bytes, offset; all plausible for its size."""
    if len(tail) < END.size or tail[-END.size :][:4] != b"PK\5\6":
        raise pack_error("it does not end as a pack ends: it is cut off, or something stands behind it", where)
    count, directory_bytes, offset = END.unpack(tail[-END.size :])[4:7]
    end_64_offset = len(tail) - END.size - END_64_LOCATOR.size - END_64.size
    if (count == FULL_16 or FULL_32 in (directory_bytes, offset)) and end_64_offset >= 0:
        count, directory_bytes, offset = END_64.unpack_from(tail, end_64_offset)[7:10]
    if offset + directory_bytes > size_bytes:
        raise pack_error("its directory would lie beyond its end", where)
    end = end_records(count, directory_offset=offset, directory_bytes=directory_bytes)
    if tail[-len(end) :] != end:
        raise pack_error("the end of its directory has a comment, or is not as Jindang writes it", where)
    if offset + directory_bytes + len(end) != size_bytes:
        raise pack_error("it has bytes that belong to nothing", where)
    if directory_bytes > min(MAX_DIRECTORY_BYTES, _MAX_DIRECTORY_SHARE * offset):
        raise pack_error("its directory is larger than that of any pack", where)
    if not count:
        raise pack_error("it has no files", where)
    return count, directory_bytes, offset


def _parse_directory(data: bytes, count: int, directory_offset: int, *, where: str) -> list[PackEntry]:
    entries: list[PackEntry] = []
    position = offset = 0
    for _ in range(count):
        entry = _parse_record(data, position, offset, where=where)
        record = directory_record(entry, entry.crc32)
        if data[position : position + len(record)] != record:
            raise pack_error(f"the file {entry.path!r:.200} {_foreign(data, position, offset)}", where)
        if entry.end > directory_offset:
            raise pack_error(f"the file {entry.path!r:.200} would reach into the directory", where)
        entries.append(entry)
        position, offset = position + len(record), entry.end
    if position != len(data) or offset != directory_offset:
        raise pack_error("it has bytes that belong to no file", where)
    return entries


def _parse_record(data: bytes, position: int, offset: int, *, where: str) -> PackEntry:
    """What a directory record says of a file, which must lie at an offset."""
    try:
        crc32, _, size_bytes, name_bytes = DIRECTORY_RECORD.unpack_from(data, position)[7:11]
        name_end = position + DIRECTORY_RECORD.size + name_bytes
        if size_bytes == FULL_32:
            size_bytes = struct.unpack_from("<Q", data, name_end + 4)[0]
        path = data[name_end - name_bytes : name_end].decode()
    except struct.error:
        raise pack_error("its directory has fewer files than it says", where) from None
    except UnicodeDecodeError:
        raise pack_error("it has a file whose name is not UTF-8", where) from None
    return PackEntry(path=path, size_bytes=size_bytes, offset=offset, crc32=crc32)


def _foreign(data: bytes, position: int, offset: int) -> str:
    """In which way a directory record is not one of a pack's, in words."""
    signature, _, _, flags, method, _, _, _, stored_bytes, size_bytes, _, _, comment_bytes, _, _, _, found = (
        DIRECTORY_RECORD.unpack_from(data, position)
    )
    signs = {
        "has no record in the directory": signature != b"PK\1\2",
        "is encrypted": flags & 1,
        "is compressed": method,
        "has two sizes": stored_bytes != size_bytes,
        "has a comment": comment_bytes,
        f"lies at {found:,}, where {offset:,} is the end of the file before it": found not in (offset, FULL_32),
    }
    return next((words for words, holds in signs.items() if holds), "has attributes that Jindang does not write")


def _check_names(entries: list[PackEntry], *, where: str) -> None:
    """Whether all names can be written below one object, and each means one file."""
    folders = set()
    for entry in entries:
        problems = path_problems(entry.path, CONTENT)
        if problems:
            raise pack_error(problems[0][1], where)
        match = _ENTRY_NAME.fullmatch(entry.path)
        if match is not None:
            folders.add(match[1])
        elif not is_declaration(entry.path):
            raise pack_error(f"the file {entry.path!r:.200} is in no version's folder", where)
    if len(folders) > 1:
        raise pack_error(f"it has files of several versions: {', '.join(sorted(folders)[:3])}", where)
    for one, following in itertools.pairwise(entries):
        if one.path >= following.path:
            raise pack_error(f"the file {following.path!r:.200} occurs twice, or out of order", where)
    for _, message in conflicts((entry.path for entry in entries), CONTENT):
        raise pack_error(message, where)
