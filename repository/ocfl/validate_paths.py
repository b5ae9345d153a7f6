"""The rules for logical paths and content paths (OCFL 1.1 sections 3.5.2 and 3.5.3.1)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class PathCodes:
    """Which codes a kind of path is reported with."""

    kind: str
    unreadable: str
    bad_part: str
    outer_slash: str
    conflict: str


LOGICAL: Final = PathCodes(
    kind="logical path", unreadable="E051", bad_part="E052", outer_slash="E053", conflict="E095"
)
CONTENT: Final = PathCodes(
    kind="content path", unreadable="E098", bad_part="E099", outer_slash="E100", conflict="E101"
)


def path_problems(path: Any, codes: PathCodes) -> list[tuple[str, str]]:
    """What is wrong with one path by itself: (code, message) each; none for a path that is safe to use."""
    if not isinstance(path, str):
        return [(codes.unreadable, f"a {codes.kind} is not text: {path!r:.80}")]
    problems = []
    if "\0" in path:
        problems.append((codes.unreadable, f"the {codes.kind} {path!r:.200} has a null character in it"))
    if path.startswith("/") or path.endswith("/"):
        problems.append((codes.outer_slash, f"the {codes.kind} {path!r:.200} begins or ends with a slash"))
    if any(part in ("", ".", "..") for part in _inner_parts(path)):
        problems.append((codes.bad_part, f"the {codes.kind} {path!r:.200} has a part that is empty or dots alone"))
    return problems


def conflicts(paths: Iterable[str], codes: PathCodes) -> Iterator[tuple[str, str]]:
    """Paths that occur twice, or that are a file here and a directory there: (code, message) each."""
    files: set[str] = set()
    for path in paths:
        if path in files:
            yield codes.conflict, f"the {codes.kind} {path!r:.200} occurs more than once"
        files.add(path)
    # In this order whatever lies below a path follows it at once, so that neighbours are enough to compare.
    for path, following in pairwise(sorted(files, key=lambda each: each.replace("/", "\0"))):
        if following.startswith(f"{path}/"):
            yield codes.conflict, f"the {codes.kind} {path!r:.200} is also a directory, of {following!r:.200}"


def _inner_parts(path: str) -> list[str]:
    """The parts of a path; the emptiness that one outer slash makes is that slash's own fault."""
    parts = path.split("/")
    if len(parts) > 1 and not parts[0]:
        parts = parts[1:]
    if len(parts) > 1 and not parts[-1]:
        parts = parts[:-1]
    return parts
