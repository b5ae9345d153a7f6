"""`jindang ocfl validate`."""

import os
from dataclasses import asdict
from pathlib import Path

import click

from jindang.cli.invocation import Command, Invocation


@click.group(name="ocfl")
def command() -> None:
    """Check OCFL objects and storage roots."""


@command.command(cls=Command, name="validate")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--no-digests", is_flag=True, help="Compare names and structure only; read no content")
def validate(invocation: Invocation, path: Path, *, no_digests: bool) -> int:
    """Check an OCFL 1.0 or 1.1 object or storage root against the specification.

    Every finding has the specification's own code: E... is an error, W... a warning. All are reported, not only the
    first. The exit code is 1 when there is an error; warnings do not count.
    """
    from repository.ocfl.validation import report_on

    stop = invocation.begin_long_work()
    objects, errors, warnings = 0, 0, 0
    findings = []
    for report in report_on(path, check_digests=not no_digests, stop=stop, workers=os.cpu_count() or 1):
        objects += bool(report.path)
        for finding in report.findings:
            is_error = finding.severity == "error"
            errors += is_error
            warnings += not is_error
            invocation.say(f"{finding.code} {finding.severity}: {finding.path}: {finding.message}")
            if invocation.as_json:
                findings.append(asdict(finding))
    verdict = "NOT valid" if errors else "valid"
    invocation.say(f"{path}: {verdict}; {objects:,} objects, {errors:,} errors, {warnings:,} warnings")
    invocation.answer({"valid": not errors, "objects": objects, "findings": findings})
    return 1 if errors else 0
