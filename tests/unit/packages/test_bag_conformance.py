"""Every case of the conformance suite, by name, and further faults; compared with the bagit library's verdicts."""

import logging
import warnings
from pathlib import Path

import pytest

from repository.packages.bag_validation import BagReport, validate_bag
from repository.packages.package import Limits
from repository.stop import StopToken
from tests.doubles.bag_cases import CASES, INVALID, WARNING, BagCase
from tests.doubles.packages_builder import ARCHIVES, write_folder


def validate(path: Path) -> BagReport:
    return validate_bag(path, limits=Limits(), stop=StopToken())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_folder_gets_its_verdict(case: BagCase, tmp_path: Path) -> None:
    report = validate(write_folder(tmp_path / "bag", case.build()))
    assert report.valid is (case.verdict != INVALID), report
    assert report.valid is not bool(report.errors)
    if case.verdict == WARNING:
        assert report.warnings
    told = report.errors if case.verdict == INVALID else report.warnings
    assert not case.says or any(case.says in text for text in told), report


@pytest.mark.parametrize("kind", ARCHIVES)
def test_archives_get_the_same_verdict(kind: str, tmp_path: Path) -> None:
    different = {}
    for number, case in enumerate(CASES):
        files = case.build()
        if case.name.endswith("missing-bagit.txt"):
            continue  # an archive that is no bag is refused as such
        report = validate(ARCHIVES[kind](tmp_path / f"{number}.{kind}", files))
        if report.valid is not (case.verdict != INVALID):
            different[case.name] = report.errors
    assert not different


# Where the bagit library 1.9.0 judges otherwise, and why RFC 8493 is on our side.
TOO_MILD = {
    "v0.97/invalid/bom-in-bagit.txt": "reads past the mark",
    "v0.97/invalid/bagit-with-invalid-whitespace": "strips labels; 2.1.1 gives the exact lines",
}


def judged_by_bagit(path: Path) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import bagit

        logging.disable(logging.CRITICAL)
        try:
            bagit.Bag(str(path)).validate()
        except Exception:  # noqa: BLE001 - it crashes on some of them, which is a verdict too
            return False
        finally:
            logging.disable(logging.NOTSET)
    return True


def test_against_the_bagit_library(tmp_path: Path) -> None:
    disagreements = {}
    for number, case in enumerate(CASES):
        folder = write_folder(tmp_path / str(number), case.build())
        if judged_by_bagit(folder) is not (case.verdict != INVALID):
            disagreements[case.name] = case.verdict
    assert disagreements == {}
