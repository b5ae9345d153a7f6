"""Bags in ZIP archives: the table of contents is checked first, then each file is read at its place."""

import io
import stat
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from repository.errors import PackageError
from repository.packages.archive_file import ArchiveFile, SectionStream, refuse_damaged
from repository.packages.archive_listing import ArchivedFile, ArchiveLister, Member, MemberKind
from repository.packages.findings import Findings
from repository.packages.listing import ListingRules
from repository.packages.names import shown
from repository.packages.package import Limits, PackageFile
from repository.packages.source import name_without_suffix
from repository.packages.zip_names import entry_name
from repository.stop import StopToken

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

    from _typeshed import WriteableBuffer

_ENCRYPTED = 0x1 | 0x40
_METHODS = {0, 8}  # stored, deflated: what can be read in small pieces
_METHOD_NAMES = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "XZ", 99: "AES encryption"}
_MADE_BY_UNIX = 3
_LOCAL_HEADER_BYTES = 30
_END = b"PK\x05\x06"
_END_BYTES = 22
_ZIP64_LOCATOR = b"PK\x06\x07"
_ZIP64_END = b"PK\x06\x06"
_MAX_COMMENT_BYTES = 1 << 16
_MAX_ENTRY_BYTES = 2048
_MAX_LINK_BYTES = 4096
_NO_ENTRIES = 0xFFFFFFFF
_LOCAL = {stat.S_IFLNK: MemberKind.SYMBOLIC_LINK, stat.S_IFDIR: MemberKind.FOLDER, stat.S_IFREG: MemberKind.FILE}


class ZipSource:
    """The bag in a ZIP archive; each file can be read by itself, from several threads."""

    random_access = True

    def __init__(self, archive: ArchiveFile, opened: "ZipFile", stop: StopToken) -> None:
        self.path = archive.path
        self.name = name_without_suffix(archive.path)
        self.files: Sequence[PackageFile] = ()
        self.empty_folders: tuple[str, ...] = ()
        self._archive = archive
        self._zip = opened
        self._entries = opened.infolist()
        self._stop = stop
        self._lock = threading.Lock()

    def list(self, rules: ListingRules, findings: Findings) -> None:
        """Read the table of contents; see `list_zip`."""
        lister = ArchiveLister(rules, findings, backslash_separates=True)
        self._check_overlaps()
        for position, entry in enumerate(self._entries):
            if not position % 1000:
                self._stop.check()
            name = entry_name(entry, findings)
            if name is not None and _is_readable(entry, name, findings):
                lister.add(self._member(position, entry, name))
        listing = lister.finish()
        self.files, self.empty_folders = listing.files, listing.empty_folders

    def _member(self, position: int, entry: "ZipInfo", name: str) -> Member:
        mode = stat.S_IFMT(entry.external_attr >> 16) if entry.create_system == _MADE_BY_UNIX else 0
        if name.endswith("/"):
            return Member(name, MemberKind.FOLDER)
        kind = _LOCAL.get(mode, MemberKind.SPECIAL) if mode else MemberKind.FILE
        if kind is not MemberKind.SYMBOLIC_LINK:
            return Member(name, kind, entry.file_size if kind is MemberKind.FILE else 0, position)
        with self._stream(position) as stream:
            target = stream.read(_MAX_LINK_BYTES)
        return Member(name, kind, 0, position, target.decode("utf-8", "surrogateescape"))

    def _check_overlaps(self) -> None:
        """Refuse entries that share bytes of the archive: so are archives made that unpack without end."""
        end = 0
        previous = ""
        for entry in sorted(self._entries, key=lambda entry: entry.header_offset):
            if entry.header_offset < end:
                refuse_damaged(
                    self.path,
                    f"the entries {shown(previous)} and {shown(entry.orig_filename)} lie over each other, as in an "
                    "archive bomb",
                )
            end = entry.header_offset + _LOCAL_HEADER_BYTES + len(entry.orig_filename) + entry.compress_size
            previous = entry.orig_filename
        if end > self._archive.size_bytes:
            refuse_damaged(self.path, f"the entry {shown(previous)} ends after the archive does; it is truncated")

    def contents(self) -> Iterator[tuple[PackageFile, BinaryIO]]:
        """Every file in the order of `files`."""
        for file in self.files:
            self._stop.check()
            with self.open(file) as stream:
                yield file, stream

    def open(self, file: PackageFile) -> BinaryIO:
        """One file of `files`; may be called from several threads."""
        if not isinstance(file, ArchivedFile):
            raise TypeError(f"{file!r} is not one of the files of this archive")
        return self._stream(file.position)

    def _stream(self, position: int) -> BinaryIO:
        entry = self._entries[position]
        try:
            with self._lock:  # what ZipFile counts while opening and closing is not made for threads
                opened = self._zip.open(entry)
        except _zip_errors() as error:
            refuse_damaged(self.path, f"{shown(entry.orig_filename)} is damaged: {error}")
        return cast("BinaryIO", _EntryStream(self.path, entry, opened, self._lock))

    def tag_content(self, file: PackageFile) -> bytes:
        """All bytes of a small file."""
        with self.open(file) as stream:
            return stream.read()

    def close(self) -> None:
        """Close the archive."""
        self._zip.close()
        self._archive.close()


