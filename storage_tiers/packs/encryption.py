"""Encryption before anything leaves the house: the age format (age-encryption.org/v1), to one or more recipients.

Whoever has one of the identities can decrypt, with the program `age` too; Jindang needs them for reading only. The
same bytes are encrypted differently each time, and the header's length differs by some hundred bytes: the exact
size is known when the header is (`encrypted_size`), not before.

Bytes flow through pyrage in a thread of their own, a few chunks ahead; nothing of the size of a pack is kept.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import pyrage

from repository.errors import ConfigError, IntegrityError, RepositoryError
from repository.hashing import CHUNK_BYTES

SUFFIX: Final = ".age"
"""Names of what is encrypted end in it."""

_PAYLOAD_CHUNK_BYTES = 64 << 10
_TAG_BYTES = 16
_NONCE_BYTES = 16
_END_OF_HEADER = b"\n--- "
_MAC_LETTERS = 43
_CHUNKS_AHEAD = 2
_NO_KEY = "No matching keys found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipients:
    """Public keys to which we encrypt; each of their owners can decrypt alone."""

    keys: tuple[object, ...] = field(repr=False)

    @classmethod
    def parse(cls, lines: Iterable[str], *, where: object) -> "Recipients":
        """Read public keys: `age1...`, or a line of an OpenSSH public key file (`ssh-ed25519`, `ssh-rsa`).

        Empty lines and those that begin with # say nothing.

        Raises:
            ConfigError: one of them cannot be used, or there is none.
        """
        keys, problems = [], []
        for number, line in enumerate(_telling(lines), 1):
            try:
                kind = pyrage.ssh.Recipient if line.startswith("ssh-") else pyrage.x25519.Recipient
                keys.append(kind.from_str(line))
            except pyrage.RecipientError as error:
                beginning = line[: len("AGE-SECRET-KEY-1")]  # it may be a private key by mistake
                problems.append(f"number {number}, {beginning}..., is not a recipient (age1..., ssh-...): {error}")
        if problems or not keys:
            raise ConfigError(
                "The recipients of the encryption cannot be used",
                where=where,
                problems=tuple(problems) or ("there are none; `age-keygen` makes a pair of keys",),
            )
        return cls(keys=tuple(keys))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """Private keys with which we decrypt; tried one after the other."""

    keys: tuple[object, ...] = field(repr=False)

    @classmethod
    def parse(cls, text: str, *, where: object) -> "Identities":
        """Read a file of identities as `age-keygen` writes it, or an OpenSSH private key without a passphrase.

        Raises:
            ConfigError: it has none, or one that cannot be used; the message repeats nothing of it.
        """
        keys: list[object] = []
        problems: list[str] = []
        try:
            if "PRIVATE KEY-----" in text:
                keys.append(pyrage.ssh.Identity.from_buffer(text.encode()))
            else:
                for number, line in enumerate(_telling(text.splitlines()), 1):
                    problems = [f"key {number} is not an age identity (AGE-SECRET-KEY-1...)"]
                    keys.append(pyrage.x25519.Identity.from_str(line))
                problems = [] if keys else ["there are none; `age-keygen` makes a pair of keys"]
        except pyrage.IdentityError:
            problems = problems or ["the OpenSSH private key cannot be read; it must have no passphrase"]
        if problems:
            raise ConfigError("The identities for decryption cannot be used", where=where, problems=tuple(problems))
        return cls(keys=tuple(keys))


def encrypted_chunks(chunks: Iterable[bytes | memoryview], recipients: Recipients) -> Generator[bytes, None, None]:
    """Encrypt what comes in chunks.

    Args:
        chunks: taken in another thread, which may be ahead; a chunk may be overwritten when the next one is taken.
        recipients: whoever may read it.

    Returns: chunks of about 1 MiB. Memory: five of them. Close it when its end is not wanted.

    Raises: whatever `chunks` raises.
    """
    return _flow(chunks, lambda source, out: pyrage.encrypt_io(source, out, list(recipients.keys)))


def decrypted_chunks(
    chunks: Iterable[bytes | memoryview], identities: Identities, *, where: object
) -> Generator[bytes, None, None]:
    """Decrypt what comes in chunks; what is handed out is authentic, and it is all only when the end came.

    Args:
        chunks: taken in another thread, which may be ahead; a chunk may be overwritten when the next one is taken.
        identities: to try.
        where: path or key, for messages.

    Returns: chunks of about 1 MiB. Memory: five of them. Close it when its end is not wanted.

    Raises:
        ConfigError: it is encrypted to others.
        IntegrityError: it is cut off, was altered, or is not encrypted with age.
        Exception: whatever `chunks` raises.
    """
    try:
        yield from _flow(chunks, lambda source, out: pyrage.decrypt_io(source, out, list(identities.keys)))
    except (pyrage.DecryptError, _PyrageIOError) as error:
        raise _decryption_error(error, where) from error


def encrypt_bytes(data: bytes, recipients: Recipients) -> bytes:
    """Encrypt something small."""
    encrypted: bytes = pyrage.encrypt(data, list(recipients.keys))
    return encrypted


def decrypt_bytes(data: bytes, identities: Identities, *, where: object) -> bytes:
    """Decrypt something small. Raises: as `decrypted_chunks`."""
    try:
        decrypted: bytes = pyrage.decrypt(data, list(identities.keys))
    except (pyrage.DecryptError, OSError) as error:
        raise _decryption_error(error, where) from error
    return decrypted


def encrypted_size(beginning: bytes, plain_bytes: int) -> int:
    """How large something is when it is encrypted.

    Args:
        beginning: the first chunk that `encrypted_chunks` gave, or more.
        plain_bytes: size of what is encrypted.

    Raises:
        IntegrityError: it is not the beginning of something that is encrypted.
    """
    chunks = max(1, -(-plain_bytes // _PAYLOAD_CHUNK_BYTES))
    return _payload_offset(beginning) + plain_bytes + _TAG_BYTES * chunks


def plain_size(beginning: bytes, encrypted_bytes: int) -> int:
    """How large something is when it is decrypted.

    Args:
        beginning: its first bytes, 64 KiB or all of them.
        encrypted_bytes: its size as it is stored.

    Raises:
        IntegrityError: it is not encrypted with age, or is cut off.
    """
    stored_bytes = encrypted_bytes - _payload_offset(beginning)
    chunks = -(-stored_bytes // (_PAYLOAD_CHUNK_BYTES + _TAG_BYTES))
    if stored_bytes < _TAG_BYTES:
        raise _not_encrypted("it is cut off")
    return max(0, stored_bytes - _TAG_BYTES * chunks)


class _PyrageIOError(Exception):
    """An OSError that comes from pyrage itself, and not from what is read."""


class _AbandonedError(Exception):
    """Nobody wants the rest."""


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


class _Source:
    """What pyrage reads from: a file object over chunks, which remembers why they failed."""

    def __init__(self, chunks: Iterable[bytes | memoryview]) -> None:
        self._chunks: Iterator[bytes | memoryview] = iter(chunks)
        self._rest = memoryview(b"")
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            while not self._rest:
                self._rest = memoryview(next(self._chunks))
        except StopIteration:
            return b""
        except BaseException as error:
            self.error = error
            raise
        end = len(self._rest) if size < 0 else size
        data, self._rest = bytes(self._rest[:end]), self._rest[end:]
        return data


class _Sink:
    """What pyrage writes to: a file object that hands on in chunks of 1 MiB, as long as somebody wants them."""

    def __init__(self, out: "queue.Queue[bytes | _End]") -> None:
        self._out, self._filled = out, bytearray()
        self.abandoned = False

    def write(self, data: bytes) -> int:
        if self.abandoned:
            raise _AbandonedError
        self._filled += data
        if len(self._filled) >= CHUNK_BYTES:
            self.hand_on()
        return len(data)

    def flush(self) -> None:
        """Chunks of one size are better."""

    def hand_on(self) -> None:
        if self._filled:
            self._out.put(bytes(self._filled))
            self._filled.clear()


def _flow(
    chunks: Iterable[bytes | memoryview], work: Callable[[_Source, _Sink], None]
) -> Generator[bytes, None, None]:
    """Let a function that wants a file to read and a file to write work between two streams of chunks."""
    out: queue.Queue[bytes | _End] = queue.Queue(_CHUNKS_AHEAD)
    source, sink = _Source(chunks), _Sink(out)

    def run() -> None:
        try:
            work(source, sink)
            sink.hand_on()
            out.put(_End(None))
        except OSError as error:
            out.put(_End(source.error or _PyrageIOError(str(error))))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for it
            out.put(_End(source.error or error))

    thread = threading.Thread(target=run, name="age", daemon=True)
    thread.start()
    try:
        while not isinstance(item := out.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        sink.abandoned = True
        while thread.is_alive():
            with contextlib.suppress(queue.Empty):
                out.get(timeout=0.05)
        thread.join()


def _telling(lines: Iterable[str]) -> list[str]:
    stripped = [line.strip() for line in lines]
    return [line for line in stripped if line and not line.startswith("#")]


def _payload_offset(beginning: bytes) -> int:
    """Where the encrypted chunks begin: behind the header, its MAC and the nonce."""
    end = beginning.find(_END_OF_HEADER)
    if end < 0 or not beginning.startswith(b"age-encryption.org/v1\n"):
        raise _not_encrypted("it does not begin with the header of the age format")
    return end + len(_END_OF_HEADER) + _MAC_LETTERS + 1 + _NONCE_BYTES


def _decryption_error(error: Exception, where: object) -> RepositoryError:
    if str(error) == _NO_KEY:
        why = "it is encrypted to other recipients; name the file of the right identity in the configuration"
        return ConfigError("None of the identities can decrypt this", where=where, problems=(why,))
    return _not_encrypted(f"it is cut off, was altered, or is not encrypted with age; age says: {error}", where)


def _not_encrypted(why: str, where: object = None) -> IntegrityError:
    return IntegrityError(
        "What is stored encrypted cannot be decrypted", where=where, why=why, next_step="restore it from another copy"
    )
