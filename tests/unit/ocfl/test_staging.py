"""Staging sessions: whose they are, and what becomes of those that nobody holds any more."""

import os
import threading
from pathlib import Path

import pytest

from repository.ocfl import staging
from repository.ocfl.staging import (
    STAGING_FOLDER,
    SessionLock,
    StagingSession,
    is_alive,
    recovery_turn,
    remove_abandoned,
)


def area(root: Path) -> Path:
    return root / STAGING_FOLDER


def abandoned(root: Path, name: str, *, with_lock: bool = True) -> Path:
    """What a process that was killed leaves behind."""
    folder = area(root) / name
    (folder / "1" / "v1" / "content").mkdir(parents=True)
    (folder / "1" / "v1" / "content" / "file").write_text("half")
    if with_lock:
        (folder / "lock").touch()
    return folder


def test_a_session_lives_while_it_is_open_and_leaves_nothing(tmp_path: Path) -> None:
    with StagingSession(tmp_path) as session:
        assert is_alive(tmp_path, session.name)
        first, second = session.new_folder(), session.new_folder()
        assert first != second
        assert first.parent == second.parent == session.folder == area(tmp_path) / session.name
        assert not first.exists()
        (first / "v1").mkdir(parents=True)
        assert remove_abandoned(tmp_path) == 0
        assert (first / "v1").is_dir()
    assert not is_alive(tmp_path, session.name)
    assert not area(tmp_path).exists()


def test_two_sessions_keep_apart(tmp_path: Path) -> None:
    with StagingSession(tmp_path) as first:
        with StagingSession(tmp_path) as second:
            assert first.name != second.name
        assert is_alive(tmp_path, first.name)
        assert first.folder.is_dir()
        assert not second.folder.exists()


def test_a_worker_keeps_a_session_alive_without_its_owner(tmp_path: Path) -> None:
    session = StagingSession(tmp_path)
    worker = SessionLock(session.folder)
    session._lock.release()
    assert is_alive(tmp_path, session.name)
    assert remove_abandoned(tmp_path) == 0
    worker.release()
    assert not is_alive(tmp_path, session.name)
    assert remove_abandoned(tmp_path) == 1


def test_a_worker_does_not_begin_in_a_session_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        SessionLock(area(tmp_path) / "gone")


def test_a_worker_does_not_begin_in_a_session_that_is_being_removed(tmp_path: Path) -> None:
    folder = abandoned(tmp_path, "dead")
    fd = os.open(folder / "lock", os.O_RDWR)
    staging.fcntl.flock(fd, staging.fcntl.LOCK_EX)
    with pytest.raises(FileNotFoundError):
        SessionLock(folder)
    os.close(fd)
    SessionLock(folder).release()


def test_a_lock_that_was_removed_meanwhile_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening and locking, somebody may remove the session."""
    folder = abandoned(tmp_path, "dead")
    flock = staging.fcntl.flock

    def remove_first(fd: int, operation: int) -> None:
        (folder / "lock").unlink()
        flock(fd, operation)

    monkeypatch.setattr(staging.fcntl, "flock", remove_first)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(FileNotFoundError):
        SessionLock(folder)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("with_lock", [True, False])
def test_what_nobody_holds_is_removed(tmp_path: Path, with_lock: bool) -> None:
    abandoned(tmp_path, "a", with_lock=with_lock)
    abandoned(tmp_path, "b", with_lock=with_lock)
    with StagingSession(tmp_path) as session:
        assert not is_alive(tmp_path, "a")
        assert remove_abandoned(tmp_path) == 2
        assert [entry.name for entry in area(tmp_path).iterdir()] == [session.name]
    assert remove_abandoned(tmp_path) == 0
    assert not area(tmp_path).exists()


def test_asking_for_the_dead_and_removing_nothing_changes_nothing(tmp_path: Path) -> None:
    assert not is_alive(tmp_path, "nobody")
    assert remove_abandoned(tmp_path) == 0
    assert list(tmp_path.iterdir()) == []


def test_the_lock_is_removed_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else somebody could lock the rest anew and take it for his own while it is being removed."""
    folder = abandoned(tmp_path, "dead")
    seen = []
    remove_tree = staging.remove_tree

    def watch(path: Path) -> None:
        seen.append((path.name, (folder / "lock").exists(), is_alive(tmp_path, "dead")))
        remove_tree(path)

    monkeypatch.setattr(staging, "remove_tree", watch)
    assert remove_abandoned(tmp_path) == 1
    assert seen == [("1", True, True)]


def test_a_folder_that_somebody_locks_anew_at_the_last_moment_is_left_to_him(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, taken = abandoned(tmp_path, "young"), []
    unlink = Path.unlink

    def unlink_and_lose_the_race(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok=missing_ok)
        taken.append(SessionLock(folder))

    monkeypatch.setattr(Path, "unlink", unlink_and_lose_the_race)
    remove_abandoned(tmp_path)
    monkeypatch.undo()
    assert is_alive(tmp_path, "young")
    taken[0].release()
    assert remove_abandoned(tmp_path) == 1


# recoveries


def test_recoveries_come_one_after_the_other(tmp_path: Path) -> None:
    at_work, most, done = 0, 0, 0
    guard = threading.Lock()

    def recover() -> None:
        nonlocal at_work, most, done
        for _ in range(40):
            with recovery_turn(tmp_path):
                with guard:
                    at_work += 1
                    most = max(most, at_work)
                remove_abandoned(tmp_path)
                with guard:
                    at_work -= 1
                    done += 1

    threads = [threading.Thread(target=recover) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, done) == (1, 160)
    assert not area(tmp_path).exists()


def test_a_recovery_that_was_killed_hinders_nobody(tmp_path: Path) -> None:
    area(tmp_path).mkdir(parents=True)
    (area(tmp_path) / "recovery.lock").touch()
    with recovery_turn(tmp_path):
        assert remove_abandoned(tmp_path) == 0
    assert not area(tmp_path).exists()


def test_a_recovery_that_fails_gives_its_turn_away(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="failed"), recovery_turn(tmp_path):
        raise ValueError("failed")
    with recovery_turn(tmp_path):
        pass
    assert not area(tmp_path).exists()
