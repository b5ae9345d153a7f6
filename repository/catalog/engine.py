"""Opening the database: SQLite (WAL, every commit on the medium) or PostgreSQL, and its schema's revision."""

import contextlib
import importlib.resources
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, OperationalError

from repository.durable import free_bytes
from repository.errors import (
    CatalogError,
    CatalogOutdatedError,
    CatalogUnavailableError,
    RepositoryError,
    TierFullError,
)

REVISION = "0002"
"""The migration that this release works with; a test compares it with the newest in `migrations/versions`."""

BUSY_TIMEOUT_S = 60
LEAST_BYTES = 1 << 20
"""Below this a disk is full for a database: its log could not grow by one transaction."""


def open_engine(url: str, *, password: str | None = None) -> Engine:
    """An engine with a small pool; no connection is made yet.

    For SQLite: write-ahead log, so that readers and one writer go on side by side; `synchronous=FULL`, so that a
    commit is on the medium; a transaction that will write takes the write lock at its start and waits its turn.
    """
    parsed = sqlalchemy.make_url(url)
    if password is not None:
        parsed = parsed.set(password=password)
    if parsed.get_backend_name() != "sqlite":
        try:
            return sqlalchemy.create_engine(parsed, pool_pre_ping=True, pool_size=4)
        except (NoSuchModuleError, ModuleNotFoundError) as error:
            raise CatalogError(
                "The PostgreSQL driver is not installed", next_step="install the extra `jindang[postgresql]`"
            ) from error
    engine = sqlalchemy.create_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's own BEGIN, below, instead of the driver's guess
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("jindang_read_only")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes: committed at the end, rolled back on any error."""
    with _translated(engine), engine.begin() as connection:
        yield connection


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One transaction that only reads and never waits for a writer."""
    with _translated(engine), engine.connect().execution_options(jindang_read_only=True) as connection:
        yield connection


@contextlib.contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    where = engine.url.render_as_string(hide_password=True)
    try:
        yield
    except RepositoryError:
        raise
    except DBAPIError as error:
        reason = str(error.orig).strip()
        if "disk is full" in reason or "No space left" in reason or _is_full(engine, reason):
            raise TierFullError(
                "There is no space left for the catalogue",
                where=where,
                why=reason,
                next_step="free space, then run the same command again: what is finished is not done twice",
            ) from error
        kind = CatalogUnavailableError if isinstance(error, OperationalError) else CatalogError
        raise kind(
            "The catalogue could not be used",
            where=where,
            why=reason,
            next_step="check that the database is running and not damaged (`jindang doctor`); it can be rebuilt "
            "from a tier with `jindang catalog rebuild`",
        ) from error


def _is_full(engine: Engine, reason: str) -> bool:
    """Whether SQLite's "disk I/O error" means a full disk: with no byte free it cannot even say that."""
    if engine.url.get_backend_name() != "sqlite" or "I/O error" not in reason:
        return False
    with contextlib.suppress(OSError):
        return free_bytes(Path(engine.url.database or "").parent) < LEAST_BYTES
    return False


def schema_revision(engine: Engine) -> str | None:
    """The revision of the database's schema; None for an empty database."""
    with reading(engine) as connection:
        if not sqlalchemy.inspect(connection).has_table("alembic_version"):
            return None
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def require_current_schema(engine: Engine) -> None:
    """Raise CatalogError unless the database has the schema of this release."""
    where = engine.url.render_as_string(hide_password=True)
    if engine.url.get_backend_name() == "sqlite" and not Path(engine.url.database or "").is_file():
        raise CatalogError(
            "There is no catalogue here",
            where=where,
            next_step="`jindang init` makes an empty one, `jindang catalog rebuild --from TIER` makes it from a tier",
        )
    revision = schema_revision(engine)
    if revision is None:
        raise CatalogError(
            "The database is empty",
            where=where,
            next_step="`jindang init` makes a catalogue, `jindang catalog rebuild --from TIER` makes it from a tier",
        )
    if revision != REVISION:
        raise CatalogOutdatedError(
            "The catalogue was made by another release of Jindang",
            where=where,
            why=f"it has revision {revision}, this release needs {REVISION}",
            next_step="run `jindang catalog upgrade`",
        )


def upgrade_schema(engine: Engine) -> None:
    """Bring the database to the schema of this release, from an empty one or an older release's.

    Raises:
        CatalogOutdatedError: the database is of a newer release; it is left as it is.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    with importlib.resources.as_file(importlib.resources.files("repository.catalog") / "migrations") as scripts:
        config.set_main_option("script_location", str(scripts).replace("%", "%%"))
        with writing(engine) as connection:
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, REVISION)
            except CommandError as error:  # the revision that the database has is unknown here
                raise CatalogOutdatedError(
                    "The catalogue was made by a newer release of Jindang",
                    where=engine.url.render_as_string(hide_password=True),
                    why=str(error),
                    next_step="use that release, or a newer one",
                ) from error
