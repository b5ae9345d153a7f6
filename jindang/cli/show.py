"""`jindang show`: all that is known of one object."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from jindang.cli.invocation import Command, Invocation

if TYPE_CHECKING:
    from jindang.vault import Vault
    from repository.model import Event, ObjectRecord

EVENTS_SHOWN = 20


@click.command(cls=Command, name="show")
@click.argument("identifier")
@click.option("--version", "number", type=click.IntRange(1), help="List the files of this version")
@click.option("--files", "with_files", is_flag=True, help="List the files of the newest version")
def command(invocation: Invocation, identifier: str, *, number: int | None, with_files: bool) -> int:
    """Show one object: its metadata, versions, copies and events, and with --files its files."""
    with invocation.open_vault() as vault:
        record = vault.find(identifier)
        copies = vault.catalog.list_copies(record.id)
        events = vault.catalog.list_events(record.id, limit=EVENTS_SHOWN)
        files = list_files(vault, record, number or record.head.number) if with_files or number else None
        _tell(invocation, vault, record)
        invocation.table(
            ("version", "made", "by", "files", "bytes", "stored bytes", "how"),
            [
                (
                    f"v{v.number}",
                    v.created,
                    v.agent,
                    f"{v.files:,}",
                    f"{v.size_bytes:,}",
                    f"{v.stored_bytes:,}",
                    v.message,
                )
                for v in record.versions
            ],
            right=("files", "bytes", "stored bytes"),
        )
        invocation.say()
        invocation.table(
            ("copy", "tier", "state", "since", "last read back"),
            [
                (f"v{copy.version}", copy.tier, copy.state, copy.stored_at, copy.verified_at or "never")
                for copy in copies
            ],
        )
        invocation.say()
        invocation.table(
            ("event", "when", "version", "outcome", "by"),
            [(e.type, e.at, e.version and f"v{e.version}", e.outcome, e.agent) for e in events],
        )
        if files is not None:
            invocation.say()
            invocation.table(("bytes", "digest", "file"), files, right=("bytes",))
        invocation.answer(
            {
                "id": record.id.uri,
                "object_path": record.object_path,
                "metadata": asdict(record.metadata),
                "versions": [asdict(version) for version in record.versions],
                "copies": [asdict(copy) for copy in copies],
                "events": [_plain(event) for event in events],
                **({} if files is None else {"files": [dict(zip(_FILE_KEYS, row, strict=True)) for row in files]}),
            }
        )
    return 0


_FILE_KEYS = ("size_bytes", "digest", "path")


def list_files(vault: "Vault", record: "ObjectRecord", number: int) -> list[tuple[int, str, str]]:
    """(bytes, digest, logical path) of the files of a version, from the object's own inventory."""
    from repository.aip import content_sizes
    from repository.ocfl.inventory import VersionNumber
    from repository.ocfl.object import read_inventory

    object_root = vault.primary.root.object_root(record.object_path)
    inventory = read_inventory(object_root).inventory
    sizes = content_sizes(object_root, inventory)
    return [
        (sizes[inventory.content_path(digest)], digest, path)
        for path, digest in inventory.state(VersionNumber(number)).items()
    ]


def _tell(invocation: Invocation, vault: "Vault", record: "ObjectRecord") -> None:
    labels = {
        "title": "title 题名",
        "reference_code": "reference code 档号",
        "fonds": "fonds 全宗",
        "year": "year 年度",
        "retention": "retention 保管期限",
        "security_class": "security class 密级",
        "opening_status": "opening status 开放状态",
    }
    values = asdict(record.metadata)
    invocation.say(vault.readable(record.id))
    invocation.say(f"  {record.id.uri}")
    for key, label in labels.items():
        if values[key] is not None:
            invocation.say(f"  {label}: {values[key]}")
    for key, text in record.metadata.fields.items():
        invocation.say(f"  {key}: {text}")
    invocation.say(f"  folder on every disk tier: {record.object_path}")
    invocation.say()


def _plain(event: "Event") -> dict[str, Any]:
    return {**asdict(event), "object_id": event.object_id and event.object_id.uri}
