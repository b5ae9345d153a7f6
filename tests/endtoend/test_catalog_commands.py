"""`jindang catalog`: the catalogue is compared with the tier, lost and made again, on SQLite and on PostgreSQL."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.doubles.postgres import fresh_database
from tests.fixtures.catalog_rows import catalog_rows
from tests.fixtures.command_line import CommandLine, deposit, listing


@pytest.fixture(params=["sqlite", "postgresql"])
def filled(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    signals_restored: None,
    monkeypatch: pytest.MonkeyPatch,
) -> CommandLine:
    """A repository of three objects, one with three versions, and a failure; `URL` is its database."""
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path}/vault/data/catalogue.sqlite"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_database")
    monkeypatch.setenv("URL", url)
    jindang = CommandLine(tmp_path / "vault", capsys, database=f"{{url: '{url}'}}").ready()
    (tmp_path / "a.yaml").write_text(
        "title: 规划图 📦\nreference_code: J019-WS·2015\nfonds: 017\nyear: 2015\nretention: 永久\n"
        "security_class: 公开\nopening_status: 开放\nfields: {责任者: 规划局}\n"
    )
    a = deposit(tmp_path / "a", page="one", same="same", folder__copy="same")
    assert jindang("ingest", a, deposit(tmp_path / "b·卷"), deposit(tmp_path / "c"), tmp_path / "none").code == 1
    (a / "page").write_text("two")
    assert jindang("ingest", a).code == 0
    (tmp_path / "a.yaml").write_text("title: 改\nopening_status: 控制\n")
    assert jindang("ingest", a).code == 0
    return jindang


def lose_the_database(jindang: CommandLine, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put an empty database in the place of the catalogue; gives its URL."""
    if "sqlite" in request.node.callspec.id:
        shutil.rmtree(jindang.data)
        return f"sqlite:///{jindang.data}/catalogue.sqlite"
    database = fresh_database(request.getfixturevalue("postgres"))
    url = database.__enter__()
    request.addfinalizer(lambda: database.__exit__(None, None, None))
    text = jindang.config.read_text()
    old = text.split("url: '")[1].split("'")[0]
    jindang.config.write_text(text.replace(old, url))
    return url


def object_folder(jindang: CommandLine, name: str) -> Path:
    return jindang.tier / str(jindang.json("show", name)["object_path"])


def test_the_rebuilt_catalogue_is_the_same_and_rebuilding_again_changes_nothing(
    filled: CommandLine, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = catalog_rows(os.environ["URL"])
    tier = listing(filled.tier)
    url = lose_the_database(filled, request, monkeypatch)
    answer = filled.json("catalog", "rebuild")
    assert answer == {"tier": "primary", "objects": 3, "problems": []}
    assert catalog_rows(url) == before
    assert filled("catalog", "rebuild", "--from", "primary").code == 0
    assert catalog_rows(url) == before
    assert listing(filled.tier) == tier
    assert filled.json("catalog", "check")["agree"] is True
    assert filled.json("show", "a")["metadata"]["title"] == "改"


def test_what_one_lacks_and_the_other_has_is_found_in_both_directions(filled: CommandLine, tmp_path: Path) -> None:
    assert filled.json("catalog", "check") == {"agree": True, "objects": 3, "findings": []}
    shutil.move(object_folder(filled, "b·卷"), tmp_path / "away")
    shutil.copytree(object_folder(filled, "c"), filled.tier / "000" / "000" / "000" / "unknown")
    findings = {f["difference"]: f["where"] for f in filled.json("catalog", "check", code=1)["findings"]}
    assert findings == {
        "not on storage": "urn:jindang:120000:b%C2%B7%E5%8D%B7",
        "not in the catalogue": "000/000/000/unknown",
    }
    said = filled("catalog", "check").out
    assert "not on storage: look for the object on another tier" in said


def test_a_rebuild_names_an_object_that_lies_in_the_wrong_place_and_records_the_others(
    filled: CommandLine, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(object_folder(filled, "c"), filled.tier / "000" / "000" / "000" / "copy of c")
    (object_folder(filled, "a") / "inventory.json").write_text("{}")
    lose_the_database(filled, request, monkeypatch)
    answer = filled.json("catalog", "rebuild", code=1)
    assert answer["objects"] == 2
    assert sorted(problem["what"] for problem in answer["problems"]) == [
        "An OCFL inventory cannot be trusted",
        "An object lies where it does not belong",
    ]
    assert {item["id"].rpartition(":")[2] for item in filled.json("list")["objects"]} == {
        "b%C2%B7%E5%8D%B7",
        "c",
    }


# what follows is the same for every database


@pytest.fixture
def two(jindang: CommandLine, tmp_path: Path) -> CommandLine:
    """Two objects."""
    assert jindang("ingest", deposit(tmp_path / "a"), deposit(tmp_path / "b")).code == 0
    return jindang


def overwrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    data = change(path.read_bytes())
    path.unlink()
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda data: b"0" * 128 + data[128:], "another version on storage"),
        (lambda _: b"nonsense", "unreadable"),
        (lambda _: b"", "unreadable"),
    ],
)
def test_an_edited_sidecar_is_found(two: CommandLine, change: Callable[[bytes], bytes], difference: str) -> None:
    overwrite(object_folder(two, "a") / "inventory.json.sha512", change)
    (finding,) = two.json("catalog", "check", code=1)["findings"]
    assert (finding["difference"], finding["where"]) == (difference, "urn:jindang:120000:a")


