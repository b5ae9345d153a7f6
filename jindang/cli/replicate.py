"""`jindang replicate plan | run`: what tiers are owed, and giving it to them."""

import contextlib
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from jindang.cli.invocation import Command, Invocation, duration_text, size_text

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from jindang.vault import Vault
    from replication.reconcile import Replication
    from replication.transfer import TransferOutcome


LEAST_MEASURED_BYTES = 64 << 20
"""A run that brought less says nothing of how long much will take."""


@click.group(name="replicate")
def command() -> None:
    """Give every tier the verified copies that it is owed."""


@command.command(cls=Command, name="plan")
def plan(invocation: Invocation) -> int:
    """Show what each tier is owed, how much that is, and how long it will take. Nothing is copied.

    The exit code is 1 when a copy waits for a person.
    """
    with invocation.open_vault() as vault:
        invocation.warn_of_unmade(vault)
        vault.place_all()
        owed = vault.catalog.transfers.totals()
        rates = {tier.name: vault.catalog.transfers.rate_bps(tier.name) for tier in vault.settings.tiers}
        conflicts = vault.catalog.transfers.conflicts(limit=100)
    rows: list[dict[str, Any]] = [
        {
            **asdict(total),
            "estimate_s": total.stored_bytes / rate if (rate := rates.get(total.tier)) else None,
        }
        for total in owed
        if total.copies
    ]
    invocation.table(
        ("tier", "copies", "bytes", "oldest owed since", "state", "will take"),
        [
            (
                row["tier"],
                f"{row['copies']:,}",
                size_text(row["stored_bytes"]),
                row["oldest"],
                row["state"],
                "not known yet" if row["estimate_s"] is None else duration_text(row["estimate_s"]),
            )
            for row in rows
        ],
        right=("copies", "bytes"),
    )
    if not rows:
        invocation.say("Nothing is owed: every tier has a verified copy of everything that it should have")
    for transfer in conflicts:
        invocation.say(f"conflict: {transfer.object_id} v{transfer.version} on {transfer.tier}\n  {transfer.problem}")
    invocation.answer({"owed": rows, "conflicts": [asdict(transfer) for transfer in conflicts]})
    return 1 if conflicts else 0


@command.command(cls=Command, name="run")
@click.option("--tier", "tier_name", metavar="TIER", help="Give this tier alone what it is owed  [default: all]")
@click.option("--object", "identifier", metavar="ID", help="This object alone, also after a conflict")
@click.option("--limit-bytes", metavar="N", help="Begin no more than so much, with a unit as `20 GiB`")
@click.option("--parallel", type=click.IntRange(1, 64), help="Objects on their way at once")
def run(
    invocation: Invocation,
    tier_name: str | None,
    identifier: str | None,
    limit_bytes: str | None,
    parallel: int | None,
) -> int:
    """Copy what tiers are owed, and read every new copy back before it counts.

    The most endangered objects come first, then the oldest. It can be stopped and run again at any time, and two runs
    at once do no harm. The exit code is 4 when a tier was down or a copy could not be made (3 when a secret could not
    be read), 5 when something else lies where a copy belongs, or no good copy of an object is left to read from.
    """
    with invocation.open_vault() as vault:
        invocation.begin_long_work()
        targets = [vault.settings.tier(tier_name).name] if tier_name else [t.name for t in vault.settings.tiers]
        object_id = vault.find(identifier).id if identifier else None
        invocation.warn_of_unmade(vault)
        vault.place_all()
        tally = _Tally(invocation, vault)
        with vault.tier_pool() as tiers:
            replication = vault.replication(tiers, parallel=parallel)
            outcomes = replication.run(targets, object_id=object_id, limit_bytes=invocation.parse_bytes(limit_bytes))
            for outcome in _with_progress(invocation, vault, outcomes):
                tally.add(outcome)
            return tally.end(replication)


class _Tally:
    """Tells what went wrong as it comes, and all of it at the end."""

    def __init__(self, invocation: Invocation, vault: "Vault") -> None:
        self._invocation, self._vault = invocation, vault
        self._counts: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._began_s = invocation.clock.monotonic_s()
        self._send_s = self._read_back_s = 0.0
        self._failed: list[dict[str, Any]] = []
        self._exit_code = 0

    def add(self, outcome: "TransferOutcome") -> None:
        """Tell one."""
        self._counts[outcome.status] += 1
        self._send_s += outcome.send_s
        self._read_back_s += outcome.read_back_s
        transfer = outcome.transfer
        if outcome.error is None:
            self._bytes[transfer.tier] += transfer.stored_bytes
            return
        name = f"{self._vault.readable(transfer.object_id)} v{transfer.version}"
        explained = str(outcome.error).replace("\n", "\n  ")
        click.echo(f"{outcome.status}: {name} to {transfer.tier}\n  {explained}", err=True)
        self._failed.append(
            {
                "id": transfer.object_id.uri,
                "version": transfer.version,
                "tier": transfer.tier,
                "status": outcome.status,
                **outcome.error.as_json(),
            }
        )
        self._exit_code = max(self._exit_code, 5 if outcome.status in ("conflict", "source failed") else 4)

    def end(self, replication: "Replication") -> int:
        """Tell what it came to; returns the exit code."""
        elapsed_s = self._invocation.clock.monotonic_s() - self._began_s
        for tier, copied in self._bytes.items():
            if copied < LEAST_MEASURED_BYTES:
                continue
            self._vault.catalog.transfers.note_rate(tier, copied / max(elapsed_s, 0.001))
        for tier, error in replication.down.items():
            explained = str(error).replace("\n", "\n  ")
            click.echo(f"tier {tier} is not available; what it is owed waits\n  {explained}", err=True)
            self._exit_code = max(self._exit_code, error.exit_code)
        copied = sum(self._bytes.values())
        said = ", ".join(f"{status}: {count:,}" for status, count in sorted(self._counts.items()))
        nothing = "Nothing was copied" if replication.down else "Nothing was to be done"
        self._invocation.say(f"{said}; {size_text(copied)} in {duration_text(elapsed_s)}" if said else nothing)
        self._invocation.answer(
            {
                "counts": self._counts,
                "copied_bytes": copied,
                "elapsed_s": round(elapsed_s, 3),
                "send_s": round(self._send_s, 3),
                "read_back_s": round(self._read_back_s, 3),
                "failed": self._failed,
                "down": {tier: error.as_json() for tier, error in replication.down.items()},
            }
        )
        return self._exit_code


def _with_progress(
    invocation: Invocation, vault: "Vault", outcomes: "Generator[TransferOutcome]"
) -> "Iterator[TransferOutcome]":
    """The outcomes, with a progress line on a terminal."""
    from jindang.cli.progress import ByteProgress

    owed = sum(total.stored_bytes for total in vault.catalog.transfers.totals())
    done = 0
    with ByteProgress.on_terminal(invocation, "Copying") as bar, contextlib.closing(outcomes):
        bar.watch(lambda: (done, owed))
        for outcome in outcomes:
            done += outcome.transfer.stored_bytes
            yield outcome
