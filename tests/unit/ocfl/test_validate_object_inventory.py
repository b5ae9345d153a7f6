"""Objects with one inventory that is broken in itself."""

from pathlib import Path

import pytest

from tests.doubles.ocfl_builder import OcflObject, digest_of, three_versions
from tests.doubles.ocfl_cases import A_MD5, V1, A, B, C, Case, CaseTable, at, check, digest_everywhere, rename_key

TABLE = CaseTable()
case, edited = TABLE.case, TABLE.edited


# ---------------------------------------------------------------- inventory: keys

edited("E025_wrong_digest_algorithm", "E025 E039 E058 E059 E092", lambda d: d.update(digestAlgorithm="md5"))
edited("E025_digest_algorithm_upper_case", "E025 E058 E059", lambda d: d.update(digestAlgorithm="SHA512"))
edited("E025_digest_algorithm_is_a_list", "E025", lambda d: d.update(digestAlgorithm=["sha512"]))


@case("E025_E001_wrong_digest_algorithm", "E001 E015 E025", algorithm="md5")
def _(made: OcflObject) -> None:
    pass


for number, (text, codes) in enumerate(
    [
        (b"{not json", "E033"),
        (b"", "E033"),
        (b"[]", "E033"),
        (b'"inventory"', "E033"),
        (b"\xff\xfe{}", "E033"),
        (b"\xef\xbb\xbf{}", "E033"),
        (b'{"id": NaN}', "E033"),
        (b'{"id": "\\ud800"}', "E033"),
        (b"[" * 100_000, "E033"),
        (b'{"head": ' + b"1" * 5000 + b"}", "E033"),
    ]
):
    case(f"E033_inventory_bad_json_{number}", codes)(
        lambda made, text=text: [made.put_inventory(where, text) for where in ("", "v1")]
    )


@case("E033_repeated_key", "E033")
def _(made: OcflObject) -> None:
    made.rewrite_text('"head": "v1"', '"head": "v1", "head": "v1"')


@case("E033_repeated_version", "E033")
def _(made: OcflObject) -> None:
    made.rewrite_text('"versions": {', '"versions": {"v1": {},')


@case("E033_repeated_key_in_version", "E033")
def _(made: OcflObject) -> None:
    made.rewrite_text('"message":', '"message": "m", "message":')


@case("E033_repeated_key_in_user", "E033")
def _(made: OcflObject) -> None:
    made.rewrite_text('"name":', '"name": "m", "name":')


edited("E036_no_id", "E036", lambda d: d.pop("id"))
edited("E036_no_head", "E036", lambda d: d.pop("head"))
edited("E036_no_type", "E036", lambda d: d.pop("type"))
edited("E036_no_digest_algorithm", "E036", lambda d: d.pop("digestAlgorithm"))
edited("E037_empty_id", "E037", lambda d: d.update(id=""))
edited("E037_id_is_a_number", "E037", lambda d: d.update(id=7))
edited("E038_type_not_str", "E038", lambda d: d.update(type=1))
edited("E038_other_type", "E038", lambda d: d.update(type="https://ocfl.io/1.1/inventory"))
edited("E038_unknown_release", "E038", lambda d: d.update(type="https://ocfl.io/7.7/spec/#inventory"))
edited(
    "E038_type_of_other_release",
    "E038",
    lambda d: d.update(type="https://ocfl.io/1.0/spec/#inventory"),
    specs=("1.1",),
)
edited("E040_wrong_head_doesnt_exist", "E040", lambda d: d.update(head="v2"))
edited("E040_wrong_head_format", "E040", lambda d: d.update(head=1))
edited("E040_head_is_v0", "E040", lambda d: d.update(head="v0"))
edited("E040_head_in_other_digits", "E040", lambda d: d.update(head="v１"))
edited("E041_no_manifest", "E041", lambda d: d.pop("manifest"))
edited("E041_manifest_not_object", "E041", lambda d: d.update(manifest=[]), only_1_1="E106")
edited("E043_no_versions", "E041 E043 E044", lambda d: d.pop("versions"))
edited("E044_versions_not_object", "E044 E045", lambda d: d.update(versions=["v1"]))
edited("E102_unknown_key", "E102", lambda d: d.update(extra=1))
edited("E102_unknown_key_in_version", "E102", lambda d: d["versions"]["v1"].update(type="Version"))
edited("E102_unknown_key_in_user", "E102", lambda d: d["versions"]["v1"]["user"].update(role="x"))


