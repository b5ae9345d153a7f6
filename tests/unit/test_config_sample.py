"""The sample that `jindang init` writes: right as it is, and its comments say the truth."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from jindang.config import Settings
from jindang.config_file import load_settings
from jindang.config_sample import sample, sections, write_sample


def uncommented(text: str) -> dict[str, Any]:
    """The sample with every commented setting in force."""
    values: dict[str, Any] = yaml.safe_load(re.sub(r"(?m)^( *)#(?=[\w-])", r"\1", text))
    return values


def described(model: type[BaseModel]) -> Iterator[tuple[str, str | None]]:
    """Every key of the schema, at every depth."""
    for key, field in model.model_fields.items():
        yield key, field.description
        for section in sections(field.annotation):
            yield from described(section)


def test_the_sample_is_a_right_configuration(tmp_path: Path) -> None:
    path = tmp_path / "new" / "jindang.yaml"
    assert write_sample(path, code="120000", name='天津市档案馆 "本馆"')
    settings = load_settings(path)
    assert settings.institution.name == '天津市档案馆 "本馆"'
    assert [tier.name for tier in settings.tiers] == ["primary"]
    assert settings.base is None
    assert settings.policies == ()
    assert path.read_text().endswith("\n")


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "jindang.yaml"
    path.write_text("mine")
    assert not write_sample(path, code="120000", name="x")
    assert path.read_text() == "mine"


def test_the_commented_settings_are_the_defaults() -> None:
    text = sample(code="120000", name="x")
    defaults = Settings.model_validate(yaml.safe_load(text))
    given = uncommented(text)
    assert given.keys() == Settings.model_fields.keys()
    for section, example in (("institution", "identifier_prefix"), ("database", "url"), ("database", "password")):
        assert given[section].pop(example)  # these have no default
    assert given.pop("base")
    assert given.pop("policies")
    given["tiers"] = given["tiers"][:1]
    assert given["tiers"][0].pop("operator")
    assert given["tiers"][0].pop("bandwidth")
    assert Settings.model_validate(given) == defaults


def test_the_commented_examples_are_right_as_they_stand() -> None:
    given = uncommented(sample(code="120000", name="x"))
    given["database"].pop("password")  # it shows all three kinds of reference
    settings = Settings.model_validate(given)
    assert [(tier.name, tier.kind) for tier in settings.tiers] == [
        ("primary", "disk"),
        ("second", "disk"),
        ("store", "object-store"),
    ]
    assert settings.base is not None
    assert settings.placement.objections() == []
    assert [policy.copies for policy in settings.policies] == [4]


def test_every_setting_stands_in_the_sample_with_its_description() -> None:
    text = sample(code="120000", name="x")
    for key, description in described(Settings):
        assert f"# {description}\n" in text, key
        assert re.search(rf"(?m)^ *#?{key}:", text), key


def test_nothing_is_explained_twice() -> None:
    explained = re.findall(r"(?m)^ *# ([A-Z].*)$", sample(code="120000", name="x"))
    assert len(explained) > 50
    assert [text for text in explained if explained.count(text) > 1] == []
