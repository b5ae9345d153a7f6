"""`jindang config check | show | schema`."""

import json

import click

from jindang.cli.invocation import Command, Invocation


@click.group(name="config")
def command() -> None:
    """Check or show the configuration."""


@command.command(cls=Command, name="check")
def check(invocation: Invocation) -> int:
    """Say whether the configuration is right; every mistake at once, each with its line."""
    settings = invocation.settings
    tiers = ", ".join(tier.name for tier in settings.tiers)
    invocation.say(f"{invocation.config_path}: right; {settings.institution.name}, tiers: {tiers}")
    invocation.answer({"valid": True, "config": str(invocation.config_path)})
    return 0


@command.command(cls=Command, name="show")
def show(invocation: Invocation) -> int:
    """Show the configuration in force, with all defaults; secrets stay references."""
    import yaml

    from jindang.config import settings_as_plain

    plain = settings_as_plain(invocation.settings)
    invocation.answer(plain)
    invocation.say(yaml.safe_dump(plain, allow_unicode=True, sort_keys=False).rstrip())
    return 0


@command.command(cls=Command, name="schema")
def schema(invocation: Invocation) -> int:  # noqa: ARG001 - every command is called with it
    """Print the JSON schema of the configuration, for editors that check while one types."""
    from jindang.config import Settings

    click.echo(json.dumps(Settings.model_json_schema(), ensure_ascii=False, indent=1))
    return 0
