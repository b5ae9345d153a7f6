"""Every way in which the community's collections of broken objects are broken, built anew and recognised.

Each case says how a good object is broken and exactly which codes must come, so that noise shows as well. Names
follow the collections of OCFL/fixtures, ocfl-py, ocfl-java and rocfl where these have the case.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from repository.ocfl.validation import is_valid, validate_object

from tests.doubles.ocfl_builder import FIRST_FILES, OcflObject, digest_of, one_version, three_versions, to_json

BOTH = ("1.0", "1.1")
A, B, C = (digest_of(data) for data in FIRST_FILES.values())
A_MD5 = digest_of(b"first\n", "md5")


@dataclass(frozen=True)
class Case:
    name: str
    codes: set[str]
    build: Callable[[Path, str], OcflObject]
    specs: tuple[str, ...] = BOTH
    only_1_1: frozenset[str] = frozenset()
    only_1_0: frozenset[str] = frozenset()

    def expected(self, spec_version: str) -> set[str]:
        return self.codes | (self.only_1_0 if spec_version == "1.0" else self.only_1_1)


CASES: list[Case] = []


def case(
    name: str,
    codes: str,
    *,
    only_1_1: str = "",
    only_1_0: str = "",
    specs: tuple[str, ...] = BOTH,
    base: Callable[..., OcflObject] = one_version,
    **options: Any,
) -> Callable[[Callable[[OcflObject], object]], Callable[[OcflObject], object]]:
    def register(break_it: Callable[[OcflObject], object]) -> Callable[[OcflObject], object]:
        def build(root: Path, spec_version: str) -> OcflObject:
            made = base(root, spec_version=spec_version, **options)
            break_it(made)
            return made

        CASES.append(
            Case(
                name,
                set(codes.split()),
                build,
                specs,
                frozenset(only_1_1.split()),
                frozenset(only_1_0.split()),
            )
        )
        return break_it

    return register


def edited(
    name: str, codes: str, edit: Callable[[dict[str, Any]], object], *where: str, **options: Any
) -> None:
    """A case in which only the inventory is changed, in the root and the head version by default."""
    case(name, codes, **options)(lambda made: made.rewrite(*where, edit=edit))


def at(document: dict[str, Any], *keys: str) -> Any:
    value: Any = document
    for key in keys:
        value = value[key]
    return value


def rename_key(block: dict[str, Any], old: str, new: str) -> None:
    items = [(new if key == old else key, value) for key, value in block.items()]
    block.clear()
    block.update(items)


# ---------------------------------------------------------------- object root and declaration


@case("E001_extra_dir_in_root", "E001")
def _(made: OcflObject) -> None:
    made.put("extra_dir/file.txt")


@case("E001_extra_file_in_root", "E001")
def _(made: OcflObject) -> None:
    made.put("extra_file")


@case("E001_hidden_file_in_root", "E001")
def _(made: OcflObject) -> None:
    made.put(".DS_Store")


@case("E001_v2_file_in_root", "E001")
def _(made: OcflObject) -> None:
    made.put("v2")


@case("E001_logs_is_a_file", "E001")
def _(made: OcflObject) -> None:
    made.put("logs")


@case("E001_invalid_version_format", "E001 E008 E009 E040 E042 E046", only_1_1="E104")
def _(made: OcflObject) -> None:
    def plain(document: dict[str, Any]) -> None:
        document["head"] = "1"
        rename_key(document["versions"], "v1", "1")
        for paths in document["manifest"].values():
            paths[:] = [path.replace("v1/", "1/") for path in paths]

    made.rewrite("", edit=plain)
    made.rewrite("v1", edit=plain)
    (made.root / "v1").rename(made.root / "1")


@case("E003_E063_empty", "E003 E008 E063")
def _(made: OcflObject) -> None:
    for entry in list(made.root.iterdir()):
        made.remove(entry.name)


@case("E003_no_decl", "E003")
def _(made: OcflObject) -> None:
    made.remove(f"0=ocfl_object_{made.spec_version}")


@case("E003_two_declarations", "E003", specs=("1.1",))
def _(made: OcflObject) -> None:
    made.put("0=ocfl_object_1.0", b"ocfl_object_1.0\n")


@case("E004_other_declaration", "E003 E004 E006")
def _(made: OcflObject) -> None:
    made.remove(f"0=ocfl_object_{made.spec_version}")
    made.put("0=ocfl_1.0", b"ocfl_1.0\n")


@case("E005_declaration_with_other_digit", "E003 E005")
def _(made: OcflObject) -> None:
    name = f"=ocfl_object_{made.spec_version}"
    (made.root / f"0{name}").rename(made.root / f"1{name}")


@case("E006_unknown_ocfl_version", "E006")
def _(made: OcflObject) -> None:
    made.declare("9.9")


@case("E007_bad_declaration_contents", "E007")
def _(made: OcflObject) -> None:
    made.put(f"0=ocfl_object_{made.spec_version}", b"This is not the right content!\n")


@case("E007_declaration_without_newline", "E007")
def _(made: OcflObject) -> None:
    made.put(f"0=ocfl_object_{made.spec_version}", f"ocfl_object_{made.spec_version}".encode())


@case("E034_inventory_is_a_directory", "E034 E058 E063")
def _(made: OcflObject) -> None:
    made.remove("inventory.json")
    made.put("inventory.json/file")


CASES.pop()  # without an inventory the sidecar is nobody's; the exact codes are in the next case


@case("E034_inventory_is_a_directory", "E034 E063")
def _(made: OcflObject) -> None:
    made.remove("inventory.json")
    (made.root / "inventory.json").mkdir()


@case("E063_no_inv", "E063")
def _(made: OcflObject) -> None:
    made.remove("inventory.json")
    made.remove("inventory.json.sha512")


@case("E067_file_in_extensions_dir", "E067 W013")
def _(made: OcflObject) -> None:
    made.put("extensions/extra_file")
    made.put("extensions/unregistered/config.json")


@case("E090_link_in_content", "E090")
def _(made: OcflObject) -> None:
    (made.root / "v1/content/link").symlink_to("a.txt")


@case("E090_content_file_is_a_link", "E090 E092")
def _(made: OcflObject) -> None:
    made.remove("v1/content/a.txt")
    (made.root / "v1/content/a.txt").symlink_to("/etc/hostname")


@case("E090_content_through_linked_directory", "E090 E092")
def _(made: OcflObject) -> None:
    (made.root / "v1/content/页").rename(made.root.parent / "elsewhere")
    (made.root / "v1/content/页").symlink_to(made.root.parent / "elsewhere")


@case("E090_inventory_is_a_link", "E063 E090")
def _(made: OcflObject) -> None:
    made.remove("inventory.json")
    (made.root / "inventory.json").symlink_to("v1/inventory.json")


@case("E089_pipe_in_content", "E089")
def _(made: OcflObject) -> None:
    os.mkfifo(made.root / "v1/content/pipe")


# ---------------------------------------------------------------- version directories


@case("E008_E036_no_versions_no_head", "E008 E036 E107", only_1_0="E050")
def _(made: OcflObject) -> None:
    def edit(document: dict[str, Any]) -> None:
        del document["head"]
        document["versions"] = {}

    made.rewrite("", "v1", edit=edit)


@case("E009_version_two_only", "E009")
def _(made: OcflObject) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["head"] = "v2"
        rename_key(document["versions"], "v1", "v2")
        for paths in document["manifest"].values():
            paths[:] = [path.replace("v1/", "v2/") for path in paths]

    made.rewrite("", "v1", edit=edit)
    (made.root / "v1").rename(made.root / "v2")


@case("E010_missing_versions", "E010 E046", base=three_versions)
def _(made: OcflObject) -> None:
    (made.root / "v4").mkdir()

    def edit(document: dict[str, Any]) -> None:
        document["head"] = "v4"
        document["versions"]["v4"] = document["versions"]["v3"]

    made.rewrite("", edit=edit)
    made.put_inventory("v4", (made.root / "inventory.json").read_bytes())
    made.remove("v3")


@case("E010_skipped_versions", "E010", base=three_versions)
def _(made: OcflObject) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["head"] = "v5"
        rename_key(document["versions"], "v3", "v5")

    made.rewrite("", "v3", edit=edit)
    (made.root / "v3").rename(made.root / "v5")


@case("E011_E013_invalid_padded_head_version", "E011 E012 E013 W001", base=lambda root, **o: OcflObject(root, **o))
def _(made: OcflObject) -> None:
    made.width = 2
    for number in range(10):
        made.add({"a.txt": b"%d" % number})
    made.write()


@case("E012_inconsistent_version_format", "E012 E013 E046 W001", base=three_versions)
def _(made: OcflObject) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["head"] = "v03"
        rename_key(document["versions"], "v3", "v03")

    made.rewrite("", "v3", edit=edit)
    (made.root / "v3").rename(made.root / "v03")


CASES.pop()


@case("E012_inconsistent_version_format", "E012 E013 W001", base=three_versions)
def _(made: OcflObject) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["head"] = "v03"
        rename_key(document["versions"], "v3", "v03")

    made.rewrite("", "v3", edit=edit)
    (made.root / "v3").rename(made.root / "v03")


@case("E012_one_version_named_twice", "E001 E012 E013 E046 W001 W010")
def _(made: OcflObject) -> None:
    made.rewrite("", "v1", edit=lambda d: d["versions"].update(v01=d["versions"]["v1"]))
    (made.root / "v01").mkdir()


CASES.pop()


@case("E014_content_path_with_other_padding", "E014 E042 E092 E023")
def _(made: OcflObject) -> None:
    made.rewrite("", "v1", edit=lambda d: d["manifest"].update({A: ["v01/content/a.txt"]}))


@case("E015_content_not_in_content_dir", "E015 E042", base=lambda root, **o: OcflObject(root, **o))
def _(made: OcflObject) -> None:
    made.add({"a_file.txt": b"one"})
    made.inventories["v1"]["manifest"] = {digest_of(b"one"): ["v1/a_file.txt"]}
    made.stored = {"v1/a_file.txt": b"one"}
    made.write()


@case("E015_extra_file_in_version_dir", "E015")
def _(made: OcflObject) -> None:
    made.put("v1/notes.txt")


@case("E015_sidecar_without_inventory", "E015 W010", base=three_versions)
def _(made: OcflObject) -> None:
    made.remove("v1/inventory.json")


@case("E016_no_content_dir", "E016 E092")
def _(made: OcflObject) -> None:
    made.remove("v1/content")


@case("E046_missing_version_dir", "E046", base=three_versions)
def _(made: OcflObject) -> None:
    made.remove("v3")


@case("E046_root_not_most_recent", "E001 E046", base=three_versions)
def _(made: OcflObject) -> None:
    for name in ("inventory.json", "inventory.json.sha512"):
        made.put(name, (made.root / "v2" / name).read_bytes())


# ---------------------------------------------------------------- content directory and content files

for wrong in ("content/dir", "", "a\0b", 7):
    edited(
        f"E017_invalid_content_dir_{wrong!r}",
        "E017",
        lambda d, wrong=wrong: d.update(contentDirectory=wrong),
        only_1_1="E108",
    )
for wrong in (".", ".."):
    edited(
        f"E018_content_dir_{wrong}",
        "E018",
        lambda d, wrong=wrong: d.update(contentDirectory=wrong),
        only_1_1="E108",
    )


@case("E019_inconsistent_content_dir", "E019 E020 E042 W002", base=lambda root, **o: OcflObject(root, **o))
def _(made: OcflObject) -> None:
    made.content_directory = "content-dir"
    made.add({"test.txt": b"1"})
    made.content_directory = "content"
    made.add({"test.txt": b"1", "test-2.txt": b"2"}).write()


@case("E019_content_dir_set_in_v2_not_v1", "E019 E020", base=lambda root, **o: OcflObject(root, **o))
def _(made: OcflObject) -> None:
    made.add({})
    made.content_directory = "stuff"
    made.add({"test.txt": b"1"}).write()


@case("E019_content_dir_dropped", "E019 E020", base=lambda root, **o: OcflObject(root, **o))
def _(made: OcflObject) -> None:
    made.content_directory = "stuff"
    made.add({})
    made.content_directory = None
    made.add({"test.txt": b"1"}).write()


@case("E019_default_set_late", "E019", base=lambda root, **o: OcflObject(root, **o))
def _(made: OcflObject) -> None:
    made.add({"test.txt": b"1"})
    made.content_directory = "content"
    made.add({"test.txt": b"2"}).write()


@case("E020_inconsistent_content_directory", "E019 E020", base=lambda root, **o: OcflObject(root, **o))
def _(made: OcflObject) -> None:
    made.content_directory = "one"
    made.add({})
    made.content_directory = "two"
    made.add({"test.txt": b"1"}).write()


@case("E023_extra_file", "E023")
def _(made: OcflObject) -> None:
    made.put("v1/content/file2.txt")


@case("E023_missing_file", "E092")
def _(made: OcflObject) -> None:
    made.remove("v1/content/b.txt")


@case("E023_old_manifest_missing_entries", "E023 E050", base=three_versions)
def _(made: OcflObject) -> None:
    made.rewrite("v2", edit=lambda d: d["manifest"].pop(C))


@case("E023_old_manifest_lacks_a_second_path", "E023", base=lambda root, **o: OcflObject(root, **o))
def _(made: OcflObject) -> None:
    made.add({"a": b"1"}).add({"a": b"1", "b": b"2"})
    made.stored["v1/content/copy"] = b"1"
    for name in made.inventories:
        made.inventories[name]["manifest"][digest_of(b"1")] = ["v1/content/a", "v1/content/copy"]
    made.write()
    made.rewrite("v1", edit=lambda d: d["manifest"].update({digest_of(b"1"): ["v1/content/a"]}))


@case("E024_empty_dir_in_content", "E024")
def _(made: OcflObject) -> None:
    (made.root / "v1/content/empty").mkdir()


@case("E092_bad_manifest_digest", "E092")
def _(made: OcflObject) -> None:
    wrong = f"{'0' * 120}{A[:8]}"
    text = (made.root / "inventory.json").read_text().replace(A, wrong)
    for where in ("", "v1"):
        made.put_inventory(where, text.encode())


@case("E092_content_file_digest_mismatch", "E092")
def _(made: OcflObject) -> None:
    made.put("v1/content/a.txt", b"First\n")


@case("E092_algorithm_change_incorrect_digest", "E092 W004", base=lambda root, **o: OcflObject(root, **o))
def _(made: OcflObject) -> None:
    made.algorithm = "sha256"
    made.add({"a": b"1"})
    made.algorithm = "sha512"
    made.add({"a": b"1", "b": b"2"})
    right, wrong = digest_of(b"1", "sha256"), "0" * 64
    rename_key(made.inventories["v1"]["manifest"], right, wrong)
    rename_key(made.inventories["v1"]["versions"]["v1"]["state"], right, wrong)
    made.write()


@case("E092_E093_content_path_does_not_exist", "E092 E093", fixity=("md5",))
def _(made: OcflObject) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["manifest"][A].append("v1/content/bonus.txt")
        document["fixity"]["md5"][A_MD5].append("v1/content/bonus.txt")

    made.rewrite("", "v1", edit=edit)


# ---------------------------------------------------------------- inventory: keys

edited("E025_wrong_digest_algorithm", "E025 E058 E059", lambda d: d.update(digestAlgorithm="md5"))
edited("E025_digest_algorithm_upper_case", "E025 E058 E059", lambda d: d.update(digestAlgorithm="SHA512"))
edited("E025_digest_algorithm_is_a_list", "E025", lambda d: d.update(digestAlgorithm=["sha512"]))


@case("E025_E001_wrong_digest_algorithm", "E025", algorithm="md5")
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

edited("E030_not_hex", "E031 E050", lambda d: rename_key(d["manifest"], A, "z" * 128), only_1_1="", specs=())
CASES.pop()


def digest_everywhere(new: str) -> Callable[[OcflObject], object]:
    return lambda made: [
        made.put_inventory(where, (made.root / "inventory.json").read_text().replace(A, new).encode())
        for where in ("v1", "")
    ]


case("E031_manifest_digest_not_hex", "E031 E092")(digest_everywhere("z" * 128))
case("E031_manifest_digest_short", "E031 E092")(digest_everywhere("ab" * 60))
case("E039_other_algorithm_used", "E039 E092")(digest_everywhere("ab" * 32))
for number, path in enumerate(("v1/bad_content_path", "content/x", "v1/other/x", "v7/content/x", "v1", "x")):
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

V1 = ("versions", "v1")
edited("E046_bad_version_name", "E046", lambda d: d["versions"].update(version1={}), only_1_1="E105")
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
    made.rewrite(
        "", "v1", edit=lambda d: d["versions"].update(v1={"created": 1, "state": 2, "message": 3, "user": 4})
    )


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
    "E099 E100",
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


for number, text in enumerate((b"", b"{digest}", b"{digest} other.json\n", b"inventory.json {digest}\n", b"\xff\xfe x\n")):
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


@case("E066_version_left_out", "E009 E066 E107", only_1_0="E050", base=three_versions)
def _(made: OcflObject) -> None:
    made.rewrite("v2", edit=lambda d: d["versions"].pop("v1"))


CASES.pop()


@case("E066_algorithm_change_state_mismatch", "E066 W004", base=lambda root, **o: OcflObject(root, **o))
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


case("E103_older_spec_v2", "E103", specs=("1.1",), base=mixed_releases("1.1", "1.0", "1.1"))(lambda made: None)
case("E103_inconsistent_ocfl_versions", "E103", specs=("1.0",), base=mixed_releases("1.0", "1.1", "1.0"))(
    lambda made: None
)
case("E103_older_head", "E103", specs=("1.0",), base=mixed_releases("1.1", "1.0"))(lambda made: None)

# ---------------------------------------------------------------- valid, with warnings

case("W001_zero_padded_versions", "W001", width=3, base=three_versions)(lambda made: None)
case(
    "W001_W004_W005_zero_padded_versions",
    "W001 W004 W005",
    width=4,
    algorithm="sha256",
    object_id="bb123cd4567",
    base=three_versions,
)(lambda made: None)
case("W002_extra_dir_in_version_dir", "W002")(lambda made: made.put("v1/extra_dir/file"))
case("W003_empty_content_dir", "W003", base=three_versions)(lambda made: (made.root / "v3/content").mkdir())
case("W004_uses_sha256", "W004", algorithm="sha256")(lambda made: None)
case("W005_id_not_uri", "W005", object_id="not_a_uri")(lambda made: None)
edited("W007_no_message_or_user", "W007", lambda d: [at(d, *V1).pop(key) for key in ("message", "user")])
edited("W007_no_message", "W007", lambda d: at(d, *V1).pop("message"))
edited("W008_user_no_address", "W008", lambda d: at(d, *V1).update(user={"name": "Lin"}))
edited(
    "W009_user_address_not_uri",
    "W009",
    lambda d: at(d, *V1).update(user={"name": "Lin", "address": "1 Wonky Way, Wibblesville, WW"}),
)
case("W013_unregistered_extension", "W013")(lambda made: made.put("extensions/unregistered/config.json"))


@case("W004_versions_diff_digests", "W004", base=lambda root, **o: OcflObject(root, **o))
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

case("minimal_one_version_one_file", "")(lambda made: None)
case("minimal_content_dir_called_stuff", "", content_directory="stuff")(lambda made: None)
case("minimal_uppercase_digests", "")(digest_everywhere(A.upper()))
case("minimal_mixed_digests", "")(digest_everywhere(A[:60].upper() + A[60:]))
case("updates_three_versions", "", base=three_versions)(lambda made: None)
case("minimal_no_content", "", base=lambda root, **o: OcflObject(root, **o).add({}).write())(lambda made: None)
case(
    "all_fixity_digests",
    "",
    fixity=(
        *("md5", "sha1", "sha256", "sha512", "blake2b-512", "blake2b-160", "blake2b-256", "blake2b-384"),
        *("sha512/256", "size"),
    ),
)(lambda made: None)
edited("empty_fixity", "", lambda d: d.update(fixity={}))
edited("created_with_fraction_and_offset", "", lambda d: at(d, *V1).update(created="2021-03-31T08:22:37.241208990-05:00"))
edited("created_in_a_leap_second", "", lambda d: at(d, *V1).update(created="2016-12-31t23:59:60z"))
edited("unicode_id", "", lambda d: d.update(id="urn:jindang:120000:J019-WS·2015"))
case("ocfl_version_change", "", specs=("1.1",), base=mixed_releases("1.0", "1.0", "1.1"))(lambda made: None)
case("files_in_logs", "")(lambda made: made.put("logs/audit.log"))
case("empty_logs", "")(lambda made: (made.root / "logs").mkdir())
case("registered_extension", "")(lambda made: made.put("extensions/0005-mutable-head/HEAD/inventory.json", b"{"))
case("sidecar_with_tabs_and_upper_case", "")(
    lambda made: made.put(
        "inventory.json.sha512",
        b"%s \t inventory.json\n" % digest_of((made.root / "inventory.json").read_bytes()).upper().encode(),
    )
)


@pytest.mark.parametrize(
    ("each", "spec_version"),
    [pytest.param(each, spec, id=f"{spec}-{each.name}") for each in CASES for spec in each.specs],
)
@pytest.mark.parametrize("workers", [1])
def test_a_broken_object_is_found_out(each: Case, spec_version: str, workers: int, tmp_path: Path) -> None:
    made = each.build(tmp_path / "object", spec_version)
    findings = validate_object(made.root, workers=workers)
    codes = {finding.code for finding in findings}
    assert codes == each.expected(spec_version), "\n".join(str(finding) for finding in findings)
    assert is_valid(findings) == (not any(code.startswith("E") for code in codes))
    assert not any("\n" in finding.message for finding in findings)
