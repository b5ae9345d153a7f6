"""Objects that are broken on disk: in the root, in version directories and in content files."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.ocfl_builder import OcflObject, digest_of, three_versions
from tests.doubles.ocfl_cases import A_MD5, A, C, Case, CaseTable, check, rename_key

TABLE = CaseTable()
case, edited = TABLE.case, TABLE.edited


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


@case("E008_E036_no_versions_no_head", "E008 E036")
def _(made: OcflObject) -> None:
    def edit(document: dict[str, Any]) -> None:
        del document["head"]
        document["versions"] = {}
        document["manifest"] = {}

    made.rewrite("", edit=edit)
    made.remove("v1")


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


@case("E011_E013_invalid_padded_head_version", "E011 E012 E013 W001", base=OcflObject)
def _(made: OcflObject) -> None:
    made.width = 2
    for number in range(10):
        made.add({"a.txt": b"%d" % number})
    made.write()


@case("E012_inconsistent_version_format", "E012 E013 W001", base=three_versions)
def _(made: OcflObject) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["head"] = "v03"
        rename_key(document["versions"], "v3", "v03")

    made.rewrite("", "v3", edit=edit)
    (made.root / "v3").rename(made.root / "v03")


@case("E014_content_path_with_other_padding", "E014 E042 E092 E023")
def _(made: OcflObject) -> None:
    made.rewrite("", "v1", edit=lambda d: d["manifest"].update({A: ["v01/content/a.txt"]}))


@case("E015_content_not_in_content_dir", "E015 E042", base=OcflObject)
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


@case("E019_inconsistent_content_dir", "E019 E020 E042 W002", base=OcflObject)
def _(made: OcflObject) -> None:
    made.content_directory = "content-dir"
    made.add({"test.txt": b"1"})
    made.content_directory = "content"
    made.add({"test.txt": b"1", "test-2.txt": b"2"}).write()


@case("E019_content_dir_set_in_v2_not_v1", "E019 E020", base=OcflObject)
def _(made: OcflObject) -> None:
    made.add({})
    made.content_directory = "stuff"
    made.add({"test.txt": b"1"}).write()


@case("E019_content_dir_dropped", "E019 E020", base=OcflObject)
def _(made: OcflObject) -> None:
    made.content_directory = "stuff"
    made.add({})
    made.content_directory = None
    made.add({"test.txt": b"1"}).write()


@case("E019_default_set_late", "E019", base=OcflObject)
def _(made: OcflObject) -> None:
    made.add({"test.txt": b"1"})
    made.content_directory = "content"
    made.add({"test.txt": b"2"}).write()


@case("E020_inconsistent_content_directory", "E019 E020", base=OcflObject)
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


@case("E023_old_manifest_lacks_a_second_path", "E023", base=OcflObject)
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


@case("E092_algorithm_change_incorrect_digest", "E092 W004", base=OcflObject)
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


@pytest.mark.parametrize(("each", "spec_version"), TABLE.parameters())
def test_a_wrong_file_or_directory_is_found(each: Case, spec_version: str, tmp_path: Path) -> None:
    check(each, spec_version, tmp_path / "object")
