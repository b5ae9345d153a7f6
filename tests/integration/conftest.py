"""Fixtures of the integration tests."""

from tests.doubles.buckets import tried_tier
from tests.doubles.ceph import ceph
from tests.doubles.postgres import postgres, postgres_database
from tests.fixtures.command_line import jindang, signals_restored

__all__ = ["ceph", "jindang", "postgres", "postgres_database", "signals_restored", "tried_tier"]
