"""The first catalogue."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "intents",
        sa.Column("uri", TEXT, nullable=False),
        sa.Column("object_path", TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("session", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("uri", name="pk_intents"),
    )
    op.create_table(
        "objects",
        sa.Column("id", KEY, sa.Identity(), nullable=False),
        sa.Column("uri", TEXT, nullable=False),
        sa.Column("object_path", TEXT, nullable=False),
        sa.Column("head", sa.Integer(), nullable=False),
        sa.Column("title", TEXT, nullable=True),
        sa.Column("reference_code", TEXT, nullable=True),
        sa.Column("fonds", TEXT, nullable=True),
        sa.Column("year", sa.Integer(), nullable=True),
        sa.Column("retention", TEXT, nullable=True),
        sa.Column("security_class", TEXT, nullable=False),
        sa.Column("opening_status", TEXT, nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint("head >= 1", name="ck_objects_head"),
        sa.PrimaryKeyConstraint("id", name="pk_objects"),
        sa.UniqueConstraint("object_path", name="uq_objects_object_path"),
        sa.UniqueConstraint("uri", name="uq_objects_uri"),
    )
    op.create_index("ix_objects_fonds_uri", "objects", ["fonds", "uri"])
    op.create_index("ix_objects_reference_code_uri", "objects", ["reference_code", "uri"])
    op.create_index("ix_objects_year_uri", "objects", ["year", "uri"])
    op.create_table(
        "tiers",
        sa.Column("id", KEY, sa.Identity(), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("uuid", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tiers"),
        sa.UniqueConstraint("name", name="uq_tiers_name"),
        sa.UniqueConstraint("uuid", name="uq_tiers_uuid"),
    )
    op.create_table(
        "totals",
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("counter", TEXT, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("scope", "counter", name="uq_totals_scope_counter"),
    )
    op.create_table(
        "events",
        sa.Column("id", KEY, sa.Identity(), nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("agent", TEXT, nullable=False),
        sa.Column("object_id", KEY, nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("tier_id", KEY, nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["object_id"], ["objects.id"], name="fk_events_object_id"),
        sa.ForeignKeyConstraint(["tier_id"], ["tiers.id"], name="fk_events_tier_id"),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_object_id_id", "events", ["object_id", "id"])
    op.create_table(
        "versions",
        sa.Column("object_id", KEY, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("message", TEXT, nullable=False),
        sa.Column("agent", TEXT, nullable=False),
        sa.Column("inventory_digest", TEXT, nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["object_id"], ["objects.id"], name="fk_versions_object_id"),
        sa.PrimaryKeyConstraint("object_id", "number", name="pk_versions"),
    )
    op.create_table(
        "copies",
        sa.Column("object_id", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("tier_id", KEY, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("stored_at", TIME, nullable=False),
        sa.Column("verified_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["object_id", "version"], ["versions.object_id", "versions.number"], name="fk_copies_object_id_version"
        ),
        sa.ForeignKeyConstraint(["tier_id"], ["tiers.id"], name="fk_copies_tier_id"),
        sa.PrimaryKeyConstraint("object_id", "version", "tier_id", name="pk_copies"),
    )
