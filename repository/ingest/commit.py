"""Putting staged versions into place, several at once, so that they share what makes them durable.

Order of writes (docs/design.md):
1. the staged content is complete in `extensions/jindang-staging`
2. intents committed, one for each object; nobody else touches these objects from here on
3. sync: the staged content is on the medium
4. new objects are renamed into place; of new versions, the version folder
5. sync
6. of new versions: root inventory and sidecar renamed into place; sync
7. catalogue rows, events and counters written and the intents cleared, in one transaction
Only after step 7 is a package acknowledged.
"""

from collections.abc import Sequence

from repository.aip import ingestion_events
from repository.catalog.catalog import Catalog
from repository.durable import FileSystemSync, forget_cached, tier_error, tier_errors
from repository.errors import CatalogError, ConflictError, IntegrityError, RepositoryError
from repository.ingest.stage import StagedVersion
from repository.model import Intent
from repository.ocfl.storage_root import StorageRoot


class VersionCommitter:
    """Puts versions into place on one tier for one staging session."""

    def __init__(self, catalog: Catalog, root: StorageRoot, *, tier: str, session: str, sync: FileSystemSync) -> None:
        self._catalog, self._root, self._tier, self._session, self._sync = catalog, root, tier, session, sync

    def commit(self, staged: Sequence[StagedVersion]) -> list[RepositoryError | None]:
        """Put versions into place.

        Returns: for each, None when it is durable and in the catalogue, else why not; ConflictError when the object
            has changed since it was staged, or somebody else is changing it. What failed left nothing behind.

        Raises:
            TierError: the tier failed for all of them.
            CatalogError: the catalogue failed. What is in place already is recorded by the next recovery.
        """
        if not staged:
            return []
        answers: list[RepositoryError | None] = self._claim(staged)
        self._sync_all()
        for version in staged:
            forget_cached(version.staged_folder)
        for number, version in enumerate(staged):
            if answers[number] is None:
                answers[number] = self._place(version)
        placed = [version for version, answer in zip(staged, answers, strict=True) if answer is None]
        self._sync_all()
        later = [version for version in placed if version.number.number > 1]
        for version in later:
            # its folder is in place: from here the only way is forward, so a failure is left for recovery to finish
            with tier_errors(self._root.object_root(version.object_path)):
                self._root.replace_head(version.staged_folder, version.object_path, version.algorithm)
        if later:
            self._sync_all()
        self._record(placed)
        return answers

    def _claim(self, staged: Sequence[StagedVersion]) -> list[RepositoryError | None]:
        """Take the objects' intents; what is still as it was when the version was staged goes on."""
        first = {version.object_id: version for version in reversed(staged)}
        taken = self._catalog.open_intents(
            [
                Intent(
                    object_id=version.object_id,
                    object_path=version.object_path,
                    version=version.number.number,
                    session=self._session,
                )
                for version in first.values()
            ]
        )
        answers: list[RepositoryError | None] = []
        given_up = []
        for version in staged:
            if version is not first[version.object_id] or version.object_id not in taken:
                answers.append(_conflict(version, "somebody else is changing it"))
                continue
            answers.append(self._objection(version))
            if answers[-1] is not None:
                given_up.append(version.object_id)
        if given_up:
            self._catalog.clear_intents(given_up)
        return answers

    def _objection(self, version: StagedVersion) -> RepositoryError | None:
        """Why a version cannot follow what storage and catalogue have; asked when its intent is ours."""
        try:
            stored = self._root.head(version.object_path)
        except RepositoryError as error:
            return error
        if stored != version.number.number - 1:
            return _conflict(version, "it has a newer version than when this one was made")
        record = self._catalog.find_object(version.object_id)
        recorded = record.head.number if record else 0
        why = f"storage has {_named(stored)}, the catalogue {_named(recorded)}"
        if recorded > stored:
            return IntegrityError(
                "Storage has lost what the catalogue knows of this object",
                where=version.object_id,
                why=why,
                next_step="restore the object from another copy first",
            )
        if recorded < stored:
            return CatalogError(
                "The catalogue does not know what storage has of this object",
                where=version.object_id,
                why=why,
                next_step=f"run `jindang catalog rebuild --from {self._tier}`, then the same command again",
            )
        return None

    def _place(self, version: StagedVersion) -> RepositoryError | None:
        """First rename of a version; a failure here takes nobody else with it."""
        try:
            if version.number.number == 1:
                self._root.place_object(version.staged_folder, version.object_path)
            else:
                self._root.place_version(version.staged_folder, version.object_path, version.number)
        except OSError as error:
            self._root.remove_empty_parents(version.object_path)
            self._catalog.clear_intents([version.object_id])
            return tier_error(error, self._root.object_root(version.object_path))
        return None

    def _record(self, placed: Sequence[StagedVersion]) -> None:
        records = [version.record for version in placed if version.record is not None]
        if records:
            events = [event for record in records for event in ingestion_events(record)]
            self._catalog.record_objects(records, events, tier=self._tier)

    def _sync_all(self) -> None:
        with tier_errors(self._root.path):
            self._sync.sync()


def _named(version: int) -> str:
    return f"version {version}" if version else "none"


def _conflict(version: StagedVersion, why: str) -> ConflictError:
    return ConflictError(
        "The object was changed at the same time",
        where=version.object_id,
        why=why,
        next_step="run the same command again",
    )