def test_a_missing_sidecar_is_found(two: CommandLine) -> None:
    (object_folder(two, "a") / "inventory.json.sha512").unlink()
    (finding,) = two.json("catalog", "check", code=1)["findings"]
    assert finding["difference"] == "unreadable"


def test_wrong_counters_are_found_each_with_both_figures(two: CommandLine) -> None:
    with closing(sqlite3.connect(two.data / "catalogue.sqlite")) as connection, connection:
        connection.execute("UPDATE totals SET value = value + 5 WHERE scope = 'repository' AND counter = 'files'")
    (finding,) = two.json("catalog", "check", code=1)["findings"]
    assert finding["difference"] == "the catalogue's counters are wrong"
    assert finding["detail"] == "files: 7, counted 2"
    with closing(sqlite3.connect(two.data / "catalogue.sqlite")) as connection, connection:
        connection.execute("UPDATE totals SET value = value - 5 WHERE scope = 'repository' AND counter = 'files'")
        connection.execute("UPDATE totals SET value = 9 WHERE scope LIKE 'tier:%' AND counter = 'copies'")
    (finding,) = two.json("catalog", "check", code=1)["findings"]
    assert finding["detail"].startswith("copies on tiers")


def test_tiers_with_similar_names_are_counted_apart(two: CommandLine) -> None:
    """`tier:primary-b:stored` sorts before `tier:primary:stored`, the names the other way round."""
    with closing(sqlite3.connect(two.data / "catalogue.sqlite")) as connection, connection:
        connection.execute("INSERT INTO tiers (name, uuid, kind) VALUES ('primary-b', 'u', 'disk')")
        connection.execute(
            "INSERT INTO copies SELECT object_id, version, t.id, state, stored_at, NULL, NULL "
            "FROM copies, tiers t WHERE t.name = 'primary-b'"
        )
        connection.execute(
            "INSERT INTO totals SELECT replace(scope, 'primary', 'primary-b'), counter, value "
            "FROM totals WHERE scope LIKE 'tier:%'"
        )
    assert two.json("catalog", "check")["agree"] is True


def test_a_rebuild_without_its_tier_makes_nothing(two: CommandLine) -> None:
    two.tier.rename(two.folder / "away")
    shutil.rmtree(two.data)
    said = two("catalog", "rebuild")
    assert (said.code, two.tier.exists(), two.data.exists()) == (4, False, False)
    assert "The tier 'primary' is not there" in said.err


def test_a_rebuild_of_an_unknown_tier_is_a_configuration_error(two: CommandLine) -> None:
    said = two("catalog", "rebuild", "--from", "second")
    assert (said.code, "There is no tier 'second'" in said.err) == (3, True)


def test_a_rebuild_adds_what_the_catalogue_lacks_and_keeps_what_it_has(two: CommandLine, tmp_path: Path) -> None:
    url = f"sqlite:///{two.data}/catalogue.sqlite"
    shutil.copy(two.data / "catalogue.sqlite", tmp_path / "older.sqlite")
    (tmp_path / "a" / "page").write_text("new")
    assert two("ingest", tmp_path / "a", deposit(tmp_path / "c"), tmp_path / "none").code == 1
    after = catalog_rows(url)
    shutil.copy(tmp_path / "older.sqlite", two.data / "catalogue.sqlite")
    assert len(two.json("catalog", "check", code=1)["findings"]) == 2
    assert two("catalog", "rebuild").code == 0
    assert catalog_rows(url) == after
    assert two.json("catalog", "check")["agree"] is True


def test_a_lost_catalogue_is_exit_code_4_with_the_way_back(two: CommandLine) -> None:
    (two.data / "catalogue.sqlite").unlink()
    answer = two.json("status", code=4)
    assert answer["what"] == "There is no catalogue here"
    assert "jindang catalog rebuild" in answer["next_step"]


def test_a_catalogue_of_another_release_is_upgraded_on_request_only(two: CommandLine) -> None:
    assert two.json("catalog", "upgrade")["upgraded"] is True
    with closing(sqlite3.connect(two.data / "catalogue.sqlite")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    answer = two.json("list", code=4)
    assert answer["error"] == "CatalogOutdatedError"
    said = two("catalog", "upgrade")
    assert (said.code, "newer release" in said.err) == (4, True)
