"""A ledger's key and some entries; nothing in them is random."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from repository.ledger.entry import entry_bytes
from repository.ledger.keys import SigningKey
from repository.model import Event, EventOutcome, EventType, ObjectId


def make_key(name: str, seed: bytes) -> SigningKey:
    return SigningKey(name, Ed25519PrivateKey.from_private_bytes(seed))


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return make_key("archive.example/ledger", bytes(range(32)))


@pytest.fixture(scope="session")
def other_key() -> SigningKey:
    """Another key of the same name, as after a change of keys."""
    return make_key("archive.example/ledger", bytes(range(1, 33)))


@pytest.fixture(scope="session")
def neumann() -> SigningKey:
    """The key in the examples of Go's package golang.org/x/mod/sumdb/note."""
    return make_key("PeterNeumann", base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:])


@pytest.fixture(scope="session")
def entries() -> list[bytes]:
    """25 entries, in order."""
    return [
        entry_bytes(
            number,
            Event(
                type=EventType.FIXITY_CHECK,
                at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number),
                outcome=EventOutcome.SUCCESS,
                agent="jindang",
                object_id=ObjectId(f"urn:jindang:120000:{number % 3}"),
                detail={"题名": "会议记录\r"},
            ),
        )
        for number in range(1, 26)
    ]
