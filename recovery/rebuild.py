"""Making the catalogue again from what lies on a tier, and comparing the two."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from operator import attrgetter

from repository.aip import describe_object, ingestion_events
from repository.catalog.catalog import Catalog
from repository.durable import FileSystemSync, tier_errors
from repository.errors import IntegrityError, InventoryError, RepositoryError
from repository.model import ObjectRecord
from repository.ocfl.inventory import read_sidecar, sidecar_name
from repository.ocfl.object import read_inventory
from repository.ocfl.staging import StagingSession
from repository.ocfl.storage_root import StorageRoot
from repository.stop import StopToken

BATCH = 200
_ALGORITHMS = ("sha512", "sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuiltObject:
    """One object of a tier: recorded in the catalogue, or the reason why it could not be."""

    object_path: str
    error: RepositoryError | None = None


def rebuild_catalog(catalog: Catalog, root: StorageRoot, *, tier: str, stop: StopToken) -> Iterator[RebuiltObject]:
    """Record every object of a tier that the catalogue does not have yet; killed halfway, it can be run again.

    Versions that were being put into place are completed first. Nobody else may be writing to the tier.

    Yields: each object once it is recorded. Memory: one batch.

    Raises:
        TierError, CatalogError: the tier or the catalogue cannot be used at all.
        OperationCancelledError: stop was set.
    """
    batch: list[ObjectRecord] = []
    with tier_errors(root.path), StagingSession(root.path) as session, FileSystemSync(root.path) as sync:
        for object_path in root.object_paths():
            stop.check()
            object_root = root.object_root(object_path)
            try:
                root.complete_version(object_path, session.new_folder(), sync)
                with tier_errors(object_root):
                    record = describe_object(object_root, object_path, read_inventory(object_root))
                _require_place(root, record)
                batch.append(record)
            except RepositoryError as error:
                yield RebuiltObject(object_path=object_path, error=error)
            if len(batch) >= BATCH:
                yield from _record(catalog, batch, tier=tier)
                batch = []
        yield from _record(catalog, batch, tier=tier)


def _require_place(root: StorageRoot, record: ObjectRecord) -> None:
    """An object belongs where the layout puts it; a copy under another name is not a second object."""
    expected = root.object_path(record.id.uri)
    if record.object_path != expected:
        raise IntegrityError(
            "An object lies where it does not belong",
            where=root.object_root(record.object_path),
            why=f"it is {record.id}, whose place is {expected}",
            next_step="if it is a copy that was made by hand, move it away from the tier",
        )


def _record(catalog: Catalog, batch: list[ObjectRecord], *, tier: str) -> Iterator[RebuiltObject]:
    if batch:
        events = [event for record in batch for event in ingestion_events(record, tier=tier)]
        catalog.record_objects(batch, events, tier=tier)
    for record in batch:
        yield RebuiltObject(object_path=record.object_path)


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
