"""The command line: one command in each file, imported when it is called, so that `--help` is there at once."""

import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence

import click

from jindang.cli.invocation import COMMON_OPTIONS, Invocation, take_common_options
from repository.errors import RepositoryError

COMMANDS = {
    "backup": "Archive on the backup base, list and check what it has",
    "bag": "Check BagIt bags",
    "catalog": "Compare, rebuild or upgrade the catalogue",
    "config": "Check or show the configuration",
    "demo": "Show everything on a small repository of its own",
    "doctor": "Check what Jindang needs on this machine",
    "export": "Write an object to a folder or a bag",
    "ingest": "Take in packages",
    "init": "Make a new repository",
    "list": "List objects",
    "ocfl": "Check OCFL objects and storage roots",
    "replicate": "Give every tier the copies that it is owed",
    "show": "Show one object",
    "status": "Show what the repository holds and how it is",
    "tier": "List tiers, and try out whether one keeps its promises",
}
"""Command -> one line of help; the command itself is `command` in the module of its name."""

_MODULES = {"export": "export_object", "list": "list_objects"}
"""Where the command's name would hide a builtin or say too little."""


class CommandTree(click.Group):
    """Knows all commands, imports one."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In alphabetical order."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import it."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"jindang.cli.{_MODULES.get(cmd_name, cmd_name)}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List them without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(
    cls=CommandTree,
    name="jindang",
    params=list(COMMON_OPTIONS),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    no_args_is_help=True,
)
@click.version_option(package_name="jindang", prog_name="jindang")
@click.pass_context
def jindang(ctx: click.Context, /, **given: object) -> None:
    """Jindang 金档: a preservation repository with backup and disaster recovery.

    Begin with `jindang init DIR`, then `jindang --config DIR/jindang.yaml ingest PACKAGE...`.

    Exit codes: 0 done and nothing wrong; 1 done, and something is wrong with what was looked at; 2 bad usage;
    3 bad configuration; 4 a tier, database or tool is unavailable; 5 integrity loss; 130 interrupted.
    """
    take_common_options(ctx, given)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Run one command; returns its exit code."""
    invocation = Invocation()
    try:
        return _run(arguments, invocation)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted; what was acknowledged is safe", err=True)
        return 130
    except BrokenPipeError:  # the reader has gone, as with `| head`; nothing more can be told
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except RepositoryError as error:
        return _tell(error, invocation)
    except Exception as error:  # noqa: BLE001 - the last resort: a fault is told in words too
        if invocation.verbose:
            traceback.print_exc()
        return _tell(
            RepositoryError(
                "Something went wrong that Jindang did not expect; what was acknowledged is safe",
                why=f"{type(error).__name__}: {error}",
                next_step="run it again with --verbose, and report this with what it says",
            ),
            invocation,
        )


def _run(arguments: list[str], invocation: Invocation) -> int:
    _stop_on_signals(invocation)
    try:
        with jindang.make_context("jindang", arguments, obj=invocation) as ctx:
            result = ctx.command.invoke(ctx)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return result if isinstance(result, int) else 0


def _tell(error: RepositoryError, invocation: Invocation) -> int:
    """An error for people, and for machines when they asked; returns its exit code."""
    invocation.answer(error.as_json())
    click.echo(f"Error: {error}", err=True)
    return error.exit_code


def _stop_on_signals(invocation: Invocation) -> None:
    """The first signal asks running work to stop in order, the second stops hard."""

    def ask(_number: int, _frame: object) -> None:
        if invocation.stop.is_set or not invocation.polls_stop:
            raise KeyboardInterrupt
        invocation.stop.set()

    signal.signal(signal.SIGINT, ask)
    signal.signal(signal.SIGTERM, ask)
