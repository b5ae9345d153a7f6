"""Storage layouts, against the examples that the extensions' own documents give, and against hostile identifiers."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repository.errors import ConfigError, InvalidInputError
from repository.ocfl.layout import LAYOUTS, config_path, layout_for, read_layout

FLAT = "0002-flat-direct-storage-layout"
HASH_ID = "0003-hash-and-id-n-tuple-storage-layout"
HASHED = "0004-hashed-n-tuple-storage-layout"
OMIT = "0006-flat-omit-prefix-storage-layout"
TUPLES = "0007-n-tuple-omit-prefix-storage-layout"

SHA_1 = "3c0ff4240c1e116dba14c7627f2319b58aa3d77606d0d90dfc6161608ac987d4"
SHA_2 = "487326d8c2a3c0b885e23da1469b4d6671fd4e76978924b4443e9e3c316cda6d"
TEN = "abcdefghij"
NONE: dict[str, Any] = {"tupleSize": 0, "numberOfTuples": 0}
MD5: dict[str, Any] = {"digestAlgorithm": "md5", "tupleSize": 2, "numberOfTuples": 15}
REVERSED: dict[str, Any] = {"tupleSize": 4, "numberOfTuples": 2, "reverseObjectRoot": True}
RIGHT: dict[str, Any] = {"delimiter": "edu/", "zeroPadding": "right"}
UUID = "6e8bc430-9c3a-11d9-9669-0800200c9a66"


@pytest.mark.parametrize(
    ("extension", "config", "object_id", "path"),
    [
        (FLAT, {}, "object-01", "object-01"),
        (FLAT, {}, "..hor_rib:lé-$id", "..hor_rib:lé-$id"),
        (HASH_ID, {}, "object-01", "3c0/ff4/240/object-01"),
        (HASH_ID, {}, "..hor/rib:le-$id", "487/326/d8c/%2e%2ehor%2frib%3ale-%24id"),
        (HASH_ID, {}, "..Hor/rib:lè-$id", "373/529/21a/%2e%2eHor%2frib%3al%c3%a8-%24id"),
        (
            HASH_ID,
            {},
            TEN * 26,
            f"55b/432/806/{TEN * 10}-55b432806f4e270da0cf23815ed338742179002153cd8d896f23b3e2d8a14359",
        ),
        (
            HASH_ID,
            {},
            TEN * 10 + "a",
            f"5cc/73e/648/{TEN * 10}-5cc73e648fbcff136510e330871180922ddacf193b68fdeff855683a01464220",
        ),
        (HASH_ID, {"digestAlgorithm": "md5"}, "object-01", "ff7/553/449/object-01"),
        (
            HASH_ID,
            {"digestAlgorithm": "md5", "tupleSize": 5, "numberOfTuples": 2},
            "object-01",
            "ff755/34492/object-01",
        ),
        (HASH_ID, MD5, "object-01", "ff/75/53/44/92/48/5e/ab/b3/9f/86/35/67/28/88/object-01"),
        (HASH_ID, MD5, "..hor/rib:le-$id", "08/31/97/66/fb/6c/29/35/dd/17/5b/94/26/77/17/%2e%2ehor%2frib%3ale-%24id"),
        (HASH_ID, NONE, "object-01", "object-01"),
        (HASH_ID, NONE, "..hor/rib:le-$id", "%2e%2ehor%2frib%3ale-%24id"),
        (HASHED, {}, "object-01", f"3c0/ff4/240/{SHA_1}"),
        (HASHED, {}, "..hor/rib:le-$id", f"487/326/d8c/{SHA_2}"),
        (HASHED, {**MD5, "shortObjectRoot": True}, "object-01", "ff/75/53/44/92/48/5e/ab/b3/9f/86/35/67/28/88/4e"),
        (HASHED, NONE, "..hor/rib:le-$id", SHA_2),
        (OMIT, {"delimiter": ":"}, "namespace:12887296", "12887296"),
        (OMIT, {"delimiter": ":"}, f"urn:uuid:{UUID}", UUID),
        (OMIT, {"delimiter": "edu/"}, "https://institution.edu/3448793", "3448793"),
        (OMIT, {"delimiter": "EDU/"}, "https://institution.edu/abc/edu/f8.05v", "f8.05v"),
        (TUPLES, REVERSED, "namespace:12887296", "6927/8821/12887296"),
        (TUPLES, REVERSED, f"urn:uuid:{UUID}", f"66a9/c002/{UUID}"),
        (TUPLES, REVERSED, "abc123", "321c/ba00/abc123"),
        (TUPLES, RIGHT, "https://institution.edu/3448793", "344/879/300/3448793"),
        (TUPLES, RIGHT, "https://institution.edu/abc/edu/f8.05v", "f8./05v/000/f8.05v"),
        (TUPLES, {}, "x:1", "000/000/001/1"),
    ],
)
def test_published_examples(extension: str, config: dict[str, Any], object_id: str, path: str) -> None:
    assert layout_for(extension, config).object_path(object_id) == path


@pytest.mark.parametrize(
    ("extension", "config", "object_id"),
    [
        (FLAT, {}, "info:fedora/object-01"),
        (FLAT, {}, TEN * 26),
        (FLAT, {}, "."),
        (FLAT, {}, ".."),
        (FLAT, {}, ""),
        (FLAT, {}, "a\0b"),
        (FLAT, {}, "extensions"),
        (FLAT, {}, "ocfl_layout.json"),
        (FLAT, {}, "0=ocfl_1.1"),
        (FLAT, {}, "\ud800"),
        (HASH_ID, NONE, ""),
        (HASH_ID, NONE, "extensions"),
        (HASH_ID, {}, "\ud800"),
        (OMIT, {"delimiter": ":"}, "namespace:"),
        (OMIT, {"delimiter": "info:"}, "info:fedora/object-01"),
        (OMIT, {"delimiter": "info:"}, "https://example.org/info:/12345/x54xz321/s3/f8.05v"),
        (TUPLES, {}, "namespace:"),
        (TUPLES, {}, "x:卷一"),
        (TUPLES, {}, "x:a\nb"),
        (TUPLES, {"tupleSize": 2, "numberOfTuples": 1}, "x:..a"),
        (TUPLES, {}, "x:a/b"),
    ],
)
def test_identifiers_without_a_safe_place_are_refused(extension: str, config: dict[str, Any], object_id: str) -> None:
    with pytest.raises(InvalidInputError, match="no place for this identifier") as caught:
        layout_for(extension, config).object_path(object_id)
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("extension", "config", "problem"),
    [
        (HASH_ID, {"tupleSize": 0}, "must both be 0"),
        (HASH_ID, {"numberOfTuples": 0}, "must both be 0"),
        (HASH_ID, {"tupleSize": 33}, "tupleSize must be between 0 and 32"),
        (HASH_ID, {"numberOfTuples": -1}, "numberOfTuples must be between 0 and 32"),
        (HASH_ID, {"tupleSize": "3"}, "tupleSize must be a whole number"),
        (HASH_ID, {"tupleSize": True}, "tupleSize must be a whole number"),
        (HASH_ID, {"digestAlgorithm": "crc32"}, "digestAlgorithm must be one of"),
        (HASH_ID, {"digestAlgorithm": "size"}, "digestAlgorithm must be one of"),
        (HASH_ID, {"digestAlgorithm": "md5", "tupleSize": 11, "numberOfTuples": 3}, "must not exceed 32"),
        (HASH_ID, {"shortObjectRoot": True}, "shortObjectRoot is not a parameter"),
        (HASH_ID, {"extensionName": HASHED}, "extensionName must be"),
        (
            HASHED,
            {"digestAlgorithm": "md5", "tupleSize": 8, "numberOfTuples": 4, "shortObjectRoot": True},
            "must be false",
        ),
        (HASHED, {"shortObjectRoot": 1}, "shortObjectRoot must be true or false"),
        (OMIT, {}, "delimiter must be given"),
        (OMIT, {"delimiter": ""}, "delimiter must be given"),
        (TUPLES, {"delimiter": ""}, "delimiter must not be empty"),
        (TUPLES, {"tupleSize": 0, "numberOfTuples": 0}, "tupleSize must be between 1 and 32"),
        (TUPLES, {"zeroPadding": "both"}, "zeroPadding must be left or right"),
        ("0099-unheard-of", {}, "use one of"),
    ],
)
def test_parameters_that_an_extension_forbids(extension: str, config: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        layout_for(extension, config)
    assert problem in str(caught.value)


def test_all_problems_come_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        layout_for(TUPLES, {"delimiter": "", "tupleSize": 0, "zeroPadding": "x"})
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    "layout", [kind() if name != OMIT else layout_for(OMIT, {"delimiter": ":"}) for name, kind in LAYOUTS.items()]
)
def test_what_is_written_is_read_back(layout: Any) -> None:
    document = json.loads(layout.layout_bytes())
    assert document["extension"] == layout.extension
    assert document["description"]
    assert json.loads(layout.config_bytes())["extensionName"] == layout.extension
    assert read_layout(layout.layout_bytes(), lambda _: layout.config_bytes(), where="root") == layout


def test_a_layout_without_parameters_file_has_the_defaults() -> None:
    layout = layout_for(HASH_ID)
    assert read_layout(layout.layout_bytes(), lambda _: None, where="root") == layout
    assert config_path(HASH_ID) == f"extensions/{HASH_ID}/config.json"


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"extension": "other"}', b'{"extension": 3}', b"\xff", b"[" * 99_999]
)
def test_layout_files_that_cannot_be_used(data: bytes) -> None:
    with pytest.raises(ConfigError):
        read_layout(data, lambda _: None, where="root")


@given(st.text(max_size=300), st.sampled_from([layout_for(HASH_ID), layout_for(HASHED), layout_for(TUPLES)]))
@settings(max_examples=300, deadline=None)
def test_no_identifier_leaves_the_storage_root(object_id: str, layout: Any) -> None:
    try:
        path = layout.object_path(object_id)
    except InvalidInputError:
        return
    assert path == layout.object_path(object_id)
    assert all(part not in ("", ".", "..") and len(part.encode()) <= 255 for part in path.split("/"))
    assert "\0" not in path


@given(st.text(min_size=1, max_size=60), st.text(min_size=1, max_size=60))
@settings(max_examples=200, deadline=None)
def test_different_identifiers_have_different_places(first: str, second: str) -> None:
    layout = layout_for(HASH_ID)
    try:
        same = layout.object_path(first) == layout.object_path(second)
    except InvalidInputError:
        return
    assert same == (first == second)
