"""Where the files of a package lie: a folder, or an archive that is read and never extracted."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from repository.packages.package import PackageFile

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")


class Source(Protocol):
    """Files that were listed and can be read; it knows nothing of what they mean.

    Attributes:
        path: the folder or archive.
        name: its name without the suffix of an archive.
        files: every file; for an archive of a bag relative to the bag.
        empty_folders: folders without any file below them.
        random_access: whether `open` may be called from several threads and in any order.
    """

    @property
    def path(self) -> Path: ...  # noqa: D102 - described above, as are the following
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def files(self) -> Sequence[PackageFile]: ...  # noqa: D102
    @property
    def empty_folders(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def random_access(self) -> bool: ...  # noqa: D102

    def contents(self) -> Iterator[tuple[PackageFile, BinaryIO]]:
        """Every file once, in the order of `files`; each stream is valid until the next step."""
        ...

    def open(self, file: PackageFile) -> BinaryIO:
        """One file of `files`."""
        ...

    def tag_content(self, file: PackageFile) -> bytes:
        """All bytes of a small tag file in the bag's base folder: declaration, manifest, bag-info, fetch list."""
        ...

    def close(self) -> None:
        """Let go of the folder or archive."""
        ...


def name_without_suffix(path: Path) -> str:
    """An archive's name without the suffix that says what archive it is; case does not matter."""
    for suffix in ARCHIVE_SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.name
