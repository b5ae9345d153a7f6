"""What must hold of a repository after any fault and the recovery from it (docs/design.md, invariants)."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from recovery.rebuild import compare_catalog
from repository.aip import PAYLOAD, describe_object
from repository.catalog.catalog import Catalog
from repository.model import EventOutcome, EventType, ObjectId
from repository.ocfl.inventory import Inventory, VersionNumber
from repository.ocfl.object import StoredInventory, open_content, read_inventory
from repository.ocfl.staging import STAGING_FOLDER
from repository.ocfl.storage_root import StorageRoot
from repository.ocfl.validation import report_on_storage_root
from repository.stop import StopToken
from tests.doubles.vault import Account, Payload

_MANY = 1_000_000


def broken_promises(root_path: Path, catalog: Catalog, account: Account, *, tier: str = "primary") -> list[str]:
    """Everything that is not as it must be, when nobody is writing and a recovery has been run.

    Args:
        root_path: storage root of the primary tier.
        catalog: opened.
        account: what was asked for and acknowledged so far.
        tier: the name of that tier in the catalogue.
    """
    root = StorageRoot.open(root_path)
    stored = dict(_read_objects(root))
    return [
        *_left_behind(root_path, catalog),
        *_validity(root_path, stored),
        *(f"catalogue and storage differ: {finding}" for finding in compare_catalog(catalog, root, stop=StopToken())),
        *_counters(catalog),
        *_acknowledged(root, stored, account),
        *_unacknowledged(root, stored, account),
        *(problem for uri in stored for problem in _rows(root, stored[uri], catalog, tier)),
    ]


Stored = dict[str, StoredInventory]
"""URI -> inventory in force."""


def _read_objects(root: StorageRoot) -> Iterator[tuple[str, StoredInventory]]:
    for path in root.object_paths():
        inventory = read_inventory(root.object_root(path))
        yield inventory.inventory.id, inventory


def _left_behind(root_path: Path, catalog: Catalog) -> Iterator[str]:
    for intent in catalog.intents():
        yield f"an intent was left: {intent}"
    staging = root_path / STAGING_FOLDER
    if staging.exists():
        yield f"the staging area was left: {sorted(map(str, staging.rglob('*')))}"
    for folder, folders, files in os.walk(root_path):
        if not folders and not files:
            yield f"an empty folder was left: {folder}"
    known = {"0=ocfl_1.1", "ocfl_layout.json", "README.txt", "jindang-tier.json"}
    for entry in os.scandir(root_path):
        if entry.is_file() and entry.name not in known:
            yield f"a file was left in the storage root: {entry.name}"


def _validity(root_path: Path, stored: Stored) -> Iterator[str]:
    """Every digest of every file is computed again here."""
    judged = set()
    for report in report_on_storage_root(root_path, check_digests=True):
        yield from (f"not valid: {finding}" for finding in report.findings)
        judged.add(report.object)
    for uri, inventory in stored.items():
        if uri not in judged:
            yield f"{uri} was not judged"
        if not inventory.in_order:
            yield f"{uri} was left between two renames"


def _counters(catalog: Catalog) -> Iterator[str]:
    totals, tiers = catalog.recount()
    if (kept := catalog.totals()) != totals:
        yield f"counters say {kept}, the rows {totals}"
    if (noted := [each for each in catalog.tier_totals() if each.copies]) != tiers:
        yield f"counters of copies say {noted}, the rows {tiers}"


def _acknowledged(root: StorageRoot, stored: Stored, account: Account) -> Iterator[str]:
    for uri, versions in account.acknowledged.items():
        if uri not in stored:
            yield f"{uri} was acknowledged and is not there"
            continue
        for number, payload in versions.items():
            found = _payload(root, stored[uri].inventory, number)
            if found != payload:
                yield f"{uri} v{number} was acknowledged with {sorted(payload)} and holds {found and sorted(found)}"


def _unacknowledged(root: StorageRoot, stored: Stored, account: Account) -> Iterator[str]:
    """What nobody was told of may be there, but then it is whole and what somebody asked for."""
    for uri, inventory in stored.items():
        known = account.acknowledged.get(uri, {})
        for number in inventory.inventory.versions:
            if number.number not in known:
                found = _payload(root, inventory.inventory, number.number)
                if found not in account.attempted.get(uri, []):
                    yield f"{uri} {number} holds what nobody asked for: {found}"


def _payload(root: StorageRoot, inventory: Inventory, number: int) -> Payload | None:
    """Path -> SHA-512 of what is read through the inventory; None when there is no such version."""
    version = VersionNumber(number)
    if number > inventory.head.number:
        return None
    object_root = root.object_root(root.object_path(inventory.id))
    found = {}
    for path, digest in inventory.state(version).items():
        if path.startswith(PAYLOAD):
            with open_content(object_root, inventory.content_path(digest)) as file:
                found[path.removeprefix(PAYLOAD)] = hashlib.sha512(file.read()).hexdigest()
    return found


def _rows(root: StorageRoot, stored: StoredInventory, catalog: Catalog, tier: str) -> Iterator[str]:
    """What the catalogue has of an object is what storage says; each version has one copy and one ingestion."""
    object_id = ObjectId(stored.inventory.id)
    path = root.object_path(object_id.uri)
    told = describe_object(root.object_root(path), path, stored)
    if (record := catalog.find_object(object_id)) != told:
        yield f"the catalogue has {record}, storage {told}"
    numbers = list(range(1, stored.inventory.head.number + 1))
    copies = sorted(copy.version for copy in catalog.list_copies(object_id) if copy.tier == tier)
    if copies != numbers:
        yield f"{object_id} has copies {copies} of versions {numbers}"
    ingested = sorted(
        event.version or 0
        for event in catalog.list_events(object_id, limit=_MANY)
        if event.type is EventType.INGESTION and event.outcome is EventOutcome.SUCCESS
    )
    if ingested != numbers:
        yield f"{object_id} has ingestion events of {ingested} for versions {numbers}"
