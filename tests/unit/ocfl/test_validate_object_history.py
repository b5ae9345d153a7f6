"""Sidecars, several inventories that disagree, and objects that are valid, with and without warnings."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.ocfl_builder import OcflObject, digest_of, three_versions, to_json
from tests.doubles.ocfl_cases import (
    V1,
    A,
    B,
    C,
    Case,
    CaseTable,
    as_it_is,
    at,
    check,
    digest_everywhere,
    rename_key,
)

TABLE = CaseTable()
case, edited = TABLE.case, TABLE.edited


def no_content(root: Path, **options: Any) -> OcflObject:
    return OcflObject(root, **options).add({}).write()


# ---------------------------------------------------------------- sidecars


@case("E058_no_sidecar", "E058")
def _(made: OcflObject) -> None:
    made.remove("inventory.json.sha512")


@case("E058_no_sidecar_in_version", "E058")
def _(made: OcflObject) -> None:
    made.remove("v1/inventory.json.sha512")


@case("E059_sidecar_of_other_algorithm", "E058 E059")
def _(made: OcflObject) -> None:
    data = (made.root / "inventory.json").read_bytes()
    made.remove("inventory.json.sha512")
    made.put("inventory.json.sha256", f"{digest_of(data, 'sha256')} inventory.json\n".encode())


@case("E001_second_sidecar", "E001")
def _(made: OcflObject) -> None:
    made.put("inventory.json.md5", b"x inventory.json\n")


@case("E015_second_sidecar_in_version", "E015")
def _(made: OcflObject) -> None:
    made.put("v1/inventory.json.md5", b"x inventory.json\n")


@case("E060_E064_root_inventory_digest_mismatch", "E060 E064")
def _(made: OcflObject) -> None:
    made.put("inventory.json", (made.root / "inventory.json").read_bytes() + b"\n")


@case("E060_version_inventory_digest_mismatch", "E060 W011", base=three_versions)
def _(made: OcflObject) -> None:
    document = made.inventory("v1")
    document["versions"]["v1"]["message"] = "another"
    made.put("v1/inventory.json", to_json(document))


for number, text in enumerate(
    (b"", b"{digest}", b"{digest} other.json\n", b"inventory.json {digest}\n", b"\xff\xfe x\n")
):
    case(f"E061_invalid_sidecar_{number}", "E061")(
        lambda made, text=text: made.put(
            "inventory.json.sha512",
            text.replace(b"{digest}", digest_of((made.root / "inventory.json").read_bytes()).encode()),
        )
    )

# ---------------------------------------------------------------- several inventories


@case("E037_inconsistent_id", "E037", only_1_1="E110", base=three_versions)
def _(made: OcflObject) -> None:
    made.rewrite("v1", edit=lambda d: d.update(id="urn:example:two"))


@case("E064_different_root_and_latest_inventories", "E064")
def _(made: OcflObject) -> None:
    made.put_inventory("", json.dumps(made.inventory()).encode())


@case("E066_inconsistent_version_state", "E066", base=three_versions)
def _(made: OcflObject) -> None:
    def edit(document: dict[str, Any]) -> None:
        state = document["versions"]["v1"]["state"]
        state[A], state[B], state[C] = ["1.txt"], ["2.txt"], ["3.txt"]

    made.rewrite("v1", edit=edit)


@case("E066_changed_v1_logical_path", "E066", base=three_versions)
def _(made: OcflObject) -> None:
    made.rewrite("v1", edit=lambda d: d["versions"]["v1"]["state"].update({A: ["renamed"]}))


@case("E066_changed_content_for_logical_path", "E066", base=three_versions)
def _(made: OcflObject) -> None:
    made.rewrite("v1", edit=lambda d: d["versions"]["v1"]["state"].update({A: ["b.txt"], B: ["a.txt"]}))


@case("E066_algorithm_change_state_mismatch", "E066 W004", base=OcflObject)
def _(made: OcflObject) -> None:
    made.algorithm = "sha256"
    made.add({"1": b"1", "2": b"2", "3": b"3"})
    made.algorithm = "sha512"
    made.add({"1": b"1", "2": b"2", "3": b"3", "4": b"4"})
    state = made.inventories["v2"]["versions"]["v1"]["state"]
    state[digest_of(b"1")], state[digest_of(b"2")] = ["changed", "2"], ["3"]
    state[digest_of(b"3")] = ["1"]
    made.write()


@case("E066_E092_old_manifest_digest_incorrect", "E066 E092", base=three_versions)
def _(made: OcflObject) -> None:
    def edit(document: dict[str, Any]) -> None:
        rename_key(document["manifest"], A, "1" * 128)
        rename_key(document["versions"]["v1"]["state"], A, "1" * 128)

    made.rewrite("v1", edit=edit)


def mixed_releases(*releases: str) -> Callable[..., OcflObject]:
    def build(root: Path, **_options: Any) -> OcflObject:
        made = OcflObject(root)
        for number, release in enumerate(releases):
            made.spec_version = release
            made.add({"a": b"%d" % number})
        return made.write()

    return build


case("E103_older_spec_v2", "E103", specs=("1.1",), base=mixed_releases("1.1", "1.0", "1.1"))(as_it_is)
case("E103_inconsistent_ocfl_versions", "E103", specs=("1.0",), base=mixed_releases("1.0", "1.1", "1.0"))(as_it_is)
case("E103_older_head", "E103", specs=("1.0",), base=mixed_releases("1.1", "1.0"))(as_it_is)

# ---------------------------------------------------------------- valid, with warnings

case("W001_zero_padded_versions", "W001", width=3, base=three_versions)(as_it_is)
case(
    "W001_W004_W005_zero_padded_versions",
    "W001 W004 W005",
    width=4,
    algorithm="sha256",
    object_id="bb123cd4567",
    base=three_versions,
)(as_it_is)
case("W002_extra_dir_in_version_dir", "W002")(lambda made: made.put("v1/extra_dir/file"))
case("W003_empty_content_dir", "W003", base=three_versions)(lambda made: (made.root / "v3/content").mkdir())
case("W004_uses_sha256", "W004", algorithm="sha256")(as_it_is)
case("W005_id_not_uri", "W005", object_id="not_a_uri")(as_it_is)
edited("W007_no_message_or_user", "W007", lambda d: [at(d, *V1).pop(key) for key in ("message", "user")])
edited("W007_no_message", "W007", lambda d: at(d, *V1).pop("message"))
edited("W008_user_no_address", "W008", lambda d: at(d, *V1).update(user={"name": "Lin"}))
edited(
    "W009_user_address_not_uri",
    "W009",
    lambda d: at(d, *V1).update(user={"name": "Lin", "address": "1 Wonky Way, Wibblesville, WW"}),
)
case("W013_unregistered_extension", "W013")(lambda made: made.put("extensions/unregistered/config.json"))


@case("W004_versions_diff_digests", "W004", base=OcflObject)
def _(made: OcflObject) -> None:
    made.algorithm = "sha256"
    made.add({"a": b"1", "twice": b"1"})
    made.algorithm = "sha512"
    made.add({"a": b"1", "b": b"2"}).write()


@case("W010_no_version_inventory", "W010")
def _(made: OcflObject) -> None:
    for name in ("inventory.json", "inventory.json.sha512"):
        made.remove(f"v1/{name}")


@case("W011_version_inv_diff_metadata", "W011", base=three_versions)
def _(made: OcflObject) -> None:
    made.rewrite(
        "v1",
        edit=lambda d: d["versions"]["v1"].update(
            created="2001-01-01T00:00:00Z", message="other", user={"name": "x", "address": "urn:x"}
        ),
    )


# ---------------------------------------------------------------- valid, with nothing to say

case("minimal_one_version_one_file", "")(as_it_is)
case("minimal_content_dir_called_stuff", "", content_directory="stuff")(as_it_is)
case("minimal_uppercase_digests", "")(digest_everywhere(A.upper()))
case("minimal_mixed_digests", "")(digest_everywhere(A[:60].upper() + A[60:]))
case("updates_three_versions", "", base=three_versions)(as_it_is)
case("minimal_no_content", "", base=no_content)(as_it_is)
case(
    "all_fixity_digests",
    "",
    fixity=(
        *("md5", "sha1", "sha256", "sha512", "blake2b-512", "blake2b-160", "blake2b-256", "blake2b-384"),
        *("sha512/256", "size"),
    ),
)(as_it_is)
edited("empty_fixity", "", lambda d: d.update(fixity={}))
edited(
    "created_with_fraction_and_offset", "", lambda d: at(d, *V1).update(created="2021-03-31T08:22:37.241208990-05:00")
)
edited("created_in_a_leap_second", "", lambda d: at(d, *V1).update(created="2016-12-31t23:59:60z"))
edited("unicode_id", "", lambda d: d.update(id="urn:jindang:120000:J019-WS·2015"))
case("ocfl_version_change", "", specs=("1.1",), base=mixed_releases("1.0", "1.0", "1.1"))(as_it_is)
case("files_in_logs", "")(lambda made: made.put("logs/audit.log"))
case("empty_logs", "")(lambda made: (made.root / "logs").mkdir())
case("registered_extension", "")(lambda made: made.put("extensions/0005-mutable-head/HEAD/inventory.json", b"{"))
case("sidecar_with_tabs_and_upper_case", "")(
    lambda made: made.put(
        "inventory.json.sha512",
        b"%s \t inventory.json\n" % digest_of((made.root / "inventory.json").read_bytes()).upper().encode(),
    )
)


@pytest.mark.parametrize(("each", "spec_version"), TABLE.parameters())
def test_inventories_are_compared(each: Case, spec_version: str, tmp_path: Path) -> None:
    check(each, spec_version, tmp_path / "object")
