"""The headers of a tar archive: POSIX ustar and pax, GNU and old; names as bytes, sizes bounded, nothing trusted.

`tarfile` is not used here: it reads records into memory whatever their size, ends silently at a damaged header, and
takes most of the time of listing a large archive.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from repository.packages.archive_file import refuse_damaged
from repository.packages.archive_listing import Member, MemberKind
from repository.packages.findings import Findings
from repository.packages.names import FIX_ENCODING, shown, shown_bytes
from repository.packages.tar_stream import TarStream

_BLOCK_BYTES = 512
_ZERO_BLOCK = bytes(_BLOCK_BYTES)
_MAX_RECORDS_BYTES = 1 << 20
_KINDS = {
    b"0": MemberKind.FILE,
    b"\0": MemberKind.FILE,
    b"7": MemberKind.FILE,
    b"1": MemberKind.HARD_LINK,
    b"2": MemberKind.SYMBOLIC_LINK,
    b"5": MemberKind.FOLDER,
    b"3": MemberKind.SPECIAL,
    b"4": MemberKind.SPECIAL,
    b"6": MemberKind.SPECIAL,
}
_LONG_NAME, _LONG_LINK, _PAX, _SUN_PAX, _PAX_GLOBAL = b"L", b"K", b"x", b"X", b"g"
_SPARSE = b"S"
_SPARSE_RECORD = "GNU.sparse."
_KNOWN_RECORDS = {"path", "linkpath", "size"}

_CHECKSUM = slice(148, 156)
_POSIX_MAGIC = b"ustar\0"  # GNU's own, `ustar  `, has no prefix

Records = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Header:
    """One block of 512 bytes (POSIX.1-2017, ustar Interchange Format): kind, size in bytes, name and link target."""

    kind: bytes
    size: int
    name: bytes
    target: bytes


def parse_header(block: bytes) -> Header:
    """Read a header.

    Raises:
        ValueError: its checksum is wrong, or a number in it is none.
    """
    if _number(block[_CHECKSUM]) not in _checksums(block):
        raise ValueError("its checksum is wrong")
    name = _text(block[:100])
    if block.startswith(_POSIX_MAGIC, 257) and (prefix := _text(block[345:500])):
        name = prefix + b"/" + name
    return Header(block[156:157], _number(block[124:136]), name, _text(block[157:257]))


def _checksums(block: bytes) -> tuple[int, int]:
    """The sum of all bytes, the checksum itself taken for spaces; and the same with signed bytes, as old tars sum."""
    unsigned = sum(block) - sum(block[_CHECKSUM]) + 8 * 0x20
    negative = sum(1 for byte in block[:148] + block[156:] if byte > 127) if not block.isascii() else 0  # noqa: PLR2004
    return unsigned, unsigned - 256 * negative


def _number(field: bytes) -> int:
    """Octal digits, or GNU's form for large numbers: a bit that marks it, then the number in binary."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip()
    if digits and not digits.isdigit():
        raise ValueError(f"{digits!r} is not a number")
    return int(digits or b"0", 8)


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