@case("E040_head_not_most_recent", "E040 E064", base=three_versions)
def _(made: OcflObject) -> None:
    made.rewrite("", edit=lambda d: d.update(head="v2"))


@case("E040_wrong_version_in_version_dir", "E040", base=three_versions)
def _(made: OcflObject) -> None:
    for name in ("inventory.json", "inventory.json.sha512"):
        made.put(f"v2/{name}", (made.root / name).read_bytes())


# ---------------------------------------------------------------- inventory: manifest


@case("E030_manifest_digest_not_hex", "E030 E092 W004", algorithm="sha256")
def _(made: OcflObject) -> None:
    text = (made.root / "inventory.json").read_text().replace(digest_of(b"first\n", "sha256"), "z" * 64)
    for where in ("", "v1"):
        made.put_inventory(where, text.encode(), "sha256")


case("E031_manifest_digest_not_hex", "E031 E092")(digest_everywhere("z" * 128))
case("E031_manifest_digest_short", "E031 E092")(digest_everywhere("ab" * 60))
case("E039_other_algorithm_used", "E039 E092")(digest_everywhere("ab" * 32))
for number, path in enumerate(("v1/bad_content_path", "content/x", "v1/other/x", "v7/content/x", "v2", "x")):
    edited(
        f"E042_bad_manifest_content_path_{number}",
        "E042 E092",
        lambda d, path=path: d["manifest"][A].append(path),
    )
edited("E092_paths_not_a_list", "E092 E023", lambda d: d["manifest"].update({A: "v1/content/a.txt"}))
edited("E092_no_paths", "E092 E023", lambda d: d["manifest"].update({A: []}))
edited("E098_path_is_a_number", "E098", lambda d: d["manifest"][A].append(5))
edited("E098_path_with_null", "E098", lambda d: d["manifest"][A].append("v1/content/a\0b"))
for number, path in enumerate(
    ("v1/content/../content/a.txt", "v1/content//a.txt", "v1/./content/a.txt", "..", "../../etc/passwd", "")
):
    edited(f"E099_bad_content_path_elements_{number}", "E099", lambda d, path=path: d["manifest"][A].append(path))
for number, path in enumerate(("/v1/content/a.txt", "v1/content/a.txt/", "/etc/passwd")):
    edited(f"E100_content_path_slash_{number}", "E100", lambda d, path=path: d["manifest"][A].append(path))
edited("E100_E099_both", "E099 E100", lambda d: d["manifest"][A].append("//v1/content/a.txt"))
edited(
    "E100_E099_manifest_invalid_content_paths",
    "E023 E099 E100",
    lambda d: d["manifest"].update(
        {A: ["v1/content/../content/a.txt"], B: ["v1/content//b.txt"], C: ["/v1/content/页/c.txt"]}
    ),
)
edited("E101_non_unique_content_paths", "E101 E092", lambda d: d["manifest"][A].append("v1/content/b.txt"))
edited("E101_content_path_twice_in_list", "E101", lambda d: d["manifest"][A].append("v1/content/a.txt"))
edited("E101_file_and_directory", "E092 E101", lambda d: d["manifest"][A].append("v1/content/a.txt/b"))


@case("E096_manifest_duplicate_digests", "E096 E101")
def _(made: OcflObject) -> None:
    made.rewrite("", "v1", edit=lambda d: d["manifest"].update({A.upper(): ["v1/content/a.txt"]}))


@case("E096_manifest_repeated_digest", "E096")
def _(made: OcflObject) -> None:
    made.rewrite_text('"manifest": {', f'"manifest": {{"{A}": ["v1/content/a.txt"],')


