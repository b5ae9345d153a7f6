"""Making the catalogue again from what lies on a tier, and comparing the two."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, fields
from enum import StrEnum
from itertools import groupby, islice
from operator import attrgetter
from types import TracebackType
from typing import Self

from repository.aip import ingestion_events, record_of
from repository.catalog.catalog import Catalog
from repository.durable import FileSystemSync, tier_errors
from repository.errors import IntegrityError, InventoryError, RepositoryError
from repository.model import Event, ObjectRecord
from repository.ocfl.inventory import read_sidecar, sidecar_name
from repository.ocfl.staging import StagingSession
from repository.ocfl.storage_root import StorageRoot
from repository.stop import StopToken
from storage_tiers.contract.trial import TRIAL_FOLDER
from storage_tiers.disk.tier import DiskTier
from storage_tiers.port import StorageTier, VersionRef

BATCH = 200
_ALGORITHMS = ("sha512", "sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuiltObject:
    """One object of a tier: recorded in the catalogue, or the reason why it could not be."""

    object_path: str
    error: RepositoryError | None = None


def rebuild_catalog(catalog: Catalog, tier: StorageTier, *, stop: StopToken) -> Iterator[RebuiltObject]:
    """Record every object of a tier that the catalogue does not have yet; killed halfway, it can be run again.

    On a disk, versions that were being put into place are completed first, and nobody else may be writing to it. Of an
    object store, the listing and the summaries beside the packs are read; no pack is opened.

    Yields: each object once it is recorded. Memory: one batch.

    Raises:
        TierError, CatalogError: the tier or the catalogue cannot be used at all.
        OperationCancelledError: stop was set.
    """
    with _Reader(tier) as reader, ThreadPoolExecutor(tier.capabilities.parallel_reads) as threads:
        objects = groupby(tier.list_versions(), key=attrgetter("object_path"))
        listed = ((path, [ref.number for ref in refs]) for path, refs in objects if not path.startswith(TRIAL_FOLDER))
        while batch := list(islice(listed, BATCH)):
            stop.check()
            found = list(threads.map(lambda item: reader.read(*item), batch))
            yield from record_found(catalog, found, tier=tier.identity.name)


class _Reader:
    """Reads what a tier says of its objects; several threads may use it."""

    def __init__(self, tier: StorageTier) -> None:
        self._tier = tier
        self._root = tier.root if isinstance(tier, DiskTier) else None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Get ready to complete on a disk what was being put into place when something was stopped."""
        if self._root is not None:
            self._stack.enter_context(tier_errors(self._root.path))
            self._session = self._stack.enter_context(StagingSession(self._root.path))
            self._sync = self._stack.enter_context(FileSystemSync(self._root.path))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind."""
        self._stack.__exit__(kind, error, trace)

    def read(self, object_path: str, numbers: list[int]) -> ObjectRecord | RebuiltObject:
        """An object, or why it cannot be had."""
        try:
            if self._root is not None:
                self._root.complete_version(object_path, self._session.new_folder(), self._sync)
            if numbers != list(range(1, len(numbers) + 1)):
                raise IntegrityError(
                    "Versions of an object are missing",
                    where=object_path,
                    why=f"there are {', '.join(f'v{number}' for number in numbers)}",
                    next_step="restore the object from another copy, then run this again",
                )
            record = record_of([self._tier.stat_version(VersionRef(object_path, number)) for number in numbers])
            self._require_place(record, object_path)
        except RepositoryError as error:
            return RebuiltObject(object_path=object_path, error=error)
        return record

    def _require_place(self, record: ObjectRecord, object_path: str) -> None:
        """An object belongs where the layout puts it; a copy under another name is not a second object."""
        expected = self._root.object_path(record.id.uri) if self._root else record.object_path
        if object_path != expected:
            raise IntegrityError(
                "An object lies where it does not belong",
                where=self._root.object_root(object_path) if self._root else object_path,
                why=f"it is {record.id}, whose place is {expected}",
                next_step="if it is a copy that was made by hand, move it away from the tier",
            )


def record_found(
    catalog: Catalog, found: Sequence[ObjectRecord | RebuiltObject], *, tier: str, location: str | None = None
) -> Iterator[RebuiltObject]:
    """Record objects that were found on a tier; one that cannot be recorded stops none of the others."""
    records = [item for item in found if isinstance(item, ObjectRecord)]
    answers: dict[str, IntegrityError] = {}
    try:
        if records:
            catalog.record_objects(records, _events(records), tier=tier, location=location)
    except IntegrityError:  # of one of them; each in a transaction of its own tells of which
        for record in records:
            try:
                catalog.record_objects([record], _events([record]), tier=tier, location=location)
            except IntegrityError as error:
                answers[record.object_path] = error
    for item in found:
        if isinstance(item, RebuiltObject):
            yield item
        else:
            yield RebuiltObject(object_path=item.object_path, error=answers.get(item.object_path))


def _events(records: list[ObjectRecord]) -> list[Event]:
    return [event for record in records for event in ingestion_events(record)]


class Difference(StrEnum):
    """How catalogue and storage differ."""

    NOT_ON_STORAGE = "not on storage"
    NOT_IN_CATALOGUE = "not in the catalogue"
    OTHER_VERSION = "another version on storage"
    UNREADABLE = "unreadable"
    COUNTERS = "the catalogue's counters are wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogFinding:
    """One difference; `where` is the object, or its path on the tier."""

    difference: Difference
    where: str
    detail: str = ""


def compare_catalog(catalog: Catalog, root: StorageRoot, *, stop: StopToken) -> Iterator[CatalogFinding]:
    """Compare the catalogue with a tier in both directions: which objects, and which version of each.

    Both sides come in the order of their paths and are walked side by side. Memory: one page of the catalogue and one
    folder of the tier. No content is read: that is the audit's work.
    """
    known = catalog.heads_by_path()
    row = next(known, None)
    for path in root.object_paths():
        stop.check()
        while row is not None and row[0] < path:
            yield CatalogFinding(difference=Difference.NOT_ON_STORAGE, where=str(row[1]))
            row = next(known, None)
        if row is None or row[0] != path:
            yield CatalogFinding(difference=Difference.NOT_IN_CATALOGUE, where=path)
            continue
        yield from _compare_object(root, path, str(row[1]), row[3])
        row = next(known, None)
    while row is not None:
        yield CatalogFinding(difference=Difference.NOT_ON_STORAGE, where=str(row[1]))
        row = next(known, None)
    yield from _compare_counters(catalog)


def _compare_counters(catalog: Catalog) -> Iterator[CatalogFinding]:
    (totals, tiers), kept = catalog.recount(), catalog.totals()
    for counter in fields(totals):
        counted, noted = getattr(totals, counter.name), getattr(kept, counter.name)
        if counted != noted:
            detail = f"{counter.name}: {noted:,}, counted {counted:,}"
            yield CatalogFinding(difference=Difference.COUNTERS, where=catalog.where, detail=detail)
    by_name = attrgetter("tier", "state")
    noted_tiers = sorted((tier for tier in catalog.tier_totals() if tier.copies), key=by_name)
    if sorted(tiers, key=by_name) != noted_tiers:
        detail = f"copies on tiers: {noted_tiers}, counted {tiers}"
        yield CatalogFinding(difference=Difference.COUNTERS, where=catalog.where, detail=detail)


def _compare_object(root: StorageRoot, path: str, name: str, digest: str) -> Iterator[CatalogFinding]:
    object_root = root.object_root(path)
    for algorithm in _ALGORITHMS:
        try:
            found = read_sidecar((object_root / sidecar_name(algorithm)).read_bytes())
        except FileNotFoundError:
            continue
        except (OSError, InventoryError) as error:
            yield CatalogFinding(difference=Difference.UNREADABLE, where=name, detail=str(error))
            return
        if found != digest:
            yield CatalogFinding(
                difference=Difference.OTHER_VERSION,
                where=name,
                detail=f"inventory {found[:16]}, expected {digest[:16]}",
            )
        return
    yield CatalogFinding(difference=Difference.UNREADABLE, where=name, detail="its inventory has no sidecar")
