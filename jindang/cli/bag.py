"""`jindang bag validate`."""

from dataclasses import asdict
from pathlib import Path

import click

from jindang.cli.invocation import Command, Invocation


@click.group(name="bag")
def command() -> None:
    """Check BagIt bags."""


@command.command(cls=Command, name="validate")
@click.argument("path", type=click.Path(path_type=Path))
def validate(invocation: Invocation, path: Path) -> int:
    """Say whether a BagIt bag (0.93 to 1.0; a folder, .zip, .tar or .tar.gz) is valid, and why not.

    Every file is read and hashed. Nothing is written or fetched. The exit code is 1 when the bag is not valid;
    warnings do not count.
    """
    from repository.packages.bag_validation import validate_bag
    from repository.packages.package import Limits

    report = validate_bag(path, limits=Limits(), stop=invocation.begin_long_work())
    for error in report.errors:
        invocation.say(f"error: {error}")
    for warning in report.warnings:
        invocation.say(f"warning: {warning}")
    verdict = "valid" if report.valid else "NOT valid"
    invocation.say(
        f"{path}: {verdict}; BagIt {report.version or '?'}, {report.files:,} files, {report.size_bytes:,} bytes"
    )
    invocation.answer(asdict(report))
    return 0 if report.valid else 1
