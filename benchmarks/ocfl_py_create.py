"""The peer ocfl-py: makes one OCFL object of each volume, in two processes. Runs in .venv-peers.

    python ocfl_py_create.py STORAGE_ROOT PROCESSES VOLUME...

The library's own way of making an object from a folder, with its defaults (sha512), in a storage root laid out by
extension 0003. Neither it nor this script syncs.
"""

import hashlib
import sys
from multiprocessing import Pool
from pathlib import Path

import ocfl


def create(job: tuple[Path, Path]) -> None:
    """Make one object."""
    root, volume = job
    identifier = f"urn:benchmark:{volume.name}"
    digest = hashlib.sha256(identifier.encode()).hexdigest()
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else f"%{ord(c):02x}" for c in identifier)
    target = root / digest[0:3] / digest[3:6] / digest[6:9] / name[:100]
    target.parent.mkdir(parents=True, exist_ok=True)
    ocfl.Object(identifier=identifier).create(srcdir=str(volume), objdir=str(target))


def main() -> None:
    """Make the storage root, then an object for each volume."""
    root = Path(sys.argv[1])
    ocfl.StorageRoot(root=str(root), layout_name="0003-hash-and-id-n-tuple-storage-layout").initialize()
    with Pool(int(sys.argv[2])) as pool:
        pool.map(create, [(root, Path(volume)) for volume in sys.argv[3:]], chunksize=1)


if __name__ == "__main__":
    main()
