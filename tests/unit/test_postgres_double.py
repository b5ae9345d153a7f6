"""The PostgreSQL server that tests use: it is real, apart from every other, and gone afterwards."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import create_engine, text

from tests.doubles import postgres as double
from tests.doubles.postgres import (
    PostgresMissingError,
    find_programs,
    fresh_database,
    postgres,
    postgres_server,
)

__all__ = ["postgres"]  # a fixture, used by name


def socket_folder(url: str) -> Path:
    return Path(parse_qs(urlsplit(url).query)["host"][0])


def query(url: str, statement: str) -> object:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            result = connection.execute(text(statement))
            return result.scalar() if result.returns_rows else None
    finally:
        engine.dispose()


def test_it_is_a_postgresql_server_in_utf_8_reached_by_a_socket_only(postgres: str) -> None:
    assert str(query(postgres, "SELECT version()")).startswith("PostgreSQL ")
    assert query(postgres, "SHOW server_encoding") == "UTF8"
    assert query(postgres, "SHOW listen_addresses") == ""
    assert query(postgres, "SELECT '档案' || chr(128190)") == "档案💾"


def test_databases_are_apart_and_are_dropped_even_when_in_use(postgres: str) -> None:
    with fresh_database(postgres) as first, fresh_database(postgres) as second:
        query(first, "CREATE TABLE volume (name text)")
        assert query(second, "SELECT to_regclass('volume')") is None
        left_open = create_engine(first)
        connection = left_open.connect()
        connection.execute(text("SELECT 1"))
    count = query(postgres, "SELECT count(*) FROM pg_database WHERE datname LIKE 'test_%'")
    connection.invalidate()
    left_open.dispose()
    assert count == 0


def test_durability_is_given_up_only_when_asked(postgres: str) -> None:
    assert query(postgres, "SHOW fsync") == "off"
    with postgres_server() as durable:
        assert query(durable, "SHOW fsync") == "on"


def test_it_is_stopped_and_its_folder_removed_when_the_test_fails(postgres: str) -> None:
    assert postgres  # PostgreSQL is here
    with pytest.raises(ZeroDivisionError), postgres_server(fsync=False) as url:  # noqa: PT012
        folder = socket_folder(url)
        process_id = int((folder / "data" / "postmaster.pid").read_text().split()[0])
        raise ZeroDivisionError
    assert not folder.exists()
    assert not Path(f"/proc/{process_id}").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_it_ends_when_the_tests_are_killed(postgres: str, tmp_path: Path) -> None:
    assert postgres
    note = tmp_path / "pid"
    program = (
        "import os, signal, pathlib\n"
        "from urllib.parse import parse_qs, urlsplit\n"
        "from tests.doubles.postgres import postgres_server\n"
        "with postgres_server(fsync=False) as url:\n"
        "    folder = pathlib.Path(parse_qs(urlsplit(url).query)['host'][0])\n"
        "    first = (folder / 'data' / 'postmaster.pid').read_text().split()[0]\n"
        f"    pathlib.Path({str(note)!r}).write_text(first + ' ' + str(folder))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", program], cwd=root, check=False)
    process_id, folder = note.read_text().split(" ", 1)
    assert ended_within(int(process_id), seconds=20)
    shutil.rmtree(folder)


def ended_within(process_id: int, *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = Path(f"/proc/{process_id}/stat")
        if not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_the_missing_programs_are_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(double.Path, "glob", lambda _folder, _pattern: iter(()))
    with pytest.raises(PostgresMissingError, match="install the package postgresql"):
        find_programs()


def test_without_it_a_test_is_skipped_here_and_fails_in_ci(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "from tests.doubles import postgres as double\n"
        "from tests.doubles.postgres import postgres, postgres_database\n"
        "def nothing():\n"
        "    raise double.PostgresMissingError('not here')\n"
        "double.find_programs = nothing\n"
        "def test_it(postgres_database): pass\n"
    )
    root = Path(__file__).resolve().parents[2]

    def run(ci: str) -> str:
        argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
        environment = {**os.environ, "CI": ci, "PYTHONPATH": str(root)}
        done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return done.stdout

    assert "1 skipped" in run("")
    assert "1 error" in run("true")
