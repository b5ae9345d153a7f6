"""How the files of a batch are named to borg: an exact list on its stdin, and a few files from elsewhere."""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from repository.errors import BackupError, InvalidInputError

EXTRA_FOLDER: Final = "jindang"
"""Where in an archive the catalogue dump and the configuration lie, beside the storage root's own files."""

_FROM_STDIN: Final = ("--paths-from-stdin", "--paths-delimiter=\\0")
_ARGUMENT_BYTES: Final = 1 << 20  # Linux takes 2 MiB, and the environment needs some of it


def list_paths(paths: Iterable[str], into: BinaryIO) -> tuple[tuple[str, ...], list[str]]:
    """Write the paths to a file, so that borg has the whole list even when we are killed.

    borg 1.4 reads its stdin as text with universal newlines: a carriage return in a name would come to it as a
    newline. A batch with such a name is given as arguments instead.

    Args:
        paths: without NUL, as the file system has no such names.
        into: empty; is at its beginning afterwards.

    Returns: options of `borg create`, and what stands after the archive's name.

    Raises:
        BackupError: there is such a name, and the batch is too large for arguments.
    """
    size_bytes = 0
    has_return = False
    for path in paths:
        raw = os.fsencode(path)
        has_return |= b"\r" in raw
        size_bytes += into.write(raw + b"\0") + 8  # the kernel's pointer to it
    into.seek(0)
    if not has_return:
        return _FROM_STDIN, []
    if size_bytes > _ARGUMENT_BYTES:
        raise BackupError(
            "A file has a carriage return in its name, and borg takes such names only in a small batch",
            why=f"the list of paths has {size_bytes} bytes, and {_ARGUMENT_BYTES} are possible",
            next_step="back up the objects with such names in a batch of their own",
        )
    listed = into.read().split(b"\0")[:-1]
    into.seek(0)
    return (), [os.fsdecode(raw) for raw in listed]


def stage_extras(extra: Mapping[str, Path], scratch: Path) -> list[str]:
    """Put files of this machine where borg finds them under the name that they have in the archive.

    Args:
        extra: name below `jindang/` -> file; it is linked where that is possible, else copied.
        scratch: an empty folder of ours.

    Returns: their paths for borg, which leaves out what stands before `/./`.

    Raises:
        InvalidInputError: a name leads out of the folder.
    """
    for name, file in extra.items():
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise InvalidInputError("A file in an archive cannot have this name", where=repr(name))
        target = scratch / EXTRA_FOLDER / name
        target.parent.mkdir(parents=True, exist_ok=True)
        source = file.resolve(strict=True)
        try:
            target.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, target)
    return [f"{scratch.resolve()}/./{EXTRA_FOLDER}/{PurePosixPath(name)}" for name in extra]
