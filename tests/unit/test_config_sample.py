"""The sample that `jindang init` writes: right as it is, and its comments say the truth."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel

from jindang.config import Settings
from jindang.config_file import load_settings
from jindang.config_sample import sample, write_sample

_EXAMPLES = {"identifier_prefix", "url", "password"}
"""Commented settings that show an example, because they have no default."""


def uncommented(text: str) -> dict[str, Any]:
    """The sample with every commented setting in force."""
    values: dict[str, Any] = yaml.safe_load(re.sub(r"(?m)^( *)#(?=\w)", r"\1", text))
    return values


def differences(given: dict[str, Any], defaults: dict[str, Any]) -> set[str]:
    found = set()
    for key, value in given.items():
        if isinstance(value, dict) and isinstance(defaults[key], dict):
            found |= differences(value, defaults[key])
        elif value != defaults[key] and not isinstance(value, list):
            found.add(key)
    return found


def described(model: type[BaseModel]) -> Iterator[tuple[str, str | None]]:
    """Every key of the schema, at every depth."""
    for key, field in model.model_fields.items():
        yield key, field.description
        for choice in (field.annotation, *get_args(field.annotation)):
            if isinstance(choice, type) and issubclass(choice, BaseModel):
                yield from described(choice)


def test_the_sample_is_a_right_configuration(tmp_path: Path) -> None:
    path = tmp_path / "new" / "jindang.yaml"
    assert write_sample(path, code="120000", name='天津市档案馆 "本馆"')
    settings = load_settings(path)
    assert settings.institution.name == '天津市档案馆 "本馆"'
    assert [tier.name for tier in settings.tiers] == ["primary"]
    assert path.read_text().endswith("\n")


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "jindang.yaml"
    path.write_text("mine")
    assert not write_sample(path, code="120000", name="x")
    assert path.read_text() == "mine"


def test_the_commented_settings_are_the_defaults() -> None:
    text = sample(code="120000", name="x")
    defaults = Settings.model_validate(yaml.safe_load(text)).model_dump(mode="json")
    given = uncommented(text)
    assert differences(given, defaults) == _EXAMPLES
    assert given.keys() == defaults.keys()


def test_every_setting_stands_in_the_sample_with_its_description() -> None:
    text = sample(code="120000", name="x")
    for key, description in described(Settings):
        assert f"# {description}\n" in text, key
        assert re.search(rf"(?m)^ *#?{key}:", text), key
