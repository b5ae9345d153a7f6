"""What borg is called with, what its answers mean, and the rules that need no repository."""

import io
import itertools
import json
import shlex
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from borg.helpers.misc import prune_split
from hypothesis import given
from hypothesis import strategies as st

from replication.base import borg
from replication.base.archives import (
    Archive,
    KeepRules,
    archives_to_prune,
    check_name,
    compare_archives,
)
from replication.base.borg import LogLine, Outcome, borg_argv, borg_environment, parse_log_line, run_borg, ssh_command
from replication.base.check import CheckDepth, check_arguments, report_of
from replication.base.errors import error_of, is_damage
from replication.base.options import BaseOptions
from replication.base.paths import list_paths, stage_extras
from replication.base.reading import MOST_DAMAGES, go_on_after_damage
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

WHERE = "ssh://archive@base/srv/base"
DAMAGE = IntegrityError("damaged")


def options(folder: Path, **changes: object) -> BaseOptions:
    settings = {"repository": WHERE, "passphrase": "open sesame", "state_folder": folder, "host_id": "city-archive"}
    return BaseOptions(**{**settings, **changes})  # type: ignore[arg-type]


# --- what borg is called with ---------------------------------------------------------------------------------------


def test_every_call_logs_for_machines_and_waits_for_locks(tmp_path: Path) -> None:
    argv = borg_argv(options(tmp_path, lock_wait_s=7), ["key", "export"], ["repository"])
    assert argv[1:3] == ["key", "export"]
    assert argv[-1] == "repository"
    assert "--log-json" in argv
    assert argv[argv.index("--lock-wait") + 1] == "7"


def test_a_rate_in_bytes_becomes_one_in_kibibytes_and_never_unlimited(tmp_path: Path) -> None:
    for rate_bps, expected in ((10_240_000, "10000"), (100, "1")):
        argv = borg_argv(options(tmp_path, bandwidth_bps=rate_bps), ["list"], [])
        assert argv[argv.index("--upload-ratelimit") + 1] == expected
    assert "--upload-ratelimit" not in borg_argv(options(tmp_path), ["list"], [])


def test_settings_of_the_caller_for_borg_do_not_get_through(tmp_path: Path) -> None:
    inherited = {
        "PATH": "/bin",
        "BORG_PASSPHRASE": "of another base",
        "BORG_REPO": "/elsewhere",
        "LANG": "zh_CN.GB2312",
    }
    environment = borg_environment(options(tmp_path), passphrase_fd=7, ssh_key=None, inherited=inherited)
    assert environment["PATH"] == "/bin"
    assert "BORG_PASSPHRASE" not in environment
    assert "BORG_REPO" not in environment
    assert environment["LANG"] == "C.UTF-8"
    assert environment["TZ"] == "UTC"
    assert environment["BORG_EXIT_CODES"] == "modern"
    assert environment["BORG_HOST_ID"] == "city-archive"
    assert environment["BORG_RELOCATED_REPO_ACCESS_IS_OK"] == "no"


def test_ssh_never_asks_and_takes_no_unknown_host(tmp_path: Path) -> None:
    words = shlex.split(ssh_command(options(tmp_path, known_hosts=tmp_path / "known hosts"), tmp_path / "a key"))
    assert {"-oBatchMode=yes", "-oStrictHostKeyChecking=yes", "-oIdentitiesOnly=yes"} <= set(words)
    assert f'-oUserKnownHostsFile="{tmp_path}/known hosts"' in words
    assert words[words.index("-i") + 1] == f"{tmp_path}/a key"


def test_the_passphrase_is_not_shown() -> None:
    assert "sesame" not in repr(options(Path("/state")))


@pytest.mark.parametrize("place", ["base", "host:base", "/base::archive", "/base/{hostname}", ""])
def test_a_place_that_borg_would_read_as_something_else_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(ConfigError, match="Next step: write ssh://"):
        options(tmp_path, repository=place)


# --- running --------------------------------------------------------------------------------------------------------


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a Python program here, and it runs in borg's place."""
    program = tmp_path / "pretend-borg"
    monkeypatch.setattr(borg, "borg_program", lambda: str(program))
    return program


def write(program: Path, *lines: str) -> None:
    program.write_text("\n".join([f"#!{sys.executable}", "import json, os, signal, sys, time", *lines]))
    program.chmod(0o755)


