"""The queue of copies that tiers are owed, where exactly a copy lies, and the archives on the backup base."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the queue, empty: the next `jindang replicate` fills it, because no policy is marked as done."""
    op.add_column("copies", sa.Column("location", TEXT, nullable=True))
    op.create_table(
        "transfers",
        sa.Column("object_id", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("tier_id", KEY, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("wanted_at", TIME, nullable=False),
        sa.Column("verified_copies", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("problem", TEXT, nullable=True),
        sa.ForeignKeyConstraint(
            ["object_id", "version"], ["versions.object_id", "versions.number"], name="fk_transfers_object_id_version"
        ),
        sa.ForeignKeyConstraint(["tier_id"], ["tiers.id"], name="fk_transfers_tier_id"),
        sa.PrimaryKeyConstraint("object_id", "version", "tier_id", name="pk_transfers"),
    )
    op.create_index(
        "ix_transfers_order",
        "transfers",
        ["tier_id", "state", "verified_copies", "wanted_at", "object_id", "version"],
    )
    op.create_index("ix_transfers_oldest", "transfers", ["tier_id", "state", "wanted_at"])
    op.create_table(
        "archives",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("archive_id", TEXT, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("versions", sa.Integer(), nullable=False),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_archives"),
    )
    op.create_table(
        "marks",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_marks"),
    )
