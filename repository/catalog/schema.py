"""The tables of the catalogue: a row for each object, version, copy and event; never a row for each file.

Changing a table takes a migration in `migrations/versions` (docs/how-to/change-the-catalogue.md).
"""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Key = BigInteger().with_variant(Integer, "sqlite")
Text = String().with_variant(String(collation="C"), "postgresql")
"""Text that both databases sort by code point, so that lists and prefixes mean the same on both."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC; SQLite has no such type and would lose the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """To UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Aware again."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


tiers = Table(
    "tiers",
    metadata,
    Column("id", Key, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("uuid", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
)

objects = Table(
    "objects",
    metadata,
    Column("id", Key, Identity(), primary_key=True),
    Column("uri", Text, nullable=False, unique=True),
    Column("object_path", Text, nullable=False, unique=True),
    Column("head", Integer, nullable=False),
    Column("title", Text),
    Column("reference_code", Text),
    Column("fonds", Text),
    Column("year", Integer),
    Column("retention", Text),
    Column("security_class", Text, nullable=False),
    Column("opening_status", Text, nullable=False),
    Column("fields", JSON, nullable=False),
    Column("files", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    CheckConstraint("head >= 1", name="head"),
    Index(None, "reference_code", "uri"),
    Index(None, "fonds", "uri"),
    Index(None, "year", "uri"),
)

versions = Table(
    "versions",
    metadata,
    Column("object_id", Key, ForeignKey("objects.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("message", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("inventory_digest", Text, nullable=False),
    Column("files", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("stored_bytes", BigInteger, nullable=False),
)

copies = Table(
    "copies",
    metadata,
    Column("object_id", Key, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("tier_id", Key, ForeignKey("tiers.id"), primary_key=True),
    Column("state", Text, nullable=False),
    Column("stored_at", UtcDateTime, nullable=False),
    Column("verified_at", UtcDateTime),
    Column("location", Text),
    ForeignKeyConstraint(["object_id", "version"], ["versions.object_id", "versions.number"]),
)

transfers = Table(
    "transfers",
    metadata,
    Column("object_id", Key, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("tier_id", Key, ForeignKey("tiers.id"), primary_key=True),
    Column("state", Text, nullable=False),
    Column("wanted_at", UtcDateTime, nullable=False),
    Column("verified_copies", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("problem", Text),
    ForeignKeyConstraint(["object_id", "version"], ["versions.object_id", "versions.number"]),
    Index("ix_transfers_order", "tier_id", "state", "verified_copies", "wanted_at", "object_id", "version"),
    Index("ix_transfers_oldest", "tier_id", "state", "wanted_at"),
)
"""The queue of copies that tiers are owed; a row goes when the copy is verified."""

archives = Table(
    "archives",
    metadata,
    Column("name", Text, primary_key=True),
    Column("archive_id", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("versions", Integer, nullable=False),
    Column("stored_bytes", BigInteger, nullable=False),
)
"""Archives that we made on the backup base and that should be there; one that we delete by the rules loses its row."""

marks = Table(
    "marks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""What was done once for the whole catalogue: the placement policies that the transfers were made by."""

events = Table(
    "events",
    metadata,
    Column("id", Key, Identity(), primary_key=True),
    Column("type", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("object_id", Key, ForeignKey("objects.id")),
    Column("version", Integer),
    Column("tier_id", Key, ForeignKey("tiers.id")),
    Column("detail", JSON, nullable=False),
    Index(None, "object_id", "id"),
)

intents = Table(
    "intents",
    metadata,
    Column("uri", Text, primary_key=True),
    Column("object_path", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("session", Text, nullable=False),
)

totals = Table(
    "totals",
    metadata,
    Column("scope", Text, nullable=False),
    Column("counter", Text, nullable=False),
    Column("value", BigInteger, nullable=False),
    UniqueConstraint("scope", "counter"),
)
"""Counters: scope `repository`, `tier:NAME:STATE` (copies) or `transfers:NAME:STATE` (copies that are owed)."""
