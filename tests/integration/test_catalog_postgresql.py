"""The catalogue on a real PostgreSQL: the suite that it passes on SQLite, and what only a server can do wrong."""

from pathlib import Path

import pytest

from repository.catalog.catalog import Catalog
from repository.errors import CatalogUnavailableError
from tests.fixtures.catalog_contract import CatalogContract
from tests.fixtures.transfers_contract import TransfersContract


class TestCatalogOnPostgresql(CatalogContract):
    """All of the suite."""

    @pytest.fixture
    def url(self, postgres_database: str) -> str:
        return postgres_database


class TestTransfersOnPostgresql(TransfersContract):
    """All of the suite."""

    @pytest.fixture
    def url(self, postgres_database: str) -> str:
        return postgres_database


def test_a_server_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    catalog = Catalog(f"postgresql+psycopg://jindang@/jindang?host={tmp_path}")
    with pytest.raises(CatalogUnavailableError, match="could not be used") as caught, catalog:
        pass
    assert caught.value.exit_code == 4
    assert caught.value.retryable


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    catalog = Catalog(f"postgresql+psycopg://jindang@/jindang?host={tmp_path}", password="very secret")
    with pytest.raises(CatalogUnavailableError) as caught, catalog:
        pass
    assert "very secret" not in str(caught.value)
    assert "very secret" not in catalog.where
