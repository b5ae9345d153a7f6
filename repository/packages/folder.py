"""A folder on disk: listed once, each file read only while it is still the one that was listed."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from repository.packages.findings import FatalFindingError, Findings
from repository.packages.listed_file import ListedFile, open_listed
from repository.packages.listing import ListingRules, warn_of_empty_folders
from repository.packages.names import FIX_ENCODING, escape_problem, shown, shown_bytes
from repository.packages.package import PackageFile, PackageFormat, PackageReport
from repository.stop import StopToken

_SPECIAL = {
    stat.S_IFIFO: "a named pipe (fifo)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
}


class FolderSource:
    """The files below a folder. Holds no file open and about 250 bytes for each file."""

    random_access = True

    def __init__(
        self, path: Path, files: tuple[ListedFile, ...], empty_folders: tuple[str, ...], stop: StopToken
    ) -> None:
        self.path = path
        self.files: Sequence[PackageFile] = files
        self.empty_folders = empty_folders
        self._root = os.fsencode(os.path.realpath(path))
        self._stop = stop

    @property
    def name(self) -> str:
        """The folder's own name."""
        return os.path.basename(self._root).decode("utf-8", "backslashreplace")  # noqa: PTH119 - bytes have no Path

    def contents(self) -> Iterator[tuple[PackageFile, BinaryIO]]:
        """Every file in the order of `files`."""
        for file in self.files:
            self._stop.check()
            with self.open(file) as stream:
                yield file, stream

    def open(self, file: PackageFile) -> BinaryIO:
        """One file of `files`; may be called from several threads."""
        if not isinstance(file, ListedFile):
            raise TypeError(f"{file!r} is not one of the files of this folder")
        return open_listed(self._root, file)

    def tag_content(self, file: PackageFile) -> bytes:
        """All bytes of a small file."""
        with self.open(file) as stream:
            return stream.read()

    def close(self) -> None:
        """Nothing is held."""


def list_folder(path: Path, rules: ListingRules, findings: Findings, stop: StopToken) -> FolderSource:
    """List a folder and everything below it; nothing is opened.

    Args:
        path: an existing folder.
        rules: applied to every file.
        findings: takes what cannot be taken (special files, links that lead out, names that are not UTF-8) as
            problems, and links inside and empty folders as warnings.
        stop: polled in every folder.

    Returns: the files that can be taken, sorted by path. Memory: about 400 bytes for each file while listing.
    """
    lister = _FolderLister(os.fsencode(os.path.realpath(path)), rules, findings)
    try:
        lister.walk(stop)
    except FatalFindingError:
        lister.files.clear()
        raise
    finally:
        lister.report()
    files = tuple(sorted(lister.files, key=lambda file: file.path))
    return FolderSource(path, files, tuple(lister.empty), stop)


