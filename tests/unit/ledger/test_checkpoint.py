"""Checkpoints: one form only, signed by the ledger's own key under its own name."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repository.errors import IntegrityError
from repository.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from repository.ledger.keys import SigningKey
from repository.ledger.merkle import EMPTY_ROOT
from repository.ledger.note import sign_note

ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
TEXT = f"example.com/behind-the-sofa\n20852163\n{ROOT}\n"  # the example of c2sp.org/tlog-checkpoint


def test_the_published_example_is_read_and_written() -> None:
    checkpoint = Checkpoint.parse(TEXT)
    assert checkpoint == Checkpoint(
        origin="example.com/behind-the-sofa", size=20852163, root=base64.b64decode(ROOT), extensions=()
    )
    assert checkpoint.text() == TEXT


def test_lines_of_others_are_kept() -> None:
    assert Checkpoint.parse(TEXT + "more\nand more\n").extensions == ("more", "and more")
    assert Checkpoint.parse(TEXT + "more\n").text() == TEXT + "more\n"


@given(st.integers(0, 10**18), st.binary(min_size=32, max_size=32))
def test_a_signed_checkpoint_is_read_again(key: SigningKey, size: int, root: bytes) -> None:
    opened = open_checkpoint(sign_checkpoint(size, root, key).encode(), [key.verifier], where="here")
    assert opened == Checkpoint(origin=key.name, size=size, root=root)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        TEXT[:-1],
        TEXT + "\n",
        TEXT + "\nmore\n",
        TEXT.replace("example.com/behind-the-sofa", ""),
        TEXT.replace("20852163", ""),
        TEXT.replace("20852163", "020852163"),
        TEXT.replace("20852163", "+20852163"),
        TEXT.replace("20852163", "-1"),
        TEXT.replace("20852163", "2085_2163"),
        TEXT.replace("20852163", "２０"),
        TEXT.replace("20852163", "9" * 30),
        TEXT.replace("q2I=", "q2I"),
        TEXT.replace("q2I=", "q2J="),
        TEXT.replace("q2I=", ""),
        TEXT.replace("CsUY", "CsUYCsUY"),
    ],
)
def test_what_is_not_quite_a_checkpoint_is_refused(key: SigningKey, text: str) -> None:
    with pytest.raises(ValueError, match=r"a checkpoint has|not the size|not base64|its root"):
        Checkpoint.parse(text)
    if text.endswith("\n"):
        note = sign_note(text, key).encode()
        with pytest.raises(IntegrityError, match="not a checkpoint of this ledger"):
            open_checkpoint(note, [key.verifier], where="here")


def test_a_checkpoint_of_another_ledger_is_refused_even_under_our_signature(key: SigningKey) -> None:
    note = sign_note(Checkpoint(origin="other.example", size=0, root=EMPTY_ROOT).text(), key).encode()
    with pytest.raises(IntegrityError, match=r"of the ledger other\.example"):
        open_checkpoint(note, [key.verifier], where="here")


def test_a_checkpoint_of_a_former_key_still_counts(key: SigningKey, other_key: SigningKey) -> None:
    note = sign_checkpoint(0, EMPTY_ROOT, other_key).encode()
    assert open_checkpoint(note, [key.verifier, other_key.verifier], where="here").size == 0
    with pytest.raises(IntegrityError, match="none of the keys"):
        open_checkpoint(note, [key.verifier], where="here")