class TarReader:
    """Reads the entries of a tar archive from front to back.

    Args:
        stream: at the start of the archive.
        path: of the archive, for messages.
        findings: takes names that are not UTF-8, and entries that cannot be read, as problems.
    """

    def __init__(self, stream: TarStream, path: Path, findings: Findings) -> None:
        self._stream = stream
        self._path = path
        self._findings = findings

    def members(self) -> Iterator[Member]:
        """Every entry; the stream stands at its content and may be read no further than that content goes.

        Raises:
            PackageError: a header is damaged, or the archive ends too early.
        """
        for_all: Records = {}
        for_next: Records = {}
        while (header := self._header()) is not None:
            kind, size = header.kind, header.size
            if kind in {_LONG_NAME, _LONG_LINK}:
                key = "path" if kind == _LONG_NAME else "linkpath"
                for_next[key] = self._content(size).split(b"\0", 1)[0]
            elif kind in {_PAX, _SUN_PAX}:
                for_next |= self._records(self._content(size))
            elif kind == _PAX_GLOBAL:
                for_all |= self._records(self._content(size))
            else:
                records = for_all | for_next
                for_next = {}
                size = self._size(header, records)
                end = self._stream.position + size + -size % _BLOCK_BYTES
                member = self._member(header, records, size)
                if member is not None:
                    yield member
                self._skip_to(end)

    def _header(self) -> Header | None:
        """The next header; None at the end of the archive."""
        block = self._stream.read(_BLOCK_BYTES)
        if not block:
            self._findings.warn("The tar archive has no end mark; if files are missing, it was cut off")
            return None
        if len(block) < _BLOCK_BYTES:
            refuse_damaged(self._path, "it ends within a header; it is truncated")
        if block == _ZERO_BLOCK:
            return None
        try:
            return parse_header(block)
        except ValueError as error:
            at = self._stream.position - _BLOCK_BYTES
            why = f"the header at byte {at} is bad: {error}" if at else "it is not a tar archive"
            refuse_damaged(self._path, why)

    def _content(self, size: int) -> bytes:
        """The content of a header about another entry."""
        if size > _MAX_RECORDS_BYTES:
            refuse_damaged(self._path, f"a header has {size:,} bytes of records, which no lawful archive has")
        content = self._stream.read(size)
        if len(content) < size:
            refuse_damaged(self._path, "it ends within a header; it is truncated")
        self._skip_to(self._stream.position + -size % _BLOCK_BYTES)
        return content

    def _skip_to(self, end: int) -> None:
        missing = end - self._stream.position
        if missing < 0 or self._stream.skip(missing) != missing:
            refuse_damaged(self._path, "it ends within a file; it is truncated")

    def _records(self, content: bytes) -> Records:
        """The records of a pax header that matter here (POSIX.1-2017, pax Extended Header).

        Each is its length in decimal, a space, the key, an equals sign, the value and a line feed.
        """
        records: Records = {}
        at = 0
        while at < len(content) and content[at] != 0:
            digits = content[at : at + 10].split(b" ", 1)[0]
            length = int(digits) if digits.isdigit() else 0
            record = content[at : at + length]
            key, equals, value = record[len(digits) + 1 :].partition(b"=")
            if not equals or len(record) < length or not value.endswith(b"\n"):
                refuse_damaged(self._path, "a pax header is bad")
            name = key.decode("utf-8", "replace")
            if name in _KNOWN_RECORDS or name.startswith(_SPARSE_RECORD):
                records[name] = value[:-1]
            at += length
        return records

    def _size(self, header: Header, records: Records) -> int:
        """How many bytes of content follow; links, folders and devices have none, whatever they say."""
        kind = _KINDS.get(header.kind, MemberKind.FILE)
        if kind is not MemberKind.FILE:
            return 0
        size = records.get("size")
        if size is None:
            return header.size
        if not size.isdigit() or len(size) > 20:  # noqa: PLR2004 - digits of 2^64
            refuse_damaged(self._path, "a pax header gives a size that is no number")
        return int(size)

    def _member(self, header: Header, records: Records, size: int) -> Member | None:
        raw = records.get("path", header.name)
        target = records.get("linkpath", header.target)
        try:
            name = raw.decode()
        except UnicodeDecodeError:
            self._findings.error(f"{shown_bytes(raw)} in the archive is not a UTF-8 name: {FIX_ENCODING}")
            return None
        if header.kind == _SPARSE or any(key.startswith(_SPARSE_RECORD) for key in records):
            self._findings.error(
                f"{shown(name)} in the archive is stored as a sparse file: have it packed again without --sparse"
            )
            return None
        kind = _KINDS.get(header.kind)
        if kind is None:
            self._findings.error(f"{shown(name)} in the archive is of a kind that is not known here: {header.kind!r}")
            return None
        if kind is MemberKind.FILE and name.endswith("/"):
            kind = MemberKind.FOLDER
        return Member(name, kind, size, self._stream.position, target.decode("utf-8", "surrogateescape"))
