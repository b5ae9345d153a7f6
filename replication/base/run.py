"""A run of the backup: what the base is owed goes there in batches, and each batch is read back before it counts.

The base is one of the places that objects are owed to, like a tier; what it holds of an object, and how far behind
it is, stands in the catalogue like every other copy (docs/adr/0008).
"""

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from replication.base.archives import Archive, ArchiveStats
from replication.base.backup_base import BackupBase
from replication.base.reading import ExpectedFile, ReadBack
from replication.placement import BASE
from repository.aip import summarize_version, summary_line
from repository.catalog.catalog import Catalog
from repository.clock import Clock
from repository.errors import IntegrityError, RepositoryError
from repository.model import ArchiveRecord, Event, EventOutcome, EventType, Transfer, TransferState
from repository.ocfl.inventory import INVENTORY_FILE, VersionNumber, sidecar_bytes, sidecar_name
from repository.ocfl.layout import LAYOUT_FILE
from repository.ocfl.object import read_inventory, read_version_inventory
from repository.ocfl.storage_root import OBJECT_DECLARATION_PREFIX, ROOT_DECLARATION, StorageRoot
from repository.stop import StopToken
from storage_tiers.disk.tier import README_FILE
from storage_tiers.identity import IDENTITY_FILE
from storage_tiers.reading import read_error

BATCH_VERSIONS: Final = 1000
BATCH_FILES: Final = 100_000
BATCH_BYTES: Final = 64 << 30
"""A batch ends when it has one of these; its list of files is held in memory."""

PAGE: Final = 200
SUMMARIES: Final = "summaries.jsonl"
"""In every archive: what the catalogue needs of each version in it (repository.aip.summary_line)."""

