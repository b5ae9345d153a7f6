"""Looking at directories and files without ever following a link, and noting what could not be read."""

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from repository.ocfl.codes import UNREADABLE, Finding, severity_of
from repository.stop import StopToken

_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The names in one directory, each list sorted. `others` are devices, pipes and sockets."""

    files: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the directory holds nothing at all."""
        return not (self.files or self.directories or self.links or self.others)


def list_directory(path: Path) -> Listing:
    """The names in a directory, by what they are.

    Raises:
        OSError: it cannot be read.
    """
    names: dict[str, list[str]] = {"files": [], "directories": [], "links": [], "others": []}
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_symlink():
                names["links"].append(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                names["directories"].append(entry.name)
            elif entry.is_file(follow_symlinks=False):
                names["files"].append(entry.name)
            else:
                names["others"].append(entry.name)
    return Listing(**{kind: tuple(sorted(found)) for kind, found in names.items()})


def open_plain(path: Path) -> int:
    """A file descriptor to read a file with; never through a link in its last name.

    Raises:
        OSError: it cannot be opened.
    """
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)


def read_plain(path: Path, limit_bytes: int) -> bytes:
    """The content of a file, and one byte more than the limit where it is larger.

    Raises:
        OSError: it cannot be read.
    """
    with os.fdopen(open_plain(path), "rb") as file:
        return file.read(limit_bytes + 1)


def is_plain_file(root: Path, relative: str) -> bool:
    """Whether there is a file below a directory, with no link on the way.

    Raises:
        OSError: the system cannot say.
    """
    *parents, name = relative.split("/")
    path = root
    try:
        for parent in parents:
            path /= parent
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                return False
        return stat.S_ISREG(os.lstat(path / name).st_mode)
    except OSError as error:
        if error.errno in _ABSENT:
            return False
        raise


@dataclass(slots=True, kw_only=True)
class Notes:
    """What was found while something was being looked at; turned into findings at the end.

    Args:
        root: the directory that is looked at; paths of notes are relative to it.
        stop: polled between files and chunks.
    """

    root: Path
    stop: StopToken
    notes: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, code: str, path: str, message: str) -> None:
        """Note what is wrong with a file or directory; an empty path means the root."""
        self.notes.append((code, _printable(path), _printable(message)))

    def add_unreadable(self, path: str, error: OSError) -> None:
        """Note that something could not be read: neither good nor bad is known of it."""
        self.add(UNREADABLE, path, f"the system could not read it: {error.strerror or error}")

    def add_unwanted(self, listing: Listing, where: str) -> None:
        """Note links, devices, pipes and sockets, which have no place in OCFL."""
        for name in listing.links:
            self.add("E090", _join(where, name), "this is a symbolic link")
        for name in listing.others:
            self.add("E089", _join(where, name), "this is neither a file nor a directory")

    def listing(self, where: str, *, note_unwanted: bool = True) -> Listing | None:
        """The names in a directory below the root; None, and a note, when it cannot be read."""
        self.stop.check()
        try:
            listing = list_directory(self.root / where)
        except OSError as error:
            self.add_unreadable(where, error)
            return None
        if note_unwanted:
            self.add_unwanted(listing, where)
        return listing

    def findings(self, object_name: str, *, below: str = "") -> list[Finding]:
        """All notes as findings, each once, in the order in which they were made.

        Args:
            object_name: the object's identifier, or a path.
            below: put before every path.
        """
        return [
            Finding(
                code=code,
                severity=severity_of(code),
                object=_printable(object_name),
                path=_join(_printable(below), path),
                message=message,
            )
            for code, path, message in dict.fromkeys(self.notes)
        ]


def _join(where: str, name: str) -> str:
    return f"{where}/{name}" if where and name else where or name


def _printable(text: str) -> str:
    """Names on disk need not be UTF-8; bytes that are not are shown by their numbers."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
