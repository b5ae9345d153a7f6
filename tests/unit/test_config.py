"""The configuration: what it takes, and that every mistake is told at once, each with its place."""

from pathlib import Path

import pytest

from jindang.config import Secret, Settings
from jindang.config_file import MAX_CONFIG_BYTES, load_settings
from jindang.secrets import read_secret, read_whole_secret
from repository.errors import ConfigError

SMALLEST = """\
institution: {code: "120000", name: 天津市档案馆}
tiers: [{name: primary, path: primary}]
"""


def load(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "jindang.yaml"
    path.write_text(text)
    return load_settings(path)


def problems(tmp_path: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert caught.value.exit_code == 3
    assert str(tmp_path / "jindang.yaml") in str(caught.value)
    return caught.value.problems


def problem(tmp_path: Path, text: str) -> str:
    (only,) = problems(tmp_path, text)
    return only


def test_the_smallest_configuration_has_defaults_for_the_rest(tmp_path: Path) -> None:
    settings = load(tmp_path, SMALLEST)
    assert settings.institution.prefix == "urn:jindang:120000:"
    assert settings.data == tmp_path / "data"
    assert settings.primary.path == tmp_path / "primary"
    assert settings.database_url == f"sqlite:///{tmp_path / 'data' / 'catalogue.sqlite'}"
    assert settings.ingest.digest == "sha512"
    assert settings.ingest.allow_state_secrets is False
    assert settings.ingest.reserve_bytes == 1 << 30


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = load(tmp_path, SMALLEST)
    with pytest.raises(ValueError, match="frozen"):
        settings.data = tmp_path  # type: ignore[misc]


def test_paths_are_relative_to_the_file_and_not_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    settings = load(tmp_path, SMALLEST + "data: ../data\ndatabase: {url: 'sqlite:///db/c.sqlite'}\n")
    assert settings.data == tmp_path.parent / "data"
    assert settings.database_url == f"sqlite:///{tmp_path}/db/c.sqlite"
    assert load(tmp_path, SMALLEST + f"data: {elsewhere}\n").data == elsewhere


def test_every_mistake_is_told_at_once_with_its_line_and_what_is_allowed(tmp_path: Path) -> None:
    text = """\
institution: {code: 120000, name: ""}
tiers: primary
colour: red
database: 5
ingest:
  digest: md5
  workers: lots
  allow_state_secrets: maybe
  reserve_bytes: 5 apples
  limits: {max_files: 0, max_file: 1}
"""
    assert problems(tmp_path, text) == (
        'line 1, institution.code: 120000 is not allowed; give text; a number in quotes, as "120000"',
        "line 1, institution.name: '' is not allowed; give a text that is not empty",
        "line 2, tiers: 'primary' is not allowed; give a list: one entry on each line, beginning with `- `",
        (
            "line 3, colour: there is no such setting here; allowed are base, data, database, ingest, institution, "
            "policies, replication, tiers"
        ),
        "line 4, database: 5 is not allowed; give settings of its own, each as `key: value`",
        "line 6, ingest.digest: 'md5' is not allowed; allowed are 'sha512' or 'sha256'",
        "line 7, ingest.workers: 'lots' is not allowed; give a whole number",
        "line 8, ingest.allow_state_secrets: 'maybe' is not allowed; give true or false",
        (
            "line 9, ingest.reserve_bytes: '5apples' is not allowed; give a number of bytes, with a unit if you "
            "like: `2 TiB`"
        ),
        (
            "line 10, ingest.limits.max_file: there is no such setting here; allowed are max_archive_ratio, "
            "max_bytes, max_depth, max_files"
        ),
        "line 10, ingest.limits.max_files: 0 is not allowed; input should be greater than or equal to 1",
    )


def test_what_is_missing_is_told_with_its_meaning(tmp_path: Path) -> None:
    assert problems(tmp_path, "data: x\ntiers: [{kind: disk}]\n") == (
        "line 1, institution: this setting is missing: Whose records these are.",
        (
            "line 2, tiers[0].name: this setting is missing: A short name: lower-case letters, digits and `-`. "
            "It appears in every report; never change it later."
        ),
        "line 2, tiers[0].path: this setting is missing: The folder; relative to this file, or absolute.",
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://localhost/jindang", "does not have the right form"),
        ("sqlite://", "a file of its own"),
        ("sqlite:///:memory:", "a file of its own"),
        ("postgresql://jindang:secret@localhost/jindang", "a password may not stand in the URL"),
        ("postgresql://jindang@localhost/jindang?password=secret", "a password may not stand in the URL"),
        ("postgresql://localhost:port/jindang", "the port is not a number"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused(tmp_path: Path, url: str, said: str) -> None:
    assert said in problem(tmp_path, SMALLEST + f"database: {{url: '{url}'}}\n")


def test_the_postgresql_driver_is_filled_in(tmp_path: Path) -> None:
    settings = load(tmp_path, SMALLEST + "database: {url: 'postgresql://jindang@[::1]:5432/jindang?host=/run'}\n")
    assert settings.database_url == "postgresql+psycopg://jindang@[::1]:5432/jindang?host=/run"


@pytest.mark.parametrize("written", ["2 TiB", "2TiB", "2199023255552"])
def test_sizes_have_units(tmp_path: Path, written: str) -> None:
    settings = load(tmp_path, SMALLEST + f"ingest: {{limits: {{max_bytes: {written}}}}}\n")
    assert settings.ingest.limits.max_bytes == 2 << 40


def test_a_setting_that_stands_twice_is_told_with_both_kinds_of_list(tmp_path: Path) -> None:
    text = 'institution: {code: a, name: b, code: c}\ntiers: [{name: a, path: p, path: q}]\ndata: x\n"data": y\n'
    assert problems(tmp_path, text) == (
        "line 1, institution.code: stands twice; keep one",
        "line 2, tiers[0].path: stands twice; keep one",
        "line 4, data: stands twice; keep one",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a list of settings"),
        ("- a\n", "not a list of settings"),
        ("just words\n", "not a list of settings"),
        ("a: b: c\n", "not YAML"),
        ("a: &a [*a]\n", "cannot be used"),
        ("? [a]\n: b\n", "cannot be used"),
        ("a: !!python/name:os.system x\n", "cannot be used"),
        ("a: " + "[" * 3000 + "\n", "not YAML"),
        ("#" * (MAX_CONFIG_BYTES + 1), "larger than 1 MiB"),
    ],
)
def test_what_is_no_configuration_at_all_is_told_in_words(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "jindang.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        load_settings(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jindang.yaml"
    path.write_bytes("institution: {name: 天津}\n".encode("gbk"))
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_settings(path)


@pytest.mark.parametrize("where", [".", "nothing-here.yaml"])
def test_a_file_that_cannot_be_read_names_the_way_to_one(tmp_path: Path, where: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        load_settings(tmp_path / where)
    assert "jindang init DIR" in str(caught.value)


def test_there_is_no_tier_of_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no tier 'second'; the configuration has primary"):
        load(tmp_path, SMALLEST).tier("second")


def test_a_secret_is_exactly_one_reference(tmp_path: Path) -> None:
    said = problem(tmp_path, SMALLEST + "database: {password: {env: A, file: b}}\n")
    assert "give exactly one of env, file, command" in said


def test_a_secret_comes_from_where_the_reference_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("from the file\nsecond line\n")
    monkeypatch.setenv("A_SECRET", "from the environment")
    assert read_secret(Secret(env="A_SECRET")) == "from the environment"
    assert read_secret(Secret(file=tmp_path / "secret")) == "from the file"
    assert read_whole_secret(Secret(file=tmp_path / "secret")) == "from the file\nsecond line\n"
    assert read_secret(Secret(command=("printf", "%s\n", "from a program"))) == "from a program"


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        (Secret(env="NOT_SET_ANYWHERE"), "NOT_SET_ANYWHERE is not set"),
        (Secret(file=Path("/nothing/here")), "/nothing/here"),
        (Secret(command=("false",)), "false"),
        (Secret(command=("/nothing/here",)), "/nothing/here"),
        (Secret(command=("true",)), "cannot be read"),
    ],
)
def test_a_secret_that_is_not_there_is_a_configuration_error(secret: Secret, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_secret(secret)
