"""The pages on offsite copies work word for word, but for names of machines and folders.

The object store is a simulated one (moto), the backup base a local folder; adding an object store is tried on Ceph in
tests/integration/test_how_to_object_store.py, the far side of the base in test_backup_base.py.
"""

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from jindang.demo.simulated_store import simulated_store
from tests.fixtures.command_line import deposit
from tests.fixtures.pages import blocks, renamed, run

CODE = "J019-WS·2015·D30-003-005"
OBJECT = "632/e52/bb6/urn%3ajindang%3a120000%3aJ019-WS%25C2%25B72015%25C2%25B7D30-003-005"
CONFIG = """\
institution: {code: "120000", name: 天津市档案馆}
ingest: {workers: 1, reserve_bytes: 0}
tiers:
- {name: primary, path: primary}
- {name: second, path: second}
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with simulated_store() as address:
        for bucket in ("jindang", "jindang-sealed"):
            urllib.request.urlopen(urllib.request.Request(f"{address}/{bucket}", method="PUT")).close()
        yield address


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the archive is: its keys, its repository, and what stands for places elsewhere."""
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def names(site: Path, endpoint: str) -> dict[str, str]:
    """What the pages call machines and folders, and what they are here."""
    keys = site / "keys"
    (keys / "base").mkdir(parents=True)
    for name in ("store-access-key", "store-secret-key", "base/passphrase", "base/append-key", "base/known_hosts"):
        (keys / name).write_text("for tests\n")
    run(site, renamed(blocks("add-an-object-store", "encrypt")[0], {"/etc/jindang": str(keys)}))
    return {
        "https://s3.example.org": endpoint,
        "ssh://jindang-base@base.example.org/srv/jindang/base": str(site / "base"),
        "/mnt/second/jindang": str(site / "vault" / "second"),
        "/etc/jindang": str(keys),
        "age1...": (keys / "age-identity").read_text().split("public key: ")[1].split()[0],
    }


@pytest.fixture(scope="module")
def vault(site: Path, names: dict[str, str]) -> Path:
    """The places that the pages speak of, and an object in two versions: a file changed, one the same, one odd."""
    folder = site / "vault"
    store, sealed = blocks("add-an-object-store", "yaml")
    (base,) = blocks("set-up-the-backup-base", "yaml")
    deposit(folder / "deposits" / CODE, page="one", same="same", **{"附件__第 1 页 'a'.txt": "odd"})
    described = f"title: 天津城建规划图\nreference_code: {CODE}\n"
    (folder / "deposits" / f"{CODE}.yaml").write_text(described)
    (folder / "jindang.yaml").write_text(renamed(CONFIG + store + sealed + base, names))
    run(folder, "jindang init; jindang ingest deposits/*5")
    deposit(folder / "deposits" / CODE, page="two")
    run(folder, "jindang ingest deposits/*5")
    return folder


@pytest.fixture(scope="module")
def backed_up(vault: Path) -> str:
    """What the first commands on the page about the base said; from then on the base has everything."""
    return run(vault, blocks("set-up-the-backup-base", "console")[0])


@pytest.fixture(scope="module")
def offsite(vault: Path, backed_up: str) -> Path:
    run(vault, "jindang replicate run")
    return vault


def awk_of(text: str) -> list[str]:
    """The program that lists the digests of a manifest, wherever a text has it."""
    return re.findall(r"awk -F.* inventory\.json \|", text)


def section(name: str, names: dict[str, str]) -> str:
    return renamed("".join(blocks("recover-by-hand", "sh", section=name)), names)


