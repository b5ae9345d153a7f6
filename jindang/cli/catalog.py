"""`jindang catalog check | rebuild | upgrade`."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from jindang.cli.invocation import Command, Invocation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jindang.vault import Vault
    from recovery.rebuild import RebuiltObject
    from repository.stop import StopToken


@click.group(name="catalog")
def command() -> None:
    """Compare, rebuild or upgrade the catalogue."""


@command.command(cls=Command, name="check")
def check(invocation: Invocation) -> int:
    """Compare the catalogue with the primary tier, in both directions.

    Reads the names and the sidecars of all objects, no content. The exit code is 1 when they differ.
    """
    from recovery.rebuild import compare_catalog

    with invocation.open_vault() as vault:
        stop = invocation.begin_long_work()
        findings = list(compare_catalog(vault.catalog, vault.primary.root, stop=stop))
        objects = vault.catalog.totals().objects
    invocation.table(("difference", "where", "detail"), [(f.difference, f.where, f.detail) for f in findings])
    for difference in dict.fromkeys(finding.difference for finding in findings):
        invocation.say(f"{difference}: {_NEXT_STEPS[difference]}")
    if not findings:
        invocation.say(f"The catalogue and the tier agree on {objects:,} objects")
    invocation.answer({"agree": not findings, "objects": objects, "findings": [asdict(f) for f in findings]})
    return 1 if findings else 0


@command.command(cls=Command, name="rebuild")
@click.option("--from", "tier_name", metavar="TIER", help="The tier to read, or `base`  [default: the primary tier]")
def rebuild(invocation: Invocation, tier_name: str | None) -> int:
    """Make the catalogue from what lies on a tier, or add what it lacks.

    For a lost catalogue: move what is left of the database away and run this, for one tier after the other: each
    tells what it holds. Of an object store no pack is opened. Nothing that the catalogue has is changed, nothing on
    the tier is lost, and it can be run again after a kill. The exit code is 1 when an object could not be read; it is
    named, and the others are recorded.
    """
    from jindang.vault import create_catalog

    settings = invocation.settings
    name = tier_name or settings.primary.name
    for missing in create_catalog(settings, needed=name, clock=invocation.clock):
        click.echo(f"warning: {missing}", err=True)
    recorded, bad = 0, []
    with invocation.open_vault() as vault:
        stop = invocation.begin_long_work()
        for found in _rebuilt(vault, name, stop):
            if found.error is None:
                recorded += 1
            else:
                bad.append(found)
                click.echo(f"not recorded: {found.object_path}\n  {found.error}", err=True)
    invocation.say(f"{recorded:,} objects of tier {name} are in the catalogue, {len(bad):,} could not be read")
    problems = [{"object_path": f.object_path, **(f.error.as_json() if f.error else {})} for f in bad]
    invocation.answer({"tier": name, "objects": recorded, "problems": problems})
    return 1 if bad else 0


def _rebuilt(vault: "Vault", name: str, stop: "StopToken") -> "Iterator[RebuiltObject]":
    """Every object of a tier, or of the base, as it is recorded."""
    from replication.placement import BASE

    if name == BASE:
        from jindang.vault import open_base
        from recovery.rebuild_from_base import rebuild_from_base

        yield from rebuild_from_base(vault.catalog, open_base(vault.settings), scratch=vault.settings.data, stop=stop)
        return
    from recovery.rebuild import rebuild_catalog
    from repository.ingest.recover import recover
    from storage_tiers.disk.tier import DiskTier

    tier = vault.bare_tier(vault.settings.tier(name))
    try:
        if isinstance(tier, DiskTier):
            recover(vault.catalog, tier.root, tier=tier.name)
        yield from rebuild_catalog(vault.catalog, tier, stop=stop)
    finally:
        tier.close()


@command.command(cls=Command, name="upgrade")
def upgrade(invocation: Invocation) -> int:
    """Bring the catalogue of an older release to this one's form. Stop the daemon first."""
    from jindang.vault import open_catalog

    catalog = open_catalog(invocation.settings)
    try:
        catalog.create()
    finally:
        catalog.close()
    invocation.say(f"{catalog.where}: up to date")
    invocation.answer({"catalogue": catalog.where, "upgraded": True})
    return 0


_NEXT_STEPS = {
    "not on storage": "look for the object on another tier and in a backup; the catalogue is not to be changed",
    "not in the catalogue": "`jindang catalog rebuild` adds it",
    "another version on storage": "`jindang show` and `jindang ocfl validate` say what is there; a newer version is "
    "added by `jindang catalog rebuild`, an older or an altered one is restored from another copy",
    "unreadable": "`jindang ocfl validate` says what is wrong; restore the object from another copy",
    "the catalogue's counters are wrong": "move the database away and run `jindang catalog rebuild`",
}
"""Difference -> what to do about it."""
