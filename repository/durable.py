"""Writing that survives a power cut: syncfs, renames that never overwrite, and what the kernel's refusals mean.

The standard library has neither syncfs(2) nor renameat2(2); both are called in the C library.
"""

import contextlib
import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from repository.errors import (
    RepositoryError,
    TierDeniedError,
    TierError,
    TierFullError,
    TierUnavailableError,
)

_LIBC = ctypes.CDLL(None, use_errno=True)
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1


class FileSystemSync:
    """Makes everything written to one file system durable with a single call.

    The folder is opened before the first write, because the kernel reports a failed write-back only to files
    that were open when it failed (Linux 5.8 and later, syncfs(2)).
    """

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._folder = folder

    def sync(self) -> None:
        """Return when all writes and renames made so far on this file system are on the medium."""
        if _LIBC.syncfs(self._fd) != 0:
            raise OSError(ctypes.get_errno(), "the file system could not write everything out", str(self._folder))

    def __enter__(self) -> Self:
        """Opened already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the folder."""
        os.close(self._fd)


def rename_new(source: Path, target: Path) -> None:
    """Rename a file or folder to a name that does not exist yet; one atomic step.

    Raises:
        FileExistsError: something has that name; both are left as they were.
    """
    if _LIBC.renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE) == 0:
        return
    code = ctypes.get_errno()
    if code not in (errno.EINVAL, errno.ENOSYS):  # a file system that does not know NOREPLACE, NFS for one
        raise OSError(code, os.strerror(code), str(source), None, str(target))
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    source.rename(target)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: what was created, renamed or removed in it."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_new_file(path: Path, data: bytes, *, mode: int = 0o444) -> None:
    """Create a file; durable only after the next sync. Raises FileExistsError when there is one."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(data)


def write_durable_file(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Create a file that is complete and durable when this returns, or not there at all.

    Raises:
        FileExistsError: something has that name already.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    temporary.unlink(missing_ok=True)
    try:
        write_new_file(temporary, data, mode=mode)
        fd = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        rename_new(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def forget_cached(folder: Path) -> None:
    """Give the memory back in which the kernel keeps the files below a folder; only what is on the medium is let go.

    What was just stored is not read again soon, and pages given back are used again at once for what is written
    next: that is faster than fresh ones, and it pushes nothing else out of memory. Advice: nothing fails by it.
    """
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                fd = os.open(f"{parent}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
                try:
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                finally:
                    os.close(fd)


def remove_tree(folder: Path) -> None:
    """Remove a folder of our own temporary files and all below it; nothing there is fine."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def free_bytes(folder: Path) -> int:
    """Bytes that we may still write on the file system of this folder."""
    usage = os.statvfs(folder)
    return usage.f_bavail * usage.f_frsize


def tier_error(error: OSError, where: object) -> TierError:
    """What an operating system's refusal means for a tier, in words for an operator."""
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return TierFullError(
            "There is no space left",
            where=where,
            why=reason,
            next_step="free or add space, then run the same command again: what is finished is not done twice",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return TierDeniedError(
            "Permission was refused",
            where=where,
            why=reason,
            next_step="check owner, permissions and mount options (`jindang doctor` shows them)",
        )
    return TierUnavailableError(
        "The storage could not be used",
        where=where,
        why=reason,
        next_step="check that the disk is mounted and healthy (`jindang doctor`, the system log), then run again",
    )


@contextlib.contextmanager
def tier_errors(where: object) -> Iterator[None]:
    """Translate every OSError inside into the TierError that it means."""
    try:
        yield
    except RepositoryError:
        raise
    except OSError as error:
        raise tier_error(error, error.filename or where) from error