CATALOGUE_DUMP: Final = {"sqlite": "catalogue.sqlite", "postgresql": "catalogue.sql"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutcome:
    """What one batch came to.

    Args:
        archive: where it is; None when nothing of it could be archived.
        done: versions that were read back and count as copies.
        failed: versions that do not, each with the reason.
        stats: of making it.
        read_back_bytes: that were read on the base.
    """

    archive: ArchiveRecord | None
    done: tuple[Transfer, ...] = ()
    failed: tuple[tuple[Transfer, RepositoryError], ...] = ()
    stats: ArchiveStats | None = None
    read_back_bytes: int = 0


@dataclass(slots=True, kw_only=True)
class _Batch:
    """Versions that go into one archive."""

    transfers: list[Transfer] = field(default_factory=list)
    expected: dict[str, ExpectedFile] = field(default_factory=dict)
    """Path below the storage root -> what it must be."""
    summaries: list[bytes] = field(default_factory=list)
    """A line for each version; the catalogue can be made again from these alone."""
    size_bytes: int = 0

    @property
    def is_full(self) -> bool:
        """Whether it has as much as one archive is given."""
        return (
            len(self.transfers) >= BATCH_VERSIONS
            or len(self.expected) >= BATCH_FILES
            or self.size_bytes >= BATCH_BYTES
        )


class BackupRun:
    """Runs of the backup.

    Args:
        catalog: opened.
        base: the backup base.
        root: storage root of the primary tier.
        configuration: the file, kept with every archive.
        agent: who is named in the events.
        clock: what tells the time.
        stop: ends a run; borg keeps a checkpoint, and what was read back stays.
    """

    def __init__(
        self,
        catalog: Catalog,
        base: BackupBase,
        root: StorageRoot,
        *,
        configuration: Path,
        agent: str,
        clock: Clock,
        stop: StopToken,
    ) -> None:
        self._catalog, self._base, self._root = catalog, base, root
        self._configuration, self._agent, self._clock, self._stop = configuration, agent, clock, stop

    def run(self, *, limit_bytes: int | None = None) -> Iterator[BatchOutcome]:
        """Archive everything that the base is owed; where it is owed nothing, the catalogue alone.

        Raises:
            BackupError, IntegrityError, CatalogError, ConfigError: as the base and the catalogue raise them.
            OperationCancelledError: stop was set.
        """
        self._adopt()
        queue, made, given = self._queue(), False, 0
        while limit_bytes is None or given < limit_bytes:
            self._stop.check()
            batch, failed = self._next_batch(queue)
            if not batch.transfers and not failed:
                break
            self._note_failures(failed)
            given += batch.size_bytes
            made = True
            yield self._archive(batch, failed)
        if not made:
            yield self._archive(_Batch(), [])

    def _queue(self) -> Iterator[Transfer]:
        """What the base is owed, once through."""
        after = None
        while True:
            page, after = self._catalog.transfers.waiting(BASE, limit=PAGE, after=after)
            yield from page
            if len(page) < PAGE:
                return

    def _next_batch(self, queue: Iterator[Transfer]) -> tuple[_Batch, list[tuple[Transfer, RepositoryError]]]:
        """The next batch, and what could not be put into it."""
        batch, failed = _Batch(), []
        while not batch.is_full and (transfer := next(queue, None)):
            try:
                self._add(batch, transfer)
            except RepositoryError as error:
                failed.append((transfer, error))
        return batch, failed

    # what goes in

    def _add(self, batch: _Batch, transfer: Transfer) -> None:
        """Put a version's files on the list, by what its inventory says."""
        object_root = self._root.object_root(transfer.object_path)
        try:
            stored = read_version_inventory(object_root, VersionNumber(transfer.version))
            if stored is None or stored.digest != transfer.inventory_digest:
                raise IntegrityError(
                    "The version on the primary tier is not the one in the catalogue",
                    where=object_root / f"v{transfer.version}",
                    next_step="run `jindang ocfl validate` on the object, and restore it from another copy",
                )
            algorithm = stored.inventory.digest_algorithm
            files = [
                ExpectedFile(f"{transfer.object_path}/{path}", algorithm, digest, (object_root / path).stat().st_size)
                for path, digest in stored.inventory.added_content().items()
            ]
            summary = summarize_version(object_root, transfer.object_path, stored)
            head = read_inventory(object_root)
            for folder, data in ((f"v{transfer.version}/", stored.data), ("", head.data)):
                sidecar = sidecar_bytes(data, algorithm)
                for name, content in ((INVENTORY_FILE, data), (sidecar_name(algorithm), sidecar)):
                    files.append(_expected(f"{transfer.object_path}/{folder}{name}", content, algorithm))
            files += [
                _expected(f"{transfer.object_path}/{entry.name}", entry.read_bytes(), algorithm)
                for entry in object_root.iterdir()
                if entry.name.startswith(OBJECT_DECLARATION_PREFIX)
            ]
        except OSError as error:
            raise read_error(error, object_root) from error
        batch.transfers.append(transfer)
        batch.summaries.append(summary_line(summary))
        batch.expected.update((file.path, file) for file in files)
        batch.size_bytes += transfer.stored_bytes

    def _root_files(self) -> Iterator[ExpectedFile]:
        """The storage root's own small files, so that what is extracted is a storage root."""
        root = self._root.path
        names = [ROOT_DECLARATION, LAYOUT_FILE, README_FILE, IDENTITY_FILE]
        names += [str(path.relative_to(root)) for path in root.glob("extensions/*/config.json")]
        for name in sorted(names):
            if (root / name).is_file():
                yield _expected(name, (root / name).read_bytes(), "sha512")

    # making it

    def _archive(self, batch: _Batch, failed: Sequence[tuple[Transfer, RepositoryError]]) -> BatchOutcome:
        kind = "records" if batch.transfers else "catalogue"
        name = f"{kind}-{self._clock.now():%Y%m%dT%H%M%S%fZ}"
        expected = [*self._root_files(), *(batch.expected[path] for path in sorted(batch.expected))]
        with tempfile.TemporaryDirectory(dir=self._base.options.state_folder.parent) as scratch:
            extra = self._extras(batch, Path(scratch))
            stats = self._base.make_archive(
                name,
                self._root.path,
                [file.path for file in expected],
                extra=extra,
                comment=json.dumps({"versions": len(batch.transfers)}),
                stop=self._stop,
            )
            found = self._base.read_back(stats.archive, [*expected, *_expected_extras(extra)], stop=self._stop)
        archive = self._base.accept(stats.archive, stop=self._stop)
        return self._record(batch, archive, stats, found, failed)

    def _extras(self, batch: _Batch, scratch: Path) -> dict[str, Path]:
        """Catalogue and configuration, as they are now, and what is to be known of the versions in this archive."""
        backend = "sqlite" if self._catalog.where.startswith("sqlite") else "postgresql"
        dump = scratch / CATALOGUE_DUMP[backend]
        self._catalog.dump(dump)
        configuration = scratch / "jindang.yaml"
        configuration.write_bytes(self._configuration.read_bytes())
        summaries = scratch / SUMMARIES
        summaries.write_bytes(b"".join(batch.summaries))
        return {path.name: path for path in (dump, configuration, summaries)}

    def _record(
        self,
        batch: _Batch,
        archive: Archive,
        stats: ArchiveStats,
        found: ReadBack,
        failed: Sequence[tuple[Transfer, RepositoryError]],
    ) -> BatchOutcome:
        bad = _bad_objects([*found.missing, *found.mismatched, *found.unreadable], batch.transfers)
        done = [transfer for transfer in batch.transfers if transfer.object_path not in bad]
        not_whole = [
            (transfer, _not_whole(transfer, bad[transfer.object_path]))
            for transfer in batch.transfers
            if transfer.object_path in bad
        ]
        record = ArchiveRecord(
            name=archive.name,
            id=archive.id,
            created=archive.created,
            versions=len(done),
            stored_bytes=stats.stored_bytes,
        )
        now = self._clock.now()
        events = [
            Event(
                type=EventType.REPLICATION,
                at=now,
                outcome=EventOutcome.SUCCESS,
                agent=self._agent,
                object_id=transfer.object_id,
                version=transfer.version,
                tier=BASE,
                detail={"archive": archive.name, "inventory_digest": transfer.inventory_digest},
            )
            for transfer in done
        ]
        self._catalog.archives.record([record])
        self._catalog.transfers.finish(done, at=now, location=archive.name, events=events)
        self._note_failures(not_whole)
        return BatchOutcome(
            archive=record,
            done=tuple(done),
            failed=(*failed, *not_whole),
            stats=stats,
            read_back_bytes=found.read_bytes,
        )

    def _note_failures(self, failed: Iterable[tuple[Transfer, RepositoryError]]) -> None:
        for transfer, error in failed:
            event = Event(
                type=EventType.REPLICATION,
                at=self._clock.now(),
                outcome=EventOutcome.FAILURE,
                agent=self._agent,
                object_id=transfer.object_id,
                version=transfer.version,
                tier=BASE,
                detail=error.as_json(),
            )
            self._catalog.transfers.fail(transfer, problem=str(error), state=TransferState.WAITING, events=[event])

    def _adopt(self) -> None:
        """Note archives that count and that we do not know: we were killed between accepting and recording one.

        Its versions are still owed, and go into another archive; nothing depends on the one that is adopted.
        """
        known = {archive.name for archive in self._catalog.archives.all()}
        unknown = [archive for archive in self._base.archives(stop=self._stop) if archive.name not in known]
        self._catalog.archives.record(
            ArchiveRecord(name=each.name, id=each.id, created=each.created, versions=0, stored_bytes=0)
            for each in unknown
        )


def _expected(path: str, data: bytes, algorithm: str) -> ExpectedFile:
    return ExpectedFile(path, algorithm, hashlib.new(algorithm, data).hexdigest(), len(data))


def _expected_extras(extra: dict[str, Path]) -> Iterator[ExpectedFile]:
    for name, path in sorted(extra.items()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha512").hexdigest()
        yield ExpectedFile(f"jindang/{name}", "sha512", digest, path.stat().st_size)


def _bad_objects(paths: Iterable[str], transfers: Iterable[Transfer]) -> dict[str, list[str]]:
    """Object path -> its files that are not what they should be."""
    bad = sorted(paths)
    return {
        transfer.object_path: mine
        for transfer in transfers
        if (mine := [path for path in bad if path.startswith(f"{transfer.object_path}/")])
    }


def _not_whole(transfer: Transfer, paths: Sequence[str]) -> IntegrityError:
    return IntegrityError(
        "What lies in the archive is not what the object's inventory says",
        where=transfer.object_id,
        why=", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else ""),  # noqa: PLR2004
        next_step="run `jindang ocfl validate` on the object: its copy on the primary tier may be damaged",
    )