def list_zip(archive: ArchiveFile, rules: ListingRules, findings: Findings, stop: StopToken) -> ZipSource:
    """Open a ZIP archive and read its table of contents; no file is read but the targets of links.

    Args:
        archive: closed together with the source.
        rules: applied to every file.
        findings: takes what is hostile or odd.
        stop: polled every 1,000 entries.

    Raises:
        PackageError: the archive is damaged.
        FatalFindingError: a limit is passed or there is no bag in it; the findings say what.
    """
    _check_directory_size(archive, rules.limits)
    from zipfile import ZipFile

    whole = io.BufferedReader(_SeekableSection(archive))
    try:
        source = ZipSource(archive, ZipFile(whole), stop)
    except UnicodeDecodeError:
        refuse_damaged(archive.path, "a name that is marked as UTF-8 is not UTF-8")
    except _zip_errors() as error:
        refuse_damaged(archive.path, f"it is no complete ZIP archive: {error}")
    source.list(rules, findings)
    return source


def _check_directory_size(archive: ArchiveFile, limits: Limits) -> None:
    """Refuse a table of contents that would fill the memory, before anything of it is read."""
    tail_bytes = min(archive.size_bytes, _MAX_COMMENT_BYTES + _END_BYTES + 20)
    tail = archive.read(tail_bytes, archive.size_bytes - tail_bytes)
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_BYTES:
        refuse_damaged(archive.path, "it has no table of contents at its end; it is truncated, or no ZIP archive")
    size = int.from_bytes(tail[at + 12 : at + 16], "little")
    locator = tail[at - 20 : at] if at >= 20 else b""  # noqa: PLR2004 - the locator's length
    if locator.startswith(_ZIP64_LOCATOR):
        end = archive.read(56, int.from_bytes(locator[8:16], "little"))
        if end.startswith(_ZIP64_END):
            size = int.from_bytes(end[40:48], "little")
    if size > _MAX_ENTRY_BYTES * limits.max_files:
        refuse_damaged(archive.path, "its table of contents is larger than allowed", next_step="split it")


def _is_readable(entry: "ZipInfo", name: str, findings: Findings) -> bool:
    if entry.flag_bits & _ENCRYPTED:
        findings.error(f"{shown(name)} in the archive is encrypted: have it packed again without a password")
    elif entry.compress_type not in _METHODS:
        method = _METHOD_NAMES.get(entry.compress_type, f"method {entry.compress_type}")
        findings.error(
            f"{shown(name)} in the archive is compressed with {method}, which cannot be read here: unpack the archive "
            "and hand in the folder"
        )
    else:
        return True
    return False


def _zip_errors() -> tuple[type[Exception], ...]:
    from zipfile import BadZipFile

    return (BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError, struct.error)


class _SeekableSection(SectionStream):
    """The whole archive for `zipfile`, which seeks in it."""

    def __init__(self, archive: ArchiveFile) -> None:
        super().__init__(archive, 0, archive.size_bytes)
        self._size_bytes = archive.size_bytes

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to an offset from the start (0), from here (1) or from the end (2)."""
        target = offset + (0, self._offset, self._size_bytes)[whence]
        if target < 0:
            raise OSError("before the start of the archive")  # zipfile expects this of a file
        self._offset = target
        self._left = max(0, self._size_bytes - target)
        return target

    def tell(self) -> int:
        """The offset from the start."""
        return self._offset


class _EntryStream(io.RawIOBase):
    """One entry, decompressed; its length and checksum are compared at its end."""

    def __init__(self, path: Path, entry: "ZipInfo", opened: IO[bytes], lock: threading.Lock) -> None:
        super().__init__()
        self._path = path
        self._entry = entry
        self._opened = opened
        self._lock = lock
        self._left = entry.file_size

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Read the next bytes; 0 at the end of the entry."""
        view = memoryview(buffer)
        name = shown(self._entry.orig_filename)
        try:
            content = self._opened.read(len(view))
        except PackageError:
            raise
        except _zip_errors() as error:
            refuse_damaged(self._path, f"{name} is damaged: {error or 'it ends too early'}")
        self._left -= len(content)
        if not content and view and self._left:
            refuse_damaged(self._path, f"{name} has {self._left} bytes less than the table of contents says")
        view[: len(content)] = content
        return len(content)

    def close(self) -> None:
        """Close the entry."""
        if not self.closed:
            with self._lock:
                self._opened.close()
        super().close()
