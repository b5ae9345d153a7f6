"""`jindang doctor`: what Jindang needs on this machine, what is wrong, and what to do."""

from dataclasses import asdict

import click

from jindang.cli.invocation import Command, Invocation


@click.command(cls=Command, name="doctor")
def command(invocation: Invocation) -> int:
    """Check Python, tools, configuration, database, tiers, free space, clock and permissions.

    Each line is ok, a warning or wrong, with what to do. The exit code is 4 when something is wrong.
    """
    from jindang.doctor import Verdict, examine

    findings = examine(invocation.config_path, lambda: invocation.settings, clock=invocation.clock)
    for finding in findings:
        invocation.say(f"{finding.verdict:8} {finding.subject}: {finding.what}")
        if finding.next_step:
            invocation.say(f"{'':9}-> {finding.next_step}")
    wrong = [finding for finding in findings if finding.verdict is Verdict.WRONG]
    warnings = sum(finding.verdict is Verdict.WARNING for finding in findings)
    invocation.say(f"Wrong: {len(wrong)}, warnings: {warnings}" if wrong or warnings else "All is well.")
    invocation.answer({"healthy": not wrong, "findings": [asdict(finding) for finding in findings]})
    return 4 if wrong else 0
