"""Signed notes: a text, and below it a line for each signature.

Source: C2SP signed-note (c2sp.org/signed-note).
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from repository.errors import IntegrityError
from repository.ledger.keys import KEY_ID_BYTES, SigningKey, VerifierKey, check_name, strict_base64

MAX_NOTE_BYTES = 1 << 20
_DASH = "\N{EM DASH} "


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text, and which of the keys that were asked for have signed it: one at least."""

    text: str
    signed_by: tuple[VerifierKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signature:
    name: str
    key_id: bytes
    signature: bytes


def sign_note(text: str, *keys: SigningKey) -> str:
    """The text with a signature line for each key.

    Raises:
        ValueError: the text does not end with a line end, or has control characters in it.
    """
    _check_text(text)
    lines = []
    for key in keys:
        data = key.verifier.id + key.sign(text.encode())
        lines.append(f"{_DASH}{key.name} {base64.b64encode(data).decode()}\n")
    return "".join([text, "\n", *lines])


def open_note(data: bytes, keys: Sequence[VerifierKey], *, where: object) -> Note:
    """Check the signatures of a note and give its text.

    Signatures by other keys are no fault: a witness may have added one. A wrong one by a key of ours is.

    Args:
        data: the note, up to 1 MiB.
        keys: whom we trust.
        where: told in errors.

    Raises:
        IntegrityError: it is not a note, none of the keys has signed it, or one of their signatures is wrong.
    """
    try:
        text, signatures = _parse(data)
    except ValueError as error:
        raise _untrusted(where, f"it is not a signed note: {error}") from error
    known = {(key.name, key.id): key for key in keys}
    signed_by: dict[tuple[str, bytes], VerifierKey] = {}
    for line in signatures:
        key = known.get((line.name, line.key_id))
        if key is None:
            continue
        if not key.verifies(line.signature, text.encode()):
            raise _untrusted(
                where, f"the signature of {key.name} does not belong to this text: one of them was altered"
            )
        signed_by[key.name, key.id] = key
    if not signed_by:
        raise _untrusted(where, "none of the keys that we trust has signed it")
    return Note(text=text, signed_by=tuple(signed_by.values()))


def _parse(data: bytes) -> tuple[str, list[_Signature]]:
    """Text and signatures, unchecked. Raises ValueError (UnicodeDecodeError is one)."""
    if len(data) > MAX_NOTE_BYTES:
        raise ValueError(f"it is longer than {MAX_NOTE_BYTES} bytes")
    note = data.decode()
    text, blank, below = note.rpartition("\n\n")
    if not blank or not below.endswith("\n"):
        raise ValueError("it has no signatures below a blank line")
    text += "\n"
    _check_text(text)
    return text, [_parse_line(line) for line in below.removesuffix("\n").split("\n")]


def _parse_line(line: str) -> _Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH):
        raise ValueError(f"{line!r} is not a line with a signature")
    check_name(name)
    data = strict_base64(encoded)
    if len(data) <= KEY_ID_BYTES:
        raise ValueError(f"the signature of {name} is too short")
    return _Signature(name=name, key_id=data[:KEY_ID_BYTES], signature=data[KEY_ID_BYTES:])


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise ValueError("its text does not end with a line end")
    if any(sign < " " and sign != "\n" for sign in text):
        raise ValueError("it has control characters in it")


def _untrusted(where: object, why: str) -> IntegrityError:
    return IntegrityError(
        "A signed text cannot be trusted",
        where=where,
        why=why,
        next_step="compare it with the copies on the other tiers, and keep it: it may be evidence",
    )
