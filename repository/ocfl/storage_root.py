"""An OCFL storage root on a local file system, and how a version is put into place in it.

Order of writes (docs/design.md): the staged version is made durable first; then renames only, in an order in which
every prefix leaves either the old object or the new one; `complete_version` finishes an interrupted order.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from repository.durable import FileSystemSync, rename_new, tier_errors, write_durable_file, write_new_file
from repository.errors import IntegrityError, NotFoundError, TierIdentityError
from repository.ocfl.inventory import INVENTORY_FILE, VersionNumber, sidecar_bytes, sidecar_name
from repository.ocfl.layout import LAYOUT_FILE, HashAndIdLayout, Layout, config_path, read_layout
from repository.ocfl.object import read_inventory, read_version_inventory

SPEC_VERSION = "1.1"
ROOT_DECLARATION = f"0=ocfl_{SPEC_VERSION}"
OBJECT_DECLARATION = f"0=ocfl_object_{SPEC_VERSION}"
OBJECT_DECLARATION_PREFIX = "0=ocfl_object_"
_PARENT_ATTEMPTS = 10
_UNFINISHED = re.compile(rf"\.({re.escape(LAYOUT_FILE)}|{re.escape(ROOT_DECLARATION)})\.\d+\.new", re.ASCII)
"""What `write_durable_file` was cut off from naming."""


class StorageRoot:
    """A folder that is an OCFL 1.1 storage root; many processes may read and write it at once."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path = path
        self.layout = layout

    @classmethod
    def create(cls, path: Path) -> "StorageRoot":
        """Make an empty folder a storage root, layout 0003; finishes what an interrupted call began.

        The declaration is written last: a folder without one is not a storage root yet. One that has it and no
        object is opened, with the files that a tier keeps beside it.

        Raises:
            TierIdentityError: the folder holds something else.
            TierError: it cannot be written.
        """
        layout = HashAndIdLayout()
        files = {
            config_path(layout.extension): layout.config_bytes(),
            LAYOUT_FILE: layout.layout_bytes(),
            ROOT_DECLARATION: f"ocfl_{SPEC_VERSION}\n".encode(),
        }
        with tier_errors(path):
            path.mkdir(parents=True, exist_ok=True)
            is_declared = (path / ROOT_DECLARATION).is_file()
            known = {name.split("/")[0] for name in files}
            foreign = {
                entry.name
                for entry in path.iterdir()
                if entry.name not in known
                and not _UNFINISHED.fullmatch(entry.name)
                and (entry.is_dir() or not is_declared)
            }
            if foreign:
                raise TierIdentityError(
                    "The folder is not empty and not a storage root",
                    where=path,
                    why=f"it holds {', '.join(sorted(foreign)[:3])}",
                    next_step="name an empty folder in the configuration, or the one that holds the storage root",
                )
            for name, data in files.items():
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileExistsError):
                    write_durable_file(path / name, data, mode=0o444)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> "StorageRoot":
        """A storage root that is there.

        Raises:
            TierIdentityError: there is no storage root, as when a disk is not mounted, or one we cannot write.
        """
        with tier_errors(path):
            if not (path / ROOT_DECLARATION).is_file():
                raise TierIdentityError(
                    "There is no OCFL 1.1 storage root here",
                    where=path,
                    next_step="check that the disk is mounted; `jindang init` makes a new storage root",
                )

            def read_config(extension: str) -> bytes | None:
                file = path / config_path(extension)
                return file.read_bytes() if file.is_file() else None

            return cls(path, read_layout((path / LAYOUT_FILE).read_bytes(), read_config, where=str(path)))

    def object_path(self, object_id: str) -> str:
        """Where the object with this identifier lies, relative to the root."""
        return self.layout.object_path(object_id)

    def object_root(self, object_path: str) -> Path:
        """The folder of an object."""
        return self.path / object_path

    def object_paths(self, *, after: str = "") -> Iterator[str]:
        """The paths of all objects, in the order of their characters. Memory: one folder's names at a level.

        Args:
            after: only those that come after this path; folders that lie before it are not looked into.

        Raises:
            TierError: a folder cannot be read.
        """
        with tier_errors(self.path), os.scandir(self.path) as entries:
            names = [e.name for e in entries if e.is_dir(follow_symlinks=False) and e.name != "extensions"]
        with tier_errors(self.path):
            yield from self._object_paths_below("", names, after)

    def _object_paths_below(self, folder: str, names: list[str], after: str) -> Iterator[str]:
        """The objects among and below the folders `names`; `folder` ends with a slash, or is empty for the root."""
        for name in self._in_order(folder, names):
            path = f"{folder}{name}"
            if after[: len(path)] > path:
                continue
            below = self._folders_below(path)
            if below is not None:
                yield from self._object_paths_below(f"{path}/", below, after)
            elif path > after:
                yield path

    def _in_order(self, folder: str, names: list[str]) -> list[str]:
        """Names in the order of the paths that begin with them: the folder `a/` comes after the object `a-b`."""
        names.sort()
        if not any(following.startswith(name) for name, following in pairwise(names)):
            return names
        return sorted(names, key=lambda n: n if self._folders_below(f"{folder}{n}") is None else f"{n}/")

    def _folders_below(self, path: str) -> list[str] | None:
        """The folders in a folder; None for an object, which has nothing in it that we look for."""
        with os.scandir(self.path / path) as entries:
            listed = list(entries)
        if any(entry.name.startswith(OBJECT_DECLARATION_PREFIX) for entry in listed):
            return None
        return [entry.name for entry in listed if entry.is_dir(follow_symlinks=False)]

    def head(self, object_path: str) -> int:
        """The number of the newest version in force; 0 when there is no object."""
        try:
            return read_inventory(self.object_root(object_path)).inventory.head.number
        except NotFoundError:
            return 0

    def place_object(self, staged: Path, object_path: str) -> None:
        """Put a new object into place: one rename. The staged folder must be durable, and the caller syncs after.

        Raises:
            FileExistsError: there is an object already.
        """
        target = self.object_root(object_path)
        for attempt in range(_PARENT_ATTEMPTS):
            try:
                _make_folder(target.parent)
                rename_new(staged, target)
            except FileNotFoundError:  # somebody who rolls back has just removed the empty parent
                if attempt == _PARENT_ATTEMPTS - 1 or not staged.is_dir():
                    raise
            else:
                return

    def place_version(self, staged: Path, object_path: str, number: VersionNumber) -> None:
        """First step of a new version: its folder into the object. The caller syncs, then calls `replace_head`.

        Raises:
            FileExistsError: the object has that version already.
        """
        rename_new(staged / str(number), self.object_root(object_path) / str(number))

    def replace_head(self, staged: Path, object_path: str, algorithm: str) -> None:
        """Second step of a new version: the root inventory, then its sidecar, each by a rename. The caller syncs."""
        target = self.object_root(object_path)
        for name in (INVENTORY_FILE, sidecar_name(algorithm)):
            (staged / name).rename(target / name)

    def complete_version(
        self, object_path: str, scratch: Path, sync: FileSystemSync, *, interrupted: int | None = None
    ) -> bool:
        """Bring an object that was left between two renames to its newest version; nothing to do is fine.

        Args:
            object_path: an object that nobody is writing to.
            scratch: a folder that does not exist yet, on the same file system.
            sync: of this file system.
            interrupted: the version that an intent says was being put into place; a root inventory that cannot be
                read is then made again from that version's own. Without an intent it is damage, and is left alone.

        Returns: whether there was something to do.

        Raises:
            IntegrityError: a further version folder is there, but it is not one that we made; or the root inventory
                is damaged.
        """
        target = self.object_root(object_path)
        stored = read_inventory(target)
        if stored.root_problem is not None and stored.inventory.head.number != interrupted:
            raise stored.root_problem
        number = stored.inventory.head.next()
        with tier_errors(target):
            newest = stored
            if (target / str(number)).is_dir():
                found = read_version_inventory(target, number)
                if found is None or found.inventory.id != stored.inventory.id:
                    raise IntegrityError(
                        "The object has a version folder that is not complete",
                        where=target / str(number),
                        next_step="run `jindang ocfl validate` on the object, and restore it from another copy",
                    )
                newest = found
            elif stored.in_order:
                return False
            scratch.mkdir()
            algorithm = newest.inventory.digest_algorithm
            write_new_file(scratch / INVENTORY_FILE, newest.data)
            write_new_file(scratch / sidecar_name(algorithm), sidecar_bytes(newest.data, algorithm))
            sync.sync()
            self.replace_head(scratch, object_path, algorithm)
            sync.sync()
        return True

    def remove_empty_parents(self, object_path: str) -> None:
        """Remove the folders that were made for an object which then did not come."""
        folder = self.object_root(object_path).parent
        with contextlib.suppress(OSError):
            while folder != self.path:
                with contextlib.suppress(FileNotFoundError):  # cut off before it was made
                    folder.rmdir()
                folder = folder.parent


def _make_folder(folder: Path) -> None:
    """With its parents. Raises FileNotFoundError when somebody removes one of them just then."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:  # it was there, and when pathlib looked what it is, it was not
        if not os.path.lexists(folder):
            raise FileNotFoundError(folder) from error
        if not folder.is_dir():
            raise
