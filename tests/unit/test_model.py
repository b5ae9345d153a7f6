"""Identifiers: what people write, the URI that it becomes, and what cannot be one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repository.errors import InvalidInputError
from repository.model import MAX_IDENTIFIER_BYTES, ObjectId, SecurityClass

PREFIX = "urn:jindang:120000:"


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("J019-WS·2015·D30-003-005", "J019-WS%C2%B72015%C2%B7D30-003-005"),
        ("  a b  ", "a%20b"),
        ("100%", "100%25"),
        ("100%25", "100%2525"),
        ("a/b:c@d", "a/b:c@d"),
        ("#?[]", "%23%3F%5B%5D"),
        ("📦", "%F0%9F%93%A6"),
        (PREFIX + "a%20b", "a%20b"),
        (PREFIX + "a b", "a%20b"),
        ("urn:other:1", "urn:other:1"),
    ],
)
def test_a_readable_identifier_becomes_a_uri(text: str, uri: str) -> None:
    assert ObjectId.parse(text, prefix=PREFIX).uri == PREFIX + uri


def test_what_looks_the_same_is_the_same() -> None:
    assert ObjectId.parse("cafe\u0301", prefix=PREFIX) == ObjectId.parse("caf\u00e9", prefix=PREFIX)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        PREFIX,
        "a\nb",
        "a\x00",
        "a\x7fb",
        "档" * (MAX_IDENTIFIER_BYTES // 3 + 1),
        "caf\udce9",
        PREFIX + "%FF",
        PREFIX + "a%0Ab",
    ],
)
def test_what_cannot_be_an_identifier_is_refused_with_what_to_do(text: str) -> None:
    with pytest.raises(InvalidInputError, match="--id") as caught:
        ObjectId.parse(text, prefix=PREFIX)
    assert caught.value.exit_code == 2
    str(caught.value).encode()


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=100))
def test_an_identifier_survives_being_shown_and_read_again(text: str) -> None:
    if not text.strip():
        return
    parsed = ObjectId.parse(text, prefix=PREFIX)
    assert parsed.uri.isascii()
    assert ObjectId.parse(parsed.uri, prefix=PREFIX) == parsed
    assert ObjectId.parse(str(parsed), prefix=PREFIX).local(PREFIX) == parsed.local(PREFIX)


def test_an_identifier_of_another_institution_is_shown_whole() -> None:
    assert ObjectId("urn:jindang:other:a%20b").local(PREFIX) == "urn:jindang:other:a%20b"


def test_state_secrets_begin_with_secret() -> None:
    assert [kind for kind in SecurityClass if kind.is_state_secret] == ["秘密", "机密", "绝密"]
