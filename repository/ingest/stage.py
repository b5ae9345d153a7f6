"""The work on one package: open, check, hash, write into staging, and make the new version's inventory.

It runs in a worker process, knows nothing of the catalogue, and puts nothing into place.
"""

import contextlib
import io
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from repository.aip import (
    CHECK_REPORT_PATH,
    METADATA_PATH,
    PAYLOAD,
    content_sizes,
    describe_object,
    json_bytes,
    metadata_bytes,
    metadata_from_plain,
    version_record,
)
from repository.clock import rfc3339
from repository.durable import free_bytes, remove_tree, tier_errors, write_new_file
from repository.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PackageError,
    TierFullError,
)
from repository.hashing import ALGORITHMS
from repository.ingest.content import ContentWriter
from repository.ingest.request import IngestRequest, IngestRules, Meter
from repository.model import Metadata, ObjectId, ObjectRecord
from repository.ocfl.inventory import (
    INVENTORY_FILE,
    Inventory,
    VersionBlock,
    VersionNumber,
    sidecar_bytes,
    sidecar_name,
)
from repository.ocfl.object import StoredInventory, read_inventory
from repository.ocfl.storage_root import OBJECT_DECLARATION, SPEC_VERSION, StorageRoot
from repository.packages.opening import open_package
from repository.packages.package import Package, PackageFile, PackageFormat
from repository.stop import StopToken