def test_the_passphrase_goes_through_a_pipe_and_stdin_is_no_terminal(pretend: Path, tmp_path: Path) -> None:
    write(
        pretend,
        "secret = os.read(int(os.environ['BORG_PASSPHRASE_FD']), 100).decode()",
        "seen = [*sys.argv, *(f'{k}={v}' for k, v in os.environ.items())]",
        "print(json.dumps([secret, seen, sys.stdin.read()]))",
    )
    outcome = run_borg(options(tmp_path, passphrase="芝麻 开门"), ["list"], stop=StopToken())
    secret, seen, stdin = json.loads(outcome.output)
    assert secret == "芝麻 开门"
    assert not [text for text in seen if "芝麻" in text]
    assert stdin == ""


def test_no_call_is_begun_after_the_stop(pretend: Path, tmp_path: Path) -> None:
    write(pretend, f"open({str(tmp_path / 'ran')!r}, 'w')")
    stop = StopToken()
    stop.set()
    with pytest.raises(OperationCancelledError):
        run_borg(options(tmp_path), ["list"], stop=stop)
    assert not (tmp_path / "ran").exists()


def signals_received(pretend: Path, tmp_path: Path, *ignored: str) -> list[str]:
    note = tmp_path / "signals"
    write(
        pretend,
        f"note = open({str(note)!r}, 'w', buffering=1)",
        "def got(number, frame):",
        "    name = signal.Signals(number).name",
        "    print(name, file=note)",
        f"    if name not in {ignored!r}: sys.exit(2)",
        "signal.signal(signal.SIGINT, got); signal.signal(signal.SIGTERM, got)",
        "print('ready', flush=True)",
        "while True: time.sleep(0.05)",
    )
    stop = StopToken()
    with pytest.raises(OperationCancelledError):
        run_borg(options(tmp_path), ["create"], stop=stop, on_line=lambda _line: stop.set())
    return note.read_text().split()


def test_a_stop_lets_borg_save_what_it_has(pretend: Path, tmp_path: Path) -> None:
    assert signals_received(pretend, tmp_path) == ["SIGINT"]


def test_borg_that_does_not_end_is_ended(pretend: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(borg, "SAVE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(borg, "END_TIMEOUT_S", 0.2)
    assert signals_received(pretend, tmp_path, "SIGINT", "SIGTERM") == ["SIGINT", "SIGTERM"]


def test_work_that_was_finished_before_the_stop_counts(pretend: Path, tmp_path: Path) -> None:
    write(pretend, "signal.signal(signal.SIGINT, signal.SIG_IGN)", "print('done', flush=True); time.sleep(0.3)")
    stop = StopToken()
    outcome = run_borg(options(tmp_path), ["create"], stop=stop, on_line=lambda _line: stop.set())
    assert outcome.is_ok


def test_a_reader_that_fails_ends_borg(pretend: Path, tmp_path: Path) -> None:
    write(pretend, "while True: print('x' * 1000)")

    def fail(line: bytes) -> None:
        raise ZeroDivisionError

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        run_borg(options(tmp_path), ["list"], stop=StopToken(), on_line=fail)
    assert threading.active_count() == before


def test_a_flood_of_messages_neither_blocks_nor_fills_memory_and_the_last_error_is_kept(
    pretend: Path, tmp_path: Path
) -> None:
    write(
        pretend,
        "def log(level, text):",
        "    print(json.dumps({'type': 'log_message', 'levelname': level, 'message': text}), file=sys.stderr)",
        "for number in range(20000): log('INFO', 'x' * 100)",
        "log('ERROR', 'the reason')",
        "sys.exit(2)",
    )
    outcome = run_borg(options(tmp_path), ["check"], stop=StopToken())
    assert len(outcome.log) == 1000
    assert outcome.log[-1].message == "the reason"


def test_lines_of_the_log() -> None:
    raw = {
        "type": "log_message",
        "levelname": "ERROR",
        "message": "Remote: no",
        "name": "borg",
        "msgid": "LockTimeout",
    }
    assert parse_log_line(json.dumps(raw).encode()) == LogLine(
        level="ERROR", message="no", name="borg", msgid="LockTimeout"
    )
    assert parse_log_line(b"Host key verification failed.\r\n") == LogLine(
        level="WARNING", message="Host key verification failed."
    )
    assert parse_log_line(b'{"type": "progress_percent", "current": 3}\n') is None
    assert parse_log_line(b"[1, 2]\n") is None
    assert parse_log_line(b"\n") is None


# --- what the answers mean ------------------------------------------------------------------------------------------


def failed(code: int, *messages: str) -> RepositoryError:
    return error_of(outcome_of(code, *messages), WHERE)


def outcome_of(code: int, *messages: str) -> Outcome:
    return Outcome(
        exit_code=code, log=[LogLine(level="ERROR", message=each, name="borg.archiver") for each in messages]
    )


EXPECTED = {
    BackupError: (2, 4, 100, 101, 102, 104, 105, 106, 107, 110, 127, 143, -9, 255),
    BaseUnavailableError: (73, 80, 81, 87),
    BaseFullError: (14, 20),
    BaseTamperedError: (61, 62, 63, 64, 95, 97),
    ConfigError: (13, 15, 44, 52, 83, 84),
    IntegrityError: (12, 17, 26, 90, 92),
    NotFoundError: (31,),
}


@pytest.mark.parametrize(("kind", "code"), [(kind, code) for kind, codes in EXPECTED.items() for code in codes])
def test_every_exit_code_is_an_error_of_the_right_kind_with_a_next_step(kind: type[Exception], code: int) -> None:
    error = failed(code, "what borg said")
    assert type(error) is kind
    assert error.next_step
    assert "what borg said" in str(error)
    assert WHERE in str(error)


def test_only_what_may_pass_by_itself_is_tried_again() -> None:
    assert {code for code in range(2, 128) if failed(code).retryable} == {14, 20, *range(70, 76), 80, 81, 85, 86, 87}


def test_a_full_disk_is_told_from_the_traceback() -> None:
    """A21"""
    traceback = (
        "Traceback (most recent call last):\n  File ...\nOSError: [Errno 28] No space left on device: '/b'\n\nOS"
    )
    error = failed(2, "Local Exception", traceback)
    assert type(error) is BaseFullError
    assert "No space left on device" in str(error)
    assert "File ..." not in str(error)


def test_a_disk_that_cannot_be_read_is_not_called_corrupt() -> None:
    """A11"""
    assert type(failed(2, "Traceback ...\nOSError: [Errno 5] Input/output error")) is BackupError
    missing_segment = outcome_of(2, "Traceback ...\nFileNotFoundError: [Errno 2] No such file: 'data/0/2'")
    assert is_damage(missing_segment)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Host key verification failed.", "host key"),
        ("archive@base: Permission denied (publickey).", "does not accept our ssh key"),
    ],
)
def test_what_ssh_refuses_for_good_is_not_tried_again(said: str, told: str) -> None:
    error = failed(81, said)
    assert not error.retryable
    assert told in str(error)


