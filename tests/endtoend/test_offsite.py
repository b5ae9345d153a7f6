"""Offsite by the command line: what every place is owed, gets, and gives back; on SQLite and on PostgreSQL.

The object store is a simulated one here; tests/integration has the real ones.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jindang.demo.configuration import write_demo_configuration
from jindang.demo.simulated_store import simulated_store
from tests.doubles.archive import flip_a_byte
from tests.doubles.postgres import fresh_database
from tests.fixtures.catalog_rows import Rows, catalog_rows
from tests.fixtures.command_line import CommandLine, deposit

NAME = "J019-WS·2015·D30-003-005"
PLACES = ("primary", "second", "store", "base")


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    with simulated_store() as endpoint:
        yield endpoint


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_database"))
    return ""


@pytest.fixture
def command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], signals_restored: None, monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path / "vault", capsys)


@pytest.fixture
def far(command_line: CommandLine, tmp_path: Path, store: str, database: str) -> CommandLine:
    """The demo's four places, and three objects on the first, one of them with two versions."""
    jindang = command_line
    write_demo_configuration(tmp_path / "vault", endpoint=store)
    text = jindang.config.read_text().replace(
        "bucket: jindang-demo", f"bucket: jindang-demo\n    prefix: {tmp_path.name}"
    )
    jindang.config.write_text(text + (f"database: {{url: '{database}'}}\n" if database else ""))
    assert jindang("init").code == 0
    deposit(tmp_path / NAME, page="one", other="same")
    (tmp_path / f"{NAME}.yaml").write_text("title: 办法\nsecurity_class: 公开\nopening_status: 开放\n")
    assert jindang("ingest", tmp_path / NAME, deposit(tmp_path / "b"), deposit(tmp_path / "c")).code == 0
    deposit(tmp_path / NAME, page="two", other="same")
    assert jindang("ingest", tmp_path / NAME).code == 0
    return jindang


def url_of(jindang: CommandLine, database: str) -> str:
    return database or f"sqlite:///{jindang.data}/catalogue.sqlite"


def figures(jindang: CommandLine) -> dict[str, tuple[int, int, int]]:
    """Place -> copies wanted, held, verified."""
    tiers: list[dict[str, Any]] = jindang.json("status")["tiers"]
    return {t["name"]: (t["copies_wanted"], t["copies_held"], t["copies_verified"]) for t in tiers}


def test_every_place_gets_what_it_is_owed_and_the_lag_is_shown(far: CommandLine) -> None:
    """A22: how far behind each place is stands in `status`, before and after."""
    assert figures(far) == {"primary": (4, 4, 0), "second": (4, 0, 0), "store": (4, 0, 0), "base": (4, 0, 0)}
    assert {(row["tier"], row["copies"]) for row in far.json("replicate", "plan")["owed"]} == {
        ("second", 4),
        ("store", 4),
        ("base", 4),
    }
    assert far.json("replicate", "run")["counts"] == {"copied": 8}
    assert len(far.json("backup", "run")["archives"][0]["versions"]) == 4
    assert figures(far) == dict.fromkeys(PLACES, (4, 4, 4))
    assert far.json("replicate", "plan")["owed"] == []
    assert far.json("replicate", "run")["counts"] == {}
    assert far.json("status")["tiers"][1]["owed_since"] is None


def test_each_place_alone_gives_the_catalogue_back(
    far: CommandLine, database: str, request: pytest.FixtureRequest
) -> None:
    assert far("replicate", "run").code == 0
    assert far("backup", "run").code == 0
    before = told(catalog_rows(url_of(far, database)))
    for place in PLACES:
        url = _lose_the_catalogue(far, database, request)
        assert far.json("catalog", "rebuild", "--from", place) == {"tier": place, "objects": 3, "problems": []}
        assert told(catalog_rows(url)) == before, place
        assert figures(far)[place][:2] == (4, 4)
    for place in PLACES:
        assert far("catalog", "rebuild", "--from", place).code == 0
    assert {place: held for place, (_, held, _) in figures(far).items()} == dict.fromkeys(PLACES, 4)
    assert far.json("replicate", "plan")["owed"] == []
    assert far.json("catalog", "check")["agree"] is True


def told(rows: Rows) -> dict[str, Any]:
    """What all places tell alike: objects, versions and how they came; not which copies there are."""
    return {
        "objects": rows["objects"],
        "versions": rows["versions"],
        "ingestions": [row for row in rows["events"] if "ingestion" in row],
    }


