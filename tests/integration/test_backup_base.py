"""A real borg repository, on this machine or behind a real ssh server: what is lost, found, refused and got back."""

import contextlib
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from replication.base.archives import Archive, KeepRules
from replication.base.backup_base import BackupBase
from replication.base.borg import borg_environment, borg_program
from replication.base.check import CheckDepth
from replication.base.options import BaseOptions
from replication.base.reading import ExpectedFile
from repository.errors import (
    BackupError,
    BaseFullError,
    BaseTamperedError,
    BaseUnavailableError,
    ConfigError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    OperationCancelledError,
    RepositoryError,
)
from repository.stop import StopToken
from tests.doubles.sshd import SshBase, authorized_line, make_key, serve_command, ssh_base
from tests.faults.small_disk import Disks, small_disk

__all__ = ["small_disk", "ssh_base"]  # fixtures, used by name

PAGE_BYTES = 300_000
OBJECT, OTHER = "aa/object-1", "bb/object-2"
PAGES = [f"{OBJECT}/v1/content/page-{number}" for number in range(6)]
OTHER_PAGES = [f"{OTHER}/v1/content/page-{number}" for number in range(3)]


def stop() -> StopToken:
    return StopToken()


def expected(root: Path, paths: list[str], algorithm: str = "sha512") -> list[ExpectedFile]:
    def one(path: str) -> ExpectedFile:
        data = (root / path).read_bytes()
        return ExpectedFile(path, algorithm, hashlib.new(algorithm, data).hexdigest(), len(data))

    return [one(path) for path in paths]


def deposit(root: Path, path: str, data: bytes) -> str:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(data)
    return path


def back_up(base: BackupBase, name: str, root: Path, paths: list[str]) -> Archive:
    """As replication does: make it, read it back, and only then let it count."""
    stats = base.make_archive(name, root, paths, stop=stop())
    result = base.read_back(stats.archive, expected(root, paths), stop=stop())
    assert result.ok, result
    return base.accept(stats.archive, stop=stop())


