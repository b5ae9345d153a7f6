"""Writing a version to a disk tier, and taking one away; in the order of docs/design.md.

1. everything is complete in staging, every byte compared with its digest while it was written; sync
2. a new object: its folder is renamed into place; sync
   a further version: its folder is renamed into the object; sync; root inventory and sidecar are renamed; sync

Whatever moment a process is killed at, what is in place is whole, and `put_version` of the same finishes it. What
changes an object that is there already is done by one process at a time on a tier (`recovery_turn`).
"""

import contextlib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from repository.aip import json_bytes
from repository.clock import Clock, rfc3339
from repository.durable import (
    FileSystemSync,
    forget_cached,
    free_bytes,
    remove_tree,
    rename_new,
    tier_error,
    tier_errors,
    write_durable_file,
    write_new_file,
)
from repository.errors import (
    CopyConflictError,
    DigestMismatchError,
    IntegrityError,
    NotFoundError,
    SourceReadError,
    TierFullError,
)
from repository.hashing import CHUNK_BYTES, MultiHasher, copy_and_hash
from repository.ocfl.inventory import INVENTORY_FILE, Inventory, VersionNumber, sidecar_bytes, sidecar_name
from repository.ocfl.object import StoredInventory, read_inventory, read_version_inventory
from repository.ocfl.staging import StagingSession, recovery_turn, remove_abandoned
from repository.ocfl.storage_root import OBJECT_DECLARATION, SPEC_VERSION, StorageRoot
from repository.overlapped import WriteError, copy_overlapped
from repository.stop import StopToken
from storage_tiers.disk.reading import object_folder, read_stored, version_folders, versions_in_force
from storage_tiers.port import OpenedVersion, PutStatus, VersionRef

LARGE_FILE_BYTES = 8 << 20
QUARANTINE_FOLDER = "extensions/jindang-quarantine"
DECLARATION_BYTES = f"ocfl_object_{SPEC_VERSION}\n".encode()
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class _Incoming:
    """What is to be put: where it belongs, and what it must come to."""

    object_path: str
    object_root: Path
    inventory: Inventory
    data: bytes
    digest: str

    @property
    def number(self) -> VersionNumber:
        return self.inventory.head

    @property
    def where(self) -> str:
        return f"{self.object_root} {self.number}"


def put_version(root: StorageRoot, source: OpenedVersion, *, stop: StopToken) -> PutStatus:
    """Store a version in a storage root; the promises are those of `StorageTier.put_version`.

    Memory: one chunk, for large files two of 4 MiB.
    """
    incoming = _incoming(root, source)
    with tier_errors(root.path):
        remove_abandoned(root.path)
        is_there = _is_there(incoming)
        if not is_there:
            _require_space(root, source, incoming)
        with StagingSession(root.path) as session, FileSystemSync(root.path) as sync:
            if is_there:
                return _finish(root, incoming, session.new_folder(), sync)
            staged = session.new_folder()
            _stage(staged, incoming, source, stop=stop)
            sync.sync()
            forget_cached(staged)
            stop.check()
            if incoming.number.number == 1 and _place_object(root, staged, incoming):
                sync.sync()
                return PutStatus.STORED
            return _place_version(root, staged, incoming, session, sync)


def _incoming(root: StorageRoot, source: OpenedVersion) -> _Incoming:
    inventory, data, record = source.inventory, source.inventory_bytes, source.summary.record
    digest = hashlib.new(inventory.digest_algorithm, data).hexdigest()
    object_path = source.summary.object_path
    if digest != record.inventory_digest:
        raise SourceReadError(
            DigestMismatchError(
                "The inventory of a version is not what was announced",
                where=f"{object_path} {inventory.head}",
                expected=record.inventory_digest,
                observed=digest,
            )
        )
    return _Incoming(
        object_path=object_path,
        object_root=object_folder(root, object_path),
        inventory=inventory,
        data=data,
        digest=digest,
    )


# what is there


def _is_there(incoming: _Incoming) -> bool:
    """Whether this very version lies in its place already, and if not, whether it may be put there.

    Raises:
        CopyConflictError: something else lies there.
        NotFoundError: the version before it is not there.
        IntegrityError: the version before it is damaged.
    """
    if not os.path.lexists(incoming.object_root / str(incoming.number)):
        _require_place(incoming)
        return False
    stored = read_version_inventory(incoming.object_root, incoming.number)
    if stored is None or stored.digest != incoming.digest:
        raise CopyConflictError(
            "Something else lies where this version belongs",
            where=incoming.where,
            why="its inventory cannot be trusted"
            if stored is None
            else f"its inventory has the digest {stored.digest}",
            next_step="nothing was overwritten; compare the two, and move the wrong one to quarantine",
        )
    return True