class TestRecoverByHand:
    """A23: from one place alone, with standard tools."""

    @pytest.fixture
    def empty(self, offsite: Path, tmp_path: Path) -> Path:
        """A machine that has nothing."""
        folder = tmp_path / "empty"
        folder.mkdir()
        return folder

    def prove(self, empty: Path, names: dict[str, str]) -> None:
        """The sections that come after each way of getting the bytes."""
        said = run(empty, section("Prove that all is what was stored", names))
        assert said == f"proved: {empty / 'storage-root' / OBJECT}\n"
        found = run(empty, section("Find an object", names)).splitlines()
        assert len([path for path in found if path.endswith("object.json")]) == 2
        assert all(path.startswith(f"storage-root/{OBJECT}/") for path in found)
        run(empty, section("Take its files out", names))
        read = {path.name: path.read_text() for path in (empty.parent / "home/reading-room/data").rglob("*.*")}
        assert read == {"第 1 页 'a'.txt": "odd"}
        assert (empty.parent / "home/reading-room/data/page").read_text() == "two"
        assert (empty.parent / "home/reading-room/data/same").read_text() == "same"
        (empty / "storage-root" / OBJECT / "v1/content/data/page").write_text("0ne")
        with pytest.raises(AssertionError, match="page: FAILED"):
            run(empty, section("Prove that all is what was stored", names) + "\nfalse")

    def agree(self, readme: str) -> None:
        """What lies on the place itself says the same as the page."""
        assert awk_of(readme) == awk_of(
            blocks("recover-by-hand", "sh", section="Prove that all is what was stored")[0]
        )

    def test_from_a_disk(self, empty: Path, names: dict[str, str]) -> None:
        run(empty, section("From a disk", names))
        self.agree((empty / "storage-root" / "README.txt").read_text())
        self.prove(empty, names)

    @pytest.mark.parametrize("program", ["sh", "aws"])
    @pytest.mark.parametrize("bucket", ["jindang", "jindang-sealed"])
    def test_from_an_object_store(self, empty: Path, names: dict[str, str], bucket: str, program: str) -> None:
        here = {**names, "store:jindang": f"store:{bucket}"}
        fetch, decrypt, unpack = blocks("recover-by-hand", "sh", section="From an object store")
        if program == "aws":
            (by_aws,) = blocks("recover-by-hand", "aws")
            fetch = "\n".join(line for line in fetch.splitlines() if line.startswith("export ")) + f"\n{by_aws}"
            here["s3://jindang/"] = f"s3://{bucket}/"
        run(empty, renamed(fetch, here))
        readme = (empty / "copy" / "README.txt").read_text()
        self.agree(readme)
        assert "unzip -q -^ " in readme
        assert ("age -d -i " in readme) is (bucket == "jindang-sealed")
        sealed = [path.suffix == ".age" for path in (empty / "copy").rglob("v*.*")]
        assert sealed == [bucket == "jindang-sealed"] * 6
        unfinished = empty / "copy" / OBJECT / "v3.zip"
        unfinished.write_bytes(b"cut off")
        run(empty, renamed(decrypt + unpack, here))
        self.prove(empty, names)

    def test_from_the_backup_base(self, empty: Path, names: dict[str, str]) -> None:
        said = run(empty, section("From the backup base", names))
        assert said.startswith("records-")
        assert {path.name for path in (empty / "catalogue-and-configuration").iterdir()} >= {"jindang.yaml"}
        self.prove(empty, names)

    def test_two_places_give_the_same(self, empty: Path, names: dict[str, str]) -> None:
        run(empty, section("From a disk", names) + "mv storage-root disk; rm -r disk/extensions disk/*.*")
        run(
            empty,
            section("From an object store", names),
        )
        run(empty, "rm disk/ocfl_layout.json disk/0=ocfl_1.1 2>/dev/null || true; diff -r disk storage-root")


def test_the_page_on_the_backup_base_gives_jindang_commands_that_work(offsite: Path, backed_up: str) -> None:
    _, checks, compact, export = blocks("set-up-the-backup-base", "console")
    assert re.search(r"(?m)^records-\S+Z: 2 versions, ", backed_up)
    assert "1 archives" in backed_up
    assert run(offsite, checks).count("no damage found") == 2
    assert "0 archives of the catalogue deleted" in run(offsite, compact)
    exported = run(offsite, export).splitlines()
    assert [Path(line).name for line in exported] == ["base-key.txt", "base-key-paper.txt", "base-key-qr.html"]


def test_the_page_on_the_catalogue_works_word_for_word(offsite: Path) -> None:
    before = run(offsite, "jindang list --json")
    run(offsite, "\n".join(blocks("rebuild-the-catalogue", "sh")))
    assert run(offsite, "jindang list --json") == before
    held = {tier["name"]: tier["copies_held"] for tier in json.loads(run(offsite, "jindang status --json"))["tiers"]}
    assert held == {"primary": 2, "second": 2, "store": 2, "sealed": 0, "base": 2}
