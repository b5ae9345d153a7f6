"""A file on disk that is read only while it is still the one that was listed."""

import io
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from repository.errors import PackageError
from repository.packages.names import shown
from repository.packages.package import PackageFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# A fifo that was put in a file's place meanwhile must not make us wait for a writer.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class ListedFile(PackageFile):
    """A file of a folder, and by what it is recognised when it is opened later.

    `target` is where a symbolic link led when it was listed, relative to the package; None for a plain file.
    """

    device: int
    inode: int
    mtime_ns: int
    target: str | None

    @classmethod
    def of(cls, path: str, status: os.stat_result, target: str | None = None) -> "ListedFile":
        """What `lstat` said of a regular file."""
        return cls(path, status.st_size, status.st_dev, status.st_ino, status.st_mtime_ns, target)

    def is_still(self, status: os.stat_result) -> bool:
        """Whether this is the same regular file, of the same size and time."""
        return (
            stat.S_ISREG(status.st_mode)
            and status.st_ino == self.inode
            and status.st_dev == self.device
            and status.st_size == self.size_bytes
            and status.st_mtime_ns == self.mtime_ns
        )


class _WatchedStream(io.FileIO):
    """Raises PackageError at the end of the file when it is not any more what was listed."""

    def __init__(self, descriptor: int, changed: Callable[[], PackageError | None]) -> None:
        super().__init__(descriptor, "rb")
        self._changed = changed

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        size = super().readinto(buffer)
        if not size and (error := self._changed()):
            raise error
        return size

    def read(self, size: int | None = -1, /) -> bytes | None:  # type: ignore[override]
        content = super().read(-1 if size is None else size)
        if (not content or size in {-1, None}) and (error := self._changed()):
            raise error
        return content

    def readall(self) -> bytes | None:  # type: ignore[override]
        return self.read(-1)


def open_listed(root: bytes, file: ListedFile) -> BinaryIO:
    """Open a listed file to read it; never follows a symbolic link, never waits.

    Args:
        root: the package's folder, as the operating system writes it.
        file: as it was listed.

    Raises:
        PackageError: it cannot be read, or it is not what was listed: here, or when its end is reached.
    """
    try:
        descriptor = os.open(root + b"/" + (file.target or file.path).encode(), _FLAGS)
    except OSError as error:
        raise _unreadable(file, error) from error

    def changed() -> PackageError | None:
        return None if file.is_still(os.fstat(descriptor)) else _changed(file)

    if error_now := changed():
        os.close(descriptor)
        raise error_now
    return cast("BinaryIO", _WatchedStream(descriptor, changed))


def _changed(file: ListedFile) -> PackageError:
    problem = (
        f"{shown(file.path)} changed while being read, so that its digests would be of nothing that ever was: "
        "wait until nobody writes to the package any more, then hand it in again"
    )
    return PackageError(
        "A file changed while being read",
        where=shown(file.path),
        next_step="wait until nobody writes to the package any more, then hand it in again",
        problems=(problem,),
    )


def _unreadable(file: ListedFile, error: OSError) -> PackageError:
    next_step = "check the permissions and the disk, and that nobody moves the package meanwhile"
    return PackageError(
        "A file of the package cannot be read",
        where=shown(file.path),
        why=error.strerror,
        next_step=next_step,
        problems=(f"{shown(file.path)} cannot be read ({error.strerror}): {next_step}",),
    )