def _require_place(incoming: _Incoming) -> None:
    """Refuse a version that does not follow the one before it, or does not lead to those after it."""
    number = incoming.number.number
    if number == 1 and not os.path.lexists(incoming.object_root):
        return
    try:
        there = versions_in_force(incoming.object_root)
    except NotFoundError:
        there = []
    before = [each for each in there if each.number == number - 1]
    if number > 1 and not before:
        raise NotFoundError(
            "The version before this one is not on the tier",
            where=incoming.where,
            why=f"v{number - 1} is missing",
            next_step="versions are copied in their order: copy that one first",
        )
    neighbours = {*before, *there[-1:]}  # none: the folder is no object at all
    inventories = [read_stored(incoming.object_root, each).inventory for each in neighbours]
    if not inventories or not all(_same_history(incoming.inventory, each) for each in inventories):
        raise CopyConflictError(
            "Another object lies where this version belongs",
            where=incoming.where,
            why="the two do not tell the same history",
            next_step="nothing was changed; compare the two, and move the wrong one to quarantine",
        )


def _same_history(one: Inventory, other: Inventory) -> bool:
    """Whether two inventories are of one object: what the older one tells, the newer one tells too."""
    older, newer = sorted((one, other), key=lambda inventory: inventory.head)
    if older.id != newer.id or older.head.width != newer.head.width:
        return False
    pairs = [(older.digests_by_content_path(), newer.digests_by_content_path())]
    pairs += [(older.state(number), newer.state(number)) for number in older.versions]
    if older.digest_algorithm != newer.digest_algorithm:  # OCFL allows it; the names then say what the digests cannot
        return all(before.keys() <= after.keys() for before, after in pairs)
    return all(before.items() <= after.items() for before, after in pairs)


def _require_space(root: StorageRoot, source: OpenedVersion, incoming: _Incoming) -> None:
    needed, free = sum(source.sizes.values()), free_bytes(root.path)
    if needed > free:
        raise TierFullError(
            "There is not enough space for this version",
            where=incoming.where,
            why=f"it needs {needed:,} bytes, {free:,} are free",
            next_step="add space, then run the same command again: what is finished is not done twice",
        )


# staging


def _stage(folder: Path, incoming: _Incoming, source: OpenedVersion, *, stop: StopToken) -> None:
    """Write the whole version below `folder`; durable after the next sync."""
    wanted, buffer = set(incoming.inventory.added_content()), bytearray(CHUNK_BYTES)
    version_folder = folder / str(incoming.number)
    version_folder.mkdir(parents=True)
    for path, stream in source.contents(stop=stop):
        with contextlib.closing(stream):
            if path not in wanted:
                raise _wrong_files(incoming, f"{path!r} came twice, or does not belong to it")
            wanted.remove(path)
            is_large = source.sizes[path] >= LARGE_FILE_BYTES
            _write_file(folder / path, stream, buffer=None if is_large else buffer, stop=stop)
    if wanted:
        raise _wrong_files(incoming, f"{min(wanted)!r} did not come")
    algorithm = incoming.inventory.digest_algorithm
    for place in (version_folder, folder) if incoming.number.number == 1 else (version_folder,):
        write_new_file(place / INVENTORY_FILE, incoming.data)
        write_new_file(place / sidecar_name(algorithm), sidecar_bytes(incoming.data, algorithm))
    if incoming.number.number == 1:
        write_new_file(folder / OBJECT_DECLARATION, DECLARATION_BYTES)


