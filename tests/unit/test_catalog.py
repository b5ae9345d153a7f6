"""The catalogue on SQLite; tests/integration/test_catalog_postgresql.py runs the same suite on PostgreSQL."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

import repository.catalog
from repository.catalog.catalog import Catalog
from repository.catalog.engine import REVISION, open_engine, writing
from repository.errors import CatalogError, CatalogUnavailableError, TierFullError
from tests.fixtures.catalog_contract import CatalogContract, record
from tests.fixtures.transfers_contract import TransfersContract


class TestCatalogOnSqlite(CatalogContract):
    """All of the suite."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/catalogue.sqlite"


class TestTransfersOnSqlite(TransfersContract):
    """All of the suite."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/catalogue.sqlite"


def test_the_release_works_with_the_newest_migration() -> None:
    config = Config()
    (folder,) = repository.catalog.__path__
    config.set_main_option("script_location", f"{folder}/migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]


def test_commits_are_on_the_medium_and_readers_are_not_blocked(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path}/catalogue.sqlite")
    catalog.create()
    with catalog, catalog._engine.connect() as connection:
        assert connection.execute(sa.text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(sa.text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(sa.text("PRAGMA foreign_keys")).scalar() == 1


def test_a_file_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    with pytest.raises(CatalogError, match="catalog rebuild --from TIER"), Catalog(f"sqlite:///{path}"):
        pass
    assert not path.exists()


def test_a_file_that_is_no_database_is_told_in_words(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    path.write_text("not a database, " * 100)
    with pytest.raises(CatalogError, match="file is not a database"), Catalog(f"sqlite:///{path}"):
        pass


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path}/none/catalogue.sqlite")
    with pytest.raises(CatalogUnavailableError, match="jindang doctor"):
        catalog.create()
    catalog.close()


def test_a_damaged_database_is_an_error_and_not_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    catalog = Catalog(f"sqlite:///{path}")
    catalog.create()
    catalog.register_tier("primary", uuid="u", kind="disk")
    for first in range(0, 400, 100):
        catalog.record_objects([record(f"{n:03}") for n in range(first, first + 100)], [], tier="primary")
    catalog.close()
    damaged = bytearray(path.read_bytes())
    for offset in range(4096 * 8, len(damaged), 4096):
        damaged[offset : offset + 64] = bytes(byte ^ 0xFF for byte in damaged[offset : offset + 64])
    path.write_bytes(damaged)
    with pytest.raises(CatalogError, match="catalog rebuild"), Catalog(f"sqlite:///{path}") as again:
        list(again.heads_by_path())


@pytest.mark.parametrize(("free", "error"), [(0, TierFullError), (1 << 30, CatalogUnavailableError)])
def test_an_io_error_on_a_full_disk_is_told_as_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, error: type[Exception]
) -> None:
    """SQLite says "disk I/O error" when not even its log can grow; with space left it is what it says."""
    monkeypatch.setattr("repository.catalog.engine.free_bytes", lambda _folder: free)
    engine = open_engine(f"sqlite:///{tmp_path}/catalogue.sqlite")
    with pytest.raises(error), writing(engine):
        raise sa.exc.OperationalError("INSERT", {}, Exception("disk I/O error"))
    engine.dispose()
