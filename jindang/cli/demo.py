"""`jindang demo`: a repository of its own, from deposit to offsite copies and proof, by an operator's commands."""

import filecmp
import shlex
import shutil
from pathlib import Path

import click

from jindang.cli.invocation import Command, Invocation

EXAMPLES = Path(__file__).parent.parent / "demo"
INTERRUPTED = 130
EXPORTED = "J019-WS·2015·D30-003-005"


@click.command(cls=Command, name="demo")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-vault"),
    show_default=True,
    help="Where to make the demo's repository; what an earlier demo made there is replaced",
)
def command(invocation: Invocation, folder: Path) -> int:
    """Make a small repository, take in the examples, copy them offsite, lose the catalogue and get it back.

    Everything happens in one folder, and nothing else is touched. The object store is a simulated one, which ends with
    the demo.
    """
    from jindang.demo.simulated_store import simulated_store

    show = _Show(invocation, folder)
    show.clear()
    with simulated_store() as endpoint:
        _show_all(show, folder, endpoint)
    show.end()
    invocation.answer({"demo": str(folder), "failures": show.failures})
    return 1 if show.failures else 0


def _show_all(show: "_Show", folder: Path, endpoint: str) -> None:
    from jindang.demo.configuration import write_demo_configuration

    examples = sorted(path for path in (EXAMPLES / "examples").iterdir() if path.suffix != ".yaml")
    refused = sorted((EXAMPLES / "refused").iterdir())
    config = write_demo_configuration(folder, endpoint=endpoint)
    show.tell(f"1. A new repository with copies at three sites and a backup base at a fourth ({config} says where).")
    show.run("init", folder)
    show.tell(
        "2. Deposits: scanned pages, BagIt bags, a document, a sound file, odd names. One command takes them all."
    )
    show.run("ingest", *examples)
    show.tell("3. The same again changes nothing.")
    show.run("ingest", *examples)
    show.tell("4. A bag with one wrong byte is refused, and nothing of it is kept.")
    show.run("ingest", *refused, expected=1)
    show.tell("5. Offsite: every place gets what it is owed, and each copy is read back before it counts.")
    show.run("replicate", "plan")
    show.run("replicate", "run")
    show.run("backup", "run")
    show.run("status")
    show.tell("6. What the repository holds.")
    show.run("list")
    show.run("show", EXPORTED)
    show.tell("7. One object goes out again, and is compared with what was deposited.")
    export = folder / "export" / EXPORTED
    export.parent.mkdir()
    show.run("export", EXPORTED, export)
    show.prove_equal(EXAMPLES / "examples" / EXPORTED, export / "data")
    show.tell("8. The catalogue is lost, and made again from the object store alone; no pack is opened for it.")
    show.lose_catalogue()
    show.run("catalog", "rebuild", "--from", "store")
    show.run("catalog", "rebuild", "--from", "base")
    show.run("catalog", "rebuild", "--from", "second")
    show.run("catalog", "rebuild")
    show.tell("9. The proof: catalogue and storage agree, and every byte is what the object's inventory says.")
    show.run("catalog", "check")
    show.run("ocfl", "validate", folder / "primary")
    show.run("ocfl", "validate", folder / "second")


class _Show:
    """Runs the commands as an operator would, in this process, and counts what did not go as announced."""

    def __init__(self, invocation: Invocation, folder: Path) -> None:
        self._invocation, self._folder = invocation, folder
        self.failures = 0

    def clear(self) -> None:
        """Remove what an earlier demo made; anything else in the way is left alone and refused."""
        from repository.errors import InvalidInputError

        marker = self._folder / ".jindang-demo"
        if self._folder.exists() and any(self._folder.iterdir()):
            if not marker.exists():
                raise InvalidInputError(
                    "The folder was not made by the demo",
                    where=self._folder,
                    next_step="name a folder that does not exist yet with --dir",
                )
            shutil.rmtree(self._folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        marker.touch()

    def tell(self, text: str) -> None:
        """A heading."""
        self._invocation.say(f"\n{click.style(text, bold=True)}")

    def run(self, *words: object, expected: int = 0) -> None:
        """Show a command and run it."""
        from jindang.cli import run

        arguments = [str(word) for word in words]
        config = [] if arguments[0] == "init" else ["--config", str(self._folder / "jindang.yaml")]
        shown = [_short(argument) for argument in arguments]
        self._invocation.say(click.style(f"$ jindang {shlex.join(shown)}", fg="cyan"))
        quiet = ["--quiet"] if self._invocation.quiet or self._invocation.as_json else []
        code = run([*arguments, *config, *quiet])
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        if code != expected:
            self.failures += 1
            click.echo(f"This should have ended with exit code {expected}, and ended with {code}", err=True)

    def lose_catalogue(self) -> None:
        """Throw the database away."""
        self._invocation.say(click.style(f"$ rm {self._folder}/data/catalogue.sqlite*", fg="cyan"))
        for file in (self._folder / "data").glob("catalogue.sqlite*"):
            file.unlink()

    def prove_equal(self, deposited: Path, exported: Path) -> None:
        """Compare two folders, byte for byte."""
        names = sorted(entry.name for entry in deposited.iterdir())
        _, differing, missing = filecmp.cmpfiles(deposited, exported, names, shallow=False)
        extra = {entry.name for entry in exported.iterdir()} - set(names)
        if differing or missing or extra:
            self.failures += 1
            click.echo(f"NOT equal: {', '.join([*differing, *missing, *sorted(extra)])}", err=True)
        else:
            self._invocation.say(f"Equal, byte for byte: {len(names)} files of the deposit and of the export")

    def end(self) -> None:
        """What to do next."""
        config = self._folder / "jindang.yaml"
        self.tell("Now with your own:")
        for line in (
            "jindang init my-archive --code 120000 --name 'My archive'",
            "jindang --config my-archive/jindang.yaml ingest PATH/OF/A/FOLDER",
            "jindang --config my-archive/jindang.yaml status",
        ):
            self._invocation.say(f"  .venv/bin/{line}")
        self._invocation.say(
            f"The demo's repository stays in {self._folder}; try: .venv/bin/jindang --config {config} list\n"
            "Its object store was simulated and has ended, so `status` will say that this tier is not available."
        )


def _short(argument: str) -> str:
    path = Path(argument)
    return f".../{path.name}" if path.is_relative_to(EXAMPLES) else argument
