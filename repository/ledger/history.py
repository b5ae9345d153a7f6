"""Whether history was rewritten: the entries as they are now against the checkpoints that were signed over them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from repository.ledger.checkpoint import Checkpoint
from repository.ledger.merkle import EMPTY_ROOT, CompactRange
from repository.ledger.tree import NodeStore, root_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A checkpoint whose signature has been checked, and where it was found."""

    place: str
    """Tier, archive or path, as a person reads it."""
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """A checkpoint that the entries do not agree with.

    The first entry that was changed, removed, inserted or put elsewhere is one from `first` to `last`; when they are
    equal, it is that one.
    """

    witness: Witness
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What comparing all entries with all checkpoints found. Entries count from 1."""

    entries: int
    """Entries that there are now."""
    proven: int
    """The entries up to this one are what was signed: size of the largest checkpoint that they agree with."""
    disagreements: tuple[Disagreement, ...] = ()
    """Smallest checkpoint first, so the first of them says where the earliest change is."""
    forked: bool = False
    """Checkpoints contradict each other: more than one history was signed with this key."""
    unsigned_change: int | None = None
    """First entry, newer than the newest checkpoint, whose hash is not the one that was recorded with it."""
    wrong_record: int | None = None
    """First entry that a checkpoint proves, while the hash recorded with it is another: that hash was altered."""

    @property
    def rewritten(self) -> bool:
        """Whether an entry is not as it was."""
        return bool(self.disagreements) or self.unsigned_change is not None

    @property
    def sound(self) -> bool:
        """Whether nothing at all is wrong."""
        return not (self.rewritten or self.forked or self.wrong_record)

    def lines(self) -> list[str]:
        """The result in words, a sentence or two a line."""
        if self.disagreements:
            lines = [_in_words(found, self.entries) for found in self.disagreements]
        elif self.proven:
            lines = [f"The entries 1 to {self.proven} are what was signed."]
        else:
            lines = ["No checkpoint proves any entry."]
        if self.forked:
            lines.append("The checkpoints contradict each other: more than one history was signed with this key.")
        if self.unsigned_change is not None:
            lines.append(
                f"From entry {self.unsigned_change} on, entries are not what was recorded; they are newer than "
                "the newest checkpoint."
            )
        elif not self.disagreements and self.entries > self.proven:
            lines.append(f"The entries {self.proven + 1} to {self.entries} are not covered by a checkpoint yet.")
        if self.wrong_record is not None:
            lines.append(
                f"The hash that is recorded with entry {self.wrong_record} is wrong, and the entry itself is proven: "
                "make the recorded hashes anew from the entries."
            )
        return lines


def compare(
    leaf_hashes: Iterable[bytes], witnesses: Sequence[Witness], *, recorded: Iterable[bytes] | None = None
) -> History:
    """Compare the entries with every checkpoint, in one pass.

    Args:
        leaf_hashes: of all entries, recomputed from what they say now, in order; `entry.NOT_AN_ENTRY` for a row that
            cannot be one any more.
        witnesses: checkpoints of this ledger, with signatures checked, in any order.
        recorded: the leaf hashes as they were stored when the entries were made. They say exactly which entry was
            the first to change, and are believed only where a checkpoint confirms them.

    Returns: what was found. Memory: 2 hashes for each checkpoint, and none for the entries.
    """
    sizes = {witness.checkpoint.size for witness in witnesses}
    ours, stored = _Roots(sizes), _Roots(sizes)
    first_difference = None
    for ours_now, stored_then in zip_longest(leaf_hashes, () if recorded is None else recorded):
        if recorded is not None and first_difference is None and ours_now != stored_then:
            first_difference = max(ours.size, stored.size) + 1
        ours.add(ours_now)
        stored.add(stored_then)
    return _judge(ours, stored, witnesses, first_difference)


def not_continued(nodes: NodeStore, size: int, witnesses: Iterable[Witness]) -> list[Witness]:
    """The checkpoints that the stored tree is no continuation of; with one of them, nothing may be signed.

    Reads O(log size) nodes for each checkpoint, and no entry: what the entries say now is not looked at.

    Args:
        nodes: the stored tree.
        size: its leaves.
        witnesses: checkpoints of this ledger, with signatures checked.
    """
    return [
        witness
        for witness in witnesses
        if witness.checkpoint.size > size or root_at(nodes, witness.checkpoint.size) != witness.checkpoint.root
    ]


class _Roots:
    """A growing tree, and the roots that it had at the sizes that matter."""

    def __init__(self, sizes: set[int]) -> None:
        self._tree = CompactRange()
        self._sizes = sizes
        self._roots = {0: EMPTY_ROOT}

    @property
    def size(self) -> int:
        return self._tree.size

    def add(self, leaf: bytes | None) -> None:
        """Take the next leaf; None when there are no more."""
        if leaf is None:
            return
        self._tree.append(leaf)
        if self._tree.size in self._sizes:
            self._roots[self._tree.size] = self._tree.root()

    def agrees(self, checkpoint: Checkpoint) -> bool:
        return self._roots.get(checkpoint.size) == checkpoint.root


def _judge(ours: _Roots, stored: _Roots, witnesses: Sequence[Witness], first_difference: int | None) -> History:
    ordered = sorted(witnesses, key=lambda witness: (witness.checkpoint.size, witness.place))
    agreed = [witness.checkpoint.size for witness in ordered if ours.agrees(witness.checkpoint)]
    disagreements = []
    for witness in ordered:
        size = witness.checkpoint.size
        if ours.agrees(witness.checkpoint):
            continue
        first, last = max((good for good in agreed if good < size), default=0) + 1, min(size, ours.size + 1)
        if first_difference is not None and first <= first_difference <= last and stored.agrees(witness.checkpoint):
            first = last = first_difference
        disagreements.append(Disagreement(witness=witness, first=first, last=last))
    proven = max(agreed, default=0)
    newest = max((witness.checkpoint.size for witness in ordered), default=0)
    return History(
        entries=ours.size,
        proven=proven,
        disagreements=tuple(disagreements),
        forked=any(found.witness.checkpoint.size <= proven for found in disagreements) or _differ(ordered),
        unsigned_change=first_difference if first_difference and first_difference > newest else None,
        wrong_record=first_difference if first_difference and first_difference <= proven else None,
    )


def _differ(ordered: Sequence[Witness]) -> bool:
    """Whether two checkpoints of the same size have different roots."""
    return len({w.checkpoint.size for w in ordered}) < len({(w.checkpoint.size, w.checkpoint.root) for w in ordered})


def _in_words(found: Disagreement, entries: int) -> str:
    checkpoint, place = found.witness.checkpoint, found.witness.place
    known = f"The entries are not those that were signed in the checkpoint of {checkpoint.size} entries ({place})"
    short = f"; there are only {entries} now" if entries < checkpoint.size else ""
    if found.first == found.last:
        return f"{known}{short}. The history was rewritten from entry {found.first} on."
    return f"{known}{short}. The history was rewritten from an entry between {found.first} and {found.last} on."
