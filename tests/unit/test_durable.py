"""Writing that survives a power cut: what each step promises, and what it does when the system refuses."""

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from repository import durable
from repository.durable import (
    FileSystemSync,
    free_bytes,
    remove_tree,
    rename_new,
    sync_folder,
    tier_error,
    tier_errors,
    write_durable_file,
    write_new_file,
)
from repository.errors import (
    ConflictError,
    TierDeniedError,
    TierError,
    TierFullError,
    TierUnavailableError,
)


class LibraryWithout:
    """The C library of a system that refuses renameat2 or syncfs with an error number."""

    def __init__(self, code: int) -> None:
        self._code = code

    def renameat2(self, *_: object) -> int:
        durable.ctypes.set_errno(self._code)
        return -1

    syncfs = renameat2


# rename_new


@pytest.mark.parametrize("kernel_knows_it", [True, False], ids=["renameat2", "without NOREPLACE"])
@pytest.mark.parametrize("kind", ["file", "folder"])
class TestRenameNew:
    @pytest.fixture(autouse=True)
    def _kernel(self, kernel_knows_it: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        if not kernel_knows_it:
            monkeypatch.setattr(durable, "_LIBC", LibraryWithout(errno.EINVAL))

    @staticmethod
    def make(path: Path, kind: str, content: str) -> Path:
        file = path / "file" if kind == "folder" else path
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
        return path

    @staticmethod
    def read(path: Path) -> str:
        return (path / "file" if path.is_dir() else path).read_text()

    def test_it_moves_to_a_new_name(self, tmp_path: Path, kind: str) -> None:
        source = self.make(tmp_path / "source", kind, "new")
        rename_new(source, tmp_path / "target 名")
        assert self.read(tmp_path / "target 名") == "new"
        assert not source.exists()

    def test_it_never_replaces(self, tmp_path: Path, kind: str) -> None:
        source, target = (self.make(tmp_path / name, kind, name) for name in ("source", "target"))
        with pytest.raises(FileExistsError):
            rename_new(source, target)
        assert (self.read(source), self.read(target)) == ("source", "target")

    def test_it_replaces_neither_an_empty_folder_nor_a_broken_link(self, tmp_path: Path, kind: str) -> None:
        source = self.make(tmp_path / "source", kind, "new")
        (tmp_path / "empty").mkdir()
        (tmp_path / "link").symlink_to("nowhere")
        for name in ("empty", "link"):
            with pytest.raises(FileExistsError):
                rename_new(source, tmp_path / name)
        assert self.read(source) == "new"

    def test_what_is_not_there_is_told(self, tmp_path: Path, kind: str) -> None:
        source = self.make(tmp_path / "source", kind, "new")
        with pytest.raises(FileNotFoundError):
            rename_new(source, tmp_path / "no folder" / "target")
        with pytest.raises(FileNotFoundError):
            rename_new(tmp_path / "nothing", tmp_path / "target")


def test_of_many_who_take_a_name_at_once_one_gets_it(tmp_path: Path) -> None:
    sources = [tmp_path / f"source-{number}" for number in range(16)]
    for source in sources:
        source.write_text(source.name)
    winners, start = [], threading.Barrier(len(sources))

    def take(source: Path) -> None:
        start.wait()
        try:
            rename_new(source, tmp_path / "target")
        except FileExistsError:
            return
        winners.append(source.name)

    threads = [threading.Thread(target=take, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(tmp_path / "target").read_text()] == winners
    assert len(list(tmp_path.iterdir())) == len(sources)


def test_a_refused_rename_names_both_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "_LIBC", LibraryWithout(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left") as caught:
        rename_new(tmp_path / "a", tmp_path / "b")
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / "a"), str(tmp_path / "b"))


# files


def test_a_durable_file_is_there_with_its_content_and_mode(tmp_path: Path) -> None:
    write_durable_file(tmp_path / "file", b"content", mode=0o444)
    assert (tmp_path / "file").read_bytes() == b"content"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o444
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_durable_file_never_replaces(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(FileExistsError):
        write_durable_file(tmp_path / "file", b"new")
    with pytest.raises(FileExistsError):
        write_new_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("refused", ["fsync", "write_new_file", "rename_new"])
def test_a_durable_file_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os if refused == "fsync" else durable, refused, fail)
    with pytest.raises(OSError, match="full"):
        write_durable_file(tmp_path / "file", b"content")
    assert list(tmp_path.iterdir()) == []


def test_a_durable_file_has_its_name_only_when_its_content_is_on_the_medium(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, bool]] = []
    fsync = os.fsync

    def watch(fd: int) -> None:
        path = Path(f"/proc/self/fd/{fd}").readlink()
        seen.append(("folder" if path.is_dir() else path.read_text(), (tmp_path / "file").exists()))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", watch)
    write_durable_file(tmp_path / "file", b"content")
    assert seen == [("content", False), ("folder", True)]


def test_removing_a_tree_that_is_not_there_is_fine(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_text("")
    remove_tree(tmp_path / "a")
    remove_tree(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


# syncs


def test_a_sync_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FileSystemSync(tmp_path) as sync:
        sync.sync()
        monkeypatch.setattr(durable, "_LIBC", LibraryWithout(errno.EIO))
        with pytest.raises(OSError, match="could not write everything out") as caught:
            sync.sync()
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(tmp_path))


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = {fd.name for fd in Path("/proc/self/fd").iterdir()}
    with FileSystemSync(tmp_path) as sync:
        sync.sync()
    sync_folder(tmp_path)
    write_durable_file(tmp_path / "file", b"")
    with pytest.raises(OSError, match="Not a directory"):
        sync_folder(tmp_path / "file")
    assert {fd.name for fd in Path("/proc/self/fd").iterdir()} == before
    assert free_bytes(tmp_path) > 0


# errors


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        (errno.ENOSPC, TierFullError, True),
        (errno.EDQUOT, TierFullError, True),
        (errno.EFBIG, TierFullError, True),
        (errno.EACCES, TierDeniedError, False),
        (errno.EPERM, TierDeniedError, False),
        (errno.EROFS, TierDeniedError, False),
        (errno.EIO, TierUnavailableError, True),
        (errno.ENOENT, TierUnavailableError, True),
        (errno.ESTALE, TierUnavailableError, True),
        (errno.ENOTCONN, TierUnavailableError, True),
    ],
)
def test_a_refusal_becomes_the_error_that_it_means(code: int, kind: type[TierError], retryable: bool) -> None:
    error = tier_error(OSError(code, os.strerror(code)), "/tier")
    assert type(error) is kind
    assert (error.where, error.why, error.retryable, error.exit_code) == ("/tier", os.strerror(code), retryable, 4)
    assert error.next_step


def test_an_error_names_the_file_where_it_is_known() -> None:
    with pytest.raises(TierFullError) as caught, tier_errors("/tier"):
        raise OSError(errno.ENOSPC, "full", "/tier/file")
    assert caught.value.where == "/tier/file"
    assert isinstance(caught.value.__cause__, OSError)
    with pytest.raises(TierUnavailableError) as caught2, tier_errors("/tier"):
        raise OSError("no number at all")
    assert (caught2.value.where, caught2.value.why) == ("/tier", "no number at all")


def test_errors_of_our_own_and_faults_pass_unchanged() -> None:
    for error in (ConflictError("changed"), ValueError("a fault")):
        with pytest.raises(type(error)) as caught, tier_errors("/tier"):
            raise error
        assert caught.value is error