def test_a_check_is_judged_by_what_was_said_and_not_by_its_exit_code() -> None:
    """A7"""
    said = LogLine(level="ERROR", message="chunk missing", name="borg.archive")
    zero_filled = LogLine(level="WARNING", message="zero chunk", name="borg.archive")
    banner = LogLine(level="WARNING", message="Authorized use only", name="root")
    partial = LogLine(level="INFO", message="finished partial segment check, last ...", name="borg.repository")
    for code, log, problems, complete in (
        (1, [said], ("chunk missing",), True),
        (0, [said], ("chunk missing",), True),
        (0, [zero_filled], ("zero chunk",), True),
        (0, [banner], (), True),
        (0, [partial], (), False),
    ):
        report = report_of(Outcome(exit_code=code, log=log), CheckDepth.DATA, WHERE)
        assert (report.problems, report.complete, report.ok) == (problems, complete, not problems)
    assert not report_of(Outcome(exit_code=1), CheckDepth.DATA, WHERE).ok
    assert not report_of(outcome_of(90, "bad"), CheckDepth.DATA, WHERE).ok
    with pytest.raises(BaseUnavailableError):
        report_of(outcome_of(87), CheckDepth.DATA, WHERE)


def test_only_a_check_of_the_repository_is_done_in_portions() -> None:
    assert check_arguments(CheckDepth.REPOSITORY, 60)[-2:] == ["--max-duration", "60"]
    assert "--max-duration" not in check_arguments(CheckDepth.DATA, 60)


# --- reading on after damage ----------------------------------------------------------------------------------------


class Archived:
    """Files of which some are damaged, as borg reads them: in order, up to the first bad one."""

    def __init__(self, count: int, bad: set[int]) -> None:
        self.names = [f"file-{number}" for number in range(count)]
        self.bad = {self.names[number] for number in bad}
        self.read: list[str] = []

    def process(self, wanted: Sequence[str]) -> tuple[int, RepositoryError | None]:
        chosen = wanted or self.names
        good = list(itertools.takewhile(lambda name: name not in self.bad, chosen))
        self.read += good
        return len(good), None if len(good) == len(chosen) else DAMAGE


