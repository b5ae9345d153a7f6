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


# Where the bagit library 1.9.0 judges otherwise, and why we keep our verdict.
BAGIT_DIFFERS = {
    "v0.97/valid/local-fetch": "ignores files that must still be fetched and are in no manifest",
    "v0.97/warning/same-filename-listed-twice-one-file-on-disk": "finds the file under one of its two forms only",
    "v0.97/invalid/bagit-with-invalid-whitespace": "strips labels; the suite and RFC 8493, 2.1.1 refuse the space",
    "v0.97/invalid/unknown-algorithm": "ignores manifests that it cannot check",
    "v0.97/invalid/line-without-path": "ignores lines that it cannot read",
    "v0.97/invalid/fetch-bad-length": "does not look at the length; RFC 8493, 2.2.3 wants a number or -",
    "v0.97/windows-only/out-of-scope-file-paths-using-absolute-path-for-fetch": "judges by the system it runs on",
    "v0.97/windows-only/out-of-scope-file-paths-using-unc-for-fetch": "judges by the system it runs on",
    "v0.97/windows-only/out-of-scope-file-paths-using-shortcut-for-fetch": "judges by the system it runs on",
    "v1.0/valid/percent-encoded-names": "does not decode %25 (its issue 157); RFC 8493, 2.1.3 asks for it",
    "v1.0/invalid/missing-from-manifest": "one manifest is enough for it; the suite and RFC 8493, 3 want all",
    "v1.0/invalid/bagit-with-invalid-whitespace": "as in 0.97",
    "v1.0/invalid/two-spaces-in-bagit.txt": "RFC 8493, 2.1.1 gives the two lines exactly",
    "v1.0/invalid/third-line-in-bagit.txt": "RFC 8493, 2.1.1: exactly two lines",
    "v1.0/invalid/lines-in-wrong-order": "RFC 8493, 2.1.1: in this order",
    "v1.0/invalid/space-before-colon-in-bag-info": "RFC 8493, 2.2.2: a label does not end with a space",
    "v1.0/invalid/payload-manifest-not-in-tag-manifest": "RFC 8493, 2.2.1: a tag manifest lists all of them",
    "v1.0/invalid/fetch-of-a-tag-file": "RFC 8493, 2.2.3: fetch.txt does not list tag files",
    "v1.0/invalid/oxums-differ": "looks at the first only",
}


def judged_by_bagit(path: Path) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import bagit

        logging.disable(logging.CRITICAL)
        try:
            bagit.Bag(str(path)).validate()
        except Exception:  # noqa: BLE001 - a crash is a verdict
            return False
        finally:
            logging.disable(logging.NOTSET)
    return True


def test_the_bagit_library_agrees_but_where_we_know_why(tmp_path: Path) -> None:
    disagreements = set()
    for number, case in enumerate(CASES):
        folder = write_folder(tmp_path / str(number), case.build())
        if judged_by_bagit(folder) is not (case.verdict != INVALID):
            disagreements.add(case.name)
    assert disagreements == set(BAGIT_DIFFERS)
