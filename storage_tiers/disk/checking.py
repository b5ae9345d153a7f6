"""The check of one version's copy on a disk tier. What is found is told apart: gone, refused, missing, another."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from repository.durable import forget_cached
from repository.errors import NotFoundError, RepositoryError
from repository.ocfl.inventory import INVENTORY_FILE, VersionNumber, sidecar_bytes, sidecar_name
from repository.ocfl.object import StoredInventory, read_inventory, read_version_inventory
from repository.ocfl.storage_root import OBJECT_DECLARATION, StorageRoot
from repository.stop import StopToken
from storage_tiers.disk.reading import DiskVersion, find_version, object_folder
from storage_tiers.disk.writing import DECLARATION_BYTES
from storage_tiers.fixity_outcome import Depth, FixityFinding, FixityOutcome, FixityState
from storage_tiers.port import ExpectedVersion
from storage_tiers.reading import finding, identity_findings, read_error, read_in_full

_PUTTING_S = 0.2
"""What another process may need between two renames; a root inventory that is not in order is looked at again."""


def check_copy(root: StorageRoot, expected: ExpectedVersion, *, depth: Depth, stop: StopToken) -> FixityOutcome:
    """Compare a copy with what is expected; the tier is there.

    Raises:
        OperationCancelledError: stop was set.
    """
    object_path = expected.ref.object_path
    try:
        object_root = object_folder(root, object_path)
        number = find_version(object_root, expected.ref.number)
        if depth is not Depth.PRESENCE:
            forget_cached(object_root / str(number))
        stored = read_version_inventory(object_root, number)
        if stored is None:
            return FixityOutcome(findings=(_bad_inventory(object_root, number),))
        opened = DiskVersion(object_root, object_path, stored)
        if depth is Depth.PRESENCE:
            outcome = _presence(object_root, opened, expected)
        else:
            outcome = read_in_full(opened, expected, stop=stop)
            forget_cached(object_root / str(number))
        more = [*_strangers(object_root, stored), *_root_findings(object_root, stored, stop=stop)]
    except OSError as error:
        return _told(read_error(error, error.filename or root.path / object_path))
    except RepositoryError as error:
        if isinstance(error.__cause__, OSError):
            return _told(read_error(error.__cause__, error.where))
        return _told(error)
    return FixityOutcome(findings=(*outcome.findings, *more), files=outcome.files, read_bytes=outcome.read_bytes)


def _told(error: RepositoryError) -> FixityOutcome:
    return FixityOutcome(findings=(finding(error, None),))


def _bad_inventory(object_root: Path, number: VersionNumber) -> FixityFinding:
    path = f"{number}/{INVENTORY_FILE}"
    if not (object_root / path).is_file():
        return FixityFinding(state=FixityState.MISSING, path=path, detail="The version has no inventory")
    return FixityFinding(
        state=FixityState.MISMATCH, path=path, detail="The inventory does not agree with its sidecar, or is not one"
    )


def _presence(object_root: Path, opened: DiskVersion, expected: ExpectedVersion) -> FixityOutcome:
    """Names and sizes."""
    findings = identity_findings(opened, expected)
    stated = opened.inventory.sizes()
    for path in opened.inventory.added_content():
        try:
            status = (object_root / path).lstat()
        except OSError as error:
            findings.append(finding(read_error(error, object_root / path), path))
            continue
        if stat.S_ISREG(status.st_mode) and status.st_size != stated.get(path, status.st_size):
            findings.append(
                FixityFinding(
                    state=FixityState.MISMATCH,
                    path=path,
                    expected=f"{stated[path]:,} bytes",
                    observed=f"{status.st_size:,} bytes",
                    detail="A stored file has another size",
                )
            )
    return FixityOutcome(findings=tuple(findings), files=len(opened.sizes), read_bytes=len(opened.inventory_bytes))


def _strangers(object_root: Path, stored: StoredInventory) -> Iterator[FixityFinding]:
    """What lies in the version's folder and is not in its inventory: files, links, devices."""
    number, algorithm = stored.inventory.head, stored.inventory.digest_algorithm
    known = {*stored.inventory.added_content(), f"{number}/{INVENTORY_FILE}", f"{number}/{sidecar_name(algorithm)}"}
    for path, is_file in _entries(object_root, str(number)):
        if not is_file or path not in known:
            yield FixityFinding(
                state=FixityState.MISMATCH,
                path=path.encode("utf-8", "backslashreplace").decode(),
                expected="a file" if path in known else "nothing",
                observed="a file" if is_file else "a link or a special file",
                detail="The version's folder has something in it that its inventory does not know",
            )


def _entries(object_root: Path, folder: str) -> Iterator[tuple[str, bool]]:
    """Everything below a folder but folders: path below the object, and whether it is a regular file."""
    with os.scandir(object_root / folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        path = f"{folder}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(object_root, path)
        else:
            yield path, entry.is_file(follow_symlinks=False)


def _root_findings(object_root: Path, stored: StoredInventory, *, stop: StopToken) -> list[FixityFinding]:
    """What is wrong with the object's own files, when this version is its head; nothing otherwise."""
    findings = _compare_root(object_root, stored)
    if findings:
        stop.wait(_PUTTING_S)
        findings = _compare_root(object_root, stored)
    return findings


def _compare_root(object_root: Path, stored: StoredInventory) -> list[FixityFinding]:
    algorithm = stored.inventory.digest_algorithm
    findings = _compare_file(object_root, OBJECT_DECLARATION, DECLARATION_BYTES, algorithm)
    of_root = [
        *_compare_file(object_root, INVENTORY_FILE, stored.data, algorithm),
        *_compare_file(object_root, sidecar_name(algorithm), sidecar_bytes(stored.data, algorithm), algorithm),
    ]
    if of_root and read_inventory(object_root).inventory.head == stored.inventory.head:
        findings += of_root
    return findings


def _compare_file(object_root: Path, name: str, wanted: bytes, algorithm: str) -> list[FixityFinding]:
    """One of the object's own files, which must have these bytes."""
    try:
        with (object_root / name).open("rb") as file:
            found = file.read(len(wanted) + 1)
    except FileNotFoundError:
        error = NotFoundError("A file of the object is missing", where=object_root / name)
        return [finding(error, name)]
    if found == wanted:
        return []
    return [
        FixityFinding(
            state=FixityState.MISMATCH,
            path=name,
            expected=f"{algorithm} {hashlib.new(algorithm, wanted).hexdigest()}",
            observed=f"{algorithm} {hashlib.new(algorithm, found).hexdigest()}",
            detail="A file of the object is not what its newest version says",
        )
    ]
