"""Earlier inventories against the object's own (OCFL 1.1 section 3.7): the past must not have been rewritten."""

from collections.abc import Iterable
from typing import Final

from repository.ocfl.inventory import VersionNumber
from repository.ocfl.validate_draft import InventoryDraft, VersionDraft
from repository.ocfl.validate_files import Notes

_MAX_NAMED: Final = 5


def compare_inventories(
    notes: Notes, *, path: str, number: VersionNumber, earlier: InventoryDraft, current: InventoryDraft
) -> None:
    """Note where an inventory in a version directory disagrees with the one in the object root.

    Args:
        notes: takes what is wrong.
        path: of the earlier inventory, relative to the object root.
        number: of the version in whose directory it lies.
        earlier: that inventory.
        current: the object's own.
    """
    if not earlier.is_json or not current.is_json:
        return
    directory = path.partition("/")[0]
    if earlier.head is not None and (earlier.head != number or str(earlier.head) != directory):
        notes.add("E040", path, f"the head is {earlier.head}, but this inventory belongs to {directory}")
    if earlier.id is not None and current.id is not None and earlier.id != current.id:
        for code in ("E037",) if current.is_old else ("E037", "E110"):
            notes.add(code, path, f"the id is {earlier.id!r:.200}, but the object's is {current.id!r:.200}")
    _compare_content_directories(notes, path, earlier, current)
    for shared in sorted(each for each in {*earlier.versions, *current.versions} if each <= number):
        _compare_versions(notes, path, shared, earlier, current)


def compare_spec_versions(notes: Notes, releases: Iterable[tuple[str, str | None]]) -> None:
    """Each version must follow the same release of OCFL as the one before it, or a later one.

    Args:
        notes: takes what is wrong.
        releases: (path of the inventory, the release it names), from version 1 up to the object's own inventory.

    Source: OCFL 1.1 section 3.7.1.
    """
    highest: str | None = None
    for path, release in releases:
        if release is None:
            continue
        if highest is not None and _parts(release) < _parts(highest):
            notes.add("E103", path, f"this inventory follows OCFL {release}, but an earlier one OCFL {highest}")
        else:
            highest = release


def _parts(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split("."))


def _compare_content_directories(notes: Notes, path: str, earlier: InventoryDraft, current: InventoryDraft) -> None:
    """The name must be set in the first version if ever, and must stay; a change breaks both halves of the rule."""
    if earlier.content_directory is None or current.content_directory is None:
        return
    if earlier.content_directory != current.content_directory:
        message = (
            f"the content directory is {earlier.content_directory!r:.80} here, "
            f"but {current.content_directory!r:.80} in the object's inventory"
        )
        notes.add("E019", path, message)
        notes.add("E020", path, message)
    elif current.content_directory_declared and not earlier.content_directory_declared:
        notes.add("E019", path, "the object's inventory sets contentDirectory, but this earlier one does not")


def _compare_versions(
    notes: Notes, path: str, number: VersionNumber, earlier: InventoryDraft, current: InventoryDraft
) -> None:
    before, now = earlier.versions.get(number), current.versions.get(number)
    if now is None:  # a gap in the object's own inventory, which has a code of its own
        return
    if before is None:
        if earlier.has_versions_block:
            notes.add("E066", path, f"version {number} is not described in this inventory")
        return
    if before.is_state_readable and now.is_state_readable:
        differing = _differing_paths(before, now, earlier, current, number)
        if differing:
            more = f" and {len(differing) - _MAX_NAMED} more" if len(differing) > _MAX_NAMED else ""
            shown = ", ".join(repr(each)[:200] for each in differing[:_MAX_NAMED])
            notes.add(
                "E066", path, f"the state of {before.name} is not the one in the object's inventory: {shown}{more}"
            )
    for key, value in before.particulars().items():
        if value != now.particulars()[key]:
            notes.add("W011", path, f"{key} of {before.name} is not as in the object's inventory")


def _differing_paths(
    before: VersionDraft,
    now: VersionDraft,
    earlier: InventoryDraft,
    current: InventoryDraft,
    number: VersionNumber,
) -> list[str]:
    """Logical paths of a version that one of two inventories lacks, or that stand for other content there.

    Two inventories with one digest algorithm are compared by digest. With different ones, a logical path stands
    for the same content when it leads to the same content files.
    """
    old, new = _by_logical_path(before), _by_logical_path(now)
    differing = set(old) ^ set(new)
    same_algorithm = earlier.algorithm == current.algorithm
    limit = max(number, *earlier.versions, key=lambda each: each.number)
    for path in set(old) & set(new):
        if same_algorithm:
            if old[path] != new[path]:
                differing.add(path)
            continue
        files_before = _files(earlier, old[path], limit)
        files_now = _files(current, new[path], limit)
        if files_before and files_now and files_before != files_now:
            differing.add(path)
    return sorted(differing)


def _by_logical_path(version: VersionDraft) -> dict[str, str]:
    return {path: digest for digest, paths in version.state.items() for path in paths}


def _files(draft: InventoryDraft, digest: str, limit: VersionNumber) -> set[str]:
    """The content files of a digest that were there up to a version."""
    found = set()
    for path in draft.manifest.get(digest, ()):
        number = VersionNumber.parse_or_none(path.partition("/")[0])
        if number is None or number <= limit:
            found.add(path)
    return found