@case("E107_file_in_manifest_not_used", "E107", only_1_0="E050")
def _(made: OcflObject) -> None:
    made.put("v1/content/unused", b"unused")
    made.rewrite("", "v1", edit=lambda d: d["manifest"].update({digest_of(b"unused"): ["v1/content/unused"]}))


# ---------------------------------------------------------------- inventory: versions

edited("E046_bad_version_name", "E046", lambda d: d["versions"].update(version1=at(d, *V1)), only_1_1="E105")
edited("E046_version_zero", "E046", lambda d: d["versions"].update(v0=at(d, *V1)), only_1_1="E105")
edited("E047_version_not_object", "E047 E107", lambda d: d["versions"].update(v1=[]), only_1_0="E050")
edited("E048_no_created", "E048", lambda d: at(d, *V1).pop("created"))
edited("E048_no_state", "E048 E107", lambda d: at(d, *V1).pop("state"), only_1_0="E050")
for number, created in enumerate(
    (
        "2019-01-01T02:03:04",
        "2019-01-01T01:02Z",
        "2019-01-01",
        "2019-01-01 02:03:04Z",
        "2019-13-01T02:03:04Z",
        "2019-02-29T02:03:04Z",
        "2019-01-01T24:00:00Z",
        "2019-01-01T02:03:04+0800",
        "2019-01-01T02:03:04.Z",
        "２019-01-01T02:03:04Z",
        "",
        "now",
        20190101,
        None,
    )
):
    edited(f"E049_created_{number}", "E049", lambda d, created=created: at(d, *V1).update(created=created))


@case("E049_E050_E054_bad_version_block_values", "E049 E050 E054 E094 E107")
def _(made: OcflObject) -> None:
    made.rewrite("", "v1", edit=lambda d: d["versions"].update(v1={"created": 1, "state": 2, "message": 3, "user": 4}))


edited("E050_state_digest_not_in_manifest", "E050", lambda d: at(d, *V1, "state").update({"f" * 128: ["x"]}))
edited("E050_manifest_digest_wrong_case", "E050", lambda d: rename_key(d["manifest"], A, A.upper()))
edited("E050_state_digest_different_case", "E050", lambda d: rename_key(at(d, *V1, "state"), A, A.upper()))
edited("E050_missing_manifest_entry", "E023 E050", lambda d: d["manifest"].pop(A))
edited("E050_paths_not_a_list", "E050", lambda d: at(d, *V1, "state").update({A: "a.txt"}))
edited("E050_same_digest_in_two_cases", "E050", lambda d: at(d, *V1, "state").update({A.upper(): ["x"]}))


@case("E050_state_repeated_digest", "E050")
def _(made: OcflObject) -> None:
    made.rewrite_text('"state": {', f'"state": {{"{A}": ["again.txt"],')


edited("E051_path_is_a_number", "E051", lambda d: at(d, *V1, "state")[A].append(3))
edited("E051_path_with_null", "E051", lambda d: at(d, *V1, "state")[A].append("a\0b"))
for number, path in enumerate(("../../file-2.txt", "a/./b", "a//b", ".", "..", "")):
    edited(f"E052_invalid_logical_path_{number}", "E052", lambda d, path=path: at(d, *V1, "state")[A].append(path))
for number, path in enumerate(("/file-1.txt", "dir/")):
    edited(f"E053_invalid_logical_path_{number}", "E053", lambda d, path=path: at(d, *V1, "state")[A].append(path))
