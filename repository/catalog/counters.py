"""Counters of the repository and of each tier, changed in the transaction that changes what they count."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite

from repository.catalog import schema

Counters = dict[tuple[str, str], int]
"""(scope, counter) -> change."""

REPOSITORY = "repository"


def copies_scope(tier: str, state: str) -> str:
    """The scope that counts the copies of one state on one tier."""
    return f"tier:{tier}:{state}"


def transfers_scope(tier: str, state: str) -> str:
    """The scope that counts the transfers of one state to one tier."""
    return f"transfers:{tier}:{state}"


def add(counters: Counters, scope: str, **changes: int) -> None:
    """Note changes, to be written at the end of the transaction."""
    for counter, change in changes.items():
        counters[scope, counter] = counters.get((scope, counter), 0) + change


def count(connection: Connection, counters: Counters) -> None:
    """Add to the counters, always in the same order, so that two writers never wait for each other in a ring."""
    table = schema.totals
    for (scope, counter), change in sorted(counters.items()):
        if change:
            statement = insert(connection, table).values(scope=scope, counter=counter, value=change)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["scope", "counter"], set_={"value": table.c.value + statement.excluded.value}
                )
            )


def insert(connection: Connection, table: sa.Table) -> Any:
    """An INSERT that knows ON CONFLICT, in the database's own dialect; both spell it the same."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert  # slow to import, and seldom needed

        return postgresql_insert(table)
    return sqlite.insert(table)
