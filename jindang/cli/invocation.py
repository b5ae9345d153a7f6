"""What every command shares: the common options, the opened repository, and how results are printed."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from repository.clock import SystemClock
from repository.errors import ConfigError, InvalidInputError
from repository.stop import StopToken

if TYPE_CHECKING:
    from jindang.config import Settings
    from jindang.vault import Vault

CONFIG_VARIABLE = "JINDANG_CONFIG"
DEFAULT_CONFIG = Path("jindang.yaml")


class Invocation:
    """One call of the program: what the common options said, and what is opened on demand."""

    def __init__(self) -> None:
        self.config: Path | None = None
        self.as_json = False
        self.verbose = False
        self.quiet = False
        self.clock = SystemClock()
        self.stop = StopToken()
        self.polls_stop = False
        """Whether the command ends by itself soon after `stop` is set; else the first signal ends it."""
        self._settings: Settings | None = None

    @property
    def config_path(self) -> Path:
        """The configuration file: the option, the environment, or `jindang.yaml` here."""
        named = os.environ.get(CONFIG_VARIABLE)
        return self.config or (Path(named) if named else DEFAULT_CONFIG)

    @property
    def settings(self) -> "Settings":
        """The configuration, read once. Raises ConfigError."""
        if self._settings is None:
            from jindang.config_file import load_settings

            if self.config is None and CONFIG_VARIABLE not in os.environ and not DEFAULT_CONFIG.exists():
                raise ConfigError(
                    "There is no configuration",
                    problems=(
                        "name one with --config FILE or JINDANG_CONFIG, or go to a folder that has a jindang.yaml",
                        "make a new repository with `jindang init DIR`",
                    ),
                )
            self._settings = load_settings(self.config_path)
        return self._settings

    def open_vault(self) -> "Vault":
        """The repository of the configuration; a context manager."""
        from jindang.vault import Vault

        return Vault(self.settings, clock=self.clock, stop=self.stop)

    def begin_long_work(self) -> StopToken:
        """For commands that log and that a signal stops in order; returns what they must poll."""
        from jindang.logs import configure_logs

        configure_logs(verbose=self.verbose)
        self.polls_stop = True
        return self.stop

    def parse_bytes(self, text: str | None) -> int | None:
        """`20 GiB` -> bytes; None stays None. Raises InvalidInputError."""
        if text is None:
            return None
        from pydantic import ByteSize, TypeAdapter, ValidationError

        try:
            return int(TypeAdapter(ByteSize).validate_python(text.replace(" ", "")))
        except ValidationError:
            raise InvalidInputError("This is no number of bytes", where=text, next_step="write as `20 GiB`") from None

    def warn_of_unmade(self, vault: "Vault") -> None:
        """Say which tiers are not made yet: they are owed nothing so far, and that would mislead."""
        for name in vault.unmade:
            click.echo(f"warning: {name} is in the configuration and not made yet; run `jindang init` again", err=True)

    def say(self, text: str = "") -> None:
        """A line for people; nothing with --json or -q."""
        if not self.as_json and not self.quiet:
            click.echo(text)

    def answer(self, document: dict[str, Any]) -> None:
        """The one JSON document of --json."""
        if self.as_json:
            click.echo(json_text(document))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> None:
        """A table for people; nothing with --json or -q."""
        rows = list(rows)
        if self.as_json or self.quiet or not rows:
            return
        from rich.console import Console
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, justify="right" if column in right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(_cell(value) for value in row))
        width = None if sys.stdout.isatty() else 1000
        console = Console(width=width, highlight=False, markup=False)
        with console.capture() as captured:
            console.print(table)
        click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def json_text(document: dict[str, Any]) -> str:
    """JSON that people can read too; a file name that is not UTF-8 keeps its bytes as escapes."""
    text = json.dumps(document, ensure_ascii=False, indent=1, default=str)
    return text.encode(errors="backslashreplace").decode()


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    return "-" if value is None else str(value)


def size_text(size_bytes: int | None) -> str | None:
    """A size as people read it: `187,460 bytes`, `72.8 GiB`."""
    if size_bytes is None or size_bytes < 1 << 20:
        return None if size_bytes is None else f"{size_bytes:,} bytes"
    power = min((size_bytes.bit_length() - 1) // 10, 5)
    return f"{size_bytes / (1 << 10 * power):,.1f} {'KMGTP'[power - 1]}iB"


def duration_text(seconds: float) -> str:
    """A duration as people read it: `12 s`, `3 h 20 min`, `2 days 4 h`."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 100:  # noqa: PLR2004 - up to here seconds say more
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004
    if minutes < 100:  # noqa: PLR2004
        return f"{minutes} min"
    if hours < 48:  # noqa: PLR2004
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} days {hours % 24} h"


COMMON_OPTIONS: tuple[click.Option, ...] = (
    click.Option(
        ["--config"],
        type=click.Path(path_type=Path),
        metavar="FILE",
        help=f"Configuration file  [default: ${CONFIG_VARIABLE}, or ./{DEFAULT_CONFIG}]",
    ),
    click.Option(["--json", "as_json"], is_flag=True, help="One JSON document on standard output"),
    click.Option(["-v", "--verbose"], is_flag=True, help="Say more, on standard error"),
    click.Option(["-q", "--quiet"], is_flag=True, help="Say nothing but errors"),
)


def take_common_options(ctx: click.Context, given: dict[str, Any]) -> None:
    """Note what the common options said, wherever they stood."""
    invocation: Invocation = ctx.obj
    for name in ("config", "as_json", "verbose", "quiet"):
        value = given.pop(name, None)
        if value:
            setattr(invocation, name, value)


class Command(click.Command):
    """A command that takes the common options and is called with the Invocation first; it returns an exit code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["params"] = [*(kwargs.get("params") or ()), *COMMON_OPTIONS]
        super().__init__(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Call the function."""
        take_common_options(ctx, ctx.params)
        if self.callback is None:
            raise NotImplementedError(self.name)
        return self.callback(ctx.obj, **ctx.params)