edited("E053_slash_alone", "E052 E053", lambda d: at(d, *V1, "state")[A].append("/"))
edited(
    "E053_E052_invalid_logical_paths",
    "E052 E053",
    lambda d: at(d, *V1, "state").update({A: ["/file-1.txt"], B: ["../../file-2.txt"], C: ["//file-3.txt"]}),
)
edited("E054_user_without_name", "E054", lambda d: at(d, *V1, "user").pop("name"))
edited("E054_name_not_text", "E054", lambda d: at(d, *V1, "user").update(name=None))
edited("E054_user_not_object", "E054", lambda d: at(d, *V1).update(user="Lin"))
edited("E054_address_not_text", "E054", lambda d: at(d, *V1, "user").update(address=7))
edited("E094_message_not_a_string", "E094", lambda d: at(d, *V1).update(message=3))
edited("E094_message_null", "E094", lambda d: at(d, *V1).update(message=None))
edited("E095_conflicting_logical_paths", "E095", lambda d: at(d, *V1, "state")[A].append("a.txt/b"))
edited("E095_non_unique_logical_paths", "E095", lambda d: at(d, *V1, "state")[A].append("b.txt"))
edited("E095_twice_in_one_list", "E095", lambda d: at(d, *V1, "state")[A].append("a.txt"))

# ---------------------------------------------------------------- inventory: fixity

edited("E056_E111_null_fixity", "", lambda d: d.update(fixity=None), only_1_0="E056", only_1_1="E111")
edited("E111_fixity_is_a_list", "", lambda d: d.update(fixity=[]), only_1_0="E056", only_1_1="E111")
edited("E056_unknown_algorithm", "E056", lambda d: d.update(fixity={"crc32": {"0": ["v1/content/a.txt"]}}))
edited("E057_block_not_object", "E057", lambda d: d.update(fixity={"md5": []}))
edited("E057_paths_not_a_list", "E057", lambda d: d.update(fixity={"md5": {A_MD5: "v1/content/a.txt"}}))
edited("E057_path_not_in_manifest", "E057 E093", lambda d: d.update(fixity={"md5": {A_MD5: ["v1/content/zz"]}}))
edited("E057_not_a_digest", "E057 E093", lambda d: d.update(fixity={"md5": {"xyz": ["v1/content/a.txt"]}}))
edited("E029_not_a_sha1", "E029 E057 E093", lambda d: d.update(fixity={"sha1": {"xyz": ["v1/content/a.txt"]}}))
edited("E032_not_a_blake", "E032 E057 E093", lambda d: d.update(fixity={"blake2b-512": {"x": ["v1/content/a.txt"]}}))
edited("E057_padded_size", "E057 E093", lambda d: d.update(fixity={"size": {"06": ["v1/content/a.txt"]}}))
edited("E093_wrong_size", "E093", lambda d: d.update(fixity={"size": {"7": ["v1/content/a.txt"]}}))
edited("E093_fixity_digest_mismatch", "E093", lambda d: d.update(fixity={"md5": {"0" * 32: ["v1/content/a.txt"]}}))
edited(
    "E097_fixity_duplicate_digests",
    "E097 E101",
    lambda d: d.update(fixity={"md5": {A_MD5: ["v1/content/a.txt"], A_MD5.upper(): ["v1/content/a.txt"]}}),
)
edited(
    "E100_E099_fixity_invalid_content_paths",
    "E057 E099 E100",
    lambda d: d.update(
        fixity={"md5": {A_MD5: ["v1/content/../content/a.txt", "v1/content//a.txt", "/v1/content/a.txt"]}}
    ),
)


@case("E093_fixity_digest_mismatch_in_v1", "E093", base=three_versions)
def _(made: OcflObject) -> None:
    made.rewrite("v1", edit=lambda d: d.update(fixity={"sha1": {"0" * 40: ["v1/content/a.txt"]}}))


@case("E097_fixity_repeated_digest", "E097", fixity=("md5",))
def _(made: OcflObject) -> None:
    made.rewrite_text('"md5": {', f'"md5": {{"{A_MD5}": ["v1/content/a.txt"],')


@case("E033_fixity_repeated_algorithm", "E033", fixity=("md5",))
def _(made: OcflObject) -> None:
    made.rewrite_text('"fixity": {', '"fixity": {"md5": {},')


@pytest.mark.parametrize(("each", "spec_version"), TABLE.parameters())
def test_a_wrong_inventory_is_found(each: Case, spec_version: str, tmp_path: Path) -> None:
    check(each, spec_version, tmp_path / "object")
