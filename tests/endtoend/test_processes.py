"""The command as a process of its own: what it imports, how it ends, and what a signal or a kill leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fixtures.command_line import CommandLine, deposit, tree

JINDANG = [sys.executable, "-m", "jindang"]
WAIT_S = 60


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["ingest", "--help"], ["catalog", "rebuild", "--help"]])
def test_help_is_there_at_once_because_nothing_heavy_is_imported(words: list[str]) -> None:
    program = (
        "import sys\n"
        "from jindang.cli import run\n"
        f"code = run({words!r})\n"
        "heavy = {'sqlalchemy', 'pydantic', 'rich', 'alembic', 'yaml', 'multiprocessing'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "[]")
    assert done.stdout


def test_the_installed_command_knows_every_command() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("jindang"), "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    for name in ("bag", "catalog", "config", "demo", "doctor", "export", "ingest", "init", "list", "ocfl", "show"):
        assert f"\n  {name} " in done.stdout
    for code in range(6):
        assert f"{code} " in done.stdout


def test_output_that_nobody_reads_on_is_no_error(jindang: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("package,title\n" + "".join(f"p{n},{'t' * 1500}\n" for n in range(100)))
    packages = [deposit(tmp_path / f"p{n}") for n in range(100)]
    assert jindang("ingest", "--meta", tmp_path / "m.csv", *packages).code == 0
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [*JINDANG, "--config", str(jindang.config), "list", "--limit", "100"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": ""},  # unbuffered, Python itself takes a cut off write for a whole one
    )
    os.close(writer)
    os.read(reader, 10)
    os.close(reader)
    _, err = process.communicate(timeout=WAIT_S)
    assert (process.returncode, err) == (141, "")


def test_a_fault_of_ours_is_told_in_words_and_is_not_a_success(
    jindang: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("jindang.vault.Vault.__init__", broken)
    said = jindang("status")
    assert said.code == 1
    assert "ZeroDivisionError: of all things" in said.err
    assert "Next step: run it again with --verbose" in said.err
    assert "Traceback" not in said.err
    assert "Traceback" in jindang("status", "--verbose").err
    assert jindang.json("status", code=1)["why"] == "ZeroDivisionError: of all things"


# signals and kills


def big(folder: Path, size: int = 300 << 20) -> Path:
    """A package that takes long enough to be interrupted: a few sparse files."""
    folder.mkdir()
    for number in range(4):
        with (folder / f"film-{number}").open("wb") as file:
            file.write(bytes([number]))
            file.truncate(size)
    return folder


@contextmanager
def ingesting(jindang: CommandLine, *words: object) -> Iterator[subprocess.Popen[str]]:
    """A running ingest that has begun to write."""
    process = subprocess.Popen(
        [*JINDANG, "--config", str(jindang.config), "ingest", "--json", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + WAIT_S
    try:
        while not has_begun(jindang.tier / "extensions" / "jindang-staging"):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def has_begun(staging: Path) -> bool:
    """Whether content is being written; the area comes and goes while the run clears up before it begins."""
    try:
        return any(path.stat().st_size for path in staging.glob("*/*/v1/content/data/*"))
    except FileNotFoundError:
        return False


def workers_of(process: subprocess.Popen[str], staging: Path) -> list[int]:
    """The processes other than this one that hold the staging session."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and int(folder.name) != process.pid:
            try:
                open_files = [str(fd.readlink()) for fd in (folder / "fd").iterdir()]
            except OSError:
                continue
            if any(name.startswith(str(staging)) for name in open_files):
                found.append(int(folder.name))
    return found


def assert_clean(jindang: CommandLine, objects: set[str]) -> None:
    """Nothing half-written anywhere: only these objects, no staging, no intent, catalogue and tier agree."""
    assert {item["id"].rpartition(":")[2] for item in jindang.json("list")["objects"]} == objects
    assert not (jindang.tier / "extensions" / "jindang-staging").exists()
    assert jindang.json("status")["versions_in_progress"] == 0
    assert jindang.json("catalog", "check")["agree"] is True
    assert jindang.json("ocfl", "validate", jindang.tier)["valid"] is True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_ingest_ends_with_130_and_nothing_is_half_written(
    jindang: CommandLine, tmp_path: Path, number: signal.Signals, workers: int
) -> None:
    assert jindang("ingest", deposit(tmp_path / "before")).code == 0
    with ingesting(jindang, "--workers", workers, big(tmp_path / "big")) as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130
    assert "what was acknowledged is safe" in err
    assert json.loads(out)["cut_off"]["error"] == "OperationCancelledError"
    assert_clean(jindang, {"before"})


def test_a_killed_worker_is_not_a_success(jindang: CommandLine, tmp_path: Path) -> None:
    """Row A7: a failure nested anywhere fails the parent; here a worker process is killed."""
    packages = [big(tmp_path / "big"), deposit(tmp_path / "small")]
    with ingesting(jindang, "--workers", 2, *packages) as process:
        workers = workers_of(process, jindang.tier / "extensions" / "jindang-staging")
        assert workers
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 4
    assert "run the same command again" in err
    answer = json.loads(out)
    assert answer["cut_off"]["error"] == "WorkerLostError"
    taken_in = {Path(p["package"]).name for p in answer["packages"] if "error" not in p}
    assert "big" not in taken_in
    assert jindang("ingest", packages[1]).code == 0  # the next run clears up and goes on
    assert_clean(jindang, {"small"})


def test_an_ingest_that_is_killed_leaves_nothing_after_the_next_run(jindang: CommandLine, tmp_path: Path) -> None:
    with ingesting(jindang, "--workers", 2, big(tmp_path / "big")) as process:
        process.kill()
        process.communicate(timeout=WAIT_S)
    assert process.returncode == -signal.SIGKILL
    assert jindang("ingest", deposit(tmp_path / "small")).code == 0
    assert_clean(jindang, {"small"})


def test_an_interrupted_export_leaves_nothing(jindang: CommandLine, tmp_path: Path) -> None:
    assert jindang("ingest", big(tmp_path / "big", 200 << 20)).code == 0
    exports = tmp_path / "exports"
    exports.mkdir()
    argv = [*JINDANG, "--config", str(jindang.config), "export", "big", str(exports / "out")]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + WAIT_S
    while not any(exports.glob(".jindang-export-*/data/*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=WAIT_S)
    assert process.returncode == 130
    assert tree(exports) == {}
    assert list(exports.iterdir()) == []
