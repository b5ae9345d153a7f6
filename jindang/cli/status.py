"""`jindang status`: what the repository holds and how it is."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from jindang.cli.invocation import Command, Invocation, size_text
from repository.errors import TierError

if TYPE_CHECKING:
    from jindang.config import Tier
    from jindang.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class TierStatus:
    """One tier: what the catalogue says it holds, and whether it is there now."""

    name: str
    kind: str
    path: str
    copies_wanted: int
    copies_held: int
    copies_verified: int
    stored_bytes: int
    free_bytes: int | None
    problem: str | None


@click.command(cls=Command, name="status")
def command(invocation: Invocation) -> int:
    """Show what the repository holds, tier by tier, and whether every tier is there.

    The exit code is 4 when a tier is not there.
    """
    with invocation.open_vault() as vault:
        totals = vault.catalog.totals()
        tiers = [tier_status(vault, tier) for tier in vault.settings.tiers]
        intents = vault.catalog.intents()
    institution = invocation.settings.institution
    invocation.say(f"{institution.name} ({institution.code})")
    invocation.say(
        f"{totals.objects:,} objects, {totals.versions:,} versions, {totals.files:,} files, "
        f"{size_text(totals.size_bytes)}; {size_text(totals.stored_bytes)} stored on each tier"
    )
    invocation.say()
    invocation.table(
        ("tier", "copies wanted", "held", "read back", "size", "free", "state"),
        [
            (
                tier.name,
                f"{tier.copies_wanted:,}",
                f"{tier.copies_held:,}",
                f"{tier.copies_verified:,}",
                size_text(tier.stored_bytes),
                size_text(tier.free_bytes),
                "there" if tier.problem is None else "NOT AVAILABLE",
            )
            for tier in tiers
        ],
        right=("copies wanted", "held", "read back", "size", "free"),
    )
    for tier in tiers:
        if tier.problem:
            click.echo(tier.problem, err=True)
    if intents:
        invocation.say(f"{len(intents)} versions are being put into place, or were when something was stopped.")
    invocation.answer(_plain(invocation, totals=asdict(totals), tiers=tiers, intents=len(intents)))
    return 4 if any(tier.problem for tier in tiers) else 0


def tier_status(vault: "Vault", tier: "Tier") -> TierStatus:
    """A tier's figures, from the catalogue's counters, and whether it is there now."""
    counted = {row.state: row for row in vault.catalog.tier_totals() if row.tier == tier.name}
    free, problem = None, None
    try:
        free = vault.tier(tier).usage().free_bytes
    except TierError as error:
        problem = str(error)
    return TierStatus(
        name=tier.name,
        kind=tier.kind,
        path=str(tier.path),
        copies_wanted=vault.catalog.totals().versions,
        copies_held=sum(row.copies for row in counted.values()),
        copies_verified=sum(row.copies for state, row in counted.items() if state == "verified"),
        stored_bytes=sum(row.stored_bytes for row in counted.values()),
        free_bytes=free,
        problem=problem,
    )


def _plain(invocation: Invocation, *, totals: dict[str, int], tiers: list[TierStatus], intents: int) -> dict[str, Any]:
    institution = invocation.settings.institution
    return {
        "institution": {"code": institution.code, "name": institution.name},
        "totals": totals,
        "tiers": [asdict(tier) for tier in tiers],
        "versions_in_progress": intents,
    }