class _FolderLister:
    def __init__(self, root: bytes, rules: ListingRules, findings: Findings) -> None:
        self._root = root
        self._rules = rules
        self._findings = findings
        self.files: list[ListedFile] = []
        self.empty: list[str] = []
        self._copied_links: list[str] = []
        self._hard_links: dict[tuple[int, int], int] = {}

    def walk(self, stop: StopToken) -> None:
        """Take in the whole tree; a stack of folder names, so that depth costs nothing."""
        waiting = [""]
        while waiting:
            stop.check()
            waiting.extend(self._read(waiting.pop()))

    def _read(self, folder: str) -> list[str]:
        """Take in one folder, and return the folders in it."""
        most = 2 * self._rules.limits.max_files  # so many files and so many folders
        location = self._root + b"/" + folder.encode()
        try:
            with os.scandir(location) as entries:
                some = list(islice(entries, most + 1))
        except OSError as error:
            self._findings.error(
                f"The folder {shown(folder or '.')} cannot be read ({error.strerror}): check its permissions"
            )
            return []
        if len(some) > most:
            self._rules.stop(f"the folder {shown(folder or '.')} has more than {most:,} entries")
        found = sorted(some, key=lambda entry: entry.name)
        if not found and folder:
            self.empty.append(folder)
        below = []
        for entry in found:
            if (path := self._path_of(folder, entry.name)) is None:
                continue
            if self._take(path, entry) and self._rules.may_enter(path):
                below.append(path)
        below.reverse()
        return below

    def _path_of(self, folder: str, name: bytes) -> str | None:
        prefix = f"{folder}/" if folder else ""
        try:
            path = prefix + name.decode()
        except UnicodeDecodeError:
            self._findings.error(f"{shown_bytes(prefix.encode() + name)} is not a UTF-8 name: {FIX_ENCODING}")
            return None
        if "\\" in path or "%" in path:
            return self._checked(path)
        return path

    def _checked(self, path: str) -> str | None:
        if reason := escape_problem(path):
            self._findings.error(f"{shown(path)} would be dangerous to restore: {reason}: rename it")
            return None
        return path

    def _take(self, path: str, entry: os.DirEntry[bytes]) -> bool:
        """Take in what is no folder; True where it is one."""
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            self._findings.error(f"{shown(path)} cannot be looked at ({error.strerror}): check the disk")
            return False
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFDIR:
            return True
        if kind == stat.S_IFLNK:
            self._take_link(path)
        elif kind == stat.S_IFREG:
            self._add(ListedFile.of(path, status))
            if status.st_nlink > 1:
                key = (status.st_dev, status.st_ino)
                self._hard_links[key] = self._hard_links.get(key, status.st_nlink) - 1
        else:
            self._findings.error(
                f"{shown(path)} is {_SPECIAL.get(kind, 'not a file')}: only files can be preserved; remove it"
            )
        return False

    def _take_link(self, path: str) -> None:
        """A symbolic link is taken as a copy where it leads to a file of the same package, and refused elsewhere."""
        try:
            target = os.path.realpath(self._root + b"/" + path.encode(), strict=True)
            status = os.lstat(target)
            relative = target.removeprefix(self._root + b"/").decode()
        except (OSError, UnicodeDecodeError) as error:
            why = "leads in a circle" if _is_loop(error) else "leads nowhere, or where it cannot be followed"
            self._findings.error(f"{shown(path)} is a symbolic link that {why}: put the file itself in its place")
            return
        if not target.startswith(self._root + b"/"):
            self._findings.error(
                f"{shown(path)} is a symbolic link that leads out of the package: put the file itself in its place"
            )
        elif not stat.S_ISREG(status.st_mode):
            self._findings.error(
                f"{shown(path)} is a symbolic link to something that is not a file ({shown(relative)}): put the "
                "files themselves in its place"
            )
        elif self._add(ListedFile.of(path, status, relative)):
            self._copied_links.append(f"{shown(path)} (a copy of {shown(relative)})")

    def _add(self, file: ListedFile) -> bool:
        if accepted := self._rules.accept(file.path, file.size_bytes):
            self.files.append(file)
        return accepted

    def report(self) -> None:
        """Tell what is lawful but odd, once for the whole folder."""
        warn_of_empty_folders(self.empty, self._findings)
        for link in sorted(self._copied_links):
            self._findings.warn(f"A symbolic link is taken as a file of its own: {link}", kind="symbolic links")
        if outside := sum(1 for names in self._hard_links.values() if names > 0):
            self._findings.warn(
                f"{outside} files have a further name (hard link) outside the package; they are taken as copies"
            )


def _is_loop(error: Exception) -> bool:
    import errno

    return isinstance(error, OSError) and error.errno == errno.ELOOP


class FolderPackage:
    """A folder of files, each of them payload."""

    format = PackageFormat.FOLDER
    random_access = True

    def __init__(self, source: FolderSource, findings: Findings) -> None:
        self._source = source
        self._warnings = findings.warnings
        self.source = source.path
        self.name = source.name
        self.files = source.files
        self.tags: Mapping[str, tuple[str, ...]] = {}

    def algorithms_for(self, file: PackageFile) -> tuple[str, ...]:  # noqa: ARG002 - as every package
        """A folder says nothing of its files."""
        return ()

    def logical_path(self, file: PackageFile) -> str:
        """Everything is payload."""
        return f"data/{file.path}"

    def contents(self) -> Iterator[tuple[PackageFile, BinaryIO]]:
        """Every file in the order of `files`."""
        return self._source.contents()

    def open(self, file: PackageFile) -> BinaryIO:
        """One file of `files`; may be called from several threads."""
        return self._source.open(file)

    def check(self, digests: Mapping[str, Mapping[str, str]]) -> PackageReport:  # noqa: ARG002 - a folder claims nothing
        """A folder says nothing of its content that could be wrong."""
        return PackageReport(
            format=self.format,
            warnings=self._warnings,
            verified_algorithms=(),
            files=len(self.files),
            size_bytes=sum(file.size_bytes for file in self.files),
        )

    def close(self) -> None:
        """Nothing is held."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
