"""An archive on disk: read at any place by any thread, and only while it is the file that was opened."""

import io
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from repository.errors import PackageError
from repository.packages.names import shown

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_NEXT_STEP = "have the archive made or sent again"


def refuse_damaged(path: Path, why: str, *, next_step: str = _NEXT_STEP) -> NoReturn:
    """Raise the PackageError for an archive that cannot be read."""
    raise PackageError(
        "The archive cannot be read",
        where=path,
        why=why,
        next_step=next_step,
        problems=(f"The archive {shown(path.name)} cannot be read: {why}: {next_step}",),
    )


class ArchiveFile:
    """The open archive file.

    Attributes:
        path: where it is.
        size_bytes: when it was opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            refuse_damaged(path, error.strerror or "unknown", next_step="check its permissions and the disk")
        self._status = os.fstat(self._descriptor)
        self.size_bytes = self._status.st_size
        if not stat.S_ISREG(self._status.st_mode):
            self.close()
            refuse_damaged(path, "it is not a file")

    def read_into(self, buffer: "WriteableBuffer", offset: int) -> int:
        """Read at an offset; 0 at the end.

        Raises:
            PackageError: it cannot be read, or changed since it was opened.
        """
        try:
            size = os.preadv(self._descriptor, [buffer], offset)
            status = os.fstat(self._descriptor)
        except OSError as error:
            refuse_damaged(self.path, error.strerror or "unknown", next_step="check the disk")
        if (status.st_size, status.st_mtime_ns) != (self._status.st_size, self._status.st_mtime_ns):
            refuse_damaged(self.path, "it changed while being read", next_step="wait until it is complete")
        return size

    def read(self, size: int, offset: int) -> bytes:
        """Up to `size` bytes at an offset; fewer only at the end of the file."""
        buffer = bytearray(min(size, max(0, self.size_bytes - offset)))
        view = memoryview(buffer)
        done = 0
        while done < len(buffer) and (got := self.read_into(view[done:], offset + done)):
            done += got
        return bytes(view[:done])

    def close(self) -> None:
        """Close it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class SectionStream(io.RawIOBase):
    """So many bytes of an archive from an offset on, as a raw stream."""

    def __init__(self, archive: ArchiveFile, offset: int, size_bytes: int) -> None:
        super().__init__()
        self._archive = archive
        self._offset = offset
        self._left = size_bytes

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Read the next bytes; 0 at the end of the section."""
        view = memoryview(buffer)[: self._left]
        if not view:
            return 0
        size = self._archive.read_into(view, self._offset)
        if not size:
            refuse_damaged(self._archive.path, "it ends too early; it is truncated")
        self._offset += size
        self._left -= size
        return size
