"""What Jindang puts into an OCFL object (OAIS: the archival information package), and how it is read back.

    data/...                     the payload, exactly as deposited
    submission/...               what came with it: bag-info.txt, manifests
    metadata/object.json         what is said of the object
    metadata/check-report.json   what was checked when it came

All that the catalogue knows of an object can be made from its inventory and `metadata/object.json`.
"""

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from repository.errors import IntegrityError, InvalidInputError
from repository.hashing import ALGORITHMS
from repository.model import (
    Event,
    EventOutcome,
    EventType,
    Metadata,
    ObjectId,
    ObjectRecord,
    OpeningStatus,
    Retention,
    SecurityClass,
    VersionRecord,
    VersionSummary,
)
from repository.ocfl.inventory import Inventory, VersionNumber
from repository.ocfl.object import StoredInventory, open_content, read_version_inventory

PAYLOAD = "data/"
METADATA_PATH = "metadata/object.json"
CHECK_REPORT_PATH = "metadata/check-report.json"
MAX_METADATA_BYTES = 16 << 20
SUMMARY_FORMAT = "jindang-summary/1"

_UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories that no line of text has: control characters, lone surrogates, ends of lines."""

METADATA_KEYS = (
    "title",
    "reference_code",
    "fonds",
    "year",
    "retention",
    "security_class",
    "opening_status",
    "fields",
)


def metadata_from_plain(values: dict[str, Any], *, base: Metadata, where: object) -> Metadata:
    """Metadata as a person or a file gives it, on top of what is known already.

    Args:
        values: any of METADATA_KEYS; null takes a value away.
        base: what holds for the keys that are not given.
        where: the file they come from, for messages.

    Raises:
        InvalidInputError: a key is not known, or a value is not allowed; all that is wrong at once.
    """
    problems = [f"{key}: there is no such key" for key in values if key not in METADATA_KEYS]
    merged = asdict(base)
    defaults = asdict(Metadata())
    for key in METADATA_KEYS:
        if key in values:
            try:
                merged[key] = defaults[key] if values[key] is None else _PARSERS[key](values[key])
            except ValueError as error:
                problems.append(f"{key}: {values[key]!r} is not allowed; {error}")
    if problems:
        raise InvalidInputError(
            "The metadata cannot be used",
            where=where,
            why="; ".join(problems),
            next_step=f"correct them; keys are {', '.join(METADATA_KEYS)}",
        )
    return Metadata(**merged)


def _text(value: object) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise ValueError("give text")  # noqa: TRY004 - a value that a person gave
    text = str(value).strip()
    if not text or len(text) > 2000 or any(unicodedata.category(c) in _UNWRITABLE for c in text):  # noqa: PLR2004
        raise ValueError("give 1 to 2000 characters on one line")
    return text


def _year(value: object) -> int:
    text = str(value).strip()
    if not text.isdecimal() or not 1 <= int(text) <= 9999:  # noqa: PLR2004
        raise ValueError("give a year as a number")
    return int(text)


def _choice(kind: type[Retention | SecurityClass | OpeningStatus]) -> Any:
    def parse(value: object) -> Any:
        try:
            return kind(str(value).strip())
        except ValueError:
            raise ValueError(f"allowed are {', '.join(kind)}") from None

    return parse


def _fields(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError("give a list of `name: text`")  # noqa: TRY004 - a value that a person gave
    found = {}
    for key, text in value.items():
        try:
            if text is not None:
                found[_text(key)] = _text(text)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None
    return found


_PARSERS: dict[str, Any] = {
    "title": _text,
    "reference_code": _text,
    "fonds": _text,
    "year": _year,
    "retention": _choice(Retention),
    "security_class": _choice(SecurityClass),
    "opening_status": _choice(OpeningStatus),
    "fields": _fields,
}


def metadata_bytes(metadata: Metadata) -> bytes:
    """`metadata/object.json`: the same metadata always gives the same bytes."""
    return json_bytes(asdict(metadata))


def read_metadata(object_root: Path, inventory: Inventory) -> Metadata:
    """The metadata of the inventory's head version; the careful defaults where an object has none.

    Raises:
        IntegrityError: the file is not what the inventory says, or not metadata.
        OSError: it could not be read.
    """
    digest = inventory.state().get(METADATA_PATH)
    if digest is None:
        return Metadata()
    content_path = inventory.content_path(digest)
    with open_content(object_root, content_path) as file:
        data = file.read(MAX_METADATA_BYTES)
    hasher = ALGORITHMS[inventory.digest_algorithm]()
    hasher.update(data)
    try:
        if hasher.hexdigest() != digest:
            raise ValueError("it is not what the inventory says")  # noqa: TRY301 - one place says what to do
        return metadata_from_plain(json.loads(data), base=Metadata(), where=content_path)
    except (ValueError, InvalidInputError) as error:
        raise IntegrityError(
            "The metadata of an object cannot be trusted",
            where=object_root / content_path,
            why=str(error),
            next_step="run `jindang ocfl validate` on the object, and restore it from another copy",
        ) from error


def describe_object(object_root: Path, object_path: str, stored: StoredInventory) -> ObjectRecord:
    """What the catalogue keeps of an object, read from storage; no payload file is opened.

    Raises:
        IntegrityError: the object's metadata or the inventory of an older version cannot be trusted.
        OSError: the storage could not be read.
    """
    inventory = stored.inventory
    sizes = content_sizes(object_root, inventory)
    digests = {inventory.head: stored.digest}
    for number in inventory.versions:
        if number not in digests:
            older = read_version_inventory(object_root, number)
            if older is None:
                raise IntegrityError(
                    "The inventory of an older version cannot be trusted",
                    where=object_root / str(number),
                    next_step="run `jindang ocfl validate` on the object, and restore it from another copy",
                )
            digests[number] = older.digest
    return ObjectRecord(
        id=ObjectId(inventory.id),
        object_path=object_path,
        metadata=read_metadata(object_root, inventory),
        versions=tuple(
            version_record(inventory, number, inventory_digest=digests[number], sizes=sizes)
            for number in sorted(inventory.versions)
        ),
    )


def summarize_version(object_root: Path, object_path: str, stored: StoredInventory) -> VersionSummary:
    """What is to be known of the head version of an inventory, read from storage; no payload file is opened.

    Args:
        object_root: the object.
        object_path: the same below the storage root.
        stored: the version's own inventory.

    Raises:
        IntegrityError: the object's metadata cannot be trusted.
        OSError: the storage could not be read.
    """
    inventory = stored.inventory
    return VersionSummary(
        id=ObjectId(inventory.id),
        object_path=object_path,
        metadata=read_metadata(object_root, inventory),
        record=version_record(
            inventory, inventory.head, inventory_digest=stored.digest, sizes=content_sizes(object_root, inventory)
        ),
    )


def summary_bytes(summary: VersionSummary) -> bytes:
    """A summary as it is stored beside a pack: JSON, the same bytes for the same summary."""
    return json_bytes(_summary_document(summary))


def summary_line(summary: VersionSummary) -> bytes:
    """The same on one line, for a list of many."""
    return (json.dumps(_summary_document(summary), ensure_ascii=False, sort_keys=True) + "\n").encode()


def _summary_document(summary: VersionSummary) -> dict[str, object]:
    return {
        "format": SUMMARY_FORMAT,
        "id": summary.id.uri,
        "object_path": summary.object_path,
        "metadata": asdict(summary.metadata),
        "version": {**asdict(summary.record), "created": summary.record.created.isoformat()},
    }


def parse_summary(data: bytes, *, where: object) -> VersionSummary:
    """Read a summary, as a document or a line.

    Raises:
        IntegrityError: it is not one, or of a later format.
    """
    try:
        document = json.loads(data)
        if document["format"] != SUMMARY_FORMAT:
            raise ValueError(f"its format is {document['format']!r}")  # noqa: TRY301 - one place says what to do
        version = document["version"]
        return VersionSummary(
            id=ObjectId(document["id"]),
            object_path=document["object_path"],
            metadata=metadata_from_plain(document["metadata"], base=Metadata(), where=where),
            record=VersionRecord(**{**version, "created": datetime.fromisoformat(version["created"])}),
        )
    except (ValueError, TypeError, KeyError, InvalidInputError) as error:
        raise IntegrityError(
            "The summary of a version cannot be read",
            where=where,
            why=str(error),
            next_step="the version that it stands beside has all that it says; restore it from another copy",
        ) from error


def record_of(summaries: Sequence[VersionSummary]) -> ObjectRecord:
    """An object from the summaries of all its versions, oldest first; the newest one's metadata hold."""
    head = summaries[-1]
    return ObjectRecord(
        id=head.id,
        object_path=head.object_path,
        metadata=head.metadata,
        versions=tuple(summary.record for summary in summaries),
    )


