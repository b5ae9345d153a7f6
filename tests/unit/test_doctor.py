"""The doctor: each check tells what is wrong and what to do, and none stops the others."""

import os
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jindang.config import Settings
from jindang.config_file import load_settings
from jindang.doctor import Finding, Verdict, examine
from repository.clock import SystemClock
from tests.fixtures.command_line import CommandLine, deposit, jindang, signals_restored

__all__ = ["jindang", "signals_restored"]


class ClockAt(SystemClock):
    def __init__(self, moment: datetime) -> None:
        self._moment = moment

    def now(self) -> datetime:
        return self._moment


def findings(jindang: CommandLine, *, clock: SystemClock | None = None) -> list[Finding]:
    def settings() -> Settings:
        return load_settings(jindang.config)

    return examine(jindang.config, settings, clock=clock or SystemClock())


def wrong(found: list[Finding]) -> list[Finding]:
    assert all(finding.next_step for finding in found if finding.verdict is not Verdict.OK)
    assert all(finding.next_step not in finding.what for finding in found if finding.next_step)
    return [finding for finding in found if finding.verdict is Verdict.WRONG]


def only(found: list[Finding]) -> Finding:
    (finding,) = wrong(found)
    return finding


def test_a_good_repository_is_well(jindang: CommandLine) -> None:
    found = findings(jindang)
    assert wrong(found) == []
    assert {finding.subject for finding in found} == {
        "Python",
        "borg",
        "clock",
        "configuration",
        "catalogue",
        "tier primary",
    }


def test_a_wrong_configuration_is_told_and_the_rest_is_still_checked(jindang: CommandLine) -> None:
    jindang.config.write_text("colour: red\n")
    found = findings(jindang)
    (finding,) = [finding for finding in found if finding.verdict is Verdict.WRONG]
    assert finding.subject == "configuration"
    assert "line 1, colour: there is no such setting here" in finding.what
    assert {"Python", "borg", "clock"} <= {finding.subject for finding in found}


def test_a_tier_that_is_not_mounted_is_told_once(jindang: CommandLine) -> None:
    jindang.tier.rename(jindang.folder / "away")
    finding = only(findings(jindang))
    assert finding.subject == "tier primary"
    assert "there is no such folder" in finding.what
    jindang.tier.mkdir()
    assert "the folder has no jindang-tier.json" in only(findings(jindang)).what


def test_another_tier_in_its_place_is_told(jindang: CommandLine, tmp_path: Path) -> None:
    other = CommandLine(tmp_path / "other", jindang._capsys).ready()
    jindang.tier.rename(jindang.folder / "away")
    other.tier.rename(jindang.tier)
    finding = only(findings(jindang))
    assert "This is not the tier 'primary'" in finding.what
    assert finding.next_step == "mount the right disk, or correct the configuration"


def test_a_lost_catalogue_is_told_with_the_way_back(jindang: CommandLine) -> None:
    (jindang.data / "catalogue.sqlite").unlink()
    finding = only(findings(jindang))
    assert finding.subject == "catalogue"
    assert "catalog rebuild" in str(finding.next_step)


def test_why_the_database_cannot_be_used_is_told(jindang: CommandLine) -> None:
    (jindang.data / "catalogue.sqlite").write_text("no database at all, " * 50)
    assert "file is not a database" in only(findings(jindang)).what


def test_a_lost_data_folder_is_told(jindang: CommandLine) -> None:
    jindang.data.rename(jindang.folder / "away")
    assert [finding.subject for finding in wrong(findings(jindang))] == ["data folder", "catalogue"]


def test_too_little_space_is_told(jindang: CommandLine) -> None:
    jindang.config.write_text(jindang.config.read_text().replace("reserve_bytes: 0", "reserve_bytes: 900 PiB"))
    finding = only(findings(jindang))
    assert (finding.subject, finding.next_step) == ("tier primary", "add space")


def test_a_clock_that_is_years_slow_is_told(jindang: CommandLine) -> None:
    finding = only(findings(jindang, clock=ClockAt(datetime(1970, 1, 2, tzinfo=UTC))))
    assert finding.subject == "clock"


def test_a_clock_behind_the_newest_event_is_told(jindang: CommandLine, tmp_path: Path) -> None:
    assert jindang("ingest", deposit(tmp_path / "vol-1")).code == 0
    now = SystemClock().now()
    assert wrong(findings(jindang, clock=ClockAt(now - timedelta(minutes=4)))) == []
    finding = only(findings(jindang, clock=ClockAt(now - timedelta(minutes=6))))
    assert "in the future" in finding.what


def test_interrupted_work_is_told_as_a_warning(jindang: CommandLine) -> None:
    with sqlite3.connect(jindang.data / "catalogue.sqlite") as connection:
        connection.execute("INSERT INTO intents VALUES ('urn:x:a', 'abc/def/a', 1, 'nobody')")
    connection.close()
    (finding,) = [finding for finding in findings(jindang) if finding.subject == "interrupted work"]
    assert finding.verdict is Verdict.WARNING
    assert "nothing acknowledged is lost" in str(finding.next_step)


def test_a_missing_borg_is_a_warning(jindang: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    (finding,) = [finding for finding in findings(jindang) if finding.subject == "borg"]
    assert finding.verdict is Verdict.WARNING


def test_a_folder_without_permission_is_told(jindang: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root, who is refused nothing
    assert [finding.subject for finding in wrong(findings(jindang))] == ["data folder", "tier primary"]
    assert all("no permission" in finding.what for finding in wrong(findings(jindang)))
