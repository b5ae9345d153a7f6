"""The inventory: version numbers, what it answers, how it is written, and that it refuses what it must."""

import copy
import json
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repository.errors import InvalidInputError, InventoryError
from repository.ocfl.inventory import (
    Inventory,
    VersionBlock,
    VersionNumber,
    parse_inventory,
    read_sidecar,
    sidecar_bytes,
    sidecar_name,
)
from repository.ocfl.validate_inventory import examine_inventory
from tests.doubles.ocfl_builder import digest_of

ONE, TWO = digest_of(b"1"), digest_of(b"2")
V1, V2 = VersionNumber(1), VersionNumber(2)


def inventory(**changes: Any) -> Inventory:
    values: dict[str, Any] = {
        "id": "urn:jindang:120000:J019-WS·2015·D30",
        "head": V2,
        "manifest": {ONE: ("v1/content/data/一.tif", "v1/content/copy"), TWO: ("v2/content/data/二.tif",)},
        "versions": {
            V1: VersionBlock(
                created="2026-01-01T08:00:00Z",
                state={ONE: ("copy", "data/一.tif")},
                message="入库",
                user_name="林",
                user_address="mailto:lin@example.org",
            ),
            V2: VersionBlock(created="2026-01-02T08:00:00+08:00", state={ONE: ("copy",), TWO: ("data/二.tif",)}),
        },
        "fixity": {"size": {"1": ("v1/content/copy", "v1/content/data/一.tif", "v2/content/data/二.tif")}},
    }
    return Inventory(**(values | changes))


# ---------------------------------------------------------------- version numbers


@pytest.mark.parametrize(("text", "number", "width"), [("v1", 1, 0), ("v12", 12, 0), ("v0001", 1, 4), ("v010", 10, 3)])
def test_version_names_are_read_and_written_alike(text: str, number: int, width: int) -> None:
    version = VersionNumber.parse(text)
    assert (version.number, version.width, str(version)) == (number, width, text)


@pytest.mark.parametrize(
    "text", ["", "1", "v", "v0", "v00", "V1", "v-1", "v1 ", " v1", "v1\n", "v1.0", "v１", "v" + "9" * 30]
)
def test_other_names_are_refused(text: str) -> None:
    assert VersionNumber.parse_or_none(text) is None
    with pytest.raises(InvalidInputError, match="not the name of an object version"):
        VersionNumber.parse(text)


def test_versions_are_ordered_by_number_and_equal_in_any_padding() -> None:
    assert VersionNumber(2) < VersionNumber(10)
    assert VersionNumber.parse("v02") == VersionNumber(2)
    assert {VersionNumber.parse("v02"): 1}[VersionNumber(2)] == 1


def test_the_next_version_keeps_the_padding_until_it_is_used_up() -> None:
    assert str(VersionNumber(9).next()) == "v10"
    assert str(VersionNumber.parse("v0099").next()) == "v0100"
    with pytest.raises(InvalidInputError, match="no further version"):
        VersionNumber.parse("v09").next()


# ---------------------------------------------------------------- what it answers


def test_logical_state_and_content_paths() -> None:
    made = inventory()
    assert made.state(V1) == {"copy": ONE, "data/一.tif": ONE}
    assert made.state() == {"copy": ONE, "data/二.tif": TWO}
    assert made.content_paths(ONE.upper()) == ("v1/content/data/一.tif", "v1/content/copy")
    assert made.content_path(TWO) == "v2/content/data/二.tif"
    assert made.content_paths("0" * 128) == ()
    assert made.added_content(V1) == {"v1/content/copy": ONE, "v1/content/data/一.tif": ONE}
    assert made.added_content() == {"v2/content/data/二.tif": TWO}
    assert made.content_root() == "v2/content"
    assert set(made.sizes().values()) == {1}


def test_asking_for_what_is_not_there() -> None:
    with pytest.raises(InvalidInputError, match="no version v3"):
        inventory().version(VersionNumber(3))
    with pytest.raises(InventoryError, match="no file for a digest"):
        inventory().content_path("0" * 128)


def test_added_content_is_found_by_whichever_padding() -> None:
    made = inventory(head=VersionNumber(1, 3), manifest={ONE: ("v001/content/a",)})
    assert made.added_content(VersionNumber(1)) == {"v001/content/a": ONE}
    assert made.content_root(VersionNumber(1)) == "v001/content"


# ---------------------------------------------------------------- how it is written


def test_the_same_inventory_gives_the_same_bytes() -> None:
    made = inventory()
    turned = inventory(manifest=dict(reversed(made.manifest.items())), versions=dict(reversed(made.versions.items())))
    data = made.to_bytes()
    assert data == turned.to_bytes()
    assert data.endswith(b"}\n")
    assert "一.tif".encode() in data
    assert json.loads(data)["type"] == "https://ocfl.io/1.1/spec/#inventory"
    assert "contentDirectory" not in json.loads(data)


def test_what_was_written_is_read_back() -> None:
    made = inventory(
        content_directory="stuff",
        manifest={},
        versions={V1: VersionBlock(created="2026-01-01T08:00:00Z", state={})},
        head=V1,
        fixity={},
    )
    assert parse_inventory(made.to_bytes(), where="x") == inventory_with_key(made)


def inventory_with_key(made: Inventory) -> Inventory:
    return Inventory(
        id=made.id,
        head=made.head,
        versions=made.versions,
        manifest=made.manifest,
        content_directory=made.content_directory,
        content_directory_declared=True,
        fixity=made.fixity,
    )


def test_an_explicit_default_content_directory_is_kept() -> None:
    made = inventory(content_directory_declared=True)
    assert json.loads(made.to_bytes())["contentDirectory"] == "content"
    assert parse_inventory(made.to_bytes(), where="x").content_directory_declared


