"""Keys of the ledger: made once, kept from others, and handed out in the published form."""

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from repository.errors import InvalidInputError
from repository.ledger.keys import SigningKey, VerifierKey, create_key, load_key

NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_CHECKSUM_DATABASE = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
NAME = "archive.example/ledger"


def _write(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_a_key_is_kept_for_its_owner_only_and_read_again(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = create_key(tmp_path / "key.pem", NAME)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    assert (tmp_path / "key.pem").read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert [path.name for path in tmp_path.iterdir()] == ["key.pem"]
    again = load_key(tmp_path / "key.pem", NAME)
    assert again.verifier == made.verifier
    assert made.verifier.verifies(again.sign(b"text"), b"text")


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = _write(tmp_path / "key.pem", b"something of value")
    with pytest.raises(InvalidInputError, match="never overwritten"):
        create_key(path, NAME)
    assert path.read_bytes() == b"something of value"


def test_the_private_key_is_not_shown_by_chance(key: SigningKey) -> None:
    assert repr(key) == "SigningKey(name='archive.example/ledger')"


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    create_key(path, NAME)
    path.chmod(0o640)
    with pytest.raises(InvalidInputError, match=r"others may read it: its mode is 0640[\s\S]*chmod 600"):
        load_key(path, NAME)


def test_what_is_not_the_key_is_told_with_the_reason(tmp_path: Path) -> None:
    private, other = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
    locked = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    wrong_kind = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for data, why in ((b"", "PEM"), (b"text", "PEM"), (locked, "passphrase"), (wrong_kind, "another kind")):
        with pytest.raises(InvalidInputError, match=why):
            load_key(_write(tmp_path / "key.pem", data), NAME)
    for path in (tmp_path / "absent", tmp_path / "absent" / "key.pem"):
        with pytest.raises(InvalidInputError, match="No such file"):
            load_key(path, NAME)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\u3000b", "a\nb", "a\x7fb"])
def test_a_name_that_no_note_can_carry_is_refused(tmp_path: Path, name: str) -> None:
    for use in (create_key, load_key):
        with pytest.raises(InvalidInputError, match="cannot have this name"):
            use(tmp_path / "key.pem", name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", [NEUMANN, GO_CHECKSUM_DATABASE])
def test_published_keys_are_read_and_written(text: str) -> None:
    assert str(VerifierKey.parse(f" {text}\n")) == text


def test_the_public_half_is_the_published_one(neumann: SigningKey) -> None:
    assert str(neumann.verifier) == NEUMANN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        NEUMANN[:-4],
        NEUMANN.replace("c74f20a3", "c74f20a4"),
        NEUMANN.replace("c74f20a3", "C74F20A3"),
        NEUMANN.replace("PeterNeumann", "PeterNeuman"),
        NEUMANN.replace("+AR", "+BR"),
        NEUMANN.replace("TW", "TX"),
        NEUMANN.replace("PeterNeumann", "Peter Neumann"),
        NEUMANN + "=",
    ],
)
def test_a_public_key_that_was_copied_badly_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="not the public key of a ledger"):
        VerifierKey.parse(text)
