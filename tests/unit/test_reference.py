"""The generated reference pages say what the program says, and nothing is left out."""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import click
import pytest
from pydantic import BaseModel

from jindang.config import Settings
from repository.errors import RepositoryError
from repository.ocfl.codes import CODES

ROOT = Path(__file__).resolve().parents[2]


def load_script() -> ModuleType:
    loader = SourceFileLoader("make_reference", str(ROOT / "scripts" / "make-reference"))
    spec = importlib.util.spec_from_loader("make_reference", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes_bytecode
    return module


SCRIPT = load_script()


def page(name: str) -> str:
    return (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SCRIPT.PAGES)
def test_the_committed_page_is_what_the_script_makes(name: str) -> None:
    assert page(name) == SCRIPT.PAGES[name](), "run scripts/make-reference"


def test_the_script_says_that_all_is_up_to_date() -> None:
    argv = [sys.executable, str(ROOT / "scripts" / "make-reference"), "--check"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/")
    assert (done.returncode, done.stdout) == (0, "docs/reference is up to date\n"), done.stderr


def test_every_command_is_documented_with_all_its_options() -> None:
    text = page("command-line.md")
    found = dict(SCRIPT.commands(SCRIPT.command_tree, "jindang"))
    assert len(found) >= 15
    for words, command in found.items():
        section = text.split(f"\n## {words}\n")[1].split("\n## ")[0]
        assert command.help, words
        for parameter in command.params:
            if parameter in SCRIPT.COMMON_OPTIONS:
                continue
            if isinstance(parameter, click.Option):
                assert parameter.help, (words, parameter.name)
                assert all(name in section for name in parameter.opts), (words, parameter.name)
            else:
                assert str(parameter.name).upper() in section


def keys(model: type[BaseModel]) -> Iterator[str]:
    """Every key that the schema has at any depth; of a key that several sections have, at least one is documented."""
    from jindang.config_sample import sections

    for key, field in model.model_fields.items():
        yield key
        for section in sections(field.annotation):
            yield from keys(section)


def test_every_configuration_key_is_documented_once() -> None:
    documented = re.findall(r"(?m)^\| `([^`]+)` \| ([^|]+) \|", page("configuration.md"))
    names = [name for name, _ in documented]
    assert len(names) == len(set(names))
    assert {re.sub(r"\[.*\]", "", name.rpartition(".")[2]) for name in names} == set(keys(Settings))
    assert all(len(meaning) > 5 for _, meaning in documented)


@pytest.mark.parametrize(
    "name",
    [
        "tiers[].name",
        "tiers[disk].path",
        "tiers[object-store].bucket",
        "tiers[object-store].lock.days",
        "base.keep.daily",
    ],
)
def test_the_settings_of_each_kind_of_place_are_documented(name: str) -> None:
    assert f"\n| `{name}` | " in page("configuration.md")


def test_every_code_is_documented() -> None:
    documented = re.findall(r"(?m)^\| `([EWU]\d{3})` \|", page("ocfl-codes.md"))
    assert sorted(documented) == sorted(CODES)


def test_every_error_is_documented_with_its_exit_code() -> None:
    def subclasses(kind: type[RepositoryError]) -> Iterator[type[RepositoryError]]:
        yield kind
        for child in kind.__subclasses__():
            if child.__module__ == RepositoryError.__module__:
                yield from subclasses(child)

    rows = dict(re.findall(r"(?m)^\| (?:&emsp;)*`(\w+)` \| [^|]+ \| (\d+) \|", page("errors.md")))
    assert rows == {kind.__name__: str(kind.exit_code) for kind in subclasses(RepositoryError)}
    assert set(rows.values()) <= set(re.findall(r"(?m)^\| (\d+) \| ", page("errors.md")))
