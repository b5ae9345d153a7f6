"""A real PostgreSQL server for tests: its own, in a temporary folder, reached by a unix socket, gone at the end.

In a test, through the fixtures below (`from tests.doubles.postgres import postgres, postgres_database` in a
conftest):

    def test_something(postgres_database: str) -> None: ...   # a URL for SQLAlchemy, an empty database

With pytest-xdist each worker starts a server of its own, the first time that a test there asks for one.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import psycopg
import pytest

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
SUPERUSER = "jindang"
_LONGEST_FOLDER = 80  # a socket's path has room for 107 bytes, of which the server's own name takes 14


class PostgresMissingError(Exception):
    """The server's programs are not on this machine."""


class PostgresFailedError(Exception):
    """The server could not be made or started; the message has its output."""


def find_programs() -> Path:
    """The folder with `initdb` and `postgres`: the newest of Debian's, else that of the `initdb` on PATH.

    Raises:
        PostgresMissingError: there is none.
    """
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version_of, reverse=True)
    on_path = shutil.which("initdb")
    found = [*debian, Path(on_path).resolve().parent] if on_path else debian
    for folder in found:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise PostgresMissingError(
        "PostgreSQL's initdb and postgres were found neither in /usr/lib/postgresql/*/bin nor on PATH: "
        "install the package postgresql (scripts/bootstrap test does it)."
    )


def _version_of(folder: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", folder.parent.name))


@contextmanager
def postgres_server(*, fsync: bool = True) -> Iterator[str]:
    """Run an empty server as long as the context lasts, and give its URL (of the database `postgres`).

    Args:
        fsync: False lets the server acknowledge what is not durable: faster, for tests that crash no machine.

    Raises:
        PostgresMissingError: its programs are not here.
        PostgresFailedError: it did not start.
    """
    programs = find_programs()
    folder = _make_folder()
    try:
        with _running(programs, folder, fsync=fsync):
            yield f"postgresql+psycopg://{SUPERUSER}@/postgres?host={quote(str(folder), safe='/')}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """Make an empty database on the server and give its URL; drop it afterwards, whoever is still connected."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(_for_psycopg(server), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    try:
        yield server.replace("/postgres?", f"/{name}?")
    finally:
        with psycopg.connect(_for_psycopg(server), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a server for the whole session; without PostgreSQL a visible skip, in CI an error."""
    try:
        find_programs()
    except PostgresMissingError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    with postgres_server(fsync=False) as server:
        yield server


@pytest.fixture
def postgres_database(postgres: str) -> Iterator[str]:
    """The URL of an empty database for one test."""
    with fresh_database(postgres) as url:
        yield url


def _for_psycopg(url: str) -> str:
    parts = urlsplit(url)
    return f"user={parts.username} dbname={parts.path[1:]} host={parse_qs(parts.query)['host'][0]}"


def _make_folder() -> Path:
    """A temporary folder that the server's user owns, with a path short enough for a socket."""
    parent = tempfile.gettempdir()
    if len(os.fsencode(parent)) > _LONGEST_FOLDER:
        parent = "/tmp"
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=parent))
    user = _unprivileged_user()
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    return folder


def _unprivileged_user() -> pwd.struct_passwd | None:
    """Whom the server runs as: ourselves (None), or, since it refuses root, another."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresFailedError("PostgreSQL does not run as root, and there is neither a user postgres nor nobody.")


def _command(*argv: str | Path) -> list[str]:
    """The command as the server's user runs it; on Linux it ends when we are killed."""
    user = _unprivileged_user()
    setpriv = shutil.which("setpriv")
    words = [str(word) for word in argv]
    if user is None:
        return [setpriv, "--pdeathsig", "INT", *words] if setpriv else words
    if setpriv is None:
        raise PostgresFailedError("PostgreSQL does not run as root, and setpriv (util-linux) is not here to change.")
    become = ["--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups"]
    return [setpriv, *become, "--pdeathsig", "INT", *words]


@contextmanager
def _running(programs: Path, folder: Path, *, fsync: bool) -> Iterator[None]:
    data, log = folder / "data", folder / "log"
    options = ["--auth", "trust", "--username", SUPERUSER, "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
    made = subprocess.run(
        _command(programs / "initdb", *options, "--pgdata", data),
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    if made.returncode != 0:
        raise PostgresFailedError(f"initdb failed:\n{made.stdout}{made.stderr}")
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "fsync": "on" if fsync else "off",
        "shared_buffers": "32MB",
        "autovacuum": "off",
    }
    arguments = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    with log.open("wb") as output:
        server = subprocess.Popen(
            _command(programs / "postgres", "-D", data, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,  # an interrupt at the terminal is for the tests; they stop the server
        )
    try:
        _wait_until_ready(server, folder, log)
        yield
    finally:
        _stop(server)


def _wait_until_ready(server: subprocess.Popen[bytes], folder: Path, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            psycopg.connect(f"user={SUPERUSER} dbname=postgres host={folder}").close()
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise PostgresFailedError(f"PostgreSQL did not start: {error}\n{log.read_text()}") from error
            time.sleep(0.05)
        else:
            return


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Fast shutdown; then the immediate one; then no mercy."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if server.poll() is None:
            server.send_signal(number)
        try:
            server.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            continue
        return
