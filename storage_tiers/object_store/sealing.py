"""What stands between a pack and its bucket: encryption with age, or nothing."""

import io
import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from repository.errors import ConfigError
from repository.hashing import CHUNK_BYTES
from storage_tiers.packs.encryption import (
    Identities,
    Recipients,
    decrypt_bytes,
    decrypted_chunks,
    encrypt_bytes,
    encrypted_chunks,
    encrypted_size,
    plain_size,
)
from storage_tiers.packs.reading import RangeReader

Chunk = bytes | memoryview

MAX_KEPT_BYTES = 32 << 20
"""Encrypted packs up to this size are fetched once and kept in memory while they are open."""

_BEGINNING_BYTES = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """How a tier encrypts.

    Args:
        recipients: to whom; None for a tier without encryption.
        identities: with which to decrypt; None where this machine may only write.
    """

    recipients: Recipients | None = None
    identities: Identities | None = None

    @property
    def is_encrypted(self) -> bool:
        """Whether anything is encrypted at all."""
        return self.recipients is not None

    @property
    def can_open(self) -> bool:
        """Whether what lies in the bucket can be read here."""
        return self.recipients is None or self.identities is not None

    @contextmanager
    def stream(self, chunks: Iterable[Chunk], plain_bytes: int) -> Iterator[tuple[int, Iterable[Chunk]]]:
        """What is to be stored, and its exact size; encrypted, the same chunks give others each time.

        Args:
            chunks: a pack; each is overwritten when the next one is taken.
            plain_bytes: how many come.
        """
        if self.recipients is None:
            yield plain_bytes, chunks
            return
        encrypted = encrypted_chunks(chunks, self.recipients)
        try:
            first = next(encrypted)
            yield encrypted_size(first, plain_bytes), itertools.chain((first,), encrypted)
        finally:
            encrypted.close()

    def sealed(self, data: bytes) -> bytes:
        """Something small as it is stored."""
        return data if self.recipients is None else encrypt_bytes(data, self.recipients)

    def opened(self, data: bytes, *, where: str) -> bytes:
        """Something small as it was.

        Raises:
            ConfigError: it is encrypted, and not to us.
            IntegrityError: it was altered.
        """
        return data if self.recipients is None else decrypt_bytes(data, self._identities(where), where=where)

    def plain_bytes(self, ranges: RangeReader, stored_bytes: int) -> int:
        """How large something stored is without its encryption; one request where there is one."""
        if self.recipients is None:
            return stored_bytes
        with ranges.read_range(0, min(_BEGINNING_BYTES, stored_bytes)) as stream:
            return plain_size(stream.read(), stored_bytes)

    def ranges(self, ranges: RangeReader, stored_bytes: int, *, where: str) -> RangeReader:
        """The same object without its encryption."""
        if self.recipients is None:
            return ranges
        return _Decrypted(ranges, stored_bytes, self._identities(where), where)

    def _identities(self, where: str) -> Identities:
        if self.identities is None:
            raise ConfigError(
                "What is encrypted cannot be read here",
                where=where,
                problems=("the tier has recipients but no identities; name the file with the private key",),
            )
        return self.identities


class _Decrypted:
    """Parts of something encrypted. What is small is fetched once; of what is large, all before the part is read."""

    def __init__(self, ranges: RangeReader, stored_bytes: int, identities: Identities, where: str) -> None:
        self._ranges, self._stored_bytes = ranges, stored_bytes
        self._identities, self._where = identities, where
        self._kept: bytes | None = None

    def read_range(self, offset: int, length: int) -> BinaryIO:
        """As `RangeReader`."""
        if self._stored_bytes > MAX_KEPT_BYTES:
            return cast("BinaryIO", _Part(self._chunks(), offset, length))
        if self._kept is None:
            self._kept = b"".join(self._chunks())
        return io.BytesIO(self._kept[offset : offset + length])

    def _chunks(self) -> Iterator[bytes]:
        return decrypted_chunks(self._stored(), self._identities, where=self._where)

    def _stored(self) -> Iterator[memoryview]:
        view = memoryview(bytearray(CHUNK_BYTES))
        with self._ranges.read_range(0, self._stored_bytes) as stream:
            while size := stream.readinto(view):  # type: ignore[attr-defined]
                yield view[:size]


class _Part(io.RawIOBase):
    """A part of a stream of chunks; the chunks before it are passed over."""

    def __init__(self, chunks: Iterator[bytes], offset: int, length: int) -> None:
        super().__init__()
        self._chunks, self._skip, self._left = chunks, offset, length
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        """The next bytes; 0 at the end of the part, or of the stream."""
        while not self._rest and self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)[min(self._skip, len(chunk)) :]
            self._skip -= len(chunk) - len(self._rest)
        size = min(len(buffer), len(self._rest), self._left)
        memoryview(buffer)[:size] = self._rest[:size]
        self._rest, self._left = self._rest[size:], self._left - size
        return size

    def close(self) -> None:
        """End the decryption."""
        if not self.closed:
            self._chunks.close()  # type: ignore[attr-defined]
        super().close()