def content_sizes(object_root: Path, inventory: Inventory) -> dict[str, int]:
    """Content path -> bytes, of every file in the inventory, as the file system has it.

    Raises:
        OSError: a file is not there.
    """
    return {path: (object_root / path).stat().st_size for paths in inventory.manifest.values() for path in paths}


def version_record(
    inventory: Inventory, number: VersionNumber, *, inventory_digest: str, sizes: dict[str, int]
) -> VersionRecord:
    """What the catalogue keeps of a version.

    Args:
        inventory: of this or a later version.
        number: the version.
        inventory_digest: of the version's own inventory.
        sizes: content path -> bytes, of every file in the inventory.
    """
    block = inventory.version(number)
    payload = [digest for path, digest in inventory.state(number).items() if path.startswith(PAYLOAD)]
    return VersionRecord(
        number=number.number,
        created=datetime.fromisoformat(block.created),
        message=block.message or "",
        agent=block.user_name or "",
        inventory_digest=inventory_digest,
        files=len(payload),
        size_bytes=sum(sizes[inventory.content_path(digest)] for digest in payload),
        stored_bytes=sum(sizes[path] for path in inventory.added_content(number)),
    )


def ingestion_events(record: ObjectRecord) -> list[Event]:
    """The events of an object's versions; told from what lies on storage, so that a rebuilt catalogue has the same."""
    return [
        Event(
            type=EventType.INGESTION,
            at=version.created,
            outcome=EventOutcome.SUCCESS,
            agent=version.agent,
            object_id=record.id,
            version=version.number,
            detail={"message": version.message},
        )
        for version in record.versions
    ]


def json_bytes(document: object) -> bytes:
    """UTF-8 JSON that people can read, the same bytes for the same content."""
    return (json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
