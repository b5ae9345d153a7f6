"""The table of contents of an archive, made safe: names, links, the one bag in it. Nothing is extracted."""

import posixpath
from dataclasses import dataclass
from enum import Enum

from repository.packages.findings import FatalFindingError, Findings
from repository.packages.listing import ListingRules, warn_of_empty_folders
from repository.packages.names import escape_problem, plain_problem, shown
from repository.packages.package import PackageFile

_DECLARATION = "bagit.txt"
_UNPACK = "unpack the archive into a folder yourself, look at what is in it, and hand in the folder"
_MAX_LINK_STEPS = 40


class MemberKind(Enum):
    """What an entry of an archive is."""

    FILE = "a file"
    FOLDER = "a folder"
    SYMBOLIC_LINK = "a symbolic link"
    HARD_LINK = "a hard link"
    SPECIAL = "a device, fifo or socket"


@dataclass(frozen=True, slots=True)
class Member:
    """An entry as the archive has it.

    Attributes:
        name: as text; what is not UTF-8 was reported before.
        kind: what it is.
        size_bytes: as declared; 0 for anything but a file.
        position: by which the reader of this archive finds the content.
        target: of a link.
    """

    name: str
    kind: MemberKind
    size_bytes: int = 0
    position: int = 0
    target: str = ""


@dataclass(frozen=True, slots=True)
class ArchivedFile(PackageFile):
    """A file in an archive; `position` is where its content is, `copy` counts further files with that content."""

    position: int
    copy: int = 0


@dataclass(frozen=True, slots=True)
class ArchiveListing:
    """The bag in an archive: its files in the order of the archive, then the links, and its empty folders."""

    files: tuple[ArchivedFile, ...]
    empty_folders: tuple[str, ...]


