"""`jindang list`: objects, a page at a time."""

from typing import TYPE_CHECKING, Any

import click

from jindang.cli.invocation import Command, Invocation

if TYPE_CHECKING:
    from repository.model import ObjectSummary


@click.command(cls=Command, name="list")
@click.argument("prefix", required=False)
@click.option("--reference", metavar="PREFIX", help="Reference codes (档号) that begin so")
@click.option("--fonds", help="Objects of this fonds")
@click.option("--year", type=int, help="Objects of this year")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="How many at the most")
@click.option("--after", metavar="ID", help="Go on after this identifier")
def command(
    invocation: Invocation,
    prefix: str | None,
    *,
    reference: str | None,
    fonds: str | None,
    year: int | None,
    limit: int,
    after: str | None,
) -> int:
    """List objects in the order of their identifiers, those that begin with PREFIX or all."""
    from repository.catalog.catalog import ObjectFilter
    from repository.model import ObjectId

    with invocation.open_vault() as vault:
        begins = ObjectId.parse(prefix, prefix=vault.prefix).uri if prefix else None
        wanted = ObjectFilter(id_prefix=begins, reference_prefix=reference, fonds=fonds, year=year)
        start = ObjectId.parse(after, prefix=vault.prefix).uri if after else None
        found = vault.catalog.list_objects(wanted, limit=limit + 1, after=start)
        shown, more = found[:limit], len(found) > limit
        invocation.table(
            ("identifier", "version", "files", "bytes", "year", "access", "title"),
            [
                (
                    vault.readable(item.id),
                    f"v{item.head}",
                    f"{item.files:,}",
                    f"{item.size_bytes:,}",
                    item.metadata.year,
                    f"{item.metadata.security_class} {item.metadata.opening_status}",
                    item.metadata.title,
                )
                for item in shown
            ],
            right=("files", "bytes"),
        )
        if not shown:
            invocation.say("No object fits." if prefix or reference or fonds or year else "The repository is empty.")
        if more:
            invocation.say(f"There are more: --after '{vault.readable(shown[-1].id)}'")
        invocation.answer({"objects": [_plain(item) for item in shown], "more": more})
    return 0


def _plain(item: "ObjectSummary") -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "id": item.id.uri,
        "version": item.head,
        "files": item.files,
        "size_bytes": item.size_bytes,
        "updated": item.updated.isoformat(),
        **asdict(item.metadata),
    }
