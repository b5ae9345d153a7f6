"""Making the catalogue again from the backup base: from the summaries in its archives; no object is extracted."""

import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from recovery.rebuild import BATCH, RebuiltObject, record_found
from replication.base.backup_base import BackupBase
from replication.base.run import SUMMARIES
from replication.placement import BASE
from repository.aip import parse_summary, record_of
from repository.catalog.catalog import Catalog
from repository.errors import IntegrityError, RepositoryError
from repository.model import ArchiveRecord, ObjectId, VersionSummary
from repository.stop import StopToken


def rebuild_from_base(
    catalog: Catalog, base: BackupBase, *, scratch: Path, stop: StopToken
) -> Iterator[RebuiltObject]:
    """Record every object version that is in an archive, and the archives; killed halfway, it can be run again.

    Args:
        catalog: opened; the base is registered.
        base: the backup base.
        scratch: a folder for one archive's list of summaries at a time.
        stop: polled between archives and batches.

    Yields: each object once it is recorded; an object whose versions lie in several archives comes with each of them.
        Memory: one batch, and the versions that come before their predecessors.

    Raises:
        BackupError, CatalogError: the base or the catalogue cannot be used at all.
        OperationCancelledError: stop was set.
    """
    held: dict[ObjectId, list[VersionSummary]] = {}
    for archive in base.archives(stop=stop):
        versions = 0
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            listed = Path(folder) / SUMMARIES
            base.read_extra(archive.name, SUMMARIES, listed, stop=stop)
            with listed.open("rb") as lines:
                while batch := list(islice(lines, BATCH)):
                    stop.check()
                    summaries = [parse_summary(line, where=f"{archive.name}: {SUMMARIES}") for line in batch]
                    versions += len(summaries)
                    ready = list(_in_order(catalog, summaries, held))
                    yield from record_found(
                        catalog, [record_of(found) for found in ready], tier=BASE, location=archive.name
                    )
        catalog.archives.record(
            [
                ArchiveRecord(
                    name=archive.name, id=archive.id, created=archive.created, versions=versions, stored_bytes=0
                )
            ]
        )
    yield from (_incomplete(object_id, summaries) for object_id, summaries in held.items())


def _in_order(
    catalog: Catalog, summaries: list[VersionSummary], held: dict[ObjectId, list[VersionSummary]]
) -> Iterator[list[VersionSummary]]:
    """Each object's versions that follow what is recorded; the others wait, since an earlier one is still to come."""
    by_object: dict[ObjectId, list[VersionSummary]] = {}
    for summary in summaries:
        by_object.setdefault(summary.id, held.pop(summary.id, [])).append(summary)
    for object_id, found in by_object.items():
        found.sort(key=lambda summary: summary.record.number)
        record = catalog.find_object(object_id)
        following = (record.head.number if record else 0) + 1
        if found[0].record.number > following or _has_gap(found):
            held[object_id] = found
        else:
            yield found


def _has_gap(summaries: list[VersionSummary]) -> bool:
    numbers = [summary.record.number for summary in summaries]
    return numbers != list(range(numbers[0], numbers[-1] + 1))


def _incomplete(object_id: ObjectId, summaries: list[VersionSummary]) -> RebuiltObject:
    numbers = ", ".join(f"v{summary.record.number}" for summary in summaries)
    error: RepositoryError = IntegrityError(
        "Earlier versions of an object are in no archive",
        where=object_id,
        why=f"there are {numbers}",
        next_step="rebuild from another tier as well",
    )
    return RebuiltObject(object_path=summaries[0].object_path, error=error)
