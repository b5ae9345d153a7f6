"""The table of codes is whole, and says which release has which code."""

from repository.ocfl.codes import CODES, UNREADABLE, Finding, is_valid, severity_of


def test_every_code_of_both_releases_has_a_sentence() -> None:
    errors = {f"E{number:03d}" for number in range(1, 113)} - {"E065", "E109"}
    warnings = {f"W{number:03d}" for number in range(1, 17)} - {"W006"}
    assert set(CODES) == errors | warnings | {UNREADABLE}
    for code in CODES.values():
        assert code.sentence.endswith(".")
        assert code.severity == ("warning" if code.code.startswith("W") else "error")


def test_releases() -> None:
    assert CODES["E001"].spec_versions == ("1.0", "1.1")
    assert CODES["E068"].spec_versions == ("1.0",)
    assert CODES["E110"].spec_versions == ("1.1",)
    assert CODES["W016"].spec_versions == ("1.1",)


def test_warnings_make_nothing_invalid() -> None:
    def finding(code: str) -> Finding:
        return Finding(code=code, severity=severity_of(code), object="urn:x", path="v1/a", message="m")

    assert is_valid([])
    assert is_valid([finding("W001")])
    assert not is_valid([finding("W001"), finding("E092")])
    assert not is_valid([finding(UNREADABLE)])
    assert str(finding("E092")) == "[E092] v1/a: m"
