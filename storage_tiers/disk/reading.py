"""Reading versions from a disk tier: which are there, one opened, and parts of its files."""

import io
import os
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import BinaryIO, Self, cast

from repository.aip import summarize_version
from repository.errors import (
    InvalidInputError,
    InventoryError,
    NotFoundError,
    RepositoryError,
    SourceReadError,
)
from repository.model import VersionSummary
from repository.ocfl.inventory import INVENTORY_FILE, Inventory, VersionNumber
from repository.ocfl.object import StoredInventory, open_content, read_inventory, read_version_inventory
from repository.ocfl.storage_root import StorageRoot
from repository.ocfl.validate_paths import CONTENT, path_problems
from repository.stop import StopToken
from storage_tiers.port import VersionRef
from storage_tiers.reading import CheckedStream, read_error


class DiskVersion:
    """An `OpenedVersion` that lies in an OCFL storage root. No file is open but those that are being read."""

    def __init__(self, object_root: Path, object_path: str, stored: StoredInventory) -> None:
        self._object_root, self._object_path, self._stored = object_root, object_path, stored

    @cached_property
    def summary(self) -> VersionSummary:
        """What is to be known of it without its payload; raises SourceReadError."""
        try:
            return summarize_version(self._object_root, self._object_path, self._stored)
        except OSError as error:
            raise SourceReadError(read_error(error, error.filename or self._object_root)) from error
        except RepositoryError as error:
            raise SourceReadError(error) from error

    @property
    def inventory(self) -> Inventory:
        """The version's own."""
        return self._stored.inventory

    @property
    def inventory_bytes(self) -> bytes:
        """As it is stored; it agrees with its sidecar."""
        return self._stored.data

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Content path -> bytes, as the inventory says where it does, else as the file system has it."""
        stated = self.inventory.sizes()
        return {
            path: stated[path] if path in stated else _size(self._object_root / path)
            for path in self.inventory.added_content()
        }

    def contents(self, *, stop: StopToken) -> Iterator[tuple[str, BinaryIO]]:
        """Every file that the version added; a file is opened when its stream is first read."""
        for path, digest in self.inventory.added_content().items():
            stop.check()
            stream = CheckedStream(
                partial(open_content, self._object_root, path),
                algorithm=self.inventory.digest_algorithm,
                digest=digest,
                size_bytes=self.sizes[path],
                where=str(self._object_root / path),
            )
            yield path, cast("BinaryIO", stream)

    def open(self, content_path: str, *, offset: int = 0, length: int | None = None) -> BinaryIO:
        """One file of this version, or a part of it; raises SourceReadError."""
        where = self._object_root / content_path
        if content_path not in self.sizes:
            raise SourceReadError(NotFoundError("This version has no such file", where=where))
        try:
            file = open_content(self._object_root, content_path)
        except OSError as error:
            raise SourceReadError(read_error(error, where)) from error
        return cast("BinaryIO", _FileRange(file, offset=offset, length=length, where=where))

    def __enter__(self) -> Self:
        """Opened already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""


class _FileRange(io.RawIOBase):
    """A part of a file; it ends where the file does."""

    def __init__(self, file: BinaryIO, *, offset: int, length: int | None, where: Path) -> None:
        super().__init__()
        self._file, self._where = file, where
        self._position, self._left = offset, length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        view = memoryview(buffer)[: self._left]
        try:
            size = os.preadv(self._file.fileno(), [view], self._position)
        except OSError as error:
            raise SourceReadError(read_error(error, self._where)) from error
        self._position += size
        if self._left is not None:
            self._left -= size
        return size

    def close(self) -> None:
        self._file.close()
        super().close()


def object_folder(root: StorageRoot, object_path: str) -> Path:
    """The folder of an object, whose path came from elsewhere.

    Raises:
        InvalidInputError: the path would lead out of the storage root, or to what is not an object.
    """
    if path_problems(object_path, CONTENT) or object_path.startswith("extensions/"):
        raise InvalidInputError(
            "This is not the path of an object",
            where=repr(object_path),
            next_step="give the path as the tier lists it",
        )
    return root.object_root(object_path)


def versions_in_force(object_root: Path) -> list[VersionNumber]:
    """The versions of an object that are there for readers, in order.

    The object's sidecar, which is replaced last, decides: a version folder beyond the one that it belongs to is being
    put into place, and is not there yet. Where nothing says what the head is, all folders count: what is damaged must
    be seen.

    Raises:
        NotFoundError: there is no object.
        OSError, TierError: it could not be read.
    """
    numbers, sidecars = _listed(object_root)
    for there in (numbers, numbers[:-1]):
        if there and any(_is_head(object_root, there[-1], name) for name in sidecars):
            return there
    try:
        head = read_inventory(object_root).inventory.head
    except InventoryError:
        return numbers
    return [number for number in numbers if number <= head]


def version_folders(object_root: Path) -> list[VersionNumber]:
    """All version folders of an object, in order, whether in force or not. Raises as `versions_in_force`."""
    return _listed(object_root)[0]


def find_version(object_root: Path, number: int) -> VersionNumber:
    """How a version that is in force is called here.

    Raises:
        NotFoundError: it is not there.
        OSError, TierError: it could not be read.
    """
    for found in versions_in_force(object_root):
        if found.number == number:
            return found
    raise NotFoundError("There is no such version here", where=f"{object_root} v{number}")


def read_stored(object_root: Path, number: VersionNumber) -> StoredInventory:
    """The inventory in a version's folder, which agrees with its sidecar.

    Raises:
        InventoryError: it does not, or it is not there.
        OSError: it could not be read.
    """
    stored = read_version_inventory(object_root, number)
    if stored is None:
        raise InventoryError(
            "The inventory of a version is not what was written",
            where=object_root / str(number) / INVENTORY_FILE,
            next_step="run `jindang ocfl validate` on the object, and restore the version from another copy",
        )
    return stored


def versions_after(root: StorageRoot, after: VersionRef | None) -> Iterator[VersionRef]:
    """Every version in the storage root, in order.

    Raises:
        OSError, TierError: a folder cannot be read.
    """
    if after is not None and after.object_path:
        yield from (ref for ref in _versions_of(root, after.object_path) if ref > after)
    for object_path in root.object_paths(after=after.object_path if after else ""):
        yield from _versions_of(root, object_path)


def _versions_of(root: StorageRoot, object_path: str) -> Iterator[VersionRef]:
    try:
        numbers = versions_in_force(root.object_root(object_path))
    except NotFoundError:  # removed while it was listed, or what was listed before is gone
        return
    yield from (VersionRef(object_path, number.number) for number in numbers)


def _listed(object_root: Path) -> tuple[list[VersionNumber], list[str]]:
    """Version folders in order, and the names of the sidecars in the object's own folder."""
    try:
        with os.scandir(object_root) as entries:
            listed = list(entries)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError("There is no object here", where=object_root) from None
    numbers = [VersionNumber.parse_or_none(e.name) for e in listed if e.is_dir(follow_symlinks=False)]
    sidecars = [entry.name for entry in listed if entry.name.startswith(f"{INVENTORY_FILE}.")]
    return sorted(number for number in numbers if number is not None), sidecars


def _is_head(object_root: Path, number: VersionNumber, sidecar: str) -> bool:
    """Whether the object's sidecar is this version's: then its inventory is, or is damaged."""
    try:
        return (object_root / sidecar).read_bytes() == (object_root / str(number) / sidecar).read_bytes()
    except FileNotFoundError:
        return False


def _size(path: Path) -> int:
    """Bytes of a file; 0 when it cannot be told, and then its stream says why."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0
