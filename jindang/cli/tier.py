"""`jindang tier list | validate`: the places where copies live, and whether they keep their promises."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from jindang.cli.invocation import Command, Invocation, size_text
from repository.errors import RepositoryError

if TYPE_CHECKING:
    from jindang.config import Tier
    from jindang.vault import Vault


@click.group(name="tier")
def command() -> None:
    """List tiers, and try out whether one keeps its promises."""


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


@command.command(cls=Command, name="validate")
@click.argument("name")
def validate(invocation: Invocation, name: str) -> int:
    """Try out on the tier NAME whether it keeps what Jindang relies on; nothing is left behind.

    It writes, reads, damages and removes objects of its own, and touches nothing else. Of an object store it also
    finds out what the server can do. The exit code is 1 when a promise is broken.
    """
    from storage_tiers.contract.checks import run_contract

    with invocation.open_vault() as vault:
        stop = invocation.begin_long_work()
        tier = vault.bare_tier(vault.settings.tier(name))
        try:
            results = []
            for result in run_contract(tier, stop=stop):
                results.append(result)
                mark = "kept  " if result.passed else "BROKEN"
                invocation.say(f"{mark}  {result.promise}")
                if not result.passed:
                    click.echo(f"  {result.detail}", err=True)
            found = dict(tier.capabilities.found)
        finally:
            tier.close()
    broken = sum(not result.passed for result in results)
    for feature, there in sorted(found.items()):
        invocation.say(f"{'yes' if there else 'no ':3}  {feature}")
    invocation.say(f"{len(results)} promises tried, {broken} broken")
    invocation.answer({"tier": name, "results": [asdict(result) for result in results], "capabilities": found})
    return 1 if broken else 0
