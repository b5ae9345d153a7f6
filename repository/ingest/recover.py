"""What is done about work that was cut off: rolled forward when it is in place, rolled back when it is not.

Run before every ingest and when the daemon starts; safe to repeat, and safe beside running work, whose sessions
are alive and are left alone. One recovery at a time: an intent whose session is dead stays as it is until then.
"""

from dataclasses import dataclass

from repository.aip import describe_object, ingestion_events
from repository.catalog.catalog import Catalog
from repository.durable import FileSystemSync, tier_errors
from repository.errors import NotFoundError, RepositoryError
from repository.model import Intent
from repository.ocfl.object import read_inventory
from repository.ocfl.staging import StagingSession, is_alive, recovery_turn, remove_abandoned
from repository.ocfl.storage_root import StorageRoot


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What was found and done.

    Args:
        rolled_forward: versions that were in place, and are in the catalogue now.
        rolled_back: versions that were not in place; nothing of them is left.
        removed_sessions: abandoned staging folders.
        problems: objects that a person must look at; their intents stay.
    """

    rolled_forward: tuple[Intent, ...] = ()
    rolled_back: tuple[Intent, ...] = ()
    removed_sessions: int = 0
    problems: tuple[RepositoryError, ...] = ()


def recover(catalog: Catalog, root: StorageRoot, *, tier: str) -> Recovery:
    """Finish or undo everything that a dead session left behind.

    Raises:
        TierError, CatalogError: the tier or the catalogue cannot be used at all.
    """
    placed: list[Intent] = []
    forward: list[Intent] = []
    back: list[Intent] = []
    problems: list[RepositoryError] = []
    with tier_errors(root.path), recovery_turn(root.path):
        dead = [intent for intent in catalog.intents() if not is_alive(root.path, intent.session)]
        if dead:
            with StagingSession(root.path) as session, FileSystemSync(root.path) as sync:
                for intent in dead:
                    try:
                        _complete(root, intent, session, sync)
                        placed.append(intent)
                    except RepositoryError as error:
                        problems.append(error)
                sync.sync()  # the dead session's renames too: it may not have come to its own sync
        for intent in placed:
            try:
                (forward if _record(catalog, root, intent, tier=tier) else back).append(intent)
            except RepositoryError as error:
                problems.append(error)
        removed = remove_abandoned(root.path)
    return Recovery(
        rolled_forward=tuple(forward),
        rolled_back=tuple(back),
        removed_sessions=removed,
        problems=tuple(problems),
    )


def _complete(root: StorageRoot, intent: Intent, session: StagingSession, sync: FileSystemSync) -> None:
    try:
        root.complete_version(intent.object_path, session.new_folder(), sync, interrupted=intent.version)
    except NotFoundError:
        root.remove_empty_parents(intent.object_path)


def _record(catalog: Catalog, root: StorageRoot, intent: Intent, *, tier: str) -> bool:
    """Record a version that is in place and clear its intent; False when it is not in place."""
    object_root = root.object_root(intent.object_path)
    try:
        stored = read_inventory(object_root)
    except NotFoundError:
        catalog.clear_intents([intent.object_id])
        return False
    if stored.inventory.head.number < intent.version:
        catalog.clear_intents([intent.object_id])
        return False
    with tier_errors(object_root):
        record = describe_object(object_root, intent.object_path, stored)
    catalog.record_objects([record], ingestion_events(record), tier=tier)
    return True
