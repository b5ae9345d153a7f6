"""`jindang status`: what the repository holds and how it is."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from jindang.cli.invocation import Command, Invocation, duration_text, size_text
from replication.placement import BASE
from repository.errors import RepositoryError
from repository.model import CopyState, TierTotals, TransferState, TransferTotals

if TYPE_CHECKING:
    from jindang.config import Tier
    from jindang.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class TierStatus:
    """One tier: what the catalogue says it holds and is owed, and whether it is there now."""

    name: str
    kind: str
    path: str
    copies_wanted: int
    copies_held: int
    copies_verified: int
    copies_damaged: int
    owed_copies: int
    owed_bytes: int
    owed_since: datetime | None
    conflicts: int
    """Copies that wait for a person."""
    stored_bytes: int
    free_bytes: int | None
    problem: str | None


@click.command(cls=Command, name="status")
def command(invocation: Invocation) -> int:
    """Show what the repository holds, what each tier holds and is owed, and whether every tier is there.

    The exit code is 4 when a tier is not there.
    """
    with invocation.open_vault() as vault:
        totals = vault.catalog.totals()
        tiers = tier_statuses(vault)
        intents = vault.catalog.intents()
        now = vault.clock.now()
        invocation.warn_of_unmade(vault)
    institution = invocation.settings.institution
    invocation.say(f"{institution.name} ({institution.code})")
    invocation.say(
        f"{totals.objects:,} objects, {totals.versions:,} versions, {totals.files:,} files, "
        f"{size_text(totals.size_bytes)}; {size_text(totals.stored_bytes)} stored for each copy of everything"
    )
    invocation.say()
    invocation.table(
        ("tier", "copies wanted", "held", "read back", "size", "behind", "free", "state"),
        [_row(tier, now) for tier in tiers],
        right=("copies wanted", "held", "read back", "size", "free"),
    )
    for tier in tiers:
        if tier.problem:
            click.echo(tier.problem, err=True)
        if tier.copies_damaged:
            invocation.say(f"{tier.copies_damaged} copies on {tier.name} are damaged; `jindang show` tells which")
        if tier.conflicts:
            invocation.say(f"{tier.conflicts} copies for {tier.name} wait for a person: `jindang replicate plan`")
    if intents:
        invocation.say(f"{len(intents)} versions are being put into place, or were when something was stopped.")
    invocation.answer(_plain(invocation, totals=asdict(totals), tiers=tiers, intents=len(intents)))
    return 4 if any(tier.problem for tier in tiers) else 0


def _row(tier: TierStatus, now: datetime) -> tuple[object, ...]:
    lag = None if tier.owed_since is None else duration_text((now - tier.owed_since).total_seconds())
    return (
        tier.name,
        f"{tier.copies_wanted:,}",
        f"{tier.copies_held:,}",
        f"{tier.copies_verified:,}",
        size_text(tier.stored_bytes),
        "no" if lag is None else f"{lag}, {tier.owed_copies:,} copies, {size_text(tier.owed_bytes)}",
        size_text(tier.free_bytes),
        _STATES.get(tier.kind, "there") if tier.problem is None else "NOT AVAILABLE",
    )


_STATES = {"borg": "see `backup list`"}
"""What is said of the backup base, which is not asked: that takes a connection and the key."""


def tier_statuses(vault: "Vault") -> list[TierStatus]:
    """Every tier's figures, from the catalogue's counters, and whether it is there now; all are asked at once."""
    tiers = vault.settings.tiers
    with ThreadPoolExecutor(len(tiers)) as threads:
        answers = threads.map(partial(_ask, vault), tiers)
        asked = {tier.name: answer for tier, answer in zip(tiers, answers, strict=True)}
    places = [(tier.name, str(tier.kind), tier.where) for tier in tiers]
    if vault.settings.base is not None:
        places.append((BASE, "borg", vault.settings.base.repository))
    counted, owed = vault.catalog.tier_totals(), vault.catalog.transfers.totals()
    return [
        _status(name, kind, where, asked=asked.get(name, (None, None)), counted=counted, owed=owed)
        for name, kind, where in places
    ]


def _ask(vault: "Vault", tier: "Tier") -> tuple[int | None, str | None]:
    """Free bytes where the tier knows, and why it is not there."""
    try:
        opened = vault.bare_tier(tier)
        try:
            return opened.usage().free_bytes, None
        finally:
            opened.close()
    except RepositoryError as error:
        return None, str(error)


def _status(
    name: str,
    kind: str,
    where: str,
    *,
    asked: tuple[int | None, str | None],
    counted: list[TierTotals],
    owed: list[TransferTotals],
) -> TierStatus:
    mine = {row.state: row for row in counted if row.tier == name}
    waits = [row for row in owed if row.tier == name and row.copies]
    held = sum(row.copies for state, row in mine.items() if state is not CopyState.DAMAGED)
    damaged = sum(row.copies for state, row in mine.items() if state is CopyState.DAMAGED)
    owed_copies = sum(row.copies for row in waits)
    return TierStatus(
        name=name,
        kind=kind,
        path=where,
        copies_wanted=held + damaged + owed_copies,
        copies_held=held,
        copies_verified=sum(row.copies for state, row in mine.items() if state is CopyState.VERIFIED),
        copies_damaged=damaged,
        owed_copies=owed_copies,
        owed_bytes=sum(row.stored_bytes for row in waits),
        owed_since=min((row.oldest for row in waits if row.oldest), default=None),
        conflicts=sum(row.copies for row in waits if row.state is TransferState.CONFLICT),
        stored_bytes=sum(row.stored_bytes for row in mine.values()),
        free_bytes=asked[0],
        problem=asked[1],
    )


def _plain(invocation: Invocation, *, totals: dict[str, int], tiers: list[TierStatus], intents: int) -> dict[str, Any]:
    institution = invocation.settings.institution
    return {
        "institution": {"code": institution.code, "name": institution.name},
        "totals": totals,
        "tiers": [asdict(tier) for tier in tiers],
        "versions_in_progress": intents,
    }
