"""A rewritten history: one row changed, removed, inserted or moved is found, and the message says from where on."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repository.ledger.checkpoint import Checkpoint
from repository.ledger.entry import NOT_AN_ENTRY
from repository.ledger.history import Witness, compare, not_continued
from repository.ledger.merkle import CompactRange, leaf_hash, root_of
from repository.ledger.tree import MemoryNodes, append


def _hashes(size: int) -> list[bytes]:
    return [leaf_hash(b"%d" % number) for number in range(1, size + 1)]


def _witnesses(hashes: Sequence[bytes], *sizes: int, place: str = "shelf") -> list[Witness]:
    return [
        Witness(place=place, checkpoint=Checkpoint(origin="ledger", size=size, root=root_of(hashes[:size])))
        for size in sizes
    ]


@st.composite
def rewritings(draw: st.DrawFn) -> tuple[list[bytes], list[bytes], int]:
    """Entries as they were and as they are now, and the first one (from 1) that is not the same."""
    before = _hashes(draw(st.integers(2, 60)))
    now, at = [*before], draw(st.integers(0, len(before) - 1))
    match draw(st.sampled_from(["change", "remove", "insert", "reorder", "cut off", "spoil"])):
        case "change":
            now[at] = leaf_hash(b"another")
        case "remove":
            del now[at]
        case "insert":
            now.insert(at, leaf_hash(b"another"))
        case "reorder":
            now.insert(draw(st.integers(0, len(before) - 1).filter(lambda to: to != at)), now.pop(at))
        case "cut off":
            del now[at:]
        case "spoil":
            now[at] = NOT_AN_ENTRY
    pairs = itertools.zip_longest(before, now)
    return before, now, next(number for number, (old, new) in enumerate(pairs, 1) if old != new)


@given(rewritings(), st.data())
def test_a_rewritten_entry_is_found_and_where(
    rewriting: tuple[list[bytes], list[bytes], int], data: st.DataObject
) -> None:
    before, now, first = rewriting
    sizes = data.draw(st.lists(st.integers(0, len(before)), max_size=5), label="sizes of older checkpoints")
    history = compare(now, _witnesses(before, *sizes, len(before)))
    agreed = max((size for size in sizes if size < first), default=0)
    refused = min([size for size in sizes if size >= first], default=len(before))
    found = history.disagreements[0]
    assert history.rewritten
    assert not history.forked
    assert history.proven == agreed
    assert (found.first, found.last) == (agreed + 1, min(refused, len(now) + 1))
    assert found.first <= first <= found.last
    assert str(found.last) in history.lines()[0]

    exact = compare(now, _witnesses(before, *sizes, len(before)), recorded=before)
    assert all((found.first, found.last) == (first, first) for found in exact.disagreements)
    assert exact.lines()[0].endswith(f"The history was rewritten from entry {first} on.")


@given(rewritings())
def test_a_liar_who_rewrites_the_recorded_hashes_too_is_found(rewriting: tuple[list[bytes], list[bytes], int]) -> None:
    before, now, first = rewriting
    history = compare(now, _witnesses(before, 1, len(before)), recorded=now)
    assert history.rewritten
    assert history.disagreements[0].first <= first <= history.disagreements[0].last


@given(st.integers(0, 60), st.lists(st.integers(0, 60)))
def test_a_history_that_only_grew_raises_no_alarm(size: int, older: list[int]) -> None:
    hashes = _hashes(size)
    sizes = [old for old in older if old <= size]
    history = compare(hashes, _witnesses(hashes, *sizes), recorded=hashes)
    assert history.sound
    assert not history.rewritten
    assert (history.entries, history.proven) == (size, max(sizes, default=0))


def test_the_result_is_told_in_words() -> None:
    hashes = _hashes(10)
    assert compare(hashes, _witnesses(hashes, 4, 10)).lines() == ["The entries 1 to 10 are what was signed."]
    assert compare(hashes, _witnesses(hashes, 4)).lines() == [
        "The entries 1 to 4 are what was signed.",
        "The entries 5 to 10 are not covered by a checkpoint yet.",
    ]
    assert compare([], []).lines() == ["No checkpoint proves any entry."]
    assert compare(hashes[:6], _witnesses(hashes, 4, 9, place="vault")).lines()[0] == (
        "The entries are not those that were signed in the checkpoint of 9 entries (vault); there are only 6 now. "
        "The history was rewritten from an entry between 5 and 7 on."
    )


def test_an_entry_newer_than_all_checkpoints_is_watched_by_its_recorded_hash() -> None:
    hashes = _hashes(10)
    now = [*hashes[:7], leaf_hash(b"another"), *hashes[8:]]
    history = compare(now, _witnesses(hashes, 5), recorded=hashes)
    assert history.rewritten
    assert history.unsigned_change == 8
    assert "From entry 8 on" in history.lines()[-1]
    assert compare(now, _witnesses(hashes, 5)).sound


def test_a_recorded_hash_that_was_altered_is_told_from_an_altered_entry() -> None:
    hashes = _hashes(10)
    recorded = [*hashes[:2], leaf_hash(b"another"), *hashes[3:]]
    history = compare(hashes, _witnesses(hashes, 10), recorded=recorded)
    assert not history.rewritten
    assert not history.sound
    assert history.wrong_record == 3
    assert "entry 3 is wrong" in history.lines()[-1]


def test_recorded_hashes_that_no_checkpoint_confirms_are_not_believed() -> None:
    hashes = _hashes(10)
    now = [*hashes[:7], leaf_hash(b"another"), *hashes[8:]]
    recorded = [*hashes[:2], leaf_hash(b"a third"), *hashes[3:]]
    found = compare(now, _witnesses(hashes, 10), recorded=recorded).disagreements[0]
    assert (found.first, found.last) == (1, 10)


def test_two_checkpoints_that_contradict_each_other_are_told_also_when_both_are_refused() -> None:
    first, second = _hashes(10), [leaf_hash(b"another"), *_hashes(9)]
    history = compare([leaf_hash(b"a third")] * 10, [*_witnesses(first, 10), *_witnesses(second, 10)])
    assert history.forked
    assert len(history.disagreements) == 2


@pytest.mark.parametrize("forked_size", [6, 10])
def test_two_histories_signed_with_one_key_are_told(forked_size: int) -> None:
    hashes = _hashes(10)
    others = [*hashes[:3], leaf_hash(b"another"), *hashes[4:]]
    witnesses = [*_witnesses(hashes, 2, 10), *_witnesses(others, forked_size, place="vault")]
    history = compare(hashes, witnesses)
    assert history.forked
    assert not history.sound
    assert [found.witness.place for found in history.disagreements] == ["vault"]
    assert (history.disagreements[0].first, history.disagreements[0].last) == (3, forked_size)
    assert "contradict" in history.lines()[-1]


@given(rewritings(), st.data())
def test_a_checkpoint_that_the_stored_tree_does_not_continue_is_found_before_the_next_is_signed(
    rewriting: tuple[list[bytes], list[bytes], int], data: st.DataObject
) -> None:
    before, now, first = rewriting
    sizes = data.draw(st.lists(st.integers(0, len(before)), unique=True), label="sizes of checkpoints")
    nodes = MemoryNodes()
    append(nodes, CompactRange(), now)
    found = not_continued(nodes, len(now), _witnesses(before, *sizes))
    assert [witness.checkpoint.size for witness in found] == [size for size in sizes if size >= first]
