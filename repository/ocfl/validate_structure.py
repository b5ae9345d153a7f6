"""The files and directories of an object root: declaration, inventories, version directories, extensions.

Source: OCFL 1.1 sections 3.1 to 3.3 and 3.6 to 3.9.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from repository.errors import InventoryError
from repository.hashing import ALGORITHMS, MultiHasher
from repository.ocfl.codes import REGISTERED_EXTENSIONS
from repository.ocfl.inventory import (
    CONTENT_ALGORITHMS,
    INVENTORY_FILE,
    SPEC_VERSIONS,
    VersionNumber,
    read_sidecar,
    sidecar_name,
)
from repository.ocfl.validate_draft import InventoryDraft
from repository.ocfl.validate_files import Notes, read_plain
from repository.ocfl.validate_inventory import MAX_INVENTORY_BYTES, examine_inventory

MAX_SMALL_FILE_BYTES: Final = 1 << 16
_DECLARATION: Final = re.compile(r"[0-9]=.*", re.ASCII | re.DOTALL)


@dataclass(slots=True, kw_only=True)
class ObjectShape:
    """What lies in an object root.

    `version_directories` has every directory with a version's name; two names of one number are kept apart.
    """

    spec_version: str | None = None
    has_inventory: bool = False
    sidecars: tuple[str, ...] = ()
    version_directories: dict[str, VersionNumber] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class StoredDraft:
    """An inventory file: where it is, its bytes, and what could be understood of them."""

    path: str
    data: bytes
    draft: InventoryDraft


def examine_object_root(notes: Notes) -> ObjectShape | None:
    """See what lies directly in the object root, and note what must not; None when it cannot be read."""
    listing = notes.listing("")
    if listing is None:
        return None
    shape = ObjectShape()
    shape.has_inventory = INVENTORY_FILE in listing.files
    shape.sidecars = tuple(name for name in listing.files if name.startswith(f"{INVENTORY_FILE}."))
    declarations = tuple(name for name in listing.files if _DECLARATION.fullmatch(name))
    shape.spec_version = _examine_declarations(notes, declarations)
    for name in listing.files:
        if name != INVENTORY_FILE and name not in shape.sidecars and name not in declarations:
            notes.add("E001", name, "this file has no place in an object's directory")
    for name in listing.directories:
        number = VersionNumber.parse_or_none(name)
        if number is not None:
            shape.version_directories[name] = number
        elif name == INVENTORY_FILE:
            notes.add("E034", name, "the inventory must be a file; this is a directory")
        elif name == "extensions":
            _examine_extensions(notes)
        elif name != "logs":
            notes.add("E001", name, "this directory has no place in an object's directory")
    return shape


def declaration_problems(
    name: str, data: bytes, *, prefix: str, codes: tuple[str, str, str, str]
) -> list[tuple[str, str]]:
    """What is wrong with one NAMASTE declaration file: (code, message) each.

    Args:
        name: of the file; begins with a digit and an equals sign.
        data: the file's content.
        prefix: `ocfl_object_` or `ocfl_`.
        codes: for the form, for the leading 0, for the name after it, and for the content.
    """
    form, leading, value, content = codes
    first, _, dvalue = name.partition("=")
    problems = []
    if first != "0":
        problems.append((leading, f"the declaration's name begins with {first} instead of 0"))
    if not dvalue.startswith(prefix):
        problems.append((form, f"the declaration's name is not 0={prefix} and a version of OCFL"))
        problems.append((value, f"the declaration's name does not go on with {prefix}"))
    elif dvalue.removeprefix(prefix) not in SPEC_VERSIONS:
        known = " and ".join(SPEC_VERSIONS)
        problems.append((value, f"the declaration names a version of OCFL that is not known; known are {known}"))
    if data != f"{dvalue}\n".encode("utf-8", "surrogateescape"):
        problems.append((content, f"the declaration must hold the line {dvalue!r} and nothing else"))
    return problems


def _examine_declarations(notes: Notes, declarations: tuple[str, ...]) -> str | None:
    """The OCFL version that the object declares; None when that is not clear."""
    found = []
    for name in declarations:
        try:
            data = read_plain(notes.root / name, MAX_SMALL_FILE_BYTES)
        except OSError as error:
            notes.add_unreadable(name, error)
            continue
        codes = ("E004", "E005", "E006", "E007")
        for code, message in declaration_problems(name, data, prefix="ocfl_object_", codes=codes):
            notes.add(code, name, message)
        if name.startswith("0=ocfl_object_"):
            found.append(name.removeprefix("0=ocfl_object_"))
    if not found:
        hint = "; this looks like a storage root" if any(n.startswith("0=ocfl_") for n in declarations) else ""
        notes.add("E003", "", f"there is no object version declaration such as 0=ocfl_object_1.1 here{hint}")
    elif len(found) > 1:
        notes.add("E003", "", f"there is more than one object version declaration: {', '.join(declarations)}")
    known = [version for version in found if version in SPEC_VERSIONS]
    return max(known, default=None)


def _examine_extensions(notes: Notes) -> None:
    listing = notes.listing("extensions")
    if listing is None:
        return
    for name in listing.files:
        notes.add("E067", f"extensions/{name}", "the extensions directory must hold directories only")
    for name in listing.directories:
        if name not in REGISTERED_EXTENSIONS:
            notes.add("W013", f"extensions/{name}", "this is not the name of a registered extension")


def examine_stored_inventory(
    notes: Notes,
    where: str,
    sidecars: tuple[str, ...],
    *,
    spec_version: str | None,
    known: StoredDraft | None = None,
) -> StoredDraft | None:
    """Read an inventory file and its sidecar, and note what is wrong with the two as files.

    The problems inside the inventory stay in the draft. None when it cannot be read at all.

    Args:
        notes: takes what is wrong.
        where: directory of the inventory, relative to the object root; empty for the root itself.
        sidecars: names in that directory that begin like a sidecar's.
        spec_version: what the object declares.
        known: an inventory that may have the same bytes, which are then not read a second time.
    """
    path = f"{where}/{INVENTORY_FILE}" if where else INVENTORY_FILE
    try:
        data = read_plain(notes.root / path, MAX_INVENTORY_BYTES)
    except OSError as error:
        notes.add_unreadable(path, error)
        return None
    if len(data) > MAX_INVENTORY_BYTES:
        notes.add("E033", path, f"the inventory is larger than {MAX_INVENTORY_BYTES >> 20} MiB and was not read")
        return None
    if known is not None and known.data == data:
        draft, data = known.draft, known.data
    else:
        draft = examine_inventory(data, declared_spec_version=spec_version)
    _examine_sidecars(notes, where, sidecars, draft, data)
    return StoredDraft(path=path, data=data, draft=draft)


def _examine_sidecars(notes: Notes, where: str, sidecars: tuple[str, ...], draft: InventoryDraft, data: bytes) -> None:
    prefix, misplaced = (f"{where}/", "E015") if where else ("", "E001")
    wanted = sidecar_name(draft.algorithm) if draft.algorithm else None
    if wanted is None and sidecars:
        # The inventory does not name its algorithm; the sidecar that is there does.
        wanted = sidecars[0]
    for name in sidecars:
        if name != wanted and wanted in sidecars:
            notes.add(misplaced, f"{prefix}{name}", "this is not the sidecar of the inventory")
        elif name != wanted:
            notes.add("E059", f"{prefix}{name}", f"the sidecar of an inventory with {draft.algorithm} is {wanted}")
        elif name.removeprefix(f"{INVENTORY_FILE}.") not in CONTENT_ALGORITHMS:
            notes.add(misplaced, f"{prefix}{name}", "an inventory's sidecar ends in .sha512 or .sha256")
    if wanted is None or wanted not in sidecars:
        shown = wanted or f"{INVENTORY_FILE}.sha512"
        notes.add("E058", f"{prefix}{INVENTORY_FILE}", f"there is no sidecar {shown} beside the inventory")
        return
    try:
        text = read_plain(notes.root / f"{prefix}{wanted}", MAX_SMALL_FILE_BYTES)
    except OSError as error:
        notes.add_unreadable(f"{prefix}{wanted}", error)
        return
    _compare_sidecar(notes, f"{prefix}{wanted}", text, data)


def _compare_sidecar(notes: Notes, path: str, text: bytes, data: bytes) -> None:
    try:
        stated = read_sidecar(text)
    except InventoryError:
        notes.add("E061", path, "the sidecar is not a digest, a space and the words inventory.json")
        return
    algorithm = path.rpartition(f"{INVENTORY_FILE}.")[2]
    if algorithm not in ALGORITHMS:
        return
    hasher = MultiHasher([algorithm])
    hasher.update(data)
    if stated != hasher.digests()[algorithm]:
        notes.add("E060", path, f"the sidecar states the digest {stated:.140}, but the inventory has another one")
