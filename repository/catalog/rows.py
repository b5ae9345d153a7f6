"""Rows of the tables and the domain's types, each made from the other."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row

from repository.model import (
    Event,
    EventOutcome,
    EventType,
    Metadata,
    ObjectId,
    ObjectRecord,
    ObjectSummary,
    OpeningStatus,
    Retention,
    SecurityClass,
    VersionRecord,
)


def object_row(record: ObjectRecord) -> dict[str, Any]:
    """An object's row, without its key."""
    return {
        **asdict(record.metadata),
        "uri": record.id.uri,
        "object_path": record.object_path,
        "head": record.head.number,
        "files": record.head.files,
        "size_bytes": record.head.size_bytes,
        "updated_at": record.head.created,
    }


def version_row(key: int, version: VersionRecord) -> dict[str, Any]:
    """The row of a version of the object with this key."""
    row = asdict(version)
    return {"object_id": key, "created_at": row.pop("created"), **row}


def metadata_of(row: Row[Any]) -> Metadata:
    """The metadata in an object's row."""
    return Metadata(
        title=row.title,
        reference_code=row.reference_code,
        fonds=row.fonds,
        year=row.year,
        retention=Retention(row.retention) if row.retention else None,
        security_class=SecurityClass(row.security_class),
        opening_status=OpeningStatus(row.opening_status),
        fields=row.fields,
    )


def summary_of(row: Row[Any]) -> ObjectSummary:
    """A line of a list from an object's row."""
    return ObjectSummary(
        id=ObjectId(row.uri),
        object_path=row.object_path,
        metadata=metadata_of(row),
        head=row.head,
        files=row.files,
        size_bytes=row.size_bytes,
        updated=row.updated_at,
    )


def version_of(row: Row[Any]) -> VersionRecord:
    """A version from its row."""
    return VersionRecord(
        number=row.number,
        created=row.created_at,
        message=row.message,
        agent=row.agent,
        inventory_digest=row.inventory_digest,
        files=row.files,
        size_bytes=row.size_bytes,
        stored_bytes=row.stored_bytes,
    )


def event_of(row: Row[Any]) -> Event:
    """An event from its row, with `uri` and `tier` joined to it."""
    return Event(
        type=EventType(row.type),
        at=row.at,
        outcome=EventOutcome(row.outcome),
        agent=row.agent,
        object_id=ObjectId(row.uri) if row.uri else None,
        version=row.version,
        tier=row.tier,
        detail=row.detail,
    )
