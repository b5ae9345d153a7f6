"""Reading one OCFL object from a storage root: its inventory, and its files.

A reader may meet a writer. The root inventory and its sidecar are two files, so for a moment they may belong to two
versions; a version's own folder never changes once it is there, and decides (docs/design.md, "What a reader sees").
"""

import errno
import hashlib
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from repository.durable import tier_errors
from repository.errors import InventoryError, NotFoundError
from repository.ocfl.inventory import (
    INVENTORY_FILE,
    Inventory,
    VersionNumber,
    parse_inventory,
    read_sidecar,
    sidecar_name,
)

MAX_INVENTORY_BYTES = 1 << 30
_INSIDE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInventory:
    """An inventory that was read from storage and found to be what was written.

    `in_order` is False when a version was being put into place: the content is whole, but the object's root does not
    say so yet. `root_problem` says why the root inventory could not be used at all, and a version's own stands in.
    """

    inventory: Inventory
    data: bytes
    digest: str
    in_order: bool
    root_problem: InventoryError | None = None


def read_inventory(object_root: Path) -> StoredInventory:
    """The inventory that is in force; where the root inventory cannot be trusted, the newest version's own.

    Raises:
        NotFoundError: there is no object here.
        InventoryError: neither the root inventory nor the versions' own give a trustworthy one.
        TierError: the storage could not be read.
    """
    with tier_errors(object_root):
        try:
            return _read_root_inventory(object_root)
        except InventoryError as problem:
            newest = _newest_version(object_root)
            if newest is None:
                raise
            return replace(newest, in_order=False, root_problem=problem)


def _read_root_inventory(object_root: Path) -> StoredInventory:
    data = _read(object_root / INVENTORY_FILE)
    if data is None:
        if not object_root.is_dir():
            raise NotFoundError("There is no object here", where=object_root)
        raise InventoryError("The object has no inventory", where=object_root, next_step=_NEXT_STEP)
    inventory = parse_inventory(data, where=str(object_root / INVENTORY_FILE))
    digest = hashlib.new(inventory.digest_algorithm, data).hexdigest()
    sidecar = _read(object_root / sidecar_name(inventory.digest_algorithm))
    if sidecar is not None and _states(sidecar, digest):
        return StoredInventory(inventory=inventory, data=data, digest=digest, in_order=True)
    version = read_version_inventory(object_root, inventory.head)
    if version is None or version.digest != digest:
        raise InventoryError(
            "The inventory is not what was written",
            where=object_root / INVENTORY_FILE,
            why="it does not agree with its sidecar",
            next_step=_NEXT_STEP,
        )
    return StoredInventory(inventory=inventory, data=data, digest=digest, in_order=False)


def _newest_version(object_root: Path) -> StoredInventory | None:
    """The newest version's own inventory; no older one stands in for it, that would hide what was acknowledged."""
    numbers = [VersionNumber.parse_or_none(entry.name) for entry in object_root.iterdir()]
    newest = max((number for number in numbers if number is not None), default=None)
    return None if newest is None else read_version_inventory(object_root, newest)


def read_version_inventory(object_root: Path, number: VersionNumber) -> StoredInventory | None:
    """The inventory in a version's own folder; None when there is none, or it does not agree with its sidecar.

    Raises:
        OSError: the storage could not be read.
    """
    folder = object_root / str(number)
    data = _read(folder / INVENTORY_FILE)
    if data is None:
        return None
    try:
        inventory = parse_inventory(data, where=str(folder / INVENTORY_FILE))
    except InventoryError:
        return None
    digest = hashlib.new(inventory.digest_algorithm, data).hexdigest()
    sidecar = _read(folder / sidecar_name(inventory.digest_algorithm))
    if inventory.head != number or sidecar is None or not _states(sidecar, digest):
        return None
    return StoredInventory(inventory=inventory, data=data, digest=digest, in_order=True)


def open_content(object_root: Path, content_path: str) -> BinaryIO:
    """One content file, for reading; never through a symbolic link, also not of a folder on the way to it.

    Raises:
        OSError: it is not there, is not a file, or cannot be read.
    """
    *folders, name = content_path.split("/")
    folder_fd = os.open(object_root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            above, folder_fd = folder_fd, os.open(folder, _INSIDE | os.O_DIRECTORY, dir_fd=folder_fd)
            os.close(above)
        fd = os.open(name, _INSIDE | os.O_NONBLOCK, dir_fd=folder_fd)  # a pipe under this name must not hold us up
    finally:
        os.close(folder_fd)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "this is not a file", str(object_root / content_path))
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    return os.fdopen(fd, "rb", buffering=0)


_NEXT_STEP = "run `jindang ocfl validate` on the object, and restore it from another copy"


def _states(sidecar: bytes, digest: str) -> bool:
    try:
        return read_sidecar(sidecar) == digest
    except InventoryError:
        return False


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_INVENTORY_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(data) > MAX_INVENTORY_BYTES:
        raise InventoryError("The inventory is larger than 1 GiB", where=path, next_step=_NEXT_STEP)
    return data
