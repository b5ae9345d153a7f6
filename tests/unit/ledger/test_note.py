"""Signed notes: published ones are read, ours are the same bytes, and altered ones are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repository.errors import IntegrityError
from repository.ledger.keys import SigningKey, VerifierKey
from repository.ledger.note import MAX_NOTE_BYTES, open_note, sign_note

# From the examples of golang.org/x/mod/sumdb/note.
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
LINE = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
NOTE = f"{TEXT}\n{LINE}"

# A checkpoint that the checksum database of Go has published; it is also in its command's documents.
GO_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
GO_NOTE = (
    "go.sum database tree\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— sum.golang.org "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)


def test_a_note_is_signed_as_published(neumann: SigningKey) -> None:
    assert sign_note(TEXT, neumann) == NOTE
    assert open_note(NOTE.encode(), [neumann.verifier], where="here").text == TEXT


def test_a_note_that_others_published_is_read() -> None:
    key = VerifierKey.parse(GO_KEY)
    note = open_note(GO_NOTE.encode(), [key], where="here")
    assert note.signed_by == (key,)
    assert note.text.startswith("go.sum database tree\n20852163\n")


def test_a_signature_of_a_witness_is_no_fault(neumann: SigningKey, key: SigningKey, other_key: SigningKey) -> None:
    note = sign_note("text\n\nand more\n", key, neumann, other_key).encode()
    assert open_note(note, [key.verifier], where="here").signed_by == (key.verifier,)
    both = open_note(note, [other_key.verifier, key.verifier], where="here")
    assert both.signed_by == (key.verifier, other_key.verifier)
    assert both.text == "text\n\nand more\n"


def test_a_note_by_others_alone_is_refused(neumann: SigningKey, key: SigningKey, other_key: SigningKey) -> None:
    for keys in ([], [key.verifier], [other_key.verifier]):
        with pytest.raises(IntegrityError, match="none of the keys that we trust"):
            open_note(NOTE.encode(), keys, where="here")
    with pytest.raises(IntegrityError, match="none of the keys"):
        open_note(sign_note(TEXT, key).encode(), [other_key.verifier], where="a key of the same name")


def test_one_wrong_signature_spoils_the_note(neumann: SigningKey, key: SigningKey) -> None:
    note = sign_note(TEXT, key) + LINE
    assert len(open_note(note.encode(), [key.verifier, neumann.verifier], where="here").signed_by) == 2
    wrong = note.replace(LINE, sign_note("another\n", neumann).rpartition("\n\n")[2])
    with pytest.raises(IntegrityError, match="PeterNeumann"):
        open_note(wrong.encode(), [key.verifier, neumann.verifier], where="here")


@given(st.integers(0, len(NOTE.encode()) - 1), st.integers(1, 255))
def test_a_note_with_one_byte_altered_is_refused(neumann: SigningKey, place: int, flip: int) -> None:
    altered = bytearray(NOTE.encode())
    altered[place] ^= flip
    with pytest.raises(IntegrityError, match="cannot be trusted: the tier shelf"):
        open_note(bytes(altered), [neumann.verifier], where="the tier shelf")


@pytest.mark.parametrize(
    "note",
    [
        "",
        TEXT,
        TEXT + LINE,
        NOTE[:-1],
        NOTE + "\n",
        NOTE + "a remark\n",
        NOTE.replace("— ", "- "),
        NOTE.replace("\n\n", "\n\n\n"),
        NOTE.replace("\n", "\r\n"),
        NOTE.replace("think", "th\tink"),
        NOTE.replace("AM=\n", "AN=\n"),
        NOTE.replace("AM=\n", "AM= \n"),
        NOTE + "— nobody AAAA\n",
        NOTE + "— no+body AAAAAAAA\n",
    ],
)
def test_what_is_not_quite_a_note_is_refused(neumann: SigningKey, note: str) -> None:
    with pytest.raises(IntegrityError, match="here"):
        open_note(note.encode(), [neumann.verifier], where="here")


def test_a_note_without_end_is_refused(neumann: SigningKey) -> None:
    with pytest.raises(IntegrityError, match="longer than"):
        open_note(("x" * MAX_NOTE_BYTES + NOTE).encode(), [neumann.verifier], where="here")


def test_what_is_not_utf_8_is_refused(neumann: SigningKey) -> None:
    with pytest.raises(IntegrityError, match="not a signed note"):
        open_note(b"\xff" + NOTE.encode(), [neumann.verifier], where="here")


@pytest.mark.parametrize("text", ["", "no end", "a\tb\n", "a\x00\n"])
def test_a_text_that_cannot_be_signed_is_refused(key: SigningKey, text: str) -> None:
    with pytest.raises(ValueError, match=r"its text|control"):
        sign_note(text, key)
