"""Offsite by the command line: what every place is owed, gets, and gives back; on SQLite and on PostgreSQL.

The object store is a simulated one here; tests/integration has the real ones.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from jindang.demo.configuration import write_demo_configuration
from jindang.demo.simulated_store import simulated_store
from tests.doubles.archive import flip_a_byte
from tests.doubles.postgres import fresh_database
from tests.faults.small_disk import Disks, small_disk
from tests.fixtures.catalog_rows import catalog_rows
from tests.fixtures.command_line import CommandLine, deposit
from tests.fixtures.offsite import PLACES, change, figures, take_in, told

__all__ = ["small_disk"]


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
    change(jindang.config, {"bucket: jindang-demo": f"bucket: jindang-demo\n    prefix: {tmp_path.name}"})
    if database:
        jindang.config.write_text(f"{jindang.config.read_text()}database: {{url: '{database}'}}\n")
    assert jindang("init").code == 0
    take_in(jindang, tmp_path)
    return jindang


def url_of(jindang: CommandLine, database: str) -> str:
    return database or f"sqlite:///{jindang.data}/catalogue.sqlite"


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
        assert figures(far, code=4)["second"] == (4, 0, 0)
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

    @pytest.mark.parametrize(
        ("old", "new", "says", "step"),
        [
            ("bucket: jindang-demo", "bucket: no-such-bucket", "There is no such bucket", "or make the bucket"),
            ("endpoint: http://127.0.0.1:", "endpoint: http://127.0.0.1:9  # ", "cannot be reached", "the network"),
            ("endpoint: http://127.0.0.1:", "endpoint: http://no-such-host.invalid  # ", "resolve", "the network"),
        ],
        ids=["bucket", "down", "dns"],
    )
    def test_a_store_that_is_not_there_is_one_message_and_the_others_are_served(
        self, far: CommandLine, old: str, new: str, says: str, step: str
    ) -> None:
        """A11, A22."""
        right = far.config.read_text()
        change(far.config, {old: new})
        said = far("replicate", "run")
        assert said.code == 4
        assert said.err.count("tier store is not available; what it is owed waits") == 1
        assert says in said.err
        assert step in said.err.split("Next step: ")[1]
        assert figures(far, code=4)["second"] == (4, 4, 4)
        far.config.write_text(right)
        assert far.json("replicate", "run")["counts"] == {"copied": 4}

    def test_a_secret_that_is_not_there_is_a_fault_of_the_configuration(self, far: CommandLine) -> None:
        (far.folder / "secrets" / "store-secret-key").rename(far.folder / "aside")
        said = far("replicate", "run", "--tier", "store")
        assert said.code == 3
        assert "A secret cannot be read" in said.err
        assert "store-secret-key" in said.err
        assert "Nothing was copied" in said.out

    def test_the_tiers_of_another_institution_are_neither_written_nor_adopted(
        self, far: CommandLine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A bucket or a disk was named that belongs to somebody else; the catalogue knows nothing of it yet."""
        assert far("replicate", "run").code == 0
        other = CommandLine(tmp_path / "other", capsys)
        shutil.copytree(far.folder / "secrets", other.folder / "secrets")
        config = far.config.read_text().replace("120000", "310000")
        other.config.write_text(config.replace("path: second", f"path: {far.folder}/second"))
        said = other("init")
        assert said.code == 4
        assert "The tier 'second' is that of another institution" in said.err
        other.config.write_text(config)
        said = other("init")
        assert said.code == 4
        assert "The tier 'store' is that of another institution" in said.err
        assert "made for '120000', the configuration is that of '310000'" in said.err
        assert other("catalog", "rebuild", "--from", "store").code == 4
        assert figures(far)["store"] == (4, 4, 4)

    def test_a_bucket_that_was_swapped_is_told_by_whose_it_is(self, far: CommandLine, tmp_path: Path) -> None:
        change(far.config, {f"prefix: {tmp_path.name}": f"prefix: {tmp_path.name}-other"})
        for file in far.data.glob("catalogue.sqlite*"):
            file.rename(file.with_name(f"aside-{file.name}"))
        assert far("init").code == 0
        for file in far.data.glob("aside-*"):
            file.rename(file.with_name(file.name.removeprefix("aside-")))
        said = far("replicate", "run", "--tier", "store")
        assert said.code == 4
        assert "This is not the tier 'store'" in said.err
        assert "of institution '120000'" in said.err
        assert "correct endpoint, bucket and prefix" in said.err

    def test_a_full_disk_gets_what_fits_and_the_rest_when_there_is_space(
        self, far: CommandLine, tmp_path: Path, small_disk: Disks
    ) -> None:
        """A21."""
        disk = small_disk(tmp_path / "small", size="2m")
        shutil.copytree(far.folder / "second", disk.path / "tier")
        shutil.rmtree(far.folder / "second")
        (far.folder / "second").symlink_to(disk.path / "tier")
        deposit(tmp_path / "big").joinpath("film.mov").write_bytes(os.urandom(4 << 20))
        assert far("ingest", tmp_path / "big").code == 0
        said = far("replicate", "run", "--tier", "second")
        assert said.code == 4
        assert "target failed: big v1 to second" in said.err
        assert "There is not enough space for this version" in said.err
        assert "add space, then run the same command again" in said.err
        assert figures(far)["second"] == (5, 4, 4)
        disk.grow(size="16m")
        assert far.json("replicate", "run", "--tier", "second")["counts"] == {"copied": 1}

    def test_a_full_base_is_told_and_gets_the_rest_when_there_is_space(self, far: CommandLine) -> None:
        """A21: what the base's keeper holds back as free space."""
        settings = far.folder / "base" / "config"
        right = settings.read_text()
        change(settings, {"additional_free_space = 0": "additional_free_space = 900T"})
        said = far("backup", "run")
        assert said.code == 4
        assert "The backup base has no space left" in said.err
        assert "give it more disk or a larger quota" in said.err
        assert figures(far)["base"] == (4, 0, 0)
        settings.write_text(right)
        assert far("backup", "run").code == 0
        assert figures(far)["base"] == (4, 4, 4)

    def test_a_base_that_somebody_else_works_on_is_told_after_the_configured_wait(self, far: CommandLine) -> None:
        """The lock is that of a living process on this machine: our own."""
        change(far.config, {"  repository: base\n": "  repository: base\n  lock_wait_s: 1\n"})
        lock = far.folder / "base" / "lock.exclusive"
        lock.mkdir()
        (lock / f"another-machine@1.{os.getpid()}-0").touch()
        said = far("backup", "run")
        assert said.code == 4
        assert "Somebody else is working on the backup base" in said.err
        assert "wait until that is finished and run again" in said.err
        shutil.rmtree(lock)
        assert far("backup", "run").code == 0

    def test_a_wrong_passphrase_is_told_in_words(self, far: CommandLine) -> None:
        (far.folder / "secrets" / "base-passphrase").write_text("wrong\n")
        said = far("backup", "run")
        assert said.code == 3
        assert "The passphrase of the backup base is wrong" in said.err
        assert "give the one that the base was made with" in said.err
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

    def test_the_doctor_looks_at_every_place(self, far: CommandLine) -> None:
        findings = {finding["subject"]: finding for finding in far.json("doctor")["findings"]}
        for subject in ("tier primary", "tier second", "tier store", "backup base"):
            assert findings[subject]["verdict"] != "WRONG", findings[subject]
        (far.folder / "base").rename(far.folder / "gone")
        findings = {finding["subject"]: finding for finding in far.json("doctor", code=4)["findings"]}
        assert findings["backup base"]["verdict"] == "WRONG"
        assert findings["backup base"]["next_step"]

    def test_tiers_are_listed_with_what_they_are(self, far: CommandLine) -> None:
        tiers = far.json("tier", "list")["tiers"]
        assert [(tier["name"], tier["kind"], tier["problem"]) for tier in tiers] == [
            ("primary", "disk", None),
            ("second", "disk", None),
            ("store", "object-store", None),
        ]