class ArchiveLister:
    """Takes in the entries of an archive one by one, and makes the listing of the bag in it.

    Args:
        rules: applied to every file.
        findings: takes what is hostile, damaged or odd.
        backslash_separates: whether a backslash in a name would be taken for a separator (ZIP).
    """

    def __init__(self, rules: ListingRules, findings: Findings, *, backslash_separates: bool = False) -> None:
        self._rules = rules
        self._findings = findings
        self._backslash_separates = backslash_separates
        self._files: list[tuple[str, Member]] = []
        self._links: dict[str, Member] = {}
        self._folders: set[str] = set()
        self._entries = 0
        self._ignored = 0

    def add(self, member: Member) -> str | None:
        """Take in an entry; returns its cleaned path when it is a file that was taken.

        Raises:
            FatalFindingError: a limit of the whole package is passed.
        """
        self._entries += 1
        if self._entries > 2 * self._rules.limits.max_files + 1000:
            self._findings.error("The archive has more entries than allowed: split it into several packages")
            raise FatalFindingError
        if (path := self._clean(member)) is None:
            return None
        if _is_by_macos(path):
            self._ignored += member.kind is not MemberKind.FOLDER
            return None
        if member.kind is MemberKind.FOLDER:
            self._folders.add(path)
        elif member.kind is MemberKind.SPECIAL:
            self._findings.error(f"{shown(path)} is a device, fifo or socket: only files can be preserved")
        elif member.kind is MemberKind.FILE:
            self._rules.count(member.size_bytes)
            self._files.append((path, member))
            return path
        elif path in self._links:
            self._findings.error(f"{shown(path)} is there twice: rename or remove one of them")
        else:
            self._rules.count(0)
            self._links[path] = member
        return None

    def _clean(self, member: Member) -> str | None:
        """The path of an entry without `./` before and `/` behind it; None where it is refused or the top itself."""
        name = member.name
        if reason := escape_problem(name):
            self._findings.error(f"{shown(name)} in the archive is dangerous: {reason}: have the archive made again")
            return None
        if self._backslash_separates and "\\" in name:
            self._findings.error(
                f"{shown(name)} in the archive has a backslash in its name, which ZIP forbids and programs read in "
                "different ways: have it packed again with another program, as 7-Zip"
            )
            return None
        while name.startswith("./"):
            name = name[2:]
        if member.kind is MemberKind.FOLDER:
            name = name.rstrip("/")
            if name in {"", "."}:
                return None
        if reason := plain_problem(name):
            self._findings.error(f"{shown(member.name)} in the archive cannot be taken: {reason}")
            return None
        return name

    def finish(self) -> ArchiveListing:
        """Find the bag, resolve the links and check every path.

        Raises:
            FatalFindingError: there is not exactly one bag in the archive, or a limit is passed.
        """
        prefix = self._bag_prefix()
        inside = [(path[len(prefix) :], member) for path, member in self._files if path.startswith(prefix)]
        outside = [path for path, _ in self._files if not path.startswith(prefix)]
        outside += [path for path in self._links if not path.startswith(prefix)]
        for path in outside:
            self._findings.error(f"{shown(path)} lies beside the bag in the archive: have only the bag packed")
        if self._ignored:
            self._findings.warn(f"{self._ignored} files that macOS put beside the bag (__MACOSX) are left out")
        files = [
            ArchivedFile(path, member.size_bytes, member.position)
            for path, member in inside
            if self._rules.check(path)
        ]
        files += self._copies(prefix)
        empty = self._empty_folders(prefix, files)
        warn_of_empty_folders(list(empty), self._findings)
        return ArchiveListing(tuple(files), empty)

    def _bag_prefix(self) -> str:
        names = {path for path, _ in self._files} | set(self._links)
        if _DECLARATION in names:
            self._findings.warn("The bag lies in the archive without a folder around it (RFC 8493, 4)")
            return ""
        bags = sorted(name for name in names if name.count("/") == 1 and name.endswith("/" + _DECLARATION))
        if len(bags) == 1:
            return bags[0].removesuffix(_DECLARATION)
        if bags:
            named = ", ".join(shown(bag.removesuffix("/" + _DECLARATION)) for bag in bags[:5])
            self._findings.error(f"The archive holds {len(bags)} bags ({named}): one package is handed in at a time")
        elif names or self._folders:
            self._findings.error(
                f"The archive is not a BagIt bag (there is no bagit.txt in its top folder): {_UNPACK}"
            )
        else:
            self._findings.error("The archive is empty: have it made or sent again")
        raise FatalFindingError

    def _copies(self, prefix: str) -> list[ArchivedFile]:
        """Links to files of the bag, as files of their own."""
        if not self._links:
            return []
        originals = {path: member for path, member in self._files if path.startswith(prefix)}
        count: dict[int, int] = {}
        copies = []
        for path in sorted(self._links):
            if not path.startswith(prefix):
                continue
            target = self._target(path, prefix, originals)
            if target is None:
                continue
            original = originals[target]
            self._rules.count(original.size_bytes)
            if not self._rules.check(path[len(prefix) :]):
                continue
            count[original.position] = count.get(original.position, 0) + 1
            copies.append(
                ArchivedFile(path[len(prefix) :], original.size_bytes, original.position, count[original.position])
            )
            self._findings.warn(
                f"A link is taken as a file of its own: {shown(path)} (a copy of {shown(target)})", kind="links"
            )
        return copies

    def _target(self, path: str, prefix: str, originals: dict[str, Member]) -> str | None:
        """The file that a link means in the end; None where it means none of the package, which is reported."""
        here = path
        for _ in range(_MAX_LINK_STEPS):
            link = self._links[here]
            base = posixpath.dirname(here) if link.kind is MemberKind.SYMBOLIC_LINK else ""
            target = posixpath.normpath(posixpath.join(base, link.target))
            if target in originals:
                return target
            if target not in self._links:
                leaves = target.startswith(("/", "../")) or target == ".." or not target.startswith(prefix)
                why = "leads out of the package" if leaves else "does not lead to a file of the package"
                self._findings.error(
                    f"{shown(path)} is {link.kind.value} that {why} (to {shown(link.target)}): put the file itself "
                    "in its place"
                )
                return None
            here = target
        self._findings.error(f"{shown(path)} is a link that leads in a circle: put the file itself in its place")
        return None

    def _empty_folders(self, prefix: str, files: list[ArchivedFile]) -> tuple[str, ...]:
        used: set[str] = set()
        for name in [file.path for file in files] + sorted(self._inside(prefix), reverse=True):
            parent = name.rpartition("/")[0]
            while parent and parent not in used:
                used.add(parent)
                parent = parent.rpartition("/")[0]
        return tuple(sorted(folder for folder in self._inside(prefix) if folder not in used))

    def _inside(self, prefix: str) -> set[str]:
        return {folder[len(prefix) :] for folder in self._folders if folder.startswith(prefix) and folder != prefix}


def _is_by_macos(path: str) -> bool:
    """Whether this is what the Finder adds beside the top folder of a ZIP."""
    return path.startswith("__MACOSX/") or path in {"__MACOSX", ".DS_Store"}