@given(st.integers(1, 1000).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), max_size=8))))
def test_after_damage_every_other_file_is_read_once_and_every_bad_one_is_named(case: tuple[int, set[int]]) -> None:
    """A17"""
    count, bad = case
    archive = Archived(count, bad)
    found = go_on_after_damage(archive.process, lambda: archive.names)
    assert found == [archive.names[number] for number in sorted(bad)]
    assert archive.read == [name for name in archive.names if name not in archive.bad]


def test_a_base_in_ruins_is_not_read_file_by_file_for_ever() -> None:
    archive = Archived(MOST_DAMAGES * 3, set(range(MOST_DAMAGES * 3)))
    assert go_on_after_damage(archive.process, lambda: archive.names) == archive.names


def test_damage_of_no_file_is_an_error() -> None:
    with pytest.raises(IntegrityError):
        go_on_after_damage(lambda _names: (3, DAMAGE), lambda: ["a", "b", "c"])


# --- lists of paths -------------------------------------------------------------------------------------------------


def test_paths_are_listed_between_nul_bytes() -> None:
    into = io.BytesIO()
    options, arguments = list_paths(["卷/v1/页 1", "a\nb"], into)
    assert "--paths-from-stdin" in options
    assert arguments == []
    assert into.read() == "卷/v1/页 1\0a\nb\0".encode()


def test_a_carriage_return_which_borg_would_change_goes_as_an_argument() -> None:
    options, arguments = list_paths(["a\rb", "c"], io.BytesIO())
    assert options == ()
    assert arguments == ["a\rb", "c"]
    with pytest.raises(BackupError, match="batch of their own"):
        list_paths(["a\rb", *(f"{number:0100d}" for number in range(20000))], io.BytesIO())


@pytest.mark.parametrize("name", ["", "../x", "/etc/x", "a/../../x"])
def test_an_extra_file_cannot_lie_outside_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError):
        stage_extras({name: tmp_path}, tmp_path / "scratch")


@pytest.mark.parametrize("name", ["", "a.unread", "a::b", "{now}", "a b", "档案", "-a", "a" * 102, "a\n"])
def test_names_that_an_archive_cannot_have(name: str) -> None:
    with pytest.raises(InvalidInputError):
        check_name(name)


# --- our record of the archives -------------------------------------------------------------------------------------


def archive(name: str, *, id: str = "1", created: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> Archive:  # noqa: A002
    return Archive(name=name, id=id, created=created)


def test_what_is_gone_replaced_or_unknown_is_told_apart() -> None:
    known = [archive("kept"), archive("gone"), archive("replaced")]
    present = [archive("kept"), archive("replaced", id="2"), archive("new")]
    comparison = compare_archives(known, present)
    assert [each.name for each in comparison.lost] == ["gone"]
    assert [each.name for each in comparison.replaced] == ["replaced"]
    assert [each.name for each in comparison.unknown] == ["new"]
    assert comparison.has_losses
    assert len(comparison.messages()) == 3
    assert not compare_archives(known[:1], present).has_losses


def nightly(days: int) -> list[Archive]:
    newest = datetime(2026, 11, 22, 1, tzinfo=UTC)
    return [archive(f"catalogue-{day:04d}", created=newest - timedelta(days=day)) for day in range(days)]


@pytest.fixture
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_utc")
@pytest.mark.parametrize("rules", [(7, 4, 3, 1), (0, 0, 24, 0), (14, 8, 24, 100), (1, 0, 0, 5), (500, 0, 0, 0)])
@pytest.mark.parametrize("days", [1, 30, 400, 1500])
def test_the_rules_keep_what_borg_itself_would_keep(rules: tuple[int, int, int, int], days: int) -> None:
    nights = nightly(days)
    theirs: dict[str, object] = {}
    for rule, count in zip(("daily", "weekly", "monthly", "yearly"), rules, strict=True):
        prune_split([SimpleNamespace(ts=each.created, id=each.name) for each in nights], rule, count, theirs)
    daily, weekly, monthly, yearly = rules
    doomed = archives_to_prune(nights, KeepRules(daily=daily, weekly=weekly, monthly=monthly, yearly=yearly))
    newest = "catalogue-0000"
    assert {each.name for each in nights} - {each.name for each in doomed} == {*theirs, newest}


def test_neither_records_nor_what_was_not_read_back_nor_the_newest_is_ever_pruned() -> None:
    nothing = KeepRules(daily=0, weekly=0, monthly=0, yearly=0)
    records = [archive("records-1"), archive("records-2"), archive("catalogue-0000.unread")]
    assert archives_to_prune(records, nothing) == []
    assert [each.name for each in archives_to_prune([*records, *nightly(3)], nothing)] == [
        "catalogue-0002",
        "catalogue-0001",
    ]
