"""Large files are copied past the page cache, byte for byte, and a full disk is told apart from a bad source."""

import hashlib
import io
import os
import random
import resource
from pathlib import Path

import pytest

from repository.errors import OperationCancelledError, TierFullError
from repository.hashing import MultiHasher
from repository.ingest.content import ContentWriter
from repository.overlapped import BLOCK_BYTES, CHUNK_BYTES, copy_overlapped
from repository.stop import StopToken

SIZES = [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 4097]


class Meter:
    def listed(self, size_bytes: int) -> None: ...

    def read(self, size_bytes: int) -> None: ...


class ShortReads(io.RawIOBase):
    """A stream that never gives what is asked for, as archives and pipes do."""

    def __init__(self, data: bytes) -> None:
        self._inner = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, view) -> int:
        return self._inner.readinto(memoryview(view)[:100_003])


@pytest.mark.parametrize("size_bytes", SIZES)
@pytest.mark.parametrize("source", [io.BytesIO, ShortReads])
def test_every_size_arrives_whole(tmp_path: Path, size_bytes: int, source) -> None:
    data = random.Random(size_bytes).randbytes(size_bytes)
    hasher, read = MultiHasher(["sha512"]), []
    fd = os.open(tmp_path / "copy", os.O_WRONLY | os.O_CREAT)
    copy_overlapped(source(data), fd, hasher, stop=StopToken(), on_read=read.append)
    os.close(fd)
    assert (tmp_path / "copy").read_bytes() == data
    assert hasher.digests() == {"sha512": hashlib.sha512(data).hexdigest()}
    assert sum(read) == size_bytes


def test_a_file_system_without_direct_writes_is_written_as_usual() -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir():
        pytest.skip("no /dev/shm here")
    path = memory / f"jindang-test-{os.getpid()}"
    data = bytes(range(256)) * 40_000
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        copy_overlapped(io.BytesIO(data), fd, MultiHasher(["sha256"]), stop=StopToken(), on_read=len_of)
        assert path.read_bytes() == data
    finally:
        os.close(fd)
        path.unlink()


def len_of(_size_bytes: int) -> None: ...


@pytest.mark.parametrize("is_large", [True, False])
def test_a_full_disk_is_the_tiers_fault_not_the_sources(tmp_path: Path, is_large: bool) -> None:
    writer = ContentWriter(tmp_path, "v1/content", algorithm="sha512", known=(), meter=Meter(), stop=StopToken())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (CHUNK_BYTES, hard))
    try:
        with pytest.raises(TierFullError, match="no space left"):
            writer.add("data/film", io.BytesIO(b"x" * CHUNK_BYTES * 3), is_large=is_large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_stop_ends_the_copy(tmp_path: Path) -> None:
    stop = StopToken()
    stop.set()
    fd = os.open(tmp_path / "copy", os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OperationCancelledError):
        copy_overlapped(io.BytesIO(b"x" * 10), fd, MultiHasher(["sha512"]), stop=stop, on_read=len_of)
    os.close(fd)