@dataclass(frozen=True)
class Made:
    """A base with one archive of two objects, and the storage root that they come from."""

    root: Path
    base: BackupBase
    archive: Archive

    @property
    def repository(self) -> Path:
        return Path(self.base.options.repository)

    def changed(self, **changes: object) -> BackupBase:
        return BackupBase(replace(self.base.options, **changes))  # type: ignore[arg-type]

    def flip_byte_of_page(self, number: int) -> None:
        """One bit on the base's disk, in the middle of a page: pages lie there one after the other."""
        segment = max(self.repository.glob("data/*/*"), key=lambda path: path.stat().st_size)
        with segment.open("r+b") as file:
            file.seek(PAGE_BYTES * number + PAGE_BYTES // 2)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 1]))


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("original")
    root = folder / "root"
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    generator = random.Random(seed)
    for path in (*PAGES, *OTHER_PAGES):
        deposit(root, path, generator.randbytes(PAGE_BYTES))
    options = BaseOptions(
        repository=str(folder / "base"),
        passphrase="open sesame",
        state_folder=folder / "state",
        host_id="tests",
        lock_wait_s=1,
    )
    base = BackupBase(options)
    base.create(stop=stop())
    return Made(root=root, base=base, archive=back_up(base, "records-1", root, [*PAGES, *OTHER_PAGES]))


@pytest.fixture
def made(original: Made, tmp_path: Path) -> Made:
    """A base of its own for one test, on this machine."""
    shutil.copytree(original.repository, tmp_path / "base")
    options = replace(original.base.options, repository=str(tmp_path / "base"), state_folder=tmp_path / "state")
    return Made(root=original.root, base=BackupBase(options), archive=original.archive)


def put_behind(site: SshBase, original: Made) -> None:
    """Let the place behind ssh hold a copy of the base that was made once."""
    shutil.copytree(original.repository, site.repository)
    config = site.repository / "config"  # the key is what makes it append-only there
    config.write_text(config.read_text().replace("append_only = 1", "append_only = 0"))


def over_ssh(site: SshBase, folder: Path, **changes: object) -> BackupBase:
    settings = {
        "repository": site.url,
        "passphrase": "open sesame",
        "state_folder": folder / "state",
        "host_id": "tests",
        "ssh_key": site.ssh_key,
        "maintenance_ssh_key": site.maintenance_ssh_key,
        "known_hosts": site.server.known_hosts,
        "lock_wait_s": 20,
    }
    return BackupBase(BaseOptions(**{**settings, **changes}))  # type: ignore[arg-type]


@contextlib.contextmanager
def borg(options: BaseOptions, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """borg as anybody may call it who has our key and passphrase."""
    reading, writing = os.pipe()
    os.write(writing, options.passphrase.encode())
    os.close(writing)
    environment = borg_environment(options, passphrase_fd=reading, ssh_key=options.ssh_key, inherited=dict(os.environ))
    argv = [borg_program(), *arguments]
    process = subprocess.Popen(
        argv, env=environment, pass_fds=(reading,), stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    os.close(reading)
    with process:
        yield process


def call_borg(options: BaseOptions, *arguments: str) -> int:
    with borg(options, *arguments) as process:
        process.communicate(b"YES\n")
    return process.returncode


def refused(kind: type[RepositoryError], act: Callable[[], object], *told: str) -> RepositoryError:
    """It raises just this error, which says what to do."""
    with pytest.raises(kind) as caught:
        act()
    assert type(caught.value) is kind
    assert "Next step: " in str(caught.value)
    for words in told:
        assert words in str(caught.value)
    return caught.value


# --- there and back -------------------------------------------------------------------------------------------------


def test_every_name_and_byte_comes_back_over_ssh(ssh_base: SshBase, tmp_path: Path) -> None:
    """A4"""
    root, base = tmp_path / "root", over_ssh(ssh_base, tmp_path, passphrase="芝麻 开门")
    names = ["档案 №1.tif", "new\nline", "-x", "{now}", "a'b\"c\\", "x\x07", "ẞ e\u0301"]
    paths = [deposit(root, f"{OBJECT}/v1/content/{name}", name.encode() * 50) for name in names]
    paths.append(deposit(root, f"{OBJECT}/v1/content/empty", b""))
    dump = deposit(tmp_path, "jindang/configuration/jindang.yaml", b"tiers: {}")
    base.create(stop=stop())

    extra = {"configuration/jindang.yaml": tmp_path / dump}
    stats = base.make_archive("records-1", root, paths, extra=extra, comment="{batch} 一", stop=stop())
    files = [*expected(root, paths), *expected(tmp_path, [dump])]
    assert base.read_back(stats.archive, files, stop=stop()).ok
    archive = base.accept(stats.archive, stop=stop())

    assert (archive.name, archive.comment) == ("records-1", "{batch} 一")
    base.read_extra("records-1", "configuration/jindang.yaml", tmp_path / "read", stop=stop())
    assert (tmp_path / "read").read_bytes() == b"tiers: {}"
    assert base.extract_object([archive.name], OBJECT, tmp_path / "out", stop=stop()).lost == ()
    assert {path: (tmp_path / "out" / path).read_bytes() for path in paths} == {
        path: (root / path).read_bytes() for path in paths
    }
    assert not list(base.options.state_folder.glob("batch-*"))


def test_a_name_with_a_carriage_return_comes_back(made: Made, tmp_path: Path) -> None:
    root = tmp_path / "root"
    paths = [deposit(root, "x/a\rb", b"1"), deposit(root, "x/a\r\nb", b"2"), deposit(root, "x/-", b"3")]
    back_up(made.base, "records-2", root, paths)


def test_files_that_are_one_on_our_disk_are_each_read_back_and_each_come_back(made: Made, tmp_path: Path) -> None:
    root = tmp_path / "root"
    paths = [deposit(root, "x/first", b"same"), "x/second", "x/third"]
    for path in paths[1:]:
        (root / path).hardlink_to(root / paths[0])
    back_up(made.base, "records-2", root, paths)
    wrong = [file._replace(digest="0" * 128) for file in expected(root, paths)]
    assert made.base.read_back("records-2", wrong, stop=stop()).mismatched == paths
    made.base.extract_object(["records-2"], "x", tmp_path / "out", stop=stop())
    assert [(tmp_path / "out" / path).read_bytes() for path in paths] == [b"same"] * 3


def test_an_object_of_two_archives_comes_back_with_the_later_one_on_top(made: Made, tmp_path: Path) -> None:
    root = tmp_path / "root"
    later = [deposit(root, PAGES[0], b"inventory of v2"), deposit(root, f"{OBJECT}/v2/content/page", b"new")]
    second = back_up(made.base, "records-2", root, later)
    done = made.base.extract_object([made.archive.name, second.name], OBJECT, tmp_path / "out", stop=stop())
    assert (done.archives, done.lost) == (2, ())
    assert (tmp_path / "out" / PAGES[0]).read_bytes() == b"inventory of v2"
    assert (tmp_path / "out" / PAGES[1]).read_bytes() == (made.root / PAGES[1]).read_bytes()
    assert (tmp_path / "out" / later[1]).read_bytes() == b"new"
    assert not (tmp_path / "out" / OTHER).exists()
    refused(
        NotFoundError,
        lambda: made.base.extract_object([second.name], OTHER, tmp_path / "out", stop=stop()),
        OTHER,
    )


def test_what_is_not_this_object_is_told_apart(made: Made) -> None:
    """A15"""
    files = expected(made.root, PAGES[1:])
    files[0] = files[0]._replace(digest=files[1].digest)
    files[1] = files[1]._replace(size_bytes=1)
    files.append(ExpectedFile("aa/absent", "sha512", "0" * 128, 0))
    files += expected(made.root, OTHER_PAGES[:2], "sha256")
    files[-1] = files[-1]._replace(digest="0" * 64)
    random.shuffle(files)
    result = made.base.read_back(made.archive.name, files, stop=stop())
    assert sorted(result.mismatched) == sorted([PAGES[1], PAGES[2], OTHER_PAGES[1]])
    assert result.missing == ["aa/absent"]
    assert sorted(result.extra) == sorted([PAGES[0], OTHER_PAGES[2]])
    assert result.read_bytes == 9 * PAGE_BYTES


# --- damage on the base ---------------------------------------------------------------------------------------------


def test_a_flipped_bit_is_found_and_costs_one_page_only(made: Made, tmp_path: Path) -> None:
    """A8, A9, A17"""
    everything = expected(made.root, [*PAGES, *OTHER_PAGES])
    made.flip_byte_of_page(2)
    made.flip_byte_of_page(7)

    result = made.base.read_back(made.archive.name, everything, stop=stop())
    assert result.unreadable == [PAGES[2], OTHER_PAGES[1]]
    assert (result.read_files, result.missing, result.mismatched, result.extra) == (7, [], [], [])

    assert not made.base.check(CheckDepth.REPOSITORY, stop=stop()).ok
    assert not made.base.check(CheckDepth.DATA, stop=stop()).ok

    done = made.base.extract_object([made.archive.name], OBJECT, tmp_path / "out", stop=stop())
    assert [lost.path for lost in done.lost] == [PAGES[2]]
    assert {path for path in PAGES if (tmp_path / "out" / path).exists()} == {*PAGES} - {PAGES[2]}
    assert (tmp_path / "out" / PAGES[5]).read_bytes() == (made.root / PAGES[5]).read_bytes()


def test_a_healthy_base_passes_every_check(made: Made) -> None:
    for depth in CheckDepth:
        report = made.base.check(depth, max_duration_s=60, stop=stop())
        assert (report.ok, report.complete) == (True, True)
    usage = made.base.usage(stop=stop())
    assert usage.original_bytes == 9 * PAGE_BYTES
    assert usage.free_bytes is not None


def test_zeros_that_a_repair_put_in_are_not_taken_for_the_page(made: Made, tmp_path: Path) -> None:
    made.flip_byte_of_page(1)
    call_borg(made.base.options, "config", str(made.repository), "append_only", "0")
    call_borg(made.base.options, "check", "--repair", str(made.repository))
    assert call_borg(made.base.options, "check", str(made.repository)) == 0  # borg is content

    result = made.base.read_back(made.archive.name, expected(made.root, [*PAGES, *OTHER_PAGES]), stop=stop())
    assert PAGES[1] in result.mismatched
    done = made.base.extract_object([made.archive.name], OBJECT, tmp_path / "out", stop=stop())
    assert PAGES[1] in [lost.path for lost in done.lost]
    assert not (tmp_path / "out" / PAGES[1]).exists()


def test_a_lost_segment_is_damage_and_a_lost_folder_is_no_base(made: Made) -> None:
    """A11"""
    largest = max(made.repository.glob("data/*/*"), key=lambda path: path.stat().st_size)
    largest.unlink()
    error = refused(
        IntegrityError,
        lambda: made.base.read_back(made.archive.name, expected(made.root, PAGES), stop=stop()),
        "damaged",
    )
    assert error.exit_code == 5
    shutil.rmtree(made.repository)
    assert refused(ConfigError, lambda: made.base.archives(stop=stop()), "no backup base", "mounted").exit_code == 3


def test_an_older_copy_put_in_its_place_is_noticed(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.repository, tmp_path / "older")
    back_up(made.base, "records-2", made.root, PAGES[:1])
    shutil.rmtree(made.repository)
    (tmp_path / "older").rename(made.repository)
    error = refused(BaseTamperedError, lambda: made.base.archives(stop=stop()), "set back")
    assert error.exit_code == 5


# --- work that is cut off -------------------------------------------------------------------------------------------


def test_an_archive_that_was_not_read_back_never_counts_and_is_made_anew(made: Made) -> None:
    """A1"""
    base = made.base
    error = refused(
        BackupError,
        lambda: base.make_archive("records-2", made.root, [PAGES[0], "aa/absent"], stop=stop()),
        "aa/absent",
    )
    assert error.exit_code == 4
    assert base.archives(stop=stop()) == [made.archive]
    second = back_up(base, "records-2", made.root, PAGES[:2])
    assert base.accept("records-2.unread", stop=stop()) == second
    assert [each.name for each in base.archives(stop=stop())] == ["records-1", "records-2"]
    with pytest.raises(NotFoundError):
        base.accept("records-3.unread", stop=stop())
    with pytest.raises(NotFoundError):
        base.read_extra("records-2", "absent", made.root.parent / "absent", stop=stop())


def test_cut_off_by_a_stop_and_by_kill_9_the_same_archive_is_made_in_the_end(
    original: Made, ssh_base: SshBase, tmp_path: Path
) -> None:
    """A21"""
    root = tmp_path / "root"
    paths = [deposit(root, f"{OBJECT}/v1/content/film-{number}", os.urandom(2_000_000)) for number in range(4)]
    put_behind(ssh_base, original)
    slow = over_ssh(ssh_base, tmp_path, bandwidth_bps=1_000_000)

    asked = StopToken()
    threading.Timer(3, asked.set).start()
    with pytest.raises(OperationCancelledError):
        slow.make_archive("records-2", root, paths, stop=asked)
    assert names_with_checkpoints(slow) == ["records-1", "records-2.unread.checkpoint"]
    assert slow.archives(stop=stop()) == [original.archive]

    kill_in_the_middle(slow, root, paths)
    archive = back_up(over_ssh(ssh_base, tmp_path), "records-2", root, paths)
    on_the_base = BackupBase(
        replace(original.base.options, repository=str(ssh_base.repository), state_folder=tmp_path / "other")
    )
    assert on_the_base.archives(stop=stop()) == [original.archive, archive]
    assert on_the_base.check(CheckDepth.DATA, stop=stop()).ok


def names_with_checkpoints(base: BackupBase) -> list[str]:
    with borg(base.options, "list", "--short", "--consider-checkpoints", base.options.repository) as process:
        return process.communicate()[0].decode().split()


def kill_in_the_middle(base: BackupBase, root: Path, paths: list[str]) -> None:
    """Kill borg and whoever called it, both with SIGKILL, while bytes are on their way."""
    program = textwrap.dedent(f"""
        from pathlib import Path
        from replication.base.backup_base import BackupBase
        from replication.base.options import BaseOptions
        from repository.stop import StopToken
        from pathlib import PosixPath
        BackupBase(BaseOptions(**{base_settings(base)!r})).make_archive(
            "records-2", Path({str(root)!r}), {paths!r}, stop=StopToken())
    """)
    project = Path(__file__).resolve().parents[2]
    caller = subprocess.Popen([sys.executable, "-c", program], cwd=project, start_new_session=True)
    with caller:
        deadline = time.monotonic() + 20
        while not (children := children_of(caller.pid)) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(2)
        assert caller.poll() is None
        for process_id in (*children, caller.pid):
            os.kill(process_id, signal.SIGKILL)


def base_settings(base: BackupBase) -> dict[str, object]:
    return {name: getattr(base.options, name) for name in BaseOptions.__dataclass_fields__}


def children_of(process_id: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()]


# --- who is let in --------------------------------------------------------------------------------------------------


def test_a_wrong_passphrase_is_told_and_not_tried_again(made: Made) -> None:
    error = refused(ConfigError, lambda: made.changed(passphrase="wrong one").archives(stop=stop()), "passphrase")
    assert not error.retryable
    assert "wrong one" not in str(error)


def test_a_base_that_somebody_works_on_is_tried_again_later(made: Made) -> None:
    with borg(made.base.options, "with-lock", str(made.repository), "cat") as holder:
        while not (made.repository / "lock.exclusive").exists():
            time.sleep(0.02)
        error = refused(BaseUnavailableError, lambda: made.base.archives(stop=stop()), "Somebody else")
        assert error.retryable
        assert error.exit_code == 4
        assert holder.stdin is not None
        holder.stdin.close()
    assert made.base.archives(stop=stop()) == [made.archive]


def test_ssh_that_is_down_or_is_another_machine_or_does_not_know_us(ssh_base: SshBase, tmp_path: Path) -> None:
    """A11"""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, and nobody listens
        port = nobody.getsockname()[1]
        down = over_ssh(ssh_base, tmp_path, repository=f"ssh://root@127.0.0.1:{port}/base")
        down = BackupBase(replace(down.options, known_hosts=None))
        assert refused(BaseUnavailableError, lambda: down.archives(stop=stop()), "Connection refused").retryable

    other = make_key(tmp_path / "other-host-key")
    public = Path(f"{other}.pub").read_text().split()
    known_hosts = tmp_path / "known hosts"
    known_hosts.write_text(f"[127.0.0.1]:{ssh_base.server.port} {public[0]} {public[1]}\n")
    replaced = over_ssh(ssh_base, tmp_path, known_hosts=known_hosts)
    assert not refused(BackupError, lambda: replaced.archives(stop=stop()), "host key", "telephone").retryable

    stranger = over_ssh(ssh_base, tmp_path, ssh_key=make_key(tmp_path / "stranger"))
    assert not refused(BackupError, lambda: stranger.archives(stop=stop()), "authorized_keys").retryable

    elsewhere = over_ssh(ssh_base, tmp_path, repository=f"{ssh_base.url}-of-others")
    refused(ConfigError, lambda: elsewhere.create(stop=stop()), "--restrict-to-repository")


def test_a_full_base_is_told_and_the_work_goes_on_when_there_is_space(
    original: Made, ssh_base: SshBase, tmp_path: Path
) -> None:
    """A21"""
    put_behind(ssh_base, original)
    authorized = ssh_base.server.folder / "authorized_keys"
    root, base = tmp_path / "root", over_ssh(ssh_base, tmp_path)
    paths = [deposit(root, f"{OBJECT}/v1/content/{number}", os.urandom(4_000_000)) for number in range(3)]
    authorized.write_text(authorized_line(ssh_base.ssh_key, serve_command(ssh_base.repository, quota="10M")))
    error = refused(
        BaseFullError, lambda: base.make_archive("records-2", root, paths, stop=stop()), "no space", "not sent twice"
    )
    assert error.retryable
    authorized.write_text(authorized_line(ssh_base.ssh_key, serve_command(ssh_base.repository, quota="1G")))
    back_up(base, "records-2", root, paths)


def test_a_full_disk_of_the_base_is_told(made: Made, tmp_path: Path, small_disk: Disks) -> None:
    """A21"""
    disk = small_disk(tmp_path / "disk", size="4m")
    shutil.copytree(made.repository, disk.path / "base")
    base = made.changed(repository=str(disk.path / "base"))
    film = [deposit(tmp_path / "root", "film", os.urandom(3_000_000))]
    refused(BaseFullError, lambda: base.make_archive("records-2", tmp_path / "root", film, stop=stop()), "space")
    disk.grow(size="40m")
    back_up(base, "records-2", tmp_path / "root", film)


# --- thieves, and keys that are lost --------------------------------------------------------------------------------


def test_an_archive_deleted_with_our_own_key_is_noticed_and_its_space_is_not_freed(
    original: Made, ssh_base: SshBase, tmp_path: Path
) -> None:
    put_behind(ssh_base, original)
    base = over_ssh(ssh_base, tmp_path)
    known = [original.archive]
    appending = over_ssh(ssh_base, tmp_path, maintenance_ssh_key=ssh_base.ssh_key)
    refused(BackupError, lambda: appending.compact(known, stop=stop()), "only lets us append")

    assert call_borg(base.options, "delete", base.options.repository, "records-1") == 0  # the thief succeeds
    assert base.compare_with_record(known, stop=stop()).messages() == ["archive records-1 is gone"]
    error = refused(BaseTamperedError, lambda: base.compact(known, stop=stop()), "records-1 is gone")
    assert error.exit_code == 5
    refused(BaseTamperedError, lambda: base.prune_catalogue_archives(KeepRules(), known, stop=stop()))
    assert size_of(ssh_base.repository) > 9 * PAGE_BYTES

    assert "freed" in base.compact([], stop=stop())  # somebody has explained the loss
    assert size_of(ssh_base.repository) < PAGE_BYTES


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_catalogue_archives_are_pruned_and_records_are_not(made: Made) -> None:
    for number in (1, 2):
        back_up(made.base, f"catalogue-{number}", made.root, PAGES[:1])
    known = made.base.archives(stop=stop())
    none = KeepRules(daily=0, weekly=0, monthly=0, yearly=0)
    pruned = made.base.prune_catalogue_archives(none, known, stop=stop())
    assert [each.name for each in pruned] == ["catalogue-1"]
    left = made.base.archives(stop=stop())
    assert [each.name for each in left] == ["records-1", "catalogue-2"]
    assert "freed" in made.base.compact(left, stop=stop())
    assert "append_only = 1" in (made.repository / "config").read_text()
    daily = made.changed(repository="ssh://nobody@127.0.0.1/base")
    refused(ConfigError, lambda: daily.compact(left, stop=stop()), "key of maintenance")


def test_a_lost_key_is_brought_back_from_the_export(made: Made, tmp_path: Path) -> None:
    """A23"""
    files = made.base.export_key(tmp_path / "keys", stop=stop())
    assert [file.name for file in files] == ["base-key.txt", "base-key-paper.txt", "base-key-qr.html"]
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)
    refused(InvalidInputError, lambda: made.base.export_key(tmp_path / "keys", stop=stop()), "empty folder")

    config = made.repository / "config"
    kept = [line for line in config.read_text().splitlines() if not line.startswith(("key =", "\t"))]
    config.chmod(0o600)
    config.write_text("\n".join(kept) + "\n")
    elsewhere = made.changed(state_folder=tmp_path / "another machine")
    refused(ConfigError, lambda: elsewhere.archives(stop=stop()), "lost its key", "borg key import")
    elsewhere.import_key(files[0], stop=stop())
    assert elsewhere.archives(stop=stop()) == [made.archive]


# --- docs/how-to/set-up-the-backup-base.md --------------------------------------------------------------------------


def page_blocks(language: str) -> list[str]:
    page = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "set-up-the-backup-base.md"
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"))


def test_the_page_on_the_backup_base_works_word_for_word_but_for_names_of_machines_and_folders(
    original: Made, ssh_base: SshBase, tmp_path: Path
) -> None:
    """A23"""
    keys, port = tmp_path / "keys", ssh_base.server.port
    names = {
        "ssh://jindang-base@base.example.org/srv/jindang/base": ssh_base.url,
        "/srv/jindang/base": str(ssh_base.repository),
        "/etc/jindang/base": str(keys),
        "ssh-keyscan ": f"ssh-keyscan -p {port} ",
        "base.example.org": "127.0.0.1",
        " borg serve": f" {borg_program()} serve",
    }

    def local(text: str) -> str:
        for ours, theirs in names.items():
            text = text.replace(ours, theirs)
        return text

    def run(script: str) -> str:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {"PATH": path, "HOME": str(tmp_path), "LANG": "C.UTF-8"}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=environment, capture_output=True, check=False
        )
        assert done.returncode == 0, f"{script}\n{done.stdout.decode()}{done.stderr.decode()}"
        return done.stdout.decode()

    two_keys, known_hosts, passphrase, export, bring_back, by_hand = (local(text) for text in page_blocks("sh"))
    run(two_keys + known_hosts)
    run(passphrase)
    (lines,) = page_blocks("authorized_keys")
    for name in ("append-key", "maintenance-key"):
        lines = lines.replace(f"{name.upper()}.PUB", (keys / f"{name}.pub").read_text().strip())
    (ssh_base.server.folder / "authorized_keys").write_text(local(lines))

    base = over_ssh(
        ssh_base,
        tmp_path,
        passphrase=(keys / "passphrase").read_text().strip(),
        ssh_key=keys / "append-key",
        known_hosts=keys / "known_hosts",
    )
    base.create(stop=stop())
    back_up(base, "records-20261122T010000Z", original.root, PAGES[:1])
    back_up(base, "records-20261123T010000Z", original.root, PAGES[1:2])
    access = "\n".join(line for line in export.splitlines() if line.startswith("export ")) + "\n"
    run(export)
    run(access + bring_back + by_hand)
    for path in PAGES[:2]:
        assert (tmp_path / "storage-root" / path).read_bytes() == (original.root / path).read_bytes()

    last_good = (ssh_base.repository / "transactions").read_text().splitlines()[-1].split()[1].rstrip(",")
    run(f"{access}borg delete {ssh_base.url} records-20261122T010000Z records-20261123T010000Z")
    (keeper,), (after,) = page_blocks("keeper"), page_blocks("after-keeper")
    run(local(keeper).replace("last_good=5", f"last_good={last_good}"))
    said = run(access + local(after))
    assert "records-20261122T010000Z" in said
    assert "records-20261123T010000Z" in said
