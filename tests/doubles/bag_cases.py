"""One bag for each case of the Library of Congress bagit-conformance-suite, by its name there, and further ones.

The suite itself is not copied: each bag is built here to have the one fault, or oddity, that the case's name says.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.doubles.packages_builder import PAYLOAD, Files, bag, declaration, hex_digest, manifest, seal

VALID, INVALID, WARNING = "valid", "invalid", "warning"
PAGE = "data/page-0001.txt"


@dataclass(frozen=True, slots=True)
class BagCase:
    """A bag, the verdict it must get, and a word that the message must have."""

    name: str
    verdict: str
    build: Callable[[], Files] = field(repr=False)
    says: str = ""


def changed(files: Files, name: str, content: bytes | str | None, *, sealed: bool = True) -> Files:
    """The bag with one file written anew or removed (None), its tag manifests made to fit."""
    if content is None:
        del files[name]
    else:
        files[name] = content.encode() if isinstance(content, str) else content
    return seal(files, *_algorithms(files)) if sealed else files


def with_line(line: str, *, name: str | None = None, version: str = "0.97", **how: object) -> Files:
    """A bag with a line added to a tag file, by default to its payload manifest."""
    files = bag(version=version, algorithms=("md5",), **how)  # type: ignore[arg-type]
    target = name or "manifest-md5.txt"
    return changed(files, target, files.get(target, b"").decode() + line + "\n")


def _algorithms(files: Files) -> list[str]:
    return [name[12:-4] for name in files if name.startswith("tagmanifest-")]


def _fetch(path: str) -> Callable[[], Files]:
    return lambda: with_line(f"http://localhost/foo - {path}", name="fetch.txt")


def _listed(path: str, content: bytes = b"x") -> Callable[[], Files]:
    return lambda: with_line(f"{hex_digest('md5', content)}  {path}")


def _listed_as(written: str, **how: str) -> Files:
    files = bag({"hello.txt": b"hello"}, version="0.97", algorithms=("md5",), **how)
    return changed(files, "manifest-md5.txt", f"{hex_digest('md5', b'hello')}  {written}\n")


def _declared(text: str | bytes, version: str = "0.97") -> Callable[[], Files]:
    return lambda: changed(bag(version=version), "bagit.txt", text)


def _normalisation(*names: str, listed: tuple[str, ...], version: str = "0.97") -> Files:
    files = bag(dict.fromkeys(names, b""), version=version)
    text = "".join(f"{hex_digest('sha512', b'')}  data/{name}\n" for name in listed)
    return changed(files, "manifest-sha512.txt", text)


def _twice(version: str, digest: str | None = None) -> Files:
    path = "data/page-0001.txt"
    files = bag(version=version)
    line = f"{digest or hex_digest('sha512', files[path])}  {path}\n"
    return changed(files, "manifest-sha512.txt", files["manifest-sha512.txt"].decode() + line)


def _holey() -> Files:
    lines = "".join(f"http://localhost/{number} - data/{path}\n" for number, path in enumerate(PAYLOAD))
    return bag(version="0.97", algorithms=("md5",), extra={"fetch.txt": lines.encode()})


def _not_fetched() -> Files:
    files = bag(version="0.97", extra={"fetch.txt": b"http://localhost/1 11 data/page-0001.txt\n"}, info="")
    del files[PAGE]
    return files


def _tag_in_payload_manifest(version: str) -> Files:
    files = bag(version=version, algorithms=("md5",), extra={"note.txt": b"a note"})
    line = f"{hex_digest('md5', b'a note')}  note.txt\n"
    return changed(files, "manifest-md5.txt", files["manifest-md5.txt"].decode() + line)


def _partial(version: str) -> Files:
    files = bag(version=version, algorithms=("md5", "sha512"))
    return changed(files, "manifest-md5.txt", manifest({PAGE: files[PAGE]}, "md5"))


def _bag_in_a_bag() -> Files:
    inner = {f"inner/{path}": content for path, content in bag(version="0.97").items()}
    return bag(inner, version="0.97")


def _info(text: str, version: str = "0.97") -> Callable[[], Files]:
    return lambda: bag(version=version, info=text)


NFC, NFD = "N\u00fa\u00f1ez", "Nu\u0301n\u0303ez"
_ENCODED = {"dir1/~test3.txt": b"3", "%7Edir2/dir3/test5.txt": b"5", "%7Etest1.txt": b"1", "%test2.txt": b"2"}
_ESCAPABLE = {"test file with spaces.txt": b"s", "[brackets] & (more) {so}.txt": b"b", "a^b$c.txt": b"c"}
_SYSTEM = {".DS_Store": b"mac", "Thumbs.db": b"windows", "._.Trashes": b"mac", "page.txt": b"page"}
_TWICE = "Source-Organization: A\nContact-Name: B\nContact-Name: C\nSource-Organization: D\n"
_SEPARATORS = "Source-Organization : A\nContact-Name:B\nContact-Email\t:\tC\nExternal-Description:   D\n   and more\n"
_BOM = "\ufeff".encode()


def _of_old_versions() -> list[BagCase]:
    cases = []
    for version in ("0.93", "0.94", "0.95", "0.96", "0.97"):

        def case(name: str, verdict: str = VALID, *, v: str = version, **how: object) -> BagCase:
            return BagCase(f"v{v}/{verdict}/{name}", verdict, lambda: bag(version=v, **how))  # type: ignore[arg-type]

        cases += [
            case("basic-bag", algorithms=("sha512",)),
            case("basic-bag-md5", algorithms=("md5",)),
            case("duplicate-metadata-entries", info=_TWICE),
            case("bag-with-space", separator=" "),
            case("bag-with-encoded-names", payload=_ENCODED),
            case("bag-with-escapable-characters", payload=_ESCAPABLE),
            case("UTF-16-encoded-tag-files", encoding="UTF-16BE"),
            case("ISO-8859-1-encoded-tag-files", encoding="ISO-8859-1"),
            case("bag-with-leading-dot-slash-in-manifest", prefix="./"),
            case("minimal-bag", info="", tag_manifests=False),
            case("without-tag-manifest", tag_manifests=False),
            case("tab-separated", separator="\t"),
        ]
        build = lambda v=version: _tag_in_payload_manifest(v)  # noqa: E731
        cases.append(BagCase(f"v{version}/valid/bag-with-tagfiles-in-payload-manifest", VALID, build))
    return cases


def _of_097() -> list[BagCase]:
    algorithms = ("sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256")
    return [
        *(
            BagCase(f"v0.97/valid/basic-bag-{name}", VALID, lambda name=name: bag(version="0.97", algorithms=(name,)))
            for name in algorithms
        ),
        BagCase("v0.97/valid/bag-in-a-bag", VALID, _bag_in_a_bag),
        BagCase("v0.97/valid/holey-bag", VALID, _holey),
        BagCase("v0.97/valid/uncommon-metadata-separators", VALID, _info(_SEPARATORS)),
        BagCase("v0.97/valid/UTF-16-with-byte-order-mark", VALID, lambda: bag(version="0.97", encoding="UTF-16")),
        BagCase("v0.97/valid/local-fetch", INVALID, _fetch("data/sachiel.png"), "fetch.txt"),
        BagCase(
            "v0.97/darwin-only/precomposed-character-in-filename",
            WARNING,
            lambda: _normalisation("contro\u0302le.txt", listed=("contr\u00f4le.txt",)),
            "normalisation",
        ),
        BagCase(
            "v0.97/warning/duplicate-file-with-different-case",
            WARNING,
            lambda: bag({"Hello.txt": b"1", "hello.txt": b"2"}, version="0.97"),
            "case",
        ),
        BagCase("v0.97/warning/relative-path", WARNING, lambda: _listed_as("./data/hello.txt"), "./"),
        BagCase("v0.97/warning/relative-path-inside", WARNING, lambda: _listed_as("data/../data/hello.txt"), ".."),
        BagCase("v0.97/warning/made-with-md5sum-tools", WARNING, lambda: _listed_as("*data/hello.txt"), "md5sum"),
        BagCase(
            "v0.97/warning/filename-normalization",
            WARNING,
            lambda: _normalisation(NFD, listed=(NFC,)),
            "normalisation",
        ),
        BagCase(
            "v0.97/warning/same-filename-listed-twice-with-different-normalization",
            WARNING,
            lambda: _normalisation(NFC, NFD, listed=(NFC, NFD)),
            "normalisation",
        ),
        BagCase(
            "v0.97/warning/same-filename-listed-twice-one-file-on-disk",
            WARNING,
            lambda: _normalisation(NFC, listed=(NFC, NFD)),
            "normalisation",
        ),
        BagCase(
            "v0.97/warning/same-filename-listed-twice-with-the-same-hash", WARNING, lambda: _twice("0.97"), "again"
        ),
        BagCase(
            "v0.97/warning/special-system-files", WARNING, lambda: bag(_SYSTEM, version="0.97"), "made for itself"
        ),
        BagCase("v0.97/warning/byte-order-mark-in-manifest", WARNING, _marked_manifest, "byte-order mark"),
        BagCase("v0.97/warning/spaces-behind-path", WARNING, lambda: _listed_as("data/hello.txt  "), "spaces after"),
        BagCase("v0.97/warning/repeated-date", WARNING, _info("Bagging-Date: 1\nBagging-Date: 2\n"), "more than once"),
        BagCase("v0.97/warning/fetch-length-wrong", WARNING, lambda: with_line(_FETCHED, name="fetch.txt"), "gives 9"),
        BagCase("v0.97/warning/third-line-in-bagit.txt", WARNING, _declared(_THREE_LINES), "does not belong"),
        BagCase("v0.97/warning/different-case-of-digests", VALID, _upper_case_digests),
        BagCase("v0.97/warning/payload-manifests-differ", WARNING, lambda: _partial("0.97"), "does not list"),
    ]


_FETCHED = f"http://localhost/1 9 {PAGE}"
_THREE_LINES = "BagIt-Version: 0.97\nTag-File-Character-Encoding: UTF-8\nMore: lines\n"


def _marked_manifest() -> Files:
    files = bag(version="0.97")
    return changed(files, "manifest-sha512.txt", _BOM + files["manifest-sha512.txt"])


def _upper_case_digests() -> Files:
    files = bag(version="0.97", algorithms=("sha256",))
    text = f"{hex_digest('sha256', files[PAGE]).upper()}  {PAGE}\n"
    second = "data/annex/page-0002.txt"
    return changed(files, "manifest-sha256.txt", text + f"{hex_digest('sha256', files[second])}  {second}\n")


def _invalid_097() -> list[BagCase]:
    info = "Payload-Oxum: {}\n"

    def case(name: str, build: Callable[[], Files], says: str = "") -> BagCase:
        return BagCase(f"v0.97/invalid/{name}", INVALID, build, says)

    return [
        case("baginfo-missing-encoding", _declared("BagIt-Version: 0.97\n"), "Tag-File-Character-Encoding"),
        case("bom-in-bagit.txt", _declared(_BOM + declaration("0.97")), "byte-order mark"),
        case("corrupt-data-file", lambda: changed(bag(version="0.97", info=""), PAGE, "other", sealed=False), PAGE),
        case("corrupt-tag-file", lambda: changed(bag(version="0.97"), "bag-info.txt", "A: b\n", sealed=False), "info"),
        case("extra-file-in-bag", lambda: bag(version="0.97", info="") | {"data/bar": b"bar"}, "no payload manifest"),
        case("invalid-version-number", _declared(declaration(".97")), "M.N"),
        case("missing-baginfo", lambda: changed(bag(version="0.97"), "bag-info.txt", None, sealed=False), "bag-info"),
        case("missing-bagit.txt", lambda: changed(bag(version="0.97"), "bagit.txt", None), "no bagit.txt"),
        case(
            "bagit-with-invalid-whitespace",
            _declared("BagIt-Version : 0.97\nTag-File-Character-Encoding : UTF-8\n"),
            "space",
        ),
        case("out-of-scope-file-paths-using-dot-notation", _listed("../../../README.md"), "dangerous"),
        case("out-of-scope-file-paths-using-dot-notation-for-fetch", _fetch("../../../README.md"), "dangerous"),
        case("same-filename-listed-twice-with-different-hashes", lambda: _twice("0.97", "ab" * 64), "another digest"),
        case("missing-data-file", lambda: changed(bag(version="0.97", info=""), PAGE, None), "not there"),
        case("missing-data-directory", _no_data, "data/"),
        case(
            "missing-payload-manifest", lambda: changed(bag(version="0.97"), "manifest-sha512.txt", None), "manifest"
        ),
        case("not-fetched", _not_fetched, "http://localhost/1"),
        case("percent-encoded-traversal", _listed("data/%2e%2e/%2e%2e/passwd"), "dangerous"),
        case("twice-encoded-traversal", _listed("data/%252e%252e/%252e%252e/passwd"), "dangerous"),
        case("encoded-absolute-path", _listed("%2Fetc/passwd"), "dangerous"),
        case("backslash-traversal", _listed("data\\..\\..\\x"), "dangerous"),
        case(
            "unknown-algorithm", lambda: changed(bag(version="0.97"), "manifest-crc32.txt", "0 data/a\n"), "not known"
        ),
        case("digest-too-short", lambda: with_line("abcd  data/page-0001.txt"), "digits"),
        case("digest-not-hexadecimal", lambda: with_line("g" * 32 + "  data/page-0001.txt"), "digits"),
        case("line-without-path", lambda: with_line("ab" * 16), "DIGEST PATH"),
        case("oxum-bytes-wrong", _info(info.format("1.2")), "Payload-Oxum"),
        case("oxum-files-wrong", _info(info.format("23.9")), "Payload-Oxum"),
        case("oxum-malformed", _info(info.format("many")), "BYTES.FILES"),
        case("metadata-without-colon", _info("just text\n"), "Label: value"),
        case("metadata-indented-first", _info("  indented: first\n  more\nNo colon\n"), "Label: value"),
        case("fetch-too-few-fields", lambda: with_line("http://x data/a", name="fetch.txt"), "URL LENGTH PATH"),
        case("fetch-bad-length", lambda: with_line("http://x big data/page-0001.txt", name="fetch.txt"), "length"),
        case("fetch-bad-url", lambda: with_line("nowhere - data/page-0001.txt", name="fetch.txt"), "URL"),
        case("unknown-version", _declared(declaration("2.0")), "0.93 to 1.0"),
        case("unknown-encoding", _declared(declaration("0.97", "klingon")), "klingon"),
        case("encoding-that-is-none", _declared(declaration("0.97", "rot13")), "rot13"),
        case("manifest-in-other-encoding", _gbk_manifest, "utf-8"),
        case("label-twice-and-no-version", _declared("Tag-File-Character-Encoding: UTF-8\n" * 2), "BagIt-Version"),
        case("other-case-on-disk", lambda: _listed_as("data/HELLO.txt"), "there is"),
        case("empty-bagit.txt", _declared(b""), "BagIt-Version"),
        case("binary-bagit.txt", _declared(bytes(range(128, 256))), "UTF-8"),
    ]


def _no_data() -> Files:
    files = bag({}, version="0.97", info="")
    assert not any(path.startswith("data/") for path in files)
    return files


def _gbk_manifest() -> Files:
    files = bag({"档案.txt": b"x"}, version="0.97")
    line = f"{hex_digest('sha512', b'x')}  data/档案.txt\n"
    return changed(files, "manifest-sha512.txt", line.encode("gbk"))


def _out_of_scope() -> list[BagCase]:
    paths = {
        "linux-only/out-of-scope-file-paths-using-absolute-path": "/tmp/foo",
        "linux-only/out-of-scope-file-paths-using-shortcut": "~/foo",
        "linux-only/out-of-scope-file-paths-using-shortcut-username": "~root/foo",
        "windows-only/out-of-scope-file-paths-using-absolute-path": "C:\\Windows\\System32\\setx.exe",
        "windows-only/out-of-scope-file-paths-using-unc": "\\\\?\\UNC\\server\\Windows\\System32\\setx.exe",
        "windows-only/out-of-scope-file-paths-using-shortcut": "%HomeDrive%\\Windows\\System32\\setx.exe",
    }
    cases = []
    for name, path in paths.items():
        says = "dangerous" if "%" not in path else "not there"
        cases.append(BagCase(f"v0.97/{name}", INVALID, _listed(path), says))
        cases.append(BagCase(f"v0.97/{name}-for-fetch", INVALID, _fetch(path), says))
    return cases


def _of_10() -> list[BagCase]:
    def valid(name: str, build: Callable[[], Files]) -> BagCase:
        return BagCase(f"v1.0/valid/{name}", VALID, build)

    def invalid(name: str, build: Callable[[], Files], says: str) -> BagCase:
        return BagCase(f"v1.0/invalid/{name}", INVALID, build, says)

    two_lines = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
    return [
        valid("basicBag", bag),
        valid("two-manifests", lambda: bag(algorithms=("sha256", "sha512"))),
        valid("percent-encoded-names", lambda: bag({"100%.txt": b"1", "a\nb": b"2", "a\r\nb": b"3", "%25": b"4"})),
        valid("carriage-return-line-ends", lambda: changed(bag(), "bagit.txt", two_lines.replace("\n", "\r\n"))),
        valid("no-line-end-at-the-end", lambda: changed(bag(), "bagit.txt", two_lines.rstrip())),
        valid("nested-tag-folder", lambda: bag(extra={"metadata/premis.xml": b"<premis/>"})),
        BagCase("v1.0/warning/percent-not-encoded", WARNING, lambda: _unencoded({"100%25.txt": b"1"}), "%25"),
        BagCase("v1.0/warning/comment-in-manifest", WARNING, lambda: _comment("1.0"), "comment"),
        BagCase("v1.0/warning/tag-file-not-listed", WARNING, lambda: bag() | {"note.txt": b"n"}, "No tag manifest"),
        BagCase("v1.0/warning/weak-algorithm", WARNING, lambda: bag(algorithms=("md5",)), "weak"),
        BagCase("v1.0/warning/repeated-oxum", WARNING, _info("Payload-Oxum: 23.2\nPayload-Oxum: 23.2\n"), "more than"),
        invalid(
            "same-filename-listed-twice-with-different-hashes", lambda: _twice("1.0", "ab" * 64), "another digest"
        ),
        invalid("same-filename-listed-twice-with-the-same-hash", lambda: _twice("1.0"), "again"),
        invalid("missing-from-manifest", lambda: _partial("1.0"), "not listed in manifest-md5.txt"),
        invalid(
            "bagit-with-invalid-whitespace",
            _declared("BagIt-Version : 1.0\nTag-File-Character-Encoding : UTF-8\n", "1.0"),
            "space",
        ),
        invalid("two-spaces-in-bagit.txt", _declared(two_lines.replace(": ", ":  "), "1.0"), "unusual spaces"),
        invalid("third-line-in-bagit.txt", _declared(two_lines + "More: lines\n", "1.0"), "does not belong"),
        invalid("lines-in-wrong-order", _declared("".join(reversed(two_lines.splitlines(True))), "1.0"), "order"),
        invalid("space-before-colon-in-bag-info", _info("Contact-Name : A\n", "1.0"), "label"),
        invalid("tag-file-in-payload-manifest", lambda: _tag_in_payload_manifest("1.0"), "not payload"),
        invalid("payload-manifest-not-in-tag-manifest", _manifest_unlisted, "as every tag manifest must"),
        invalid("fetch-of-a-tag-file", lambda: bag(extra={"fetch.txt": b"http://x - bagit.txt\n"}), "not payload"),
        invalid("oxums-differ", _info("Payload-Oxum: 23.2\nPayload-Oxum: 24.2\n", "1.0"), "24 bytes"),
    ]


def _unencoded(payload: Files) -> Files:
    files = bag(payload)
    data = {path: content for path, content in files.items() if path.startswith("data/")}
    return changed(files, "manifest-sha512.txt", manifest(data, "sha512", write=str))


def _comment(version: str) -> Files:
    files = bag(version=version)
    return changed(files, "manifest-sha512.txt", "# made by hand\n" + files["manifest-sha512.txt"].decode())


def _manifest_unlisted() -> Files:
    files = bag()
    text = files["tagmanifest-sha512.txt"].decode()
    return files | {
        "tagmanifest-sha512.txt": "".join(r for r in text.splitlines(True) if " manifest" not in r).encode()
    }


CASES = (*_of_old_versions(), *_of_097(), *_invalid_097(), *_out_of_scope(), *_of_10())
