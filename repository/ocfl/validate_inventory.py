"""The one parser of inventories: it reads what can be understood and says everything that is wrong."""

import re
from typing import Final

from repository.ocfl.inventory import (
    CONTENT_ALGORITHMS,
    SPEC_VERSIONS,
    VersionNumber,
    inventory_type,
)
from repository.ocfl.validate_draft import InventoryDraft
from repository.ocfl.validate_json import JsonError, JsonObject, load_json
from repository.ocfl.validate_manifest import examine_fixity, examine_manifest
from repository.ocfl.validate_versions import examine_versions, is_uri

MAX_INVENTORY_BYTES: Final = 1 << 30
"""No larger inventory is read: a million files need about a third of this."""

_KEYS: Final = frozenset(
    {"id", "type", "digestAlgorithm", "head", "contentDirectory", "manifest", "versions", "fixity"}
)
_TYPE: Final = re.compile(r"https://ocfl\.io/(\d{1,3}\.\d{1,3})/spec/#inventory", re.ASCII)


def examine_inventory(data: bytes, *, declared_spec_version: str | None = None) -> InventoryDraft:
    """Read an inventory that may be wrong in any way; never raises for what it holds.

    Args:
        data: the whole file, at most MAX_INVENTORY_BYTES.
        declared_spec_version: what the object's declaration says; decides between the codes of OCFL 1.0 and
            1.1 where the inventory's own type is not usable. It is not compared with the type here.

    Returns: everything usable, and every problem. Memory: some ten times the file.
    """
    draft = InventoryDraft()
    try:
        document = load_json(data)
    except JsonError as error:
        draft.add("E033", f"the inventory cannot be read: {error.what}")
        return draft
    if not isinstance(document, JsonObject):
        draft.add("E033", "the inventory is not a JSON object")
        return draft
    draft.is_json = True
    for key in document.repeated:
        draft.add("E033", f"the key {key!r:.80} occurs more than once")
    for key in sorted(document.keys() - _KEYS):
        draft.add("E102", f"the inventory has the key {key!r:.80}, which the specification does not know")
    _examine_type(draft, document, declared_spec_version)
    _examine_id(draft, document)
    _examine_algorithm(draft, document)
    _examine_content_directory(draft, document)
    examine_versions(draft, document)
    _examine_head(draft, document)
    examine_manifest(draft, document)
    examine_fixity(draft, document)
    _compare_state_with_manifest(draft)
    return draft


def _examine_type(draft: InventoryDraft, document: JsonObject, declared_spec_version: str | None) -> None:
    kind = document.get("type")
    match = _TYPE.fullmatch(kind) if isinstance(kind, str) else None
    if "type" not in document:
        draft.add("E036", "the key type is missing")
    elif match is None:
        draft.add("E038", f"the type {kind!r:.120} is not like {inventory_type(SPEC_VERSIONS[-1])}")
    elif match[1] not in SPEC_VERSIONS:
        draft.add("E038", f"the type names OCFL {match[1]}, which is not known here")
    else:
        draft.spec_version = match[1]
        return
    draft.spec_version = declared_spec_version


def _examine_id(draft: InventoryDraft, document: JsonObject) -> None:
    if "id" not in document:
        draft.add("E036", "the key id is missing")
        return
    identifier = document["id"]
    if not isinstance(identifier, str) or not identifier:
        draft.add("E037", "the id is not a text of at least one character")
        return
    draft.id = identifier
    if not is_uri(identifier):
        draft.add("W005", f"the id {identifier!r:.200} is not a URI")


def _examine_algorithm(draft: InventoryDraft, document: JsonObject) -> None:
    if "digestAlgorithm" not in document:
        draft.add("E036", "the key digestAlgorithm is missing")
        return
    algorithm = document["digestAlgorithm"]
    if isinstance(algorithm, str):
        draft.algorithm = algorithm
    if algorithm not in CONTENT_ALGORITHMS:
        draft.add("E025", f"the digest algorithm is {algorithm!r:.80}; it must be sha512 or sha256")
    elif algorithm != CONTENT_ALGORITHMS[0]:
        draft.add("W004", f"the digest algorithm is {algorithm}; sha512 is preferred")


def _examine_content_directory(draft: InventoryDraft, document: JsonObject) -> None:
    if "contentDirectory" not in document:
        return
    draft.content_directory_declared = True
    name = document["contentDirectory"]
    codes: list[str] = []
    if not isinstance(name, str) or not name or "\0" in name or "/" in name:
        codes = ["E017"]
    elif name in (".", ".."):
        codes = ["E018"]
    if not codes:
        draft.content_directory = name
        return
    draft.content_directory = None
    for code in codes if draft.is_old else [*codes, "E108"]:
        draft.add(code, f"the content directory {name!r:.80} is not the name of a directory in a version directory")


def _examine_head(draft: InventoryDraft, document: JsonObject) -> None:
    if "head" not in document:
        draft.add("E036", "the key head is missing")
        return
    head = document["head"]
    number = VersionNumber.parse_or_none(head) if isinstance(head, str) else None
    if number is None:
        draft.add("E040", f"the head {head!r:.80} is not the name of a version directory")
        return
    draft.head = number
    if not draft.versions:
        return
    newest = max(draft.versions)
    if number != newest or head != draft.versions[newest].name:
        draft.add("E040", f"the head is {head}, but the newest version is {draft.versions[newest].name}")


def _compare_state_with_manifest(draft: InventoryDraft) -> None:
    """Every digest of a state must be in the manifest in the same letters, and the other way round be used."""
    if not draft.is_manifest_readable or not draft.has_versions_block:
        return
    written = set(draft.manifest_keys)
    lower = {digest.lower() for digest in draft.manifest_keys}
    used: set[str] = set()
    for version in (*(draft.versions[number] for number in sorted(draft.versions)), *draft.misnamed_versions):
        for digest in version.state_keys:
            used.add(digest.lower())
            if digest in written:
                continue
            why = "in other letters (upper and lower case)" if digest.lower() in lower else "not at all"
            draft.add("E050", f"the digest {digest:.200} of {version.name} is in the manifest {why}")
    for digest in sorted(lower - used):
        draft.add("E107", f"the digest {digest:.200} is in the manifest, but no version uses it")
        if draft.is_old:
            # The community's collection of broken 1.0 objects files this case under E050.
            draft.add("E050", f"the digest {digest:.200} of the manifest is in no version's state")
