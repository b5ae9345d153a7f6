"""Metadata: from the files that people write, to `metadata/object.json`, and back."""

import json
from pathlib import Path
from typing import Any

import pytest

from repository.aip import metadata_bytes, metadata_from_plain
from repository.errors import InvalidInputError
from repository.ingest.metadata_file import metadata_beside, read_metadata_file
from repository.model import Metadata, OpeningStatus, Retention, SecurityClass

FULL: dict[str, Any] = {
    "title": "天津城建规划图",
    "reference_code": "J019-WS·2015·D30-003-005",
    "fonds": "J019",
    "year": 2015,
    "retention": "30年",
    "security_class": "公开",
    "opening_status": "延期开放",
    "fields": {"责任者": "天津市规划局", "页数": 12},
}


def parsed(values: dict[str, Any], base: Metadata | None = None) -> Metadata:
    return metadata_from_plain(values, base=base or Metadata(), where="package.yaml")


def refusal(values: dict[str, Any]) -> str:
    with pytest.raises(InvalidInputError) as caught:
        parsed(values)
    return str(caught.value)


def read(path: Path, text: str) -> dict[str, dict[str, Any]]:
    path.write_text(text)
    return read_metadata_file(path)


def wrong_file(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InvalidInputError) as caught:
        read_metadata_file(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


# values


def test_every_key_is_read() -> None:
    assert parsed(FULL) == Metadata(
        title="天津城建规划图",
        reference_code="J019-WS·2015·D30-003-005",
        fonds="J019",
        year=2015,
        retention=Retention.THIRTY_YEARS,
        security_class=SecurityClass.PUBLIC,
        opening_status=OpeningStatus.DEFERRED,
        fields={"责任者": "天津市规划局", "页数": "12"},
    )


def test_where_nothing_is_said_the_careful_value_holds() -> None:
    assert parsed({}).security_class is SecurityClass.INTERNAL
    assert parsed({}).opening_status is OpeningStatus.NOT_REVIEWED


def test_what_is_not_given_stays_and_null_takes_away() -> None:
    before = parsed(FULL)
    after = parsed({"title": "New title", "security_class": None, "fonds": None, "fields": {"a": None}}, before)
    assert after.title == "New title"
    assert after.reference_code == before.reference_code
    assert after.fonds is None
    assert after.security_class is SecurityClass.INTERNAL
    assert after.fields == {}


def test_all_that_is_wrong_is_told_at_once_with_what_is_allowed() -> None:
    said = refusal({"titel": "x", "year": "last", "retention": "ever", "security_class": "top", "fields": {"a": [1]}})
    assert "package.yaml" in said
    assert "titel: there is no such key" in said
    assert "year: 'last' is not allowed; give a year as a number" in said
    assert "retention: 'ever' is not allowed; allowed are 永久, 30年, 10年, 长期, 短期" in said
    assert "security_class: 'top' is not allowed; allowed are 公开, 内部, 秘密, 机密, 绝密" in said
    assert "a: give text" in said
    assert "keys are title, reference_code" in said


@pytest.mark.parametrize("value", ["", " ", "two\nlines", "tab\there", "\ud800", "a\u2028b", "x" * 2001, ["a"], True])
def test_a_text_is_one_line_that_can_be_written_everywhere(value: object) -> None:
    assert "title:" in refusal({"title": value})


@pytest.mark.parametrize("value", [0, 10000, -5, "20l5", 2015.5, True])
def test_a_year_is_a_number_of_four_digits_at_most(value: object) -> None:
    assert "year:" in refusal({"year": value})


@pytest.mark.parametrize("value", ["2015", 2015, " 2015 "])
def test_a_year_may_be_written_as_text(value: object) -> None:
    assert parsed({"year": value}).year == 2015


def test_stored_metadata_is_the_same_again_and_always_the_same_bytes() -> None:
    metadata = parsed(FULL)
    data = metadata_bytes(metadata)
    assert parsed(json.loads(data)) == metadata
    again = parsed(dict(reversed(FULL.items())))
    assert metadata_bytes(again) == data
    assert "天津城建规划图" in data.decode()  # people can read it


# files


def test_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    yaml = "title: 规划图\nyear: 2015\nfields:\n  页数: 12\n"
    as_yaml = read(tmp_path / "p.yaml", yaml)
    as_json = read(tmp_path / "p.json", '{"title": "规划图",\n\t"year": 2015, "fields": {"页数": 12}}')
    assert parsed(as_yaml[""]) == parsed(as_json[""])


def test_yaml_leaves_text_as_it_was_written(tmp_path: Path) -> None:
    """YAML 1.1 takes 017 for fifteen, `no` for false, 1:30 for ninety and a date for a moment."""
    text = "fonds: 017\nreference_code: 1:30\ntitle: no\nfields: {形成日期: 2015-03-01, 份: 007, 比: 1e3, 空: ~}\n"
    metadata = parsed(read(tmp_path / "p.yaml", text)[""])
    assert (metadata.fonds, metadata.reference_code, metadata.title) == ("017", "1:30", "no")
    assert metadata.fields == {"形成日期": "2015-03-01", "份": "007", "比": "1e3"}


def test_json_is_read_as_json_and_not_as_yaml(tmp_path: Path) -> None:
    text = '{\n\t"title": "a\\/b \\ud83d\\udce6"\n}'
    assert parsed(read(tmp_path / "p.json", text)[""]).title == "a/b 📦"


def test_csv_has_a_row_for_each_package(tmp_path: Path) -> None:
    text = (
        "\ufeffpackage, identifier,title,year,责任者\r\n"
        'vol-1,J019-1,"a, ""quoted"" title",2015,规划局\r\n'
        "vol-2.zip,,,,\r\n"
    )
    rows = read(tmp_path / "p.csv", text)
    assert rows == {
        "vol-1": {
            "identifier": "J019-1",
            "title": 'a, "quoted" title',
            "year": "2015",
            "fields": {"责任者": "规划局"},
        },
        "vol-2.zip": {},
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("title: [", "it is not YAML or JSON"),
        ("- a\n", "not a list of `key: value`"),
        ("", "not a list of `key: value`"),
        ("title: a\ntitle: b\n", "`title` stands twice"),
        ("fields: {a: 1, a: 2}\n", "`a` stands twice"),
        ("a: !!python/name:os.system x\n", "it is not YAML or JSON"),
        ("a: " + "[" * 3000, "it is not YAML or JSON"),
        ("title: 规划图".encode("gbk"), "it is not UTF-8"),
    ],
)
def test_a_yaml_file_that_cannot_be_used_says_why(tmp_path: Path, content: str | bytes, said: str) -> None:
    assert said in wrong_file(tmp_path / "p.yaml", content)


