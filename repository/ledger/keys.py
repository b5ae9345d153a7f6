"""The ledger's keys: an Ed25519 key that signs, in a file of its own, and the public key as auditors get it.

Source: C2SP signed-note (c2sp.org/signed-note), signature type 1.
"""

import base64
import binascii
import hashlib
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from repository.durable import write_durable_file
from repository.errors import InvalidInputError

KEY_ID_BYTES = 4
PUBLIC_KEY_BYTES = 32
_ED25519 = b"\x01"
_FOR_ITS_OWNER = 0o600


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name that it signs under; as text `name+id+key`, where anybody may read it."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        """Refuse what no note can carry."""
        check_name(self.name)
        if len(self.public) != PUBLIC_KEY_BYTES:
            raise ValueError(f"an Ed25519 public key has {PUBLIC_KEY_BYTES} bytes, not {len(self.public)}")

    @property
    def id(self) -> bytes:
        """The first 4 bytes of a digest of name and key: tells keys of one name apart, and proves nothing."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        """The form that `parse` reads."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read `name+id+key`; white space around it is ignored.

        Raises:
            InvalidInputError: it is not such a key, or not a whole one.
        """
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            data = strict_base64(encoded)
            key = cls(name, data[1:])
        except ValueError as error:
            raise _bad_public_key(text, str(error)) from error
        if data[:1] != _ED25519:
            raise _bad_public_key(text, "it is not an Ed25519 key")
        if key.id.hex() != key_id:
            raise _bad_public_key(text, f"its id is {key_id!r}, but name and key give {key.id.hex()!r}")
        return key

    def verifies(self, signature: bytes, text: bytes) -> bool:
        """Whether this key signed that text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The private key, and the name that it signs under."""

    name: str
    private: Ed25519PrivateKey = field(repr=False)

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        return VerifierKey(self.name, self.private.public_key().public_bytes_raw())

    def sign(self, text: bytes) -> bytes:
        """64 bytes; the same for the same text."""
        return self.private.sign(text)


def create_key(path: Path, name: str) -> SigningKey:
    """Make a key and keep it in a new file: PEM, PKCS #8, without a passphrase, readable by its owner only.

    Args:
        path: of the new file; its folder exists.
        name: under which it signs, the ledger's origin: best a name of the archive's own, `archive.example/ledger`.

    Raises:
        InvalidInputError: there is something at the path already (it is left as it is), or the name cannot be used.
        OSError: the file could not be written.
    """
    _usable_name(name)
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        write_durable_file(path, pem, mode=_FOR_ITS_OWNER)
    except FileExistsError:
        raise InvalidInputError(
            "There is something at this place already; a key is never overwritten",
            where=path,
            why="what an old key signed can only be continued with it",
            next_step="use the key that is there, or give another path for a new one",
        ) from None
    return SigningKey(name, private)


def load_key(path: Path, name: str) -> SigningKey:
    """Read the key that signs.

    Raises:
        InvalidInputError: the file is missing, not readable, readable by others, or has no such key in it.
    """
    _usable_name(name)
    try:
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise _bad_key(path, f"others may read it: its mode is {stat.S_IMODE(mode):04o}", f"chmod 600 {path}")
        private = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        step = "give the path of the key's file, or make a key"
        raise _bad_key(path, error.strerror or str(error), step) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _bad_key(path, "it is not a private key in PEM form", "bring it back from its backup") from error
    except TypeError as error:
        raise _bad_key(path, "it has a passphrase", "use a copy without one: the key signs unattended") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise _bad_key(path, "it is a key of another kind than Ed25519", "give the path of the ledger's own key")
    return SigningKey(name, private)


def check_name(name: str) -> None:
    """Raise ValueError when a key cannot have this name: it is empty, or has white space, controls or a plus in it."""
    if not name or not name.isprintable() or any(sign.isspace() or sign == "+" for sign in name):
        raise ValueError(f"{name!r} cannot be the name of a key: no white space, no plus, not empty")


def strict_base64(text: str) -> bytes:
    """Bytes of a text in standard base64 (RFC 4648 section 4), written in the one way that it can be.

    Raises:
        ValueError: it is not.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        data = b""
    if base64.b64encode(data).decode() != text:
        raise ValueError(f"{text!r} is not base64")
    return data


def _usable_name(name: str) -> None:
    try:
        check_name(name)
    except ValueError as error:
        raise InvalidInputError(
            "The ledger cannot have this name", why=str(error), next_step="choose one such as archive.example/ledger"
        ) from error


def _bad_public_key(text: str, why: str) -> InvalidInputError:
    return InvalidInputError(
        "This is not the public key of a ledger",
        where=repr(text),
        why=why,
        next_step="copy the whole line again; it looks like `name+0123abcd+AbCd...`",
    )


def _bad_key(path: Path, why: str, next_step: str) -> InvalidInputError:
    return InvalidInputError("The key of the ledger cannot be used", where=path, why=why, next_step=next_step)
