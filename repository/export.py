"""Handing out an object's version: as a folder or as a BagIt bag, every file hashed while it is written."""

import errno
import os
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from repository.aip import PAYLOAD
from repository.durable import FileSystemSync, remove_tree, rename_new, tier_errors
from repository.errors import IntegrityError, InvalidInputError
from repository.hashing import CHUNK_BYTES, MultiHasher, copy_and_hash
from repository.model import ObjectRecord
from repository.ocfl.inventory import Inventory, VersionNumber
from repository.ocfl.object import open_content
from repository.stop import StopToken

_NOT_A_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)
_BAG_DECLARATION = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


class ExportForm(StrEnum):
    """What to make."""

    FOLDER = "folder"
    BAGIT = "bagit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written; every digest agreed with the inventory."""

    destination: Path
    version: int
    files: int
    size_bytes: int


def export_version(
    object_root: Path,
    inventory: Inventory,
    record: ObjectRecord,
    *,
    number: VersionNumber,
    destination: Path,
    form: ExportForm,
    bagged: datetime,
    stop: StopToken,
) -> Exported:
    """Write one version of an object to a new folder: `data/`, `metadata/` and `submission/`.

    The folder appears under its name only when it is complete, verified and durable. A bag has its manifests besides.

    Args:
        object_root: where the object lies.
        inventory: trusted; its digests decide.
        record: what the catalogue knows of the object, for bag-info.txt.
        number: the version.
        destination: must not exist.
        form: folder or bag.
        bagged: date for bag-info.txt.
        stop: polled once a chunk.

    Raises:
        InvalidInputError: the destination exists, or its parent does not.
        IntegrityError: a stored file is not what it was; nothing is left at the destination.
        TierError: source or destination cannot be used.
        OperationCancelledError: stop was set; nothing is left at the destination.
    """
    if os.path.lexists(destination):
        raise _exists(destination)
    if not destination.absolute().parent.is_dir():
        raise InvalidInputError(
            "The folder of the destination does not exist",
            where=destination.absolute().parent,
            next_step="make it first",
        )
    partial = destination.absolute().parent / f".jindang-export-{uuid.uuid4().hex}"
    with tier_errors(destination):
        try:
            partial.mkdir()
            with FileSystemSync(partial) as sync:
                copied = _copy(object_root, inventory, number, partial, stop=stop)
                if form is ExportForm.BAGIT:
                    _write_tag_files(partial, inventory, number, record, size_bytes=copied, bagged=bagged)
                sync.sync()
            rename_new(partial, destination.absolute())
        except FileExistsError as error:
            remove_tree(partial)
            raise _exists(destination) from error
        except BaseException:
            remove_tree(partial)
            raise
    files = sum(path.startswith(PAYLOAD) for path in inventory.state(number))
    return Exported(destination=destination, version=number.number, files=files, size_bytes=copied)


def _exists(destination: Path) -> InvalidInputError:
    return InvalidInputError("The destination exists already", where=destination, next_step="name a new folder")


def _copy(object_root: Path, inventory: Inventory, number: VersionNumber, target: Path, *, stop: StopToken) -> int:
    """Write the version's files; returns the bytes of the payload."""
    payload_bytes = 0
    buffer = bytearray(CHUNK_BYTES)
    for logical_path, digest in inventory.state(number).items():
        content_path = inventory.content_path(digest)
        hasher = MultiHasher([inventory.digest_algorithm])
        file_path = target / logical_path
        file_path.parent.mkdir(parents=True, exist_ok=True)
        with (
            _open_stored(object_root, content_path) as source,
            file_path.open("xb", buffering=0) as file,
            tier_errors(object_root / content_path),  # a failed read does not say where; _whole_write does
        ):
            copy_and_hash(source, _whole_write(file.fileno(), file_path), hasher, stop=stop, buffer=buffer)
        found = hasher.digests()[inventory.digest_algorithm]
        if found != digest:
            raise IntegrityError(
                "A stored file is not what it was",
                where=object_root / content_path,
                why=f"its {inventory.digest_algorithm} is {found}, the inventory says {digest}",
                next_step="restore the object from another copy; the export was given up",
            )
        if logical_path.startswith(PAYLOAD):
            payload_bytes += hasher.size_bytes
    return payload_bytes


def _open_stored(object_root: Path, content_path: str) -> BinaryIO:
    try:
        return open_content(object_root, content_path)
    except OSError as error:
        if error.errno not in _NOT_A_FILE:
            raise
        raise IntegrityError(
            "A stored file is missing, or something else is in its place",
            where=object_root / content_path,
            why=error.strerror,
            next_step="restore the object from another copy; the export was given up",
        ) from error


def _whole_write(fd: int, path: Path) -> Callable[[memoryview], None]:
    def write(chunk: memoryview) -> None:
        with tier_errors(path):
            while len(chunk):
                chunk = chunk[os.write(fd, chunk) :]

    return write


def _write_tag_files(
    bag: Path, inventory: Inventory, number: VersionNumber, record: ObjectRecord, *, size_bytes: int, bagged: datetime
) -> None:
    """bagit.txt, bag-info.txt and the manifests (RFC 8493 section 2)."""
    state, algorithm = inventory.state(number), inventory.digest_algorithm
    payload = {path: digest for path, digest in state.items() if path.startswith(PAYLOAD)}
    (bag / "data").mkdir(exist_ok=True)
    info = {
        "External-Identifier": record.id.uri,
        "External-Description": record.metadata.title,
        "Bagging-Date": bagged.date().isoformat(),
        "Payload-Oxum": f"{size_bytes}.{len(payload)}",
    }
    tag_files = {
        "bagit.txt": _BAG_DECLARATION,
        "bag-info.txt": "".join(f"{key}: {value}\n" for key, value in info.items() if value),
        f"manifest-{algorithm}.txt": _manifest(payload.items()),
    }
    tags = {path: digest for path, digest in state.items() if path not in payload}
    for name, text in tag_files.items():
        data = text.encode()
        (bag / name).write_bytes(data)
        hasher = MultiHasher([algorithm])
        hasher.update(data)
        tags[name] = hasher.digests()[algorithm]
    (bag / f"tagmanifest-{algorithm}.txt").write_text(_manifest(sorted(tags.items())), encoding="utf-8")


def _manifest(lines: Iterable[tuple[str, str]]) -> str:
    """Percent, CR and LF in a path are written %25, %0D and %0A (RFC 8493 section 2.1.3)."""
    escape = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
    return "".join(f"{digest}  {path.translate(escape)}\n" for path, digest in lines)
