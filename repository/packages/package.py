"""What a package is to those who take it in: a list of files, one pass over their bytes, and a check at the end.

A package MUST be listed, and refused where it is hostile, before any of its content is handed out.
A package MUST hand out each file's bytes as they are; it never writes, fetches or extracts anything.
A package MUST NOT trust a declared size: more bytes than the limits allow end the reading with a PackageError.
`check` MUST be given digests of what was really read, and reports every disagreement at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self


class PackageFormat(StrEnum):
    """How a package says what belongs to it."""

    FOLDER = "folder"
    BAGIT = "bagit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a package may grow to before it is refused; set by configuration.

    `max_bytes` and `max_archive_ratio` (bytes out for each byte in the archive file) count the bytes really read.
    `max_depth` counts the parts of a path; `max_path_bytes` and `max_name_bytes` are UTF-8 bytes, the path relative
    to the package. `max_tag_bytes` bounds what is read into memory: all tag files and manifests of a bag together.
    """

    max_files: int = 100_000
    max_bytes: int = 2 << 40
    max_archive_ratio: int = 200
    max_depth: int = 64
    max_path_bytes: int = 1024
    max_name_bytes: int = 255
    max_tag_bytes: int = 256 << 20


@dataclass(frozen=True, slots=True)
class PackageFile:
    """One file of a package: its relative POSIX path as found, and its size in bytes as listed."""

    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageReport:
    """What checking a package said; the same package always gives the same report."""

    format: PackageFormat
    warnings: tuple[str, ...]
    verified_algorithms: tuple[str, ...]
    files: int
    size_bytes: int


class Package(Protocol):
    """A package that was opened, listed and not refused.

    Attributes:
        format: folder or BagIt.
        source: the folder or archive it is read from.
        name: folder name, or archive name without its suffix; the default identifier.
        files: every file, sorted by path (folders) or in the order of the archive.
        random_access: whether `open` may be called from several threads and in any order.
        tags: the entries of bag-info.txt in their order, repeated ones kept; empty for a folder.
    """

    @property
    def format(self) -> PackageFormat: ...  # noqa: D102 - described above, as are the following
    @property
    def source(self) -> Path: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def files(self) -> Sequence[PackageFile]: ...  # noqa: D102
    @property
    def random_access(self) -> bool: ...  # noqa: D102
    @property
    def tags(self) -> Mapping[str, tuple[str, ...]]: ...  # noqa: D102

    def logical_path(self, file: PackageFile) -> str:
        """Where the file belongs in the object: below `data/` (payload) or below `submission/`."""
        ...

    def algorithms_for(self, file: PackageFile) -> tuple[str, ...]:
        """The digests that the package's own manifests need of this file; none for a folder."""
        ...

    def contents(self) -> Iterator[tuple[PackageFile, BinaryIO]]:
        """Every file once, in the order of `files`; each stream is valid until the next step.

        Raises:
            PackageError: the content is damaged, changed meanwhile, or grows over the limits.
            OperationCancelledError: the stop token was set.
        """
        ...

    def open(self, file: PackageFile) -> BinaryIO:
        """One file of `files` as a raw stream with `readinto`; close it, or use it as a context manager.

        Raises:
            PackageError: here or while reading, the file is not, or not any more, what was listed.
        """
        ...

    def check(self, digests: Mapping[str, Mapping[str, str]]) -> PackageReport:
        """Compare what was read with what the package says of itself.

        Args:
            digests: path as in `files` -> algorithm -> digest in lower-case hex.

        Raises:
            PackageError: something disagrees; `problems` lists everything that does.
        """
        ...

    def close(self) -> None:
        """Let go of the source."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
