"""The bytes that an event has in the ledger: canonical JSON, the same on every machine and for every reader.

Docs: docs/reference/ledger-format.md. Source: RFC 8785 (JSON Canonicalization Scheme), without fractions.
"""

import json
from datetime import UTC, datetime

from repository.errors import InvalidInputError
from repository.ledger.merkle import HASH_BYTES, leaf_hash
from repository.model import Event

NOT_AN_ENTRY = bytes(HASH_BYTES)
"""Stands for the hash of a row that cannot be an entry any more; no entry has it."""

_LARGEST_INTEGER = 2**53 - 1  # RFC 8785 section 3.2.2.3: beyond it, readers of JSON differ
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def entry_bytes(number: int, event: Event) -> bytes:
    """The leaf of an event: UTF-8, keys sorted, no white space, no line end.

    A field without a value is left out, so that a field added to Event later changes no old entry.

    Args:
        number: place in the ledger; the first entry is 1.
        event: its time is aware; its detail has text, whole numbers, booleans, null, lists and objects.

    Raises:
        InvalidInputError: the event cannot be written so that every reader reads the same.
    """
    try:
        fields: dict[str, object] = {  # in the order of the keys
            "agent": event.agent,
            "at": _time(event.at),
            "detail": _sorted(event.detail),
            "number": number,
            "object": None if event.object_id is None else event.object_id.uri,
            "outcome": event.outcome.value,
            "tier": event.tier,
            "type": event.type.value,
            "version": event.version,
        }
        return _ENCODER.encode({name: value for name, value in fields.items() if value is not None}).encode()
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidInputError(
            "An event cannot be written into the ledger",
            where=f"entry {number}",
            why=str(error),
            next_step="if it was just made, report it as a fault of Jindang; if it comes from the catalogue, "
            "the row has been changed: compare it with an older dump of the catalogue",
        ) from error


def entry_hash(number: int, event: Event) -> bytes:
    """Hash of the leaf of an event; raises as `entry_bytes` does."""
    return leaf_hash(entry_bytes(number, event))


def canonical_json(value: object) -> bytes:
    """A JSON value in its one canonical form.

    Raises:
        ValueError: a fraction, a whole number beyond 2^53 - 1, text that is not Unicode.
        TypeError: something that is not JSON.
    """
    return _ENCODER.encode(_sorted(value)).encode()


def _time(moment: datetime) -> str:
    """`2026-11-22T08:15:30.000000Z`: always six digits after the point."""
    if moment.tzinfo is None:
        raise ValueError("its time has no time zone")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _sorted(value: object) -> object:
    """The same value with the keys of all objects in order, and nothing in it that readers may read differently."""
    match value:
        case None | bool() | str():
            return value
        case int():
            if abs(value) > _LARGEST_INTEGER:
                raise ValueError(f"the number {value} is too large; write it as text")
            return value
        case float():
            raise ValueError(f"the fraction {value} is not written the same everywhere; use whole numbers or text")
        case list() | tuple():
            return [_sorted(item) for item in value]
        case dict():
            if not all(isinstance(key, str) for key in value):
                raise TypeError("a key is not text")
            return {key: _sorted(value[key]) for key in sorted(value, key=_utf16)}
        case _:
            raise TypeError(f"{type(value).__name__} is not JSON")


def _utf16(key: str) -> bytes:
    """Keys are ordered by UTF-16 code units (RFC 8785 section 3.2.3); it differs from code points beyond U+FFFF."""
    return key.encode("utf-16-be")
