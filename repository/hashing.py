"""Digests: the algorithms of OCFL and BagIt, several of them in one pass over the bytes."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import BinaryIO, Protocol

from repository.errors import InvalidInputError
from repository.stop import StopToken

CHUNK_BYTES = 1 << 20
SIZE = "size"
XXH3 = "xxh3-128"


class Hasher(Protocol):
    """What hashlib's objects do."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take in the next bytes."""
        ...

    def hexdigest(self) -> str:
        """The digest of all bytes so far, in lower-case hex."""
        ...


class _SizeCounter:
    """The algorithm `size` of OCFL extension 0009: the number of bytes, in decimal digits."""

    def __init__(self) -> None:
        self._size_bytes = 0

    def update(self, data: bytes | memoryview) -> None:
        self._size_bytes += len(data)

    def hexdigest(self) -> str:
        return str(self._size_bytes)


def _xxh3() -> Hasher:
    import xxhash

    hasher: Hasher = xxhash.xxh3_128()
    return hasher


def _blake2b(digest_bytes: int) -> Callable[[], Hasher]:
    return lambda: hashlib.blake2b(digest_size=digest_bytes)


def _unsafe(name: str) -> Callable[[], Hasher]:
    return lambda: hashlib.new(name, usedforsecurity=False)


ALGORITHMS: Mapping[str, Callable[[], Hasher]] = {
    "md5": _unsafe("md5"),
    "sha1": _unsafe("sha1"),
    "sha224": hashlib.sha224,
    "sha256": hashlib.sha256,
    "sha384": hashlib.sha384,
    "sha512": hashlib.sha512,
    "sha512/256": _unsafe("sha512_256"),
    "sha3-224": hashlib.sha3_224,
    "sha3-256": hashlib.sha3_256,
    "sha3-384": hashlib.sha3_384,
    "sha3-512": hashlib.sha3_512,
    "blake2b-160": _blake2b(20),
    "blake2b-256": _blake2b(32),
    "blake2b-384": _blake2b(48),
    "blake2b-512": _blake2b(64),
    SIZE: _SizeCounter,
    XXH3: _xxh3,
}
"""Algorithm name, as OCFL 1.1 section 3.5.1, its extension 0009 and RFC 8493 write it -> new hasher."""


class MultiHasher:
    """Several digests of the same bytes; the size comes with them for nothing."""

    def __init__(self, algorithms: Iterable[str]) -> None:
        try:
            self._hashers = {name: ALGORITHMS[name]() for name in dict.fromkeys(algorithms)}
        except KeyError as error:
            raise InvalidInputError(
                f"There is no digest algorithm {error.args[0]!r} here",
                next_step=f"use one of {', '.join(ALGORITHMS)}",
            ) from None
        self._updates = [hasher.update for hasher in self._hashers.values()]
        self.size_bytes = 0

    def update(self, data: bytes | memoryview) -> None:
        """Take in the next bytes."""
        self.size_bytes += len(data)
        for update in self._updates:
            update(data)

    def digests(self) -> dict[str, str]:
        """Algorithm -> digest in lower-case hex (`size`: decimal) of all bytes so far."""
        return {name: hasher.hexdigest() for name, hasher in self._hashers.items()}


def copy_and_hash(
    source: BinaryIO,
    write: Callable[[memoryview], object] | None,
    hasher: MultiHasher,
    *,
    stop: StopToken,
    buffer: bytearray | None = None,
) -> None:
    """Read a stream to its end, hash what was read, and hand on just that.

    Args:
        source: read with `readinto`, so it must be a raw or buffered binary stream.
        write: takes each chunk whole; the chunk is overwritten afterwards. None only hashes.
        hasher: takes in every byte, in order.
        stop: polled once a chunk.
        buffer: reused between files where given; its length is the chunk size.

    Raises:
        OperationCancelledError: stop was set; what was handed on is incomplete.
        OSError: as reading raises it.
    """
    view = memoryview(buffer if buffer is not None else bytearray(CHUNK_BYTES))
    while size := source.readinto(view):  # type: ignore[attr-defined]
        stop.check()
        chunk = view[:size]
        hasher.update(chunk)
        if write is not None:
            write(chunk)
