"""Validation of OCFL objects and storage roots: the parts that the rest of Jindang calls."""

import os
from collections.abc import Iterator
from pathlib import Path

from repository.ocfl.codes import CODES, UNREADABLE, Code, Finding, Severity, is_valid
from repository.ocfl.validate_object import ObjectReport, report_on_object, validate_object
from repository.ocfl.validate_storage_root import report_on_storage_root, validate_storage_root
from repository.stop import StopToken

__all__ = [
    "CODES",
    "UNREADABLE",
    "Code",
    "Finding",
    "ObjectReport",
    "Severity",
    "is_valid",
    "report_on",
    "report_on_storage_root",
    "validate_object",
    "validate_storage_root",
]

_OBJECT_FILES = ("0=ocfl_object", "inventory.json")
_ROOT_FILES = ("0=ocfl", "ocfl_layout.json")


def report_on(path: Path, *, check_digests: bool, stop: StopToken, workers: int) -> Iterator[ObjectReport]:
    """One report for each object at a path, which is an object or a storage root; what is neither is judged as the
    one that it looks more like.

    Args:
        path: an object root or a storage root.
        check_digests: read and hash every content file once.
        stop: polled between objects, files and chunks.
        workers: content files read at the same time.

    Raises:
        NotFoundError: there is nothing at the path.
        InvalidInputError: it is not a directory.
        OperationCancelledError: stop was set.
    """
    if is_storage_root(path):
        yield from report_on_storage_root(path, check_digests=check_digests, stop=stop, workers=workers)
    else:
        yield report_on_object(path, check_digests=check_digests, stop=stop, workers=workers)


def is_storage_root(path: Path) -> bool:
    """Whether a folder looks more like a storage root than like an object; not when it cannot be read."""
    try:
        names = os.listdir(path)  # noqa: PTH208 - a million names, and no need of their paths
    except OSError:
        return False
    if any(name.startswith(_OBJECT_FILES) for name in names):
        return False
    return any(name.startswith(_ROOT_FILES) for name in names)
