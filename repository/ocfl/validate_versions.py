"""The versions block of an inventory (OCFL 1.1 sections 3.3 and 3.5.3)."""

import datetime as dt
import re
from typing import Any, Final

from repository.ocfl.inventory import VersionNumber
from repository.ocfl.validate_draft import InventoryDraft, VersionDraft
from repository.ocfl.validate_json import JsonObject, digests_occurring_twice
from repository.ocfl.validate_paths import LOGICAL, conflicts, path_problems

_VERSION_KEYS: Final = frozenset({"created", "state", "message", "user"})
_USER_KEYS: Final = frozenset({"name", "address"})
_MAX_GAPS_NAMED: Final = 20
_LEAP_YEAR: Final = 2000
_RFC3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+", re.ASCII | re.DOTALL)


def is_uri(text: str) -> bool:
    """Whether the text has the outer form of a URI: a scheme, a colon, and no blank (RFC 3986 section 3).

    Letters outside ASCII are let through: they are not URIs by the letter, but what people mean by them.
    """
    return _URI.fullmatch(text) is not None


def is_rfc3339(text: str) -> bool:
    """Whether the text is a date and time to the second with a time zone (RFC 3339 section 5.6)."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        return False
    year, month, day = (int(part) for part in match.group(1, 2, 3))
    try:
        dt.date(year or _LEAP_YEAR, month, day)
    except ValueError:
        return False
    return True


def examine_versions(draft: InventoryDraft, document: JsonObject) -> None:
    """Read the versions block into the draft."""
    if "versions" not in document:
        for code in ("E041", "E043", "E044"):
            draft.add(code, "the versions block is missing")
        return
    versions = document["versions"]
    if not isinstance(versions, JsonObject):
        for code in ("E044", "E045"):
            draft.add(code, "the versions block is not a JSON object")
        return
    draft.has_versions_block = True
    for name in versions.repeated:
        draft.add("E033", f"the version {name!r:.80} occurs more than once")
    if not versions:
        draft.add("E008", "the inventory has no version")
        return
    for name, block in versions.items():
        _examine_entry(draft, name, block)
    if not draft.versions:
        draft.add("E008", "the inventory has no version with a usable name")
    _examine_sequence(draft)
    _examine_naming(draft)


def _examine_entry(draft: InventoryDraft, name: str, block: Any) -> None:
    number = VersionNumber.parse_or_none(name)
    if number is None:
        draft.add("E046", f"{name!r:.80} cannot be the name of a version directory")
        if not draft.is_old:
            code = "E105" if name.startswith("v") else "E104"
            draft.add(code, f"{name!r:.80} is not v and a positive whole number")
    version = VersionDraft(name=name)
    if not isinstance(block, JsonObject):
        draft.add("E047", f"version {name!r:.80} is not described by a JSON object")
    else:
        _examine_block(draft, version, block)
    if number is None:
        draft.misnamed_versions.append(version)
        return
    if number in draft.versions:
        draft.add("E012", f"{name!r:.80} and {draft.versions[number].name!r} are the same version")
    draft.versions[number] = version


def _examine_sequence(draft: InventoryDraft) -> None:
    numbers = sorted(version.number for version in draft.versions)
    if not numbers or numbers[0] != 1:
        draft.add("E009", "the versions do not begin with version 1")
    gaps: list[int] = []
    for previous, number in zip([0, *numbers], numbers, strict=False):
        if previous:
            gaps += range(previous + 1, min(number, previous + 1 + _MAX_GAPS_NAMED))
    for missing in gaps[:_MAX_GAPS_NAMED]:
        draft.add("E010", f"version {missing} is missing between the others")


def _examine_naming(draft: InventoryDraft) -> None:
    """The first version says how all are named: plain, or zero-padded to one width."""
    numbers = [VersionNumber.parse(version.name) for version in draft.versions.values()]
    if not numbers:
        return
    first = min(numbers)
    if any(number.width for number in numbers):
        draft.add("W001", "the version directories are zero-padded")
    for number in sorted(numbers):
        if number.width == first.width:
            continue
        if first.width and not number.width:
            draft.add("E011", f"{number} has no zero after the v, though {first} is zero-padded")
        draft.add("E012", f"{number} is not named like {first}")
        draft.add("E013", f"{number} does not follow the naming that {first} began")


def _examine_block(draft: InventoryDraft, version: VersionDraft, block: JsonObject) -> None:
    where = f"version {version.name!r:.80}"
    for key in block.repeated:
        draft.add("E033", f"the key {key!r:.80} occurs more than once in {where}")
    for key in block.keys() - _VERSION_KEYS:
        draft.add("E102", f"{where} has the key {key!r:.80}, which the specification does not know")
    _examine_created(draft, version, block)
    _examine_message(draft, version, block)
    _examine_user(draft, version, block)
    if "state" not in block:
        draft.add("E048", f"{where} has no state")
    elif not isinstance(block["state"], JsonObject):
        draft.add("E050", f"the state of {where} is not a JSON object")
    else:
        _examine_state(draft, version, block["state"])


def _examine_created(draft: InventoryDraft, version: VersionDraft, block: JsonObject) -> None:
    if "created" not in block:
        draft.add("E048", f"version {version.name!r:.80} does not say when it was created")
        return
    created = block["created"]
    if not isinstance(created, str):
        draft.add("E049", f"the time of creation of version {version.name!r:.80} is not text")
    elif not is_rfc3339(created):
        draft.add(
            "E049",
            f"{created!r:.80}, the time of creation of version {version.name!r:.80}, is not a date and time "
            "with seconds and time zone such as 2026-11-22T08:15:30Z",
        )
    else:
        version.created = created


def _examine_message(draft: InventoryDraft, version: VersionDraft, block: JsonObject) -> None:
    if "message" not in block:
        draft.add("W007", f"version {version.name!r:.80} has no message that says why it was made")
    elif not isinstance(block["message"], str):
        draft.add("E094", f"the message of version {version.name!r:.80} is not text")
    else:
        version.message = block["message"]


def _examine_user(draft: InventoryDraft, version: VersionDraft, block: JsonObject) -> None:
    where = f"version {version.name!r:.80}"
    if "user" not in block:
        draft.add("W007", f"{where} has no user that says who made it")
        return
    user = block["user"]
    if not isinstance(user, JsonObject):
        draft.add("E054", f"the user of {where} is not a JSON object")
        return
    for key in user.repeated:
        draft.add("E033", f"the key {key!r:.80} occurs more than once in the user of {where}")
    for key in user.keys() - _USER_KEYS:
        draft.add("E102", f"the user of {where} has the key {key!r:.80}, which the specification does not know")
    if not isinstance(user.get("name"), str):
        draft.add("E054", f"the user of {where} has no name that is text")
    else:
        version.user_name = user["name"]
    if "address" not in user:
        draft.add("W008", f"the user of {where} has no address")
    elif not isinstance(user["address"], str):
        draft.add("E054", f"the address of the user of {where} is not text")
    else:
        version.user_address = user["address"]
        if not is_uri(user["address"]):
            draft.add("W009", f"{user['address']!r:.200}, the address of the user of {where}, is not a URI")


def _examine_state(draft: InventoryDraft, version: VersionDraft, state: JsonObject) -> None:
    where = f"version {version.name!r:.80}"
    version.is_state_readable = True
    version.state_keys = list(state)
    for digest in digests_occurring_twice(state):
        draft.add("E050", f"the digest {digest:.200} occurs more than once in the state of {where}")
    every_path: list[str] = []
    for digest, paths in state.items():
        if not isinstance(paths, list):
            draft.add("E050", f"the state of {where} does not list logical paths for {digest!r:.200}")
            continue
        good: list[str] = []
        for path in paths:
            problems = path_problems(path, LOGICAL)
            for code, message in problems:
                draft.add(code, f"in the state of {where}: {message}")
            if isinstance(path, str):
                every_path.append(path)
                good += [] if problems else [path]
        version.state[digest.lower()] = (*version.state.get(digest.lower(), ()), *good)
    for code, message in conflicts(every_path, LOGICAL):
        draft.add(code, f"in the state of {where}: {message}")
