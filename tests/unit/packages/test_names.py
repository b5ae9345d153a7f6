"""Rules for names: what leaves a package, what collides, how names are shown."""

import pytest

from repository.packages.names import (
    CollisionFinder,
    escape_problem,
    folded,
    plain_problem,
    shown,
    shown_bytes,
    size_problem,
)
from repository.packages.package import Limits


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a/..",
        "..",
        "..\\x",
        "a\\..\\..\\x",
        "\\\\server\\share\\x",
        "\\x",
        "C:\\x",
        "c:x",
        "C:/x",
        "%2e%2e/x",
        "a/%2E%2e/x",
        "%2Fetc/passwd",
        "%252e%252e/x",
        "a%2f..%2f..%2fx",
        "..%5cx",
        "%43%3a%5cx",
        "a\0b",
        "a%00b",
    ],
)
def test_paths_that_would_leave_the_package(path: str) -> None:
    assert escape_problem(path)


@pytest.mark.parametrize(
    "path",
    ["a", "a/b", "...", "..a", "a..", "100%", "%", "%zz", "%20", "a b", "~x", "ab:c", "文/件", "-rf", "$HOME", "a\\b"],
)
def test_lawful_paths(path: str) -> None:
    assert escape_problem(path) is None
    assert plain_problem(path) is None
    assert size_problem(path, Limits()) is None


@pytest.mark.parametrize("path", ["", "a//b", "a/", "./a", "a/./b", "a/../b"])
def test_paths_that_are_not_plain(path: str) -> None:
    assert plain_problem(path)


def test_size_limits_count_utf8_bytes() -> None:
    assert size_problem("文" * 85, Limits()) is None
    assert "258 bytes" in (size_problem("文" * 86, Limits()) or "")
    assert size_problem("/".join("a" * 200 for _ in range(6)), Limits())
    assert "deep" in (size_problem("/".join("a" * 65), Limits()) or "")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.txt", "A.TXT"),
        ("N\u00fa\u00f1ez", "Nu\u0301n\u0303ez"),
        ("straße", "STRASSE"),
        ("dir/a", "DIR/b"),
        ("ﬁle", "file"),
        ("a", "A/b"),
    ],
)
def test_collisions_are_reported_once(first: str, second: str) -> None:
    for paths in [(first, second), (second, first)]:
        reported: list[str] = []
        finder = CollisionFinder(reported.append)
        for path in paths:
            finder.add(path)
        assert len(reported) == 1, paths


@pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a/b", "a"), ("a", "a"), ("x/a", "x/a")])
def test_the_same_name_for_two_things(first: str, second: str) -> None:
    reported: list[str] = []
    finder = CollisionFinder(reported.append)
    finder.add(first)
    finder.add(second)
    assert len(reported) == 1


def test_names_that_do_not_collide() -> None:
    reported: list[str] = []
    finder = CollisionFinder(reported.append)
    for path in ("a/x", "b/x", "a/y", "x", "档案/一", "档案/二", "a/X1"):
        finder.add(path)
    assert reported == []


def test_shown_names_cannot_mislead() -> None:
    assert shown("a\nb") == '"a\\nb"'
    assert shown('q"uote\\') == '"q\\"uote\\\\"'
    assert shown("\u202egpj.exe") == '"\\u202egpj.exe"'
    assert shown("档案 1") == '"档案 1"'
    assert len(shown("x" * 5000)) < 400
    assert shown_bytes(b"\xb5\xb5") == '"\\xb5\\xb5"'
    assert shown("\udcb5") == '"\\udcb5"'


def test_folding_is_stable() -> None:
    assert folded("ABC") == folded("abc") == "abc"
    assert folded("É") == folded("e\u0301")