def _lose_the_catalogue(jindang: CommandLine, database: str, request: pytest.FixtureRequest) -> str:
    if not database:
        shutil.rmtree(jindang.data)
        return url_of(jindang, database)
    fresh = fresh_database(request.getfixturevalue("postgres"))
    url = fresh.__enter__()
    request.addfinalizer(lambda: fresh.__exit__(None, None, None))
    lines = jindang.config.read_text().splitlines()
    jindang.config.write_text(
        "\n".join([*(line for line in lines if "database:" not in line), f"database: {{url: '{url}'}}"])
    )
    return url


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
class TestTrouble:
    """What can go wrong, and what an operator is told."""

    def test_a_place_that_is_not_made_yet_is_told(self, far: CommandLine) -> None:
        far.config.write_text(far.config.read_text().replace("second", "third"))
        said = far("replicate", "plan")
        assert "third is in the configuration and not made yet; run `jindang init` again" in said.err

    def test_a_disk_that_is_gone_is_one_message_and_catches_up(self, far: CommandLine) -> None:
        """A11, A22."""
        second = far.folder / "second"
        second.rename(far.folder / "unplugged")
        said = far("replicate", "run")
        assert said.code == 4
        assert said.err.count("The tier 'second' is not there") == 1
        assert "mount the disk" in said.err
        assert figures_of_down(far) == (4, 0, 0)
        (far.folder / "unplugged").rename(second)
        assert far.json("replicate", "run")["counts"] == {"copied": 4}

    def test_a_swapped_disk_is_never_written_to(self, far: CommandLine, tmp_path: Path) -> None:
        shutil.rmtree(far.folder / "second")
        shutil.copytree(far.tier, far.folder / "second")
        said = far("replicate", "run", "--tier", "second")
        assert said.code == 4
        assert "This is not the tier 'second'" in said.err

    def test_a_damaged_source_is_reported_by_its_file_and_copied_nowhere(self, far: CommandLine) -> None:
        """A10."""
        (page,) = (far.tier / far.json("show", "b")["object_path"]).glob("v1/content/data/*")
        flip_a_byte(page)
        said = far("replicate", "run")
        assert said.code == 5
        assert "source failed: b v1 to " in said.err
        assert page.name in said.err
        assert figures(far)["store"] == (4, 3, 3)
        shown = far.json("show", "b")
        assert [(copy["tier"], copy["state"]) for copy in shown["copies"]] == [("primary", "damaged")]

    def test_a_damaged_object_is_archived_nowhere_and_the_others_are(self, far: CommandLine) -> None:
        """A10, at the backup base: read back by borg, and compared with the inventory."""
        (page,) = (far.tier / far.json("show", "b")["object_path"]).glob("v1/content/data/*")
        flip_a_byte(page)
        said = far("backup", "run")
        assert said.code == 5
        assert "not archived: b v1" in said.err
        assert figures(far)["base"] == (4, 3, 3)

    def test_something_else_on_the_store_is_a_conflict(self, far: CommandLine, tmp_path: Path) -> None:
        """A15: two repositories on one bucket by mistake; nothing is overwritten, and a person is told."""
        assert far("replicate", "run", "--tier", "second").code == 0
        second = far.folder / "second" / far.json("show", "b")["object_path"]
        with_another = second.with_name("kept")
        second.rename(with_another)
        other = far.folder / "second" / far.json("show", "c")["object_path"]
        shutil.copytree(other, second)
        for file in (far.data).glob("catalogue.sqlite*"):
            file.unlink()
        with_another.rename(tmp_path / "aside")
        assert far("catalog", "rebuild").code == 0
        said = far("replicate", "run", "--tier", "second", "--object", "b")
        assert said.code == 5
        assert "conflict: b v1 to second" in said.err
        assert far("replicate", "plan").code == 1

    def test_a_wrong_passphrase_is_told_in_words(self, far: CommandLine) -> None:
        (far.folder / "secrets" / "base-passphrase").write_text("wrong\n")
        said = far("backup", "run")
        assert said.code in (3, 4)
        assert "passphrase" in said.err
        assert figures(far)["base"] == (4, 0, 0)

    def test_a_deleted_archive_is_noticed_and_nothing_is_compacted(self, far: CommandLine) -> None:
        """A thief's delete succeeds on an append-only base; the loss is seen, and blocks freeing its space."""
        import subprocess

        from replication.base.borg import borg_program

        assert far("backup", "run").code == 0
        (archive,) = far.json("backup", "list")["archives"]
        environment = {
            **os.environ,
            "BORG_BASE_DIR": str(far.data / "borg"),
            "BORG_PASSPHRASE": "only for this demo",
        }
        repository = str(far.folder / "base")
        subprocess.run([borg_program(), "delete", repository, archive["name"]], env=environment, check=True)
        said = far("backup", "list")
        assert said.code == 5
        assert f"archive {archive['name']} is gone" in said.err
        said = far("backup", "compact")
        assert said.code == 5
        assert "not on the backup base any more" in said.err

    def test_without_anything_new_the_catalogue_is_archived(self, far: CommandLine) -> None:
        assert far("backup", "run").code == 0
        (archive,) = far.json("backup", "run")["archives"]
        assert archive["archive"]["name"].startswith("catalogue-")
        assert archive["versions"] == []

    def test_the_base_is_checked_at_every_depth(self, far: CommandLine) -> None:
        assert far("backup", "run").code == 0
        for depth in ("repository", "archives", "data"):
            assert far.json("backup", "check", "--depth", depth)["problems"] == []

    def test_a_tier_can_be_tried_by_its_user(self, far: CommandLine) -> None:
        """It leaves nothing behind, on a disk and on a store."""
        for name in ("second", "store"):
            answer = far.json("tier", "validate", name)
            assert all(result["passed"] for result in answer["results"]), answer
        assert far("replicate", "run").code == 0
        assert far("ocfl", "validate", far.folder / "second").code == 0

    def test_tiers_are_listed_with_what_they_are(self, far: CommandLine) -> None:
        tiers = far.json("tier", "list")["tiers"]
        assert [(tier["name"], tier["kind"], tier["problem"]) for tier in tiers] == [
            ("primary", "disk", None),
            ("second", "disk", None),
            ("store", "object-store", None),
        ]


def figures_of_down(jindang: CommandLine) -> tuple[int, int, int]:
    """Of `second`, while it is not there and `status` says so by its exit code."""
    tiers = jindang.json("status", code=4)["tiers"]
    return next((t["copies_wanted"], t["copies_held"], t["copies_verified"]) for t in tiers if t["name"] == "second")
