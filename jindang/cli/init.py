"""`jindang init`: a new repository in a folder, or what is missing of one."""

from pathlib import Path

import click

from jindang.cli.invocation import Command, Invocation


@click.command(cls=Command, name="init")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), required=False)
@click.option("--code", default="000000", show_default=True, help="The institution's code")
@click.option("--name", default="示例档案馆 (example archive)", show_default=True, help="The institution's name")
def command(invocation: Invocation, folder: Path | None, code: str, name: str) -> int:
    """Make a new repository.

    With FOLDER: writes FOLDER/jindang.yaml, a commented configuration, unless there is one, and makes everything that
    it names: data folder, catalogue, tiers. Without FOLDER: makes what the configuration names and is missing.
    Running it again changes nothing that is there.
    """
    from jindang.config_sample import write_sample
    from jindang.vault import create_vault

    if folder is not None:
        invocation.config = folder / "jindang.yaml"
        if write_sample(invocation.config, code=code, name=name):
            invocation.say(f"Wrote {invocation.config}")
    settings = invocation.settings
    create_vault(settings, clock=invocation.clock)
    invocation.say(f"The repository of {settings.institution.name} is ready")
    for tier in settings.tiers:
        invocation.say(f"  tier {tier.name}: {tier.where}")
    invocation.say(f"Next: jindang --config {invocation.config_path} ingest PACKAGE...")
    invocation.answer({"config": str(invocation.config_path), "tiers": [t.name for t in settings.tiers]})
    return 0
