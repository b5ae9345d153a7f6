"""The pack: one version of one object as a single file, for tiers that hold few large things rather than many small.

A pack is a ZIP file (APPNOTE.TXT 6.3.10, PKWARE) of exactly the folder `v<N>/`, uncompressed, in one form only: the
same version gives the same bytes on any machine, and a reader refuses whatever a writer of packs would not write.

    for each file, by its path in UTF-8:  local header | content | data descriptor, only above 4 MiB
    for each file, in the same order:     directory record
    end of the directory                  with its ZIP64 forms only where a number does not fit

- Files: `v<N>/content/...` as the inventory names them, `v<N>/inventory.json`, its sidecar; in the first version the
  declaration `0=ocfl_object_1.1` too. No folders, no comments. So all packs of an object, unzipped into one folder,
  with the newest inventory and sidecar copied to the top, are the OCFL object.
- Names: UTF-8 (flag bit 11), in rising order, none twice. Stored (method 0), 1980-01-01 00:00, mode 0100444.
- Up to 4 MiB: size and CRC-32 stand in the local header, so that a pack that is cut off can be salvaged.
  Above: zeros in the local header (flag bit 3), and CRC-32 and sizes behind the content.
- ZIP64 fields: a size, an offset, and the size or place of the directory from 0xFFFFFFFF on; the number of files from
  0xFFFF on. All records but the content have lengths that follow from names and sizes: places can be computed.

docs/reference/pack-format.md says the same at length, for somebody who has a pack and not this program.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from repository.errors import IntegrityError
from repository.ocfl.storage_root import OBJECT_DECLARATION_PREFIX

MAX_WHOLE_BYTES = 4 << 20
"""Files up to this size carry size and CRC-32 in their local header. A constant of the format: never change it."""

FULL_16 = 0xFFFF
FULL_32 = 0xFFFFFFFF
"""In a field: see the ZIP64 form."""

LOCAL_HEADER = struct.Struct("<4s5H3I2H")
DIRECTORY_RECORD = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
END_64 = struct.Struct("<4sQ2H2I4Q")
END_64_LOCATOR = struct.Struct("<4sIQI")
_DESCRIPTOR = struct.Struct("<4s3I")
_DESCRIPTOR_64 = struct.Struct("<4sI2Q")
_ZIP64 = struct.Struct("<2H")
_SIZES_64 = struct.Struct("<2Q")

_VERSION, _VERSION_64 = 20, 45
_MADE_ON_UNIX = 3 << 8
_UTF8, _DESCRIPTOR_FOLLOWS = 1 << 11, 1 << 3
_DATE = 1 << 5 | 1  # 1980-01-01
_ATTRIBUTES = 0o100444 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PackEntry:
    """One file of a pack.

    Args:
        path: its name in the pack, the path below the object.
        size_bytes: of its content.
        offset: of its local header in the pack.
        crc32: of its content; 0 until it is known.
    """

    path: str
    size_bytes: int
    offset: int
    crc32: int = 0

    @property
    def name(self) -> bytes:
        """The path as it is written."""
        return self.path.encode()

    @property
    def is_streamed(self) -> bool:
        """Whether CRC-32 and sizes come after the content."""
        return self.size_bytes > MAX_WHOLE_BYTES

    @property
    def data_offset(self) -> int:
        """Where its content begins in the pack."""
        extra_bytes = _ZIP64.size + _SIZES_64.size if self.size_bytes >= FULL_32 else 0
        return self.offset + LOCAL_HEADER.size + len(self.name) + extra_bytes

    @property
    def end(self) -> int:
        """Where the next file begins."""
        end = self.data_offset + self.size_bytes
        if not self.is_streamed:
            return end
        return end + (_DESCRIPTOR_64 if self.size_bytes >= FULL_32 else _DESCRIPTOR).size

    @property
    def directory_bytes(self) -> int:
        """Length of its directory record."""
        fields = 2 * (self.size_bytes >= FULL_32) + (self.offset >= FULL_32)
        return DIRECTORY_RECORD.size + len(self.name) + (_ZIP64.size + 8 * fields if fields else 0)


def lay_out(files: Iterable[tuple[str, int]]) -> Iterator[PackEntry]:
    """The places of the files of a pack.

    Args:
        files: path and size in bytes, in the order in which they come.
    """
    offset = 0
    for path, size_bytes in files:
        entry = PackEntry(path=path, size_bytes=size_bytes, offset=offset)
        yield entry
        offset = entry.end


def is_declaration(path: str) -> bool:
    """Whether a file of a pack is the declaration that makes the folder an OCFL object."""
    return path.startswith(OBJECT_DECLARATION_PREFIX) and "/" not in path


def local_header(entry: PackEntry, crc32: int) -> bytes:
    """What stands before the content of a file.

    Args:
        entry: the file.
        crc32: of its content; not used where it comes after the content.
    """
    name, extra, size, version = entry.name, b"", entry.size_bytes, _VERSION
    flags = _UTF8
    if entry.is_streamed:
        flags, crc32, size = flags | _DESCRIPTOR_FOLLOWS, 0, 0
    if entry.size_bytes >= FULL_32:
        version, size, extra = _VERSION_64, FULL_32, _zip64(0, 0)
    fields = (version, flags, 0, 0, _DATE, crc32, size, size, len(name), len(extra))
    return LOCAL_HEADER.pack(b"PK\3\4", *fields) + name + extra


def descriptor(entry: PackEntry, crc32: int) -> bytes:
    """What stands behind the content of a file; nothing where all of it stands before."""
    if not entry.is_streamed:
        return b""
    form = _DESCRIPTOR_64 if entry.size_bytes >= FULL_32 else _DESCRIPTOR
    return form.pack(b"PK\7\10", crc32, entry.size_bytes, entry.size_bytes)


def directory_record(entry: PackEntry, crc32: int) -> bytes:
    """What the directory says of a file."""
    name, size, offset, values = entry.name, entry.size_bytes, entry.offset, []
    if size >= FULL_32:
        values, size = [size, size], FULL_32
    if offset >= FULL_32:
        values, offset = [*values, offset], FULL_32
    extra = _zip64(*values) if values else b""
    version = _VERSION_64 if values else _VERSION
    flags = _UTF8 | _DESCRIPTOR_FOLLOWS if entry.is_streamed else _UTF8
    fields = (_MADE_ON_UNIX | version, version, flags, 0, 0, _DATE, crc32, size, size, len(name), len(extra), 0, 0, 0)
    return DIRECTORY_RECORD.pack(b"PK\1\2", *fields, _ATTRIBUTES, offset) + name + extra


def end_records(count: int, *, directory_offset: int, directory_bytes: int) -> bytes:
    """The end of a pack: how many files it has, and where their directory is."""
    short_count = min(count, FULL_16)
    short_bytes, short_offset = min(directory_bytes, FULL_32), min(directory_offset, FULL_32)
    end = END.pack(b"PK\5\6", 0, 0, short_count, short_count, short_bytes, short_offset, 0)
    if short_count < FULL_16 and short_bytes < FULL_32 and short_offset < FULL_32:
        return end
    made_by = _MADE_ON_UNIX | _VERSION_64
    numbers = (count, count, directory_bytes, directory_offset)
    end_64 = END_64.pack(b"PK\6\6", END_64.size - 12, made_by, _VERSION_64, 0, 0, *numbers)
    return end_64 + END_64_LOCATOR.pack(b"PK\6\7", 0, directory_offset + directory_bytes, 1) + end


def pack_error(why: str, where: object) -> IntegrityError:
    """What is stored as a pack is not one, or not any more."""
    return IntegrityError(
        "A pack is damaged, or not one that Jindang wrote",
        where=where,
        why=why,
        next_step="restore the pack from another copy",
    )


def _zip64(*values: int) -> bytes:
    """The extra field of a record, for numbers that do not fit into it."""
    return _ZIP64.pack(1, 8 * len(values)) + struct.pack(f"<{len(values)}Q", *values)
