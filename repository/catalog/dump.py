"""A copy of the whole catalogue as of one moment, for the backup base."""

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

from sqlalchemy import URL, Engine

from repository.errors import CatalogError

_PAGES = 1000
"""So many pages are copied before others may write again."""


def dump_database(engine: Engine, into: Path) -> None:
    """Write the copy to a file that does not exist yet.

    Raises:
        CatalogError: the database or pg_dump refused.
    """
    try:
        if engine.url.get_backend_name() == "sqlite":
            _copy_sqlite(Path(engine.url.database or ""), into)
        else:
            _dump_postgresql(engine.url, into)
    except (OSError, sqlite3.Error, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None)
        raise CatalogError(
            "The catalogue could not be copied for the backup",
            where=engine.url.render_as_string(hide_password=True),
            why=str(said or error).strip(),
            next_step="check the space in the data folder and, for PostgreSQL, that pg_dump is as new as the server",
        ) from error


def _copy_sqlite(database: Path, into: Path) -> None:
    with sqlite3.connect(database) as source, sqlite3.connect(into) as target:
        source.backup(target, pages=_PAGES)
    source.close()
    target.close()


def _dump_postgresql(url: URL, into: Path) -> None:
    program = shutil.which("pg_dump")
    if program is None:
        raise OSError("pg_dump is not installed; it comes with the PostgreSQL client")
    plain = url.set(drivername="postgresql", password=None).render_as_string()
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    subprocess.run(
        [program, "--no-owner", "--no-privileges", f"--file={into}", plain],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
