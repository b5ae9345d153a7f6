"""`jindang tier validate`: whether a tier keeps its promises, tried on objects and canaries of our own."""

import contextlib
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from jindang.cli.invocation import Command, Invocation
from repository.errors import InvalidInputError

if TYPE_CHECKING:
    from jindang.config import Tier
    from jindang.vault import Vault
    from repository.stop import StopToken
    from storage_tiers.contract.checks import ContractResult
    from storage_tiers.object_store.examine import Examination


@click.command(cls=Command, name="validate")
@click.argument("name")
def validate(invocation: Invocation, name: str) -> int:
    """Try out on the tier NAME whether it keeps what Jindang relies on; no trial is left behind.

    It writes, reads, damages and removes objects of its own, and touches nothing else. Of an object store it also
    finds out what the server can do, and notes it there; where the tier locks, it tries to break the lock of a canary,
    which stays for a day. A bucket that locks gives up nothing, so there the rest is not tried. The exit code is 1
    when a promise is broken or a lock did not hold.
    """
    with invocation.open_vault() as vault:
        stop = invocation.begin_long_work()
        settings = vault.settings.tier(name)
        _require_writable(settings)
        examined = _examine(vault, settings)
        skipped = examined is not None and examined.keeps_everything
        results = [] if skipped else _try_contract(invocation, vault, settings, stop)
    findings = [] if examined is None else [*_tell_features(invocation, examined), *_tell_lock(invocation, examined)]
    for finding in findings:
        click.echo(f"NOT PROTECTED: {finding}", err=True)
    broken = sum(not result.passed for result in results)
    if skipped:
        invocation.say("promises of the port: not tried, because the bucket gives up nothing that is put there")
        invocation.say("  to try them, make a bucket without object lock on the same server, and a tier in it")
    else:
        invocation.say(f"{len(results)} promises tried, {broken} broken")
    invocation.answer(
        {
            "tier": name,
            "contract_tried": not skipped,
            "results": [asdict(result) for result in results],
            "capabilities": {} if examined is None else asdict(examined.features),
            "capabilities_before": {} if examined is None else asdict(examined.noted_before),
            "lock_attempts": [] if examined is None else [asdict(attempt) for attempt in examined.attempts],
            "lock_findings": findings,
        }
    )
    return 1 if broken or findings else 0


def _require_writable(settings: "Tier") -> None:
    if settings.read_only:
        raise InvalidInputError(
            f"The tier {settings.name!r} cannot be tried",
            where=settings.where,
            why="its settings say read_only, and a trial writes",
            next_step="take `read_only` out of its settings for the trial, if it may be written to",
        )


def _examine(vault: "Vault", settings: "Tier") -> "Examination | None":
    """What an object store can do, and whether it locks; nothing of another kind of tier."""
    from jindang.config import ObjectStore

    if not isinstance(settings, ObjectStore):
        return None
    from storage_tiers.object_store.examine import examine

    with contextlib.closing(vault.object_store(settings)) as store:
        return examine(store, clock=vault.clock)


def _try_contract(
    invocation: Invocation, vault: "Vault", settings: "Tier", stop: "StopToken"
) -> "list[ContractResult]":
    """Try every promise, and tell each as it comes."""
    from storage_tiers.contract.checks import run_contract

    results = []
    with contextlib.closing(vault.bare_tier(settings)) as tier:
        for result in run_contract(tier, stop=stop):
            results.append(result)
            invocation.say(f"{'kept  ' if result.passed else 'BROKEN'}  {result.promise}")
            if not result.passed:
                click.echo(f"  {result.detail}", err=True)
    return results


def _tell_features(invocation: Invocation, examined: "Examination") -> list[str]:
    """Tell what the server can do; returns what of it leaves the tier without its lock."""
    before = asdict(examined.noted_before)
    for feature, there in asdict(examined.features).items():
        changed = "" if there == before[feature] else "  (changed; the note in the bucket is brought up to date)"
        invocation.say(f"{'yes' if there else 'no ':3}  {feature}{changed}")
    if not examined.lacks_lock:
        return []
    return [_CANNOT_LOCK]


def _tell_lock(invocation: Invocation, examined: "Examination") -> list[str]:
    """Tell how the lock withstood; returns what it did not withstand."""
    for attempt in examined.attempts:
        invocation.say(f"{'refused' if attempt.refused else 'DONE   '}  {attempt.name}  ({attempt.detail})")
    return [_NOT_REFUSED[attempt.name] for attempt in examined.attempts if not attempt.refused]


_CANNOT_LOCK = (
    "the settings of the tier ask for a lock, but its bucket was made without object lock, so that nothing in it can "
    "be locked; make a bucket with object lock, and name it in the settings as a new tier"
)
_ASK = "ask the store's operator; until it is put right, do not count this tier as one that nobody can delete from"
_NOT_REFUSED = {
    "delete the version": f"the store deleted a version that was locked, with the keys of this tier; {_ASK}",
    "shorten the lock": f"the store let the keys of this tier end a lock before its time; {_ASK}",
    "overwrite": f"the store did not keep a locked version when something else was put under its name; {_ASK}",
    "suspend versioning": "the keys of this tier could switch off the bucket's versions, without which nothing new is "
    f"locked (they were switched on again at once); {_ASK}",
}
"""What it means when the store did what a lock must prevent, and what to do."""
