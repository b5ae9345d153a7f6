"""Bags in tar archives, plain or with gzip: one pass lists them, later passes hand out the files."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from repository.packages.archive_file import ArchiveFile, SectionStream, refuse_damaged
from repository.packages.archive_listing import ArchivedFile, ArchiveLister, ArchiveListing
from repository.packages.bag_structure import is_tag_file
from repository.packages.findings import FatalFindingError, Findings
from repository.packages.listing import ListingRules
from repository.packages.names import shown
from repository.packages.package import Limits, PackageFile
from repository.packages.source import name_without_suffix
from repository.packages.tar_headers import TarReader
from repository.packages.tar_stream import GzipStream, PlainStream, TarStream
from repository.stop import StopToken

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MAX_PASSES = 10


class TarSource:
    """The bag in a plain tar archive; each file can be read by itself, from several threads."""

    random_access = True

    def __init__(self, archive: ArchiveFile, listing: ArchiveListing, stop: StopToken) -> None:
        self.path = archive.path
        self.name = name_without_suffix(archive.path)
        self.files: Sequence[PackageFile] = listing.files
        self.empty_folders = listing.empty_folders
        self._archive = archive
        self._stop = stop

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
        return cast("BinaryIO", SectionStream(self._archive, file.position, file.size_bytes))

    def tag_content(self, file: PackageFile) -> bytes:
        """All bytes of a small file."""
        with self.open(file) as stream:
            return stream.read()

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()


class TarGzipSource:
    """The bag in a tar archive with gzip: only ever read from front to back.

    Files that are links come last, each in a further pass over the archive.
    """

    random_access = False

    def __init__(
        self,
        archive: ArchiveFile,
        listing: ArchiveListing,
        tag_contents: dict[int, bytes],
        limits: Limits,
        stop: StopToken,
    ) -> None:
        self.path = archive.path
        self.name = name_without_suffix(archive.path)
        by_pass = sorted(listing.files, key=lambda file: (file.copy, file.position))
        self.files: Sequence[PackageFile] = tuple(by_pass)
        self.empty_folders = listing.empty_folders
        self._ordered = by_pass
        self._archive = archive
        self._tag_contents = tag_contents
        self._limits = limits
        self._stop = stop

    def contents(self) -> Iterator[tuple[PackageFile, BinaryIO]]:
        """Every file in the order of `files`."""
        stream = GzipStream(self._archive, self._limits, self._stop)
        for file in self._ordered:
            self._stop.check()
            if stream.position > file.position:
                stream = GzipStream(self._archive, self._limits, self._stop)
            with self._at(stream, file) as content:
                yield file, content

    def open(self, file: PackageFile) -> BinaryIO:
        """One file of `files`: everything before it is decompressed again."""
        if not isinstance(file, ArchivedFile):
            raise TypeError(f"{file!r} is not one of the files of this archive")
        return self._at(GzipStream(self._archive, self._limits, self._stop), file)

    def _at(self, stream: GzipStream, file: ArchivedFile) -> BinaryIO:
        stream.skip(file.position - stream.position)
        return cast("BinaryIO", _PartStream(stream, file.size_bytes, self.path))

    def tag_content(self, file: PackageFile) -> bytes:
        """All bytes of a small file, kept since the listing."""
        if not isinstance(file, ArchivedFile) or file.position not in self._tag_contents:
            with self.open(file) as stream:
                return stream.read()
        return self._tag_contents.pop(file.position)

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()


def list_tar(archive: ArchiveFile, rules: ListingRules, findings: Findings, stop: StopToken) -> TarSource:
    """Read all headers of a plain tar archive, going over the files in it.

    Raises:
        PackageError: the archive is damaged.
        FatalFindingError: a limit is passed or there is no bag in it; the findings say what.
    """
    lister = ArchiveLister(rules, findings)
    for number, member in enumerate(TarReader(PlainStream(archive), archive.path, findings).members()):
        if not number % 1000:
            stop.check()
        lister.add(member)
    return TarSource(archive, lister.finish(), stop)


def list_tar_gzip(archive: ArchiveFile, rules: ListingRules, findings: Findings, stop: StopToken) -> TarGzipSource:
    """Decompress a tar archive with gzip once, keeping its headers and tag files.

    Raises:
        PackageError: the archive is damaged, or unpacks to more than the limits allow.
        FatalFindingError: a limit is passed or there is no bag in it; the findings say what.
    """
    lister = ArchiveLister(rules, findings)
    stream = GzipStream(archive, rules.limits, stop)
    kept: dict[int, bytes] = {}
    kept_bytes = 0
    for member in TarReader(stream, archive.path, findings).members():
        path = lister.add(member)
        if path is None or path.count("/") > 1 or not is_tag_file(path.rpartition("/")[2]):
            continue
        kept_bytes += member.size_bytes
        if kept_bytes > rules.limits.max_tag_bytes:
            findings.error(f"The tag files of the bag are larger than {rules.limits.max_tag_bytes:,} bytes together")
            raise FatalFindingError
        kept[member.position] = _read(stream, member.size_bytes)
    _check_end(stream, archive.path)
    listing = lister.finish()
    if any(file.copy > _MAX_PASSES for file in listing.files):
        findings.error(
            f"The archive has more than {_MAX_PASSES} links to one file, which takes too long to read out of gzip: "
            "unpack it and hand in the folder"
        )
    return TarGzipSource(archive, listing, kept, rules.limits, stop)


def _read(stream: TarStream, size: int) -> bytes:
    parts = []
    while size and (part := stream.read(min(size, 1 << 20))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _check_end(stream: GzipStream, path: Path) -> None:
    """Read what lies behind the end mark, so that the checksum of the whole gzip stream is compared."""
    while rest := stream.read(1 << 20):
        if rest.strip(b"\0"):
            refuse_damaged(path, "there is something else behind the end mark of the tar archive")


class _PartStream(io.RawIOBase):
    """The next bytes of a stream, so many of them."""

    def __init__(self, stream: TarStream, size_bytes: int, path: Path) -> None:
        super().__init__()
        self._stream = stream
        self._left = size_bytes
        self._path = path

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Read the next bytes; 0 at the end of the part."""
        view = memoryview(buffer)
        content = self._stream.read(min(len(view), self._left, 1 << 20))
        if not content and view and self._left:
            refuse_damaged(self._path, f"a file in it ends too early ({shown(self._path.name)} changed meanwhile)")
        self._left -= len(content)
        view[: len(content)] = content
        return len(content)
