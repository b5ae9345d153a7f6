"""What the objects in an object store are called, and in which order a server lists them."""

import heapq
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from storage_tiers.port import VersionRef

README_KEY: Final = "README.txt"
FEATURES_KEY: Final = "jindang-capabilities.json"
QUARANTINE: Final = "quarantine/"
CANARY: Final = "canary/"

_VERSION = re.compile(
    r"(?P<path>.+)/v(?P<number>[1-9][0-9]*)\.(?P<part>zip|inventory\.json|summary\.json)(?:\.age)?", re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionKeys:
    """The three objects of one version; the summary is written last and makes the version visible."""

    pack: str
    inventory: str
    summary: str

    @property
    def in_order(self) -> tuple[str, str, str]:
        """As they are written."""
        return self.pack, self.inventory, self.summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The naming in one tier.

    Args:
        prefix: before every key; empty, or with a slash at its end.
        encrypted: whether packs and what lies beside them are encrypted with age.
    """

    prefix: str = ""
    encrypted: bool = False

    def stem(self, ref: VersionRef) -> str:
        """With what all keys of this version begin, and of no other."""
        return f"{self.prefix}{ref.object_path}/v{ref.number}."

    def of(self, ref: VersionRef) -> VersionKeys:
        """The keys of a version."""
        stem, end = self.stem(ref), ".age" if self.encrypted else ""
        return VersionKeys(
            pack=f"{stem}zip{end}", inventory=f"{stem}inventory.json{end}", summary=f"{stem}summary.json{end}"
        )

    def ref(self, summary_key: str) -> VersionRef | None:
        """The version that a summary makes visible; None for every other key."""
        ref = self.ref_of_any(summary_key)
        return ref if ref is not None and summary_key == self.of(ref).summary else None

    def ref_of_any(self, key: str) -> VersionRef | None:
        """The version that one of its three keys belongs to; None for every other key."""
        name = key.removeprefix(self.prefix)
        match = None if name.startswith((QUARANTINE, CANARY)) else _VERSION.fullmatch(name)
        if match is None:
            return None
        ref = VersionRef(match["path"], int(match["number"]))
        return ref if key in self.of(ref).in_order else None

    def start_after(self, after: VersionRef | None) -> str | None:
        """The key after which a listing has every version after this one (and some before it)."""
        return None if after is None else f"{self.prefix}{after.object_path}"


def in_order(refs: Iterable[VersionRef], after: VersionRef | None = None) -> Iterator[VersionRef]:
    """Versions as a server lists them, brought into the port's order: by the object's path, then by number.

    A server sorts keys, so that `v10` comes before `v2`, and `a!/v1` before `a/v1`. A version is held back as long as
    one may still come that belongs before it: one of its own object, or of an object whose path is the beginning of
    its own. No object lies within another (OCFL 1.1 section 4.2). Memory: the versions of an object, and where paths
    begin alike, of the objects in one folder.
    """
    held: list[VersionRef] = []
    for ref in refs:
        while held and not _may_follow(ref.object_path, held[0].object_path):
            yield heapq.heappop(held)
        if after is None or ref > after:
            heapq.heappush(held, ref)
    while held:
        yield heapq.heappop(held)


def _may_follow(listed: str, held: str) -> bool:
    """Whether, at this place of the listing, something may come that belongs before what is held, or with it."""
    if listed == held:
        return True
    position = f"{listed}/"
    return any(f"{held[:end]}/" >= position for end in range(1, len(held)) if held[end] < "/")