@pytest.mark.parametrize(
    ("content", "said"),
    [('{"title": "a", "title": "b"}', "`title` stands twice"), ("{'title': 'a'}", "not YAML or JSON")],
)
def test_a_json_file_that_cannot_be_used_says_why(tmp_path: Path, content: str, said: str) -> None:
    assert said in wrong_file(tmp_path / "p.json", content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name,title\na,b\n", "no column `package`; its first line is 'name, title'"),
        ("package;title\na;b\n", "no column `package`"),
        ("", "no column `package`"),
        ("package,title\na,b\na,c\n", "line 3: the package is not named, named twice"),
        ("package,title\n,b\n", "line 2: the package is not named"),
        ("package,title\na,b,c\n", "line 2: the package is not named, named twice, or has extra cells"),
        ("package,title,title\na,b,c\n", "`title` stands twice"),
        ('package,title\na,"b\n', "line"),
        ("package,题名\na,规划图\n".encode("gbk"), "choose `CSV UTF-8` when saving"),
    ],
)
def test_a_csv_file_that_cannot_be_used_says_why_and_where(tmp_path: Path, content: str | bytes, said: str) -> None:
    assert said in wrong_file(tmp_path / "p.csv", content)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="No such file"):
        read_metadata_file(tmp_path / "none.yaml")


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
def test_the_file_beside_a_package_bears_its_whole_name(tmp_path: Path, suffix: str) -> None:
    package = tmp_path / "vol.1.zip"
    assert metadata_beside(package) is None
    beside = tmp_path / f"vol.1.zip{suffix}"
    beside.touch()
    assert metadata_beside(package) == beside


def test_the_working_folder_is_a_package_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "vol-1"
    package.mkdir()
    (tmp_path / "vol-1.yaml").touch()
    monkeypatch.chdir(package)
    assert metadata_beside(Path()) == tmp_path / "vol-1.yaml"
    assert metadata_beside(Path("..")) is None
    assert metadata_beside(Path("/")) is None
