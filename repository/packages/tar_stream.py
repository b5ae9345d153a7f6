"""The bytes of a tar archive from front to back: plain, or out of gzip; counted, and never all in memory."""

import zlib
from typing import Protocol

from repository.packages.archive_file import ArchiveFile, refuse_damaged
from repository.packages.listing import largest_content
from repository.packages.package import Limits
from repository.stop import StopToken

_CHUNK_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WBITS = 31  # a gzip header and its checksum, as zlib.decompressobj documents
_HEADERS_BYTES = 64 << 20  # what the headers of a lawful archive may add to its files


class TarStream(Protocol):
    """A tar archive, read forwards."""

    @property
    def position(self) -> int:
        """Bytes read or skipped so far."""
        ...

    def read(self, size: int) -> bytes:
        """The next bytes; fewer only at the end of the archive. Ask for 1 MiB at most."""
        ...

    def skip(self, size: int) -> int:
        """Go forwards; returns by how much, which is less only at the end of the archive."""
        ...


class PlainStream:
    """A tar archive that is not compressed: skipping costs nothing."""

    def __init__(self, archive: ArchiveFile) -> None:
        self._archive = archive
        self.position = 0

    def read(self, size: int) -> bytes:
        """The next bytes."""
        content = self._archive.read(size, self.position)
        self.position += len(content)
        return content

    def skip(self, size: int) -> int:
        """Go forwards, at most to the end."""
        size = min(size, self._archive.size_bytes - self.position)
        self.position += size
        return size


class GzipStream:
    """A tar archive out of gzip: decompressed chunk by chunk, checksums compared, the output limited.

    Several gzip members after each other are one stream (RFC 1952, 2.2); zero bytes behind them are padding.
    Memory: two chunks of at most 1 MiB.
    """

    def __init__(self, archive: ArchiveFile, limits: Limits, stop: StopToken) -> None:
        self._archive = archive
        self._limits = limits
        self._stop = stop
        self._most_bytes = largest_content(limits, archive.size_bytes) + _HEADERS_BYTES
        self._offset = 0
        self._packed = b""
        self._unpacked = b""
        self._at = 0
        self._member = zlib.decompressobj(wbits=_GZIP_WBITS)
        self._ended = False
        self.position = 0

    def read(self, size: int) -> bytes:
        """The next bytes."""
        parts = []
        while size and (part := self._take(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def skip(self, size: int) -> int:
        """Decompress and forget."""
        left = size
        while left and (part := self._take(min(left, _CHUNK_BYTES))):
            left -= len(part)
        return size - left

    def _take(self, size: int) -> bytes:
        """Some of the next bytes, at most `size`; none at the end."""
        while self._at == len(self._unpacked) and not self._ended:
            self._unpack()
        part = self._unpacked[self._at : self._at + size]
        self._at += len(part)
        self.position += len(part)
        return part

    def _unpack(self) -> None:
        """Decompress the next chunk."""
        self._stop.check()
        self._unpacked, self._at = b"", 0
        if not self._packed:
            self._packed = self._archive.read(_CHUNK_BYTES, self._offset)
            self._offset += len(self._packed)
            if not self._packed:
                refuse_damaged(self._archive.path, "the gzip stream ends too early; it is truncated")
        try:
            self._unpacked = self._member.decompress(self._packed, _CHUNK_BYTES)
        except zlib.error as error:
            refuse_damaged(self._archive.path, f"the gzip stream is damaged: {error}")
        self._packed = self._member.unconsumed_tail
        if self._member.eof:
            self._packed = self._member.unused_data
            self._next_member()
        if self.position + len(self._unpacked) > self._most_bytes:
            refuse_damaged(
                self._archive.path,
                f"it unpacks to more than {self._most_bytes:,} bytes, as an archive bomb does",
                next_step="look at it with care, or raise the limits in the configuration",
            )

    def _next_member(self) -> None:
        """After the end of a gzip member: another one, or zero bytes to the end of the file."""
        while True:
            self._packed = self._packed.lstrip(b"\0")
            if not self._packed:
                self._packed = self._archive.read(_CHUNK_BYTES, self._offset)
                self._offset += len(self._packed)
                if not self._packed:
                    self._ended = True
                    return
                continue
            if len(self._packed) == 1:
                more = self._archive.read(_CHUNK_BYTES, self._offset)
                self._offset += len(more)
                self._packed += more
            if not self._packed.startswith(_GZIP_MAGIC):
                refuse_damaged(self._archive.path, "there is something else behind the gzip stream")
            self._member = zlib.decompressobj(wbits=_GZIP_WBITS)
            return