def test_digests_are_read_in_lower_case() -> None:
    data = inventory().to_bytes().replace(ONE.encode(), ONE.upper().encode())
    assert parse_inventory(data, where="x").content_paths(ONE)


def test_sidecars() -> None:
    data = inventory().to_bytes()
    assert sidecar_name("sha256") == "inventory.json.sha256"
    assert sidecar_bytes(data, "sha256") == f"{digest_of(data, 'sha256')} inventory.json\n".encode()
    assert read_sidecar(sidecar_bytes(data, "sha512").upper().replace(b"INVENTORY.JSON", b"inventory.json")) == (
        digest_of(data)
    )
    assert read_sidecar(b"ABC\t inventory.json") == "abc"


@pytest.mark.parametrize(
    "data", [b"", b"abc", b"abc other.json\n", b"inventory.json abc\n", b"a b inventory.json", b"\xff inventory.json"]
)
def test_other_sidecars_are_refused(data: bytes) -> None:
    with pytest.raises(InventoryError, match="E061"):
        read_sidecar(data)


def test_a_refusal_names_the_file_the_code_and_the_reason() -> None:
    document = json.loads(inventory().to_bytes())
    del document["head"]
    with pytest.raises(InventoryError) as caught:
        parse_inventory(json.dumps(document).encode(), where="tier/object/inventory.json")
    assert caught.value.where == "tier/object/inventory.json"
    assert caught.value.why == "E036: the key head is missing"
    assert "jindang ocfl validate" in str(caught.value)


def test_warnings_do_not_stop_reading() -> None:
    data = inventory(id="no uri").to_bytes()
    assert {problem.code for problem in examine_inventory(data).problems} == {"W005", "W007"}
    assert parse_inventory(data, where="x").id == "no uri"


# ---------------------------------------------------------------- hostile input

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ODD = st.sampled_from(
    [
        "v1",
        "v01",
        "v2",
        "",
        ".",
        "..",
        "/",
        "a//b",
        "../x",
        "v1/content/../../x",
        "\0",
        ONE,
        ONE.upper(),
        TWO,
        "sha512",
    ]
)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_random_bytes_are_refused_and_never_crash(data: bytes) -> None:
    with pytest.raises(InventoryError):
        parse_inventory(data, where="x")


@given(JSON)
@settings(max_examples=150, deadline=None)
def test_random_json_is_refused_and_never_crashes(document: Any) -> None:
    with pytest.raises(InventoryError):
        parse_inventory(json.dumps(document).encode(), where="x")


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A good inventory in which some values or keys are replaced by anything."""
    document = json.loads(inventory().to_bytes())
    for _ in range(draw(st.integers(1, 3))):
        node: Any = document
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(node[key], dict | list) and draw(st.booleans()):
                node = node[key]
                continue
            if isinstance(node, dict) and draw(st.booleans()):
                node[draw(ODD | st.text(max_size=8))] = node.pop(key)
            else:
                node[key] = draw(ODD | JSON)
            break
    return document


@given(mutated())
@settings(max_examples=400, deadline=None)
def test_mutated_inventories_are_refused_or_read_never_worse(document: dict[str, Any]) -> None:
    data = json.dumps(document).encode()
    draft = examine_inventory(data)
    try:
        read = parse_inventory(data, where="x")
    except InventoryError:
        assert draft.has_errors
    else:
        assert not draft.has_errors
        for path in read.digests_by_content_path():
            assert not path.startswith("/")
            assert not {"", ".", ".."} & set(path.split("/"))
        assert parse_inventory(read.to_bytes(), where="x").to_bytes() == read.to_bytes()


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_bytes_changed_anywhere_never_crash_the_parser(data: st.DataObject) -> None:
    text = bytearray(inventory().to_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    examine_inventory(bytes(text))


NAMES = st.text(string.ascii_letters + string.digits + "一二·-_ .", min_size=1, max_size=6).filter(
    lambda name: name not in (".", "..")
)


@given(
    first=st.dictionaries(NAMES, st.binary(max_size=3), max_size=6),
    second=st.dictionaries(NAMES, st.binary(max_size=3), max_size=6),
    algorithm=st.sampled_from(["sha512", "sha256"]),
    spec=st.sampled_from(["1.0", "1.1"]),
    width=st.sampled_from([0, 4]),
    message=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
@settings(max_examples=100, deadline=None)
def test_inventories_round_trip(
    *, first: dict[str, bytes], second: dict[str, bytes], algorithm: str, spec: str, width: int, message: str | None
) -> None:
    versions = {}
    manifest: dict[str, list[str]] = {}
    for number, files in enumerate((first, second), start=1):
        name = VersionNumber(number, width)
        state: dict[str, list[str]] = {}
        for path, content in sorted(files.items()):
            digest = digest_of(content, algorithm)
            state.setdefault(digest, []).append(path)
            manifest.setdefault(digest, []) or manifest[digest].append(f"{name}/content/{path}")
        versions[name] = VersionBlock(
            created="2026-01-01T08:00:00Z",
            state={digest: tuple(paths) for digest, paths in state.items()},
            message=message,
            user_name=message,
        )
    made = Inventory(
        id="urn:x",
        head=VersionNumber(2, width),
        versions=versions,
        manifest={digest: tuple(paths) for digest, paths in manifest.items()},
        digest_algorithm=algorithm,
        spec_version=spec,
    )
    read = parse_inventory(made.to_bytes(), where="x")
    assert read == made
    assert copy.deepcopy(read).to_bytes() == made.to_bytes()
