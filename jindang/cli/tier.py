"""`jindang tier list | validate | locks`: the places where copies live, and whether they keep their promises."""

from typing import TYPE_CHECKING

import click

from jindang.cli.invocation import Command, Invocation, size_text
from jindang.cli.tier_locks import locks
from jindang.cli.tier_validate import validate
from repository.errors import RepositoryError

if TYPE_CHECKING:
    from jindang.config import Tier
    from jindang.vault import Vault


@click.group(name="tier")
def command() -> None:
    """List tiers, try out whether one keeps its promises, and look after its locks."""


command.add_command(validate)
command.add_command(locks)


@command.command(cls=Command, name="list")
def list_tiers(invocation: Invocation) -> int:
    """Show every tier: what and where it is, who runs it, and whether it is there now.

    The exit code is 4 when one is not.
    """
    with invocation.open_vault() as vault:
        rows = [(tier, *_state(vault, tier)) for tier in vault.settings.tiers]
    invocation.table(
        ("tier", "kind", "where", "site", "medium", "zone", "free", "state"),
        [
            (
                tier.name,
                tier.kind,
                tier.where,
                tier.site,
                tier.medium,
                tier.zone,
                size_text(free),
                "there" if error is None else "NOT AVAILABLE",
            )
            for tier, free, error in rows
        ],
        right=("free",),
    )
    for _, _, error in rows:
        if error is not None:
            click.echo(str(error), err=True)
    invocation.answer(
        {
            "tiers": [
                {
                    "name": tier.name,
                    "kind": tier.kind,
                    "where": tier.where,
                    "site": tier.site,
                    "medium": tier.medium,
                    "zone": tier.zone,
                    "operator": tier.operator or vault.settings.institution.name,
                    "free_bytes": free,
                    "problem": None if error is None else error.as_json(),
                }
                for tier, free, error in rows
            ]
        }
    )
    return 4 if any(error is not None for _, _, error in rows) else 0


def _state(vault: "Vault", tier: "Tier") -> tuple[int | None, RepositoryError | None]:
    try:
        opened = vault.bare_tier(tier)
        try:
            return opened.usage().free_bytes, None
        finally:
            opened.close()
    except RepositoryError as error:
        return None, error
