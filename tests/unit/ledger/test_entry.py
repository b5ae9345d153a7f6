"""An event's bytes in the ledger: the same whoever writes them, and different when anything in it differs."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repository.errors import InvalidInputError
from repository.ledger.entry import canonical_json, entry_bytes, entry_hash
from repository.ledger.merkle import leaf_hash
from repository.model import Event, EventOutcome, EventType, ObjectId

EVENT = Event(
    type=EventType.FIXITY_CHECK,
    at=datetime(2026, 11, 22, 16, 15, 30, 5, tzinfo=timezone(timedelta(hours=8))),
    outcome=EventOutcome.SUCCESS,
    agent="jindang",
    object_id=ObjectId("urn:jindang:120000:a"),
    version=2,
    tier="shelf",
    detail={"路径": "册\n1", "files": 3, "again": None},
)
BYTES = (
    '{"agent":"jindang","at":"2026-11-22T08:15:30.000005Z","detail":{"again":null,"files":3,"路径":"册\\n1"},'
    '"number":7,"object":"urn:jindang:120000:a","outcome":"success","tier":"shelf","type":"fixity check","version":2}'
).encode()


def test_an_entry_is_exactly_these_bytes() -> None:
    """What docs/reference/ledger-format.md says; a change of this test makes every old checkpoint wrong."""
    assert entry_bytes(7, EVENT) == BYTES
    assert entry_hash(7, EVENT) == leaf_hash(BYTES)


def test_what_has_no_value_is_left_out() -> None:
    event = Event(type=EventType.INGESTION, at=datetime(1, 1, 1, tzinfo=UTC), outcome=EventOutcome.FAILURE, agent="a")
    assert entry_bytes(1, event) == (
        b'{"agent":"a","at":"0001-01-01T00:00:00.000000Z","detail":{},"number":1,"outcome":"failure","type":"ingestion"}'
    )


@pytest.mark.parametrize(
    "change",
    [
        {"type": EventType.REPLICATION},
        {"at": EVENT.at + timedelta(microseconds=1)},
        {"outcome": EventOutcome.FAILURE},
        {"agent": "somebody"},
        {"object_id": None},
        {"version": 3},
        {"tier": None},
        {"detail": {}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_change_of_any_field_changes_the_entry(change: dict[str, object]) -> None:
    assert {next(iter(change))} < {field.name for field in dataclasses.fields(Event)}
    assert entry_hash(7, dataclasses.replace(EVENT, **change)) != entry_hash(7, EVENT)
    assert entry_hash(8, EVENT) != entry_hash(7, EVENT)


def test_every_field_of_an_event_is_in_its_entry() -> None:
    named = {"object" if field.name == "object_id" else field.name for field in dataclasses.fields(Event)}
    assert set(json.loads(BYTES)) == named | {"number"}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


@given(json_values)
def test_a_value_read_again_gives_the_same_bytes(value: object) -> None:
    written = canonical_json(value)
    assert json.loads(written) == value
    assert canonical_json(json.loads(written)) == written


def test_the_order_of_keys_and_the_escapes_are_those_of_rfc_8785() -> None:
    """The RFC's own examples: section 3.2.3 for the order (by UTF-16, so the smiley before U+FB33), 3.2.2.2."""
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\u00f6"]
    expected = ["\r", "1", "\x80", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(canonical_json(dict.fromkeys(keys, 0)))) == expected
    assert canonical_json('\u20ac$\x0f\nA\'B"\\\\"/') == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode()


@pytest.mark.parametrize(
    ("detail", "why"),
    [
        ({"rate": 0.1}, "fraction"),
        ({"rate": float("nan")}, "fraction"),
        ({"bytes": 2**53}, "too large"),
        ({"name": "\udce9"}, "surrogates"),
        ({"\udce9": 1}, "surrogates"),
        ({1: "one"}, "key is not text"),
        ({"path": object()}, "not JSON"),
    ],
)
def test_what_readers_may_read_differently_is_refused(detail: dict[str, object], why: str) -> None:
    with pytest.raises(InvalidInputError, match=why) as caught:
        entry_bytes(7, dataclasses.replace(EVENT, detail=detail))
    assert caught.value.where == "entry 7"
    str(caught.value).encode()


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="time zone"):
        entry_bytes(7, dataclasses.replace(EVENT, at=datetime(2026, 1, 1)))  # noqa: DTZ001 - that is the fault
