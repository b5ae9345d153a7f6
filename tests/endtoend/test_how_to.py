"""The commands in docs/how-to work, word for word, one after the other, as they stand on the page."""

import json
import re
from pathlib import Path

import pytest

from tests.doubles.packages_builder import bag, write_folder, write_zip
from tests.fixtures.command_line import CONFIG, deposit
from tests.fixtures.pages import PAGES, blocks, run

CODE = "J019-WS·2015·D30-003-005"
OPERATORS_PAGES = (
    "take-in-packages",
    "describe-packages",
    "get-records-out",
    "when-a-package-is-refused",
)


WITHOUT_TIERS = re.sub(r"(?m)^tiers: .*\n", "", CONFIG.format(database="{}"))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A repository with deposits beside it, as the pages take for granted."""
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "jindang.yaml").write_text(CONFIG.format(database="{}"))
    deposit(folder / "deposits" / CODE, page="one")
    write_folder(folder / "deposits" / "a-bag", bag())
    deposit(folder / "scans" / "box-7")
    deposit(folder / "batch" / "vol-1")
    write_zip(folder / "batch" / "vol-2.zip", bag())
    yaml, csv = blocks("describe-packages", "yaml")[0], blocks("describe-packages", "csv")[0]
    (folder / "deposits" / f"{CODE}.yaml").write_text(yaml)
    (folder / "planning.yaml").write_text(yaml)
    (folder / "corrected.yaml").write_text("title: null\nfields: {页数: 5}\n")
    (folder / "batch.csv").write_text(csv)
    run(folder, "jindang init")
    return folder


@pytest.mark.parametrize("page", OPERATORS_PAGES)
def test_the_commands_of_the_page_work_word_for_word(archive: Path, page: str) -> None:
    if page == "get-records-out":
        run(archive, "jindang ingest deposits/*")
    said = run(archive, "\n".join(blocks(page, "sh")))
    if page == "describe-packages":
        assert "规划图一" in run(archive, "jindang list")
        assert "页数: 5" in said
    if page == "get-records-out":
        assert said.count(": OK\n") == 4  # the inventory, and every file of the object
        assert (archive.parent / "home" / "reading-room" / "page").read_text() == "one"
        assert "天津城建规划图" in said


def test_the_page_on_postgresql_works_word_for_word(archive: Path, postgres_database: str) -> None:
    run(archive, "jindang ingest deposits/*")
    config = (archive / "jindang.yaml").read_text()
    before = run(archive, "jindang list --json")
    (archive / "jindang.yaml").write_text(config.replace("database: {}", f"database: {{url: '{postgres_database}'}}"))
    said = run(archive, "\n".join(blocks("use-postgresql", "sh")))
    assert "The catalogue and the tier agree on 2 objects" in said
    assert run(archive, "jindang list --json") == before


def test_the_page_on_postgresql_shows_a_configuration_that_is_right(archive: Path) -> None:
    (yaml,) = blocks("use-postgresql", "yaml")
    config = (archive / "jindang.yaml").read_text()
    (archive / "jindang.yaml").write_text(config.replace("database: {}\n", yaml))
    assert "right" in run(archive, "jindang config check")


def test_the_page_on_placing_copies_works_word_for_word(archive: Path) -> None:
    run(archive, "jindang ingest deposits/*")
    places, _, store_and_base = blocks("place-copies", "yaml")
    (archive / "jindang.yaml").write_text(places + WITHOUT_TIERS)
    run(archive, "\n".join(blocks("place-copies", "sh")))
    held = {tier["name"]: tier["copies_held"] for tier in json.loads(run(archive, "jindang status --json"))["tiers"]}
    assert held == {"primary": 2, "second": 2, "third": 0, "reading-room": 1}  # the described one is open
    (archive / "jindang.yaml").write_text(store_and_base + WITHOUT_TIERS)
    assert "right" in run(archive, "jindang config check")


def test_the_page_on_placing_copies_says_what_a_refused_policy_is_told(archive: Path) -> None:
    places, careless, _ = blocks("place-copies", "yaml")
    (archive / "jindang.yaml").write_text(places.partition("policies:")[0] + careless + WITHOUT_TIERS)
    said = run(archive, "jindang config check 2>&1 || test $? = 3")
    (told,) = blocks("place-copies", "text")
    assert [line.removeprefix("  - ") for line in said.splitlines()[1:]] == told.splitlines()


def test_the_table_of_keys_has_them_all() -> None:
    from repository.aip import METADATA_KEYS
    from repository.model import OpeningStatus, Retention, SecurityClass

    text = (PAGES / "describe-packages.md").read_text(encoding="utf-8")
    for key in ("identifier", *METADATA_KEYS):
        assert f"\n| `{key}` | " in text
    for value in (*Retention, *SecurityClass, *OpeningStatus):
        assert f"`{value}`" in text


def test_every_link_leads_somewhere() -> None:
    for page in PAGES.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), (page.name, target)