LARGE_FILE_BYTES = 8 << 20
"""From here on a file is worth a thread of its own: hashing and writing it lets go of the interpreter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTask:
    """One package for a worker.

    Args:
        folder: where the version is made; does not exist yet. None is a dry run: nothing is written.
        created: the time that the version will carry.
    """

    request: IngestRequest
    rules: IngestRules
    storage_root: Path
    folder: Path | None
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedVersion:
    """A version that was made in staging, or the finding that the object has it already.

    `record` holds the new version alone; None when nothing changed. `files` and `size_bytes` are of the payload.
    """

    object_id: ObjectId
    object_path: str
    number: VersionNumber
    algorithm: str
    folder: Path | None
    record: ObjectRecord | None
    files: int
    size_bytes: int
    warnings: tuple[str, ...]

    @property
    def staged_folder(self) -> Path:
        """The folder; only a dry run has none, and that is never put into place."""
        if self.folder is None:
            raise ValueError("a dry run has staged nothing")
        return self.folder


def stage_package(task: StageTask, *, stop: StopToken, meter: Meter) -> StagedVersion:
    """Check one package and make the version that would hold it.

    Args:
        task: what to do.
        stop: polled once a chunk.
        meter: told the bytes of the package as soon as they are known, and what was read.

    Raises:
        PackageError: the package is refused. The staging folder is gone again, as after every error.
        TierError: the tier cannot be read or written.
        InvalidInputError: identifier or metadata cannot be used.
        ConflictError: somebody is putting a version of this object into place now.
        OperationCancelledError: stop was set.
    """
    try:
        with open_package(
            task.request.source, format=task.request.format, limits=task.rules.limits, stop=stop
        ) as package:
            meter.listed(sum(file.size_bytes for file in package.files))
            return _Stager(task, package, meter=meter, stop=stop).run()
    except BaseException:
        if task.folder is not None:
            remove_tree(task.folder)
        raise


class _Stager:
    """One run of stage_package."""

    def __init__(self, task: StageTask, package: Package, *, meter: Meter, stop: StopToken) -> None:
        self._task, self._package, self._meter, self._stop = task, package, meter, stop
        self._rules = task.rules
        root = StorageRoot.open(task.storage_root)
        self._id = self._identify()
        self._object_path = root.object_path(self._id.uri)
        self._object_root = root.object_root(self._object_path)
        self._before = self._read_head()
        self._metadata = self._describe()

    def run(self) -> StagedVersion:
        before = self._before
        number = before.inventory.head.next() if before else VersionNumber(1)
        algorithm = before.inventory.digest_algorithm if before else self._rules.digest_algorithm
        self._require_space()
        writer = ContentWriter(
            self._task.folder,
            f"{number}/{before.inventory.content_directory if before else 'content'}",
            algorithm=algorithm,
            known=before.inventory.manifest if before else (),
            meter=self._meter,
            stop=self._stop,
        )
        report = self._package.check(self._copy(writer))
        for path, data in (
            (METADATA_PATH, metadata_bytes(self._metadata)),
            (CHECK_REPORT_PATH, json_bytes(asdict(report))),
        ):
            writer.add(path, io.BytesIO(data))
        unchanged = before is not None and writer.state == before.inventory.state()
        record = None
        if unchanged and self._task.folder is not None:
            remove_tree(self._task.folder)
        elif not unchanged:
            inventory = self._inventory(number, algorithm, writer)
            record = self._write_version(inventory, writer)
        payload = [file for file in self._package.files if self._package.logical_path(file).startswith(PAYLOAD)]
        return StagedVersion(
            object_id=self._id,
            object_path=self._object_path,
            number=before.inventory.head if unchanged and before else number,
            algorithm=algorithm,
            folder=self._task.folder,
            record=record,
            files=len(payload),
            size_bytes=sum(file.size_bytes for file in payload),
            warnings=report.warnings,
        )

    # what it is

    def _identify(self) -> ObjectId:
        given = self._task.request
        bag = self._package.tags.get("External-Identifier", ())
        text = given.identifier or given.metadata.get("identifier") or (bag[0] if bag else None)
        return ObjectId.parse(str(text or self._own_name()), prefix=self._rules.identifier_prefix)

    def _own_name(self) -> str:
        name = self._package.source.resolve().name
        if name.encode("utf-8", "surrogateescape") != name.encode("utf-8", "replace"):
            raise PackageError(
                "The name of this package is not UTF-8",
                where=self._package.name,
                next_step="give the identifier with --id, or rename it with `convmv -f GBK -t UTF-8 --notest NAME`",
            )
        return self._package.name

    def _read_head(self) -> StoredInventory | None:
        try:
            stored = read_inventory(self._object_root)
        except NotFoundError:
            return None
        if stored.root_problem is not None:
            raise stored.root_problem
        if not stored.in_order or (self._object_root / str(stored.inventory.head.next())).exists():
            raise ConflictError(
                "A version of this object is being put into place now",
                where=self._id,
                next_step="run the same command again; if this stays, `jindang catalog rebuild` finishes it",
            )
        if stored.inventory.id != self._id.uri or stored.inventory.spec_version != SPEC_VERSION:
            raise InvalidInputError(
                "Another object lies where this one belongs, or one of an older OCFL version",
                where=self._object_root,
                why=f"it is {stored.inventory.id}, OCFL {stored.inventory.spec_version}",
                next_step="give this package another identifier with --id",
            )
        return stored

    def _describe(self) -> Metadata:
        """Given values over what the bag says, over what the object had before, over the careful defaults."""
        request = self._task.request
        base = Metadata()
        if self._before is not None:
            base = describe_object(self._object_root, self._object_path, self._before).metadata
        if description := self._package.tags.get("External-Description"):
            with contextlib.suppress(InvalidInputError):  # it may be of any length; submission/ keeps it whole
                base = metadata_from_plain({"title": description[0]}, base=base, where=request.source)
        given = {key: value for key, value in request.metadata.items() if key != "identifier"}
        metadata = metadata_from_plain(given, base=base, where=request.metadata_source or request.source)
        if metadata.security_class.is_state_secret and not self._rules.allow_state_secrets:
            raise PackageError(
                f"Records of security class {metadata.security_class} are not taken in here",
                where=request.source,
                next_step="keep them on paper, or set `ingest.allow_state_secrets` if this system may hold them",
            )
        return metadata

    # what it holds

    def _require_space(self) -> None:
        if self._task.folder is None:
            return
        needed = sum(file.size_bytes for file in self._package.files)
        free = free_bytes(self._task.storage_root)
        if needed + self._rules.reserve_bytes > free:
            raise TierFullError(
                "There is not enough space for this package",
                where=self._task.storage_root,
                why=f"it needs {needed:,} bytes, {self._rules.reserve_bytes:,} are kept in reserve, {free:,} are free",
                next_step="add space, then run the same command again: what is finished is not done twice",
            )

    def _copy(self, writer: ContentWriter) -> dict[str, dict[str, str]]:
        """Every file of the package into the writer; path -> algorithm -> digest."""
        package, digests = self._package, {}

        def add(file: PackageFile, stream: BinaryIO) -> dict[str, str]:
            return writer.add(
                package.logical_path(file),
                stream,
                algorithms=package.algorithms_for(file),
                is_large=file.size_bytes >= LARGE_FILE_BYTES,
            )

        if not package.random_access:
            for file, stream in package.contents():
                digests[file.path] = add(file, stream)
            return digests

        def copy(file: PackageFile) -> tuple[str, dict[str, str]]:
            with package.open(file) as stream:
                return file.path, add(file, stream)

        large = [file for file in package.files if file.size_bytes >= LARGE_FILE_BYTES]
        if len(large) > 1:
            with ThreadPoolExecutor(min(len(large), os.cpu_count() or 1)) as threads:
                try:
                    digests.update(threads.map(copy, large))
                except BaseException:
                    threads.shutdown(wait=True, cancel_futures=True)
                    raise
        digests.update(copy(file) for file in package.files if file.path not in digests)
        return digests

    # the version

    def _inventory(self, number: VersionNumber, algorithm: str, writer: ContentWriter) -> Inventory:
        before = self._before.inventory if self._before else None
        origin = "a BagIt bag" if self._package.format is PackageFormat.BAGIT else "a folder of files"
        block = VersionBlock(
            created=rfc3339(self._task.created),
            state=_by_digest(writer.state),
            message=f"Ingested by {self._rules.software} from {origin}",
            user_name=self._rules.agent,
            user_address=f"{self._rules.identifier_prefix}agent/{quote(self._rules.agent, safe='')}",
        )
        return Inventory(
            id=self._id.uri,
            head=number,
            digest_algorithm=algorithm,
            content_directory=before.content_directory if before else "content",
            manifest={**(before.manifest if before else {}), **_by_digest(writer.added)},
            versions={**(before.versions if before else {}), number: block},
            fixity=before.fixity if before else {},
        )

    def _write_version(self, inventory: Inventory, writer: ContentWriter) -> ObjectRecord:
        data, algorithm = inventory.to_bytes(), inventory.digest_algorithm
        folder = self._task.folder
        if folder is not None:
            with tier_errors(folder):
                writer.finish()
                (folder / str(inventory.head)).mkdir(parents=True, exist_ok=True)
                for place in (folder / str(inventory.head), folder):
                    write_new_file(place / INVENTORY_FILE, data)
                    write_new_file(place / sidecar_name(algorithm), sidecar_bytes(data, algorithm))
                if inventory.head.number == 1:
                    write_new_file(folder / OBJECT_DECLARATION, f"ocfl_object_{SPEC_VERSION}\n".encode())
        hasher = ALGORITHMS[algorithm]()
        hasher.update(data)
        return ObjectRecord(
            id=self._id,
            object_path=self._object_path,
            metadata=self._metadata,
            versions=(
                version_record(
                    inventory,
                    inventory.head,
                    inventory_digest=hasher.hexdigest(),
                    sizes={**self._stored_sizes(), **writer.sizes},
                ),
            ),
        )

    def _stored_sizes(self) -> dict[str, int]:
        return content_sizes(self._object_root, self._before.inventory) if self._before else {}


def _by_digest(paths: dict[str, str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for path, digest in paths.items():
        found.setdefault(digest, []).append(path)
    return {digest: tuple(sorted(paths)) for digest, paths in found.items()}
