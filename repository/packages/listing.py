"""What a listing of a package must satisfy, however it is stored: counted, measured and free of collisions."""

from enum import Enum
from typing import NoReturn

from repository.packages.findings import FatalFindingError, Findings
from repository.packages.names import CollisionFinder, shown, size_problem
from repository.packages.package import Limits

_HARMLESS_BYTES = 1 << 20


class CollisionPolicy(Enum):
    """What names mean that some file systems cannot hold side by side.

    REFUSE is for taking in: what is preserved must be restorable on any system. WARN is for `bag validate`:
    RFC 8493 section 5.2 takes such names for a problem of portability, not of validity.
    """

    REFUSE = "refuse"
    WARN = "warn"


def largest_content(limits: Limits, archive_bytes: int) -> int:
    """How many bytes an archive of this size may hold; small content is never taken for a bomb."""
    return min(limits.max_bytes, max(_HARMLESS_BYTES, limits.max_archive_ratio * archive_bytes))


class ListingRules:
    """Applied to every file of a package as it is listed.

    Args:
        limits: what the package may grow to.
        collisions: what colliding names mean.
        findings: where problems and warnings go.
        archive_bytes: size of the archive file, to tell an archive bomb; None for a folder.
    """

    def __init__(
        self, limits: Limits, collisions: CollisionPolicy, findings: Findings, *, archive_bytes: int | None = None
    ) -> None:
        self.limits = limits
        self.collisions = collisions
        self._findings = findings
        self._files = 0
        self._folders = 0
        self._size_bytes = 0
        self._most_bytes = limits.max_bytes if archive_bytes is None else largest_content(limits, archive_bytes)
        report = findings.error if collisions is CollisionPolicy.REFUSE else findings.warn
        self._finder = CollisionFinder(report)

    def count(self, size_bytes: int) -> None:
        """Count a file.

        Raises:
            FatalFindingError: a limit of the whole package is passed; listing on would be pointless.
        """
        self._files += 1
        self._size_bytes += size_bytes
        if self._files > self.limits.max_files:
            self.stop(f"it has more than {self.limits.max_files:,} files")
        if self._size_bytes > self.limits.max_bytes:
            self.stop(f"it has more than {self.limits.max_bytes:,} bytes")
        if self._size_bytes > self._most_bytes:
            self.stop(
                f"it unpacks to more than {self.limits.max_archive_ratio} times the size of its archive file, as an "
                "archive bomb does"
            )

    def check(self, path: str) -> bool:
        """Look at a file's path; False where it cannot be taken, which is reported."""
        if problem := size_problem(path, self.limits):
            self._findings.error(f"{shown(path)} cannot be taken: {problem}: shorten the path")
            return False
        self._finder.add(path)
        return True

    def accept(self, path: str, size_bytes: int) -> bool:
        """Count a file and look at its path."""
        self.count(size_bytes)
        return self.check(path)

    def may_enter(self, folder: str) -> bool:
        """Count a folder; False where its path leaves no room for files in it, which is reported.

        Raises:
            FatalFindingError: there are more folders than files are allowed.
        """
        self._folders += 1
        if self._folders > self.limits.max_files:
            self.stop(f"it has more than {self.limits.max_files:,} folders")
        if problem := size_problem(f"{folder}/-", self.limits):
            self._findings.error(f"The folder {shown(folder)} cannot be entered: {problem}: shorten the path")
            return False
        return True

    def stop(self, reason: str) -> NoReturn:
        """Refuse the package because of its size.

        Raises:
            FatalFindingError: always.
        """
        self._findings.error(
            f"The package is larger than allowed: {reason}: split it into several packages, or raise the limit in "
            "the configuration"
        )
        raise FatalFindingError


def warn_of_empty_folders(folders: list[str], findings: Findings) -> None:
    """Say once which folders are empty: only files are preserved."""
    if not folders:
        return
    named = ", ".join(shown(folder) for folder in sorted(folders)[:5])
    more = f" and {len(folders) - 5} more" if len(folders) > 5 else ""  # noqa: PLR2004
    what = "folder is" if len(folders) == 1 else "folders are"
    findings.warn(f"{len(folders)} empty {what} not preserved, because only files are: {named}{more}")