def _write_file(target: Path, stream: BinaryIO, *, buffer: bytearray | None, stop: StopToken) -> None:
    """One file; without a buffer it is a large one, and is written past the page cache."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(target, _CREATE, 0o444)
    nothing = MultiHasher(())  # the stream compares what it gives with the inventory

    def write(chunk: memoryview) -> None:
        while len(chunk):
            chunk = chunk[os.write(fd, chunk) :]

    try:
        if buffer is None:
            copy_overlapped(stream, fd, nothing, stop=stop, on_read=lambda _: None)
        else:
            copy_and_hash(stream, write, nothing, stop=stop, buffer=buffer)
    except WriteError as error:
        raise tier_error(cast("OSError", error.__cause__), target) from error
    finally:
        os.close(fd)


def _wrong_files(incoming: _Incoming, why: str) -> SourceReadError:
    return SourceReadError(
        IntegrityError(
            "The source gave other files than the version has",
            where=incoming.where,
            why=why,
            next_step="copy from another tier, and check this source with `jindang tier validate`",
        )
    )


# placing


def _place_object(root: StorageRoot, staged: Path, incoming: _Incoming) -> bool:
    """A whole new object by one rename; False when there is an object already."""
    try:
        root.place_object(staged, incoming.object_path)
    except FileExistsError:
        return False
    except OSError:
        root.remove_empty_parents(incoming.object_path)
        raise
    return True


def _place_version(
    root: StorageRoot, staged: Path, incoming: _Incoming, session: StagingSession, sync: FileSystemSync
) -> PutStatus:
    """A version into an object that is there, when nobody else is at it."""
    with recovery_turn(root.path):
        is_there = _is_there(incoming)
        if not is_there:
            root.place_version(staged, incoming.object_path, incoming.number)
            sync.sync()
            if version_folders(incoming.object_root)[-1] == incoming.number:
                scratch = session.new_folder()
                root.complete_version(incoming.object_path, scratch, sync, interrupted=incoming.number.number)
    if is_there:
        return _finish(root, incoming, session.new_folder(), sync)
    return PutStatus.STORED


def _finish(root: StorageRoot, incoming: _Incoming, scratch: Path, sync: FileSystemSync) -> PutStatus:
    """Make a version that lies in its place the one in force, and durable: whoever put it there may be dead."""
    completed = False
    with recovery_turn(root.path):  # also where nothing is to do: it removes the lock of whoever died holding it
        stored = read_inventory(incoming.object_root)
        if not stored.in_order or stored.inventory.head < incoming.number:
            with contextlib.suppress(IntegrityError):  # damage is for `verify_version` to tell
                completed = root.complete_version(incoming.object_path, scratch, sync)
    sync.sync()
    return PutStatus.STORED if completed else PutStatus.ALREADY_PRESENT


# taking away


def quarantine_version(root: StorageRoot, ref: VersionRef, *, note: Mapping[str, object], clock: Clock) -> str:
    """Move a version out of its object, with a note beside it.

    Only the newest version can be taken away and leave an object. Any other, and the only one, is moved together with
    the whole object; the note says so, and which versions went with it.

    Returns: where it lies now, below the storage root.

    Raises:
        NotFoundError: it is not there.
        TierError: the tier could not be written.
    """
    object_root = object_folder(root, ref.object_path)
    with (
        tier_errors(root.path),
        StagingSession(root.path) as session,
        FileSystemSync(root.path) as sync,
        recovery_turn(root.path),
    ):
        folders = version_folders(object_root)
        number = next((each for each in folders if each.number == ref.number), None)
        if number is None:
            raise NotFoundError("There is no such version here", where=f"{object_root} v{ref.number}")
        before = None
        if number == folders[-1] and len(folders) > 1:
            before = read_version_inventory(object_root, folders[-2])
        document = {
            "object_path": ref.object_path,
            "version": str(number),
            "moved": [str(number)] if before else [str(each) for each in folders],
            "whole_object": before is None,
            "moved_at": rfc3339(clock.now()),
            "note": dict(note),
        }
        place = _new_quarantine(root, clock)
        write_durable_file(place / "note.json", json_bytes(document), mode=0o444)
        moved = place / ("object" if before is None else str(number))
        if before is None:
            rename_new(object_root, moved)
            root.remove_empty_parents(ref.object_path)
        else:
            _keep_root_files(object_root, place)
            rename_new(object_root / str(number), moved)
            sync.sync()
            _make_head(root, ref.object_path, before, session.new_folder())
        sync.sync()
    return moved.relative_to(root.path).as_posix()


def _keep_root_files(object_root: Path, place: Path) -> None:
    """Root inventory and sidecar are about to be replaced, and may be what is bad: keep them as a second name."""
    for name in (entry.name for entry in object_root.iterdir() if entry.name.startswith(INVENTORY_FILE)):
        with contextlib.suppress(OSError):  # a file system without hard links: the version's own folder has the same
            (place / name).hardlink_to(object_root / name)


def _make_head(root: StorageRoot, object_path: str, stored: StoredInventory, scratch: Path) -> None:
    """Let an earlier version be the head again. The caller syncs."""
    algorithm = stored.inventory.digest_algorithm
    scratch.mkdir()
    write_new_file(scratch / INVENTORY_FILE, stored.data)
    write_new_file(scratch / sidecar_name(algorithm), sidecar_bytes(stored.data, algorithm))
    with FileSystemSync(scratch) as sync:
        sync.sync()
    root.replace_head(scratch, object_path, algorithm)


def _new_quarantine(root: StorageRoot, clock: Clock) -> Path:
    """A new folder for one thing that is taken away; its name begins with the time, so that the folder is in order."""
    area = root.path / QUARANTINE_FOLDER
    area.mkdir(parents=True, exist_ok=True)
    time, number = clock.now().strftime("%Y%m%dT%H%M%SZ"), 1
    while True:
        with contextlib.suppress(FileExistsError):
            place = area / f"{time}-{number}"
            place.mkdir()
            return place
        number += 1


def remove_trial_version(root: StorageRoot, ref: VersionRef) -> None:
    """Remove one version of what the caller knows to be a trial object; with the last one the object goes too."""
    object_root = object_folder(root, ref.object_path)
    with tier_errors(root.path), recovery_turn(root.path):
        remove_tree(object_root / f"v{ref.number}")
        with contextlib.suppress(NotFoundError):
            if not version_folders(object_root):
                remove_tree(object_root)
        if not object_root.exists():
            root.remove_empty_parents(ref.object_path)
