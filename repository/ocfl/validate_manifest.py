"""The manifest and the fixity block of an inventory (OCFL 1.1 sections 3.5.2 and 3.5.4)."""

import re
from collections.abc import Mapping
from typing import Final

from repository.hashing import SIZE
from repository.ocfl.inventory import VersionNumber
from repository.ocfl.validate_draft import InventoryDraft
from repository.ocfl.validate_json import JsonObject, digests_occurring_twice
from repository.ocfl.validate_paths import CONTENT, conflicts, path_problems

HEX_CHARS: Final[Mapping[str, int]] = {
    "md5": 32,
    "sha1": 40,
    "sha256": 64,
    "sha512": 128,
    "blake2b-512": 128,
    "blake2b-160": 40,
    "blake2b-256": 64,
    "blake2b-384": 96,
    "sha512/256": 64,
}
"""Digest algorithms of OCFL 1.1 section 3.4 and extension 0009 that give hex -> number of hex digits."""

_FORM_CODES: Final[Mapping[str, str]] = {
    "sha1": "E029",
    "sha256": "E030",
    "sha512": "E031",
    "blake2b-512": "E032",
}
_HEX: Final = re.compile(r"[0-9a-fA-F]+", re.ASCII)
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_MIN_PARTS: Final = 3


def examine_manifest(draft: InventoryDraft, document: JsonObject) -> None:
    """Read the manifest into the draft; the content directory and the versions must have been read before."""
    if "manifest" not in document:
        draft.add("E041", "the manifest is missing")
        return
    block = document["manifest"]
    if not isinstance(block, JsonObject):
        draft.add("E041", "the manifest is not a JSON object")
        if not draft.is_old:
            draft.add("E106", "the manifest is not a JSON object")
        return
    draft.is_manifest_readable = True
    draft.manifest_keys = list(block)
    for digest in block:
        _examine_manifest_digest(draft, digest)
    for digest in digests_occurring_twice(block):
        draft.add("E096", f"the digest {digest:.200} occurs more than once in the manifest")
    draft.manifest = _read_block(draft, block, where="the manifest", not_a_list="E092")
    for paths in draft.manifest.values():
        for path in paths:
            _examine_place(draft, path)


def examine_fixity(draft: InventoryDraft, document: JsonObject) -> None:
    """Read the fixity block into the draft; the manifest must have been read before."""
    if "fixity" not in document:
        return
    fixity = document["fixity"]
    if not isinstance(fixity, JsonObject):
        draft.add("E056" if draft.is_old else "E111", "the fixity block is not a JSON object")
        return
    for algorithm in fixity.repeated:
        draft.add("E033", f"the key {algorithm!r:.80} occurs more than once in the fixity block")
    for algorithm, block in fixity.items():
        where = f"the fixity block {algorithm!r:.80}"
        if algorithm not in HEX_CHARS and algorithm != SIZE:
            draft.add("E056", f"{where} is not named after a registered digest algorithm")
        if isinstance(block, JsonObject):
            draft.fixity[algorithm] = _read_fixity_of(draft, algorithm, block, where)
            _compare_fixity_with_manifest(draft, block, where)
        else:
            draft.add("E057", f"{where} is not a JSON object")


def _read_fixity_of(
    draft: InventoryDraft, algorithm: str, block: JsonObject, where: str
) -> dict[str, tuple[str, ...]]:
    for digest in block:
        _examine_fixity_digest(draft, algorithm, digest)
    for digest in digests_occurring_twice(block):
        draft.add("E097", f"the digest {digest:.200} occurs more than once in {where}")
    return _read_block(draft, block, where=where, not_a_list="E057")


def _compare_fixity_with_manifest(draft: InventoryDraft, block: JsonObject, where: str) -> None:
    if not draft.is_manifest_readable:
        return
    known = {path for paths in draft.manifest.values() for path in paths}
    named = {path for paths in block.values() if isinstance(paths, list) for path in paths if isinstance(path, str)}
    for path in sorted(named - known):
        draft.add("E057", f"{where} has a path that the manifest does not have: {path!r:.200}")


def has_form(algorithm: str, digest: str) -> bool:
    """Whether the text can be a digest of this algorithm."""
    if algorithm == SIZE:
        return _DECIMAL.fullmatch(digest) is not None
    return len(digest) == HEX_CHARS.get(algorithm, len(digest)) and _HEX.fullmatch(digest) is not None


def _examine_manifest_digest(draft: InventoryDraft, digest: str) -> None:
    algorithm = draft.algorithm
    if algorithm is None or algorithm not in HEX_CHARS or has_form(algorithm, digest):
        return
    shown = f"the manifest's digest {digest!r:.200}"
    others = [name for name in ("sha512", "sha256") if name != algorithm and has_form(name, digest)]
    if others:
        draft.add("E039", f"{shown} is not a {algorithm} digest but looks like {others[0]}")
    else:
        draft.add(_FORM_CODES.get(algorithm, "E092"), f"{shown} is not a {algorithm} digest in hexadecimal digits")


def _examine_fixity_digest(draft: InventoryDraft, algorithm: str, digest: str) -> None:
    is_known = algorithm in HEX_CHARS or algorithm == SIZE
    if is_known and not has_form(algorithm, digest):
        for code in dict.fromkeys((_FORM_CODES.get(algorithm, "E057"), "E057")):
            draft.add(code, f"the fixity block {algorithm!r} has {digest!r:.200}, which cannot be such a value")


def _read_block(
    draft: InventoryDraft, block: JsonObject, *, where: str, not_a_list: str
) -> dict[str, tuple[str, ...]]:
    """Digest in lower case -> the content paths that are safe to use; what is wrong goes to the draft."""
    usable: dict[str, tuple[str, ...]] = {}
    every_path: list[str] = []
    for digest, paths in block.items():
        if not isinstance(paths, list) or not paths:
            draft.add(not_a_list, f"{where} does not list any content paths for {digest!r:.200}")
            continue
        good: list[str] = []
        for path in paths:
            problems = path_problems(path, CONTENT)
            for code, message in problems:
                draft.add(code, f"in {where}: {message}")
            if not problems:
                good.append(path)
        every_path += good
        usable[digest.lower()] = (*usable.get(digest.lower(), ()), *good)
    for code, message in conflicts(every_path, CONTENT):
        draft.add(code, f"in {where}: {message}")
    return usable


def _examine_place(draft: InventoryDraft, path: str) -> None:
    """A content path must begin with a version's directory, as it is written, and the content directory."""
    directory, *rest = path.split("/")
    number = VersionNumber.parse_or_none(directory)
    if number is None or number not in draft.versions:
        if draft.has_versions_block:
            draft.add("E042", f"the content path {path!r:.200} is not in a directory of one of the object's versions")
        return
    name = draft.versions[number].name
    if directory != name:
        draft.add("E014", f"the content path {path!r:.200} should begin with {name}, as the version is named")
        draft.add("E042", f"the content path {path!r:.200} is not in the version directory {name}")
    if draft.content_directory is None:
        return
    if len(rest) + 1 < _MIN_PARTS or rest[0] != draft.content_directory:
        draft.add("E042", f"the content path {path!r:.200} is not in {directory}/{draft.content_directory}")
