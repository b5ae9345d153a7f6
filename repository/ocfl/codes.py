"""The validation codes of OCFL 1.0 and 1.1, each with one plain sentence, and the findings that carry them.

Numbers, severities and releases are those of the specification's own tables of validation codes; the sentences
are ours. Codes that only one release defines say so. E065, E109 and W006 do not exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["error", "warning"]

UNREADABLE: Final = "U001"
"""Ours, not the specification's: the system could not read something, so nothing is known about it."""

_BOTH: Final = ("1.0", "1.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One rule: its code, what it says in a sentence, and the specification releases that have it."""

    code: str
    sentence: str
    spec_versions: tuple[str, ...] = _BOTH

    @property
    def severity(self) -> Severity:
        """`warning` for what should be otherwise, `error` for what must."""
        return severity_of(self.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, or should be better.

    Args:
        code: a key of CODES.
        severity: `error` makes an object or a root invalid; `warning` never does.
        object: the object's identifier where it is known, else the path of what was looked at.
        path: the file or directory, relative to what was looked at; empty for the whole of it.
        message: what is wrong here, in words for an archivist.
    """

    code: str
    severity: Severity
    object: str
    path: str
    message: str

    def __str__(self) -> str:
        """One line for people."""
        return f"[{self.code}] {self.path or '.'}: {self.message}"


def severity_of(code: str) -> Severity:
    """`warning` for codes that begin with W, `error` for all others."""
    return "warning" if code.startswith("W") else "error"


def is_valid(findings: "list[Finding] | tuple[Finding, ...]") -> bool:
    """True when there are warnings at most."""
    return all(finding.severity != "error" for finding in findings)


_SENTENCES: Final[Mapping[str, str]] = {
    "E001": "The object's directory holds a file or directory that has no place in an OCFL object.",
    "E002": "The object's version declaration is not written in the NAMASTE form.",
    "E003": "The object's directory does not have exactly one version declaration.",
    "E004": "The name of the object's version declaration does not have the form 0=ocfl_object_ and a version.",
    "E005": "The name of the object's version declaration does not begin with 0.",
    "E006": "The name of the object's version declaration does not go on with ocfl_object_ and a known version.",
    "E007": "The text inside the object's version declaration does not repeat the declaration and end the line.",
    "E008": "The object has no version.",
    "E009": "The versions do not begin with version 1.",
    "E010": "A number is missing in the sequence of versions.",
    "E011": "A version directory outgrew the zero-padding: after the v there must be a zero.",
    "E012": "The version directories are not all named in the same way.",
    "E013": "A later version does not follow the way in which the first version directory is named.",
    "E014": "The inventory names a version directory in another way than it is named on storage.",
    "E015": "A version directory holds a file other than the inventory and its sidecar.",
    "E016": "A version that holds files has no content directory.",
    "E017": "The name of the content directory has a slash in it or is no name at all.",
    "E018": "The name of the content directory is one or two dots.",
    "E019": "The content directory was named, but not already in the first version.",
    "E020": "The name of the content directory changed between versions.",
    "E021": "The content directory is not called content although no other name is given.",
    "E022": "Directories beside the content directory must be left alone.",
    "E023": "A content file is not listed in the manifest.",
    "E024": "A directory inside the content directory is empty.",
    "E025": "The digest algorithm of the object is neither sha512 nor sha256.",
    "E026": "An additional digest algorithm is not in the specification's or an extension's list.",
    "E027": "A digest algorithm that every OCFL program must know is not supported.",
    "E028": "Digest algorithms that a program does not know must be ignored by it.",
    "E029": "A sha1 digest is not 40 hexadecimal digits.",
    "E030": "A sha256 digest is not 64 hexadecimal digits.",
    "E031": "A sha512 digest is not 128 hexadecimal digits.",
    "E032": "A blake2b-512 digest is not 128 hexadecimal digits.",
    "E033": "The inventory is not the JSON that it must be.",
    "E034": "The inventory is not in a file called inventory.json.",
    "E035": "A path in the inventory is not separated by forward slashes.",
    "E036": "The inventory lacks one of id, type, digestAlgorithm and head.",
    "E037": "The identifier is not usable, not unique, or not the same in every version.",
    "E038": "The inventory's type is not the one of the OCFL version that the object declares.",
    "E039": "The digests in the inventory are not made with the algorithm that it names.",
    "E040": "The head is not the name of the newest version.",
    "E041": "The inventory lacks a usable manifest or versions block.",
    "E042": "A content path in the manifest does not lie in the content directory of one of the object's versions.",
    "E043": "The inventory has no block for the versions.",
    "E044": "The block for the versions is not called versions, or is no JSON object.",
    "E045": "The block for the versions is no JSON object.",
    "E046": "The versions in the inventory are not those of the version directories.",
    "E047": "A version in the inventory is not described by a JSON object.",
    "E048": "A version in the inventory lacks created or state.",
    "E049": "The time when a version was made is not an RFC 3339 date and time with seconds and time zone.",
    "E050": "The digests of a version's state do not agree with the manifest.",
    "E051": "A logical path cannot be understood as names separated by slashes.",
    "E052": "A logical path has a part that is empty or dots alone.",
    "E053": "A logical path begins or ends with a slash.",
    "E054": "The user of a version is not described by an object with a name.",
    "E055": "Additional digests are not in a block called fixity.",
    "E056": "The fixity block is not made up of known digest algorithms.",
    "E057": "A part of the fixity block is not built like the manifest.",
    "E058": "An inventory has no sidecar with its digest.",
    "E059": "The sidecar is not named after the inventory's digest algorithm.",
    "E060": "The inventory does not have the digest that its sidecar states.",
    "E061": "The sidecar is not a digest followed by inventory.json.",
    "E062": "The sidecar was written before the inventory was finished.",
    "E063": "The object has no inventory in its own directory.",
    "E064": "The object's inventory differs from the one in the newest version's directory.",
    "E066": "An earlier inventory describes a version otherwise than the object's inventory does.",
    "E067": "The object's extensions directory holds something other than directories of extensions.",
    "E068": "An extension is documented nowhere.",
    "E069": "The storage root has no version declaration.",
    "E070": "The storage root's ocfl_layout.json is not a JSON object with extension and description.",
    "E071": "The storage root's ocfl_layout.json names no registered extension.",
    "E072": "A file between the storage root and its objects belongs to no object.",
    "E073": "There is an empty directory below the storage root.",
    "E074": "The storage root is not independent of other storage roots.",
    "E075": "The storage root's version declaration is not written in the NAMASTE form.",
    "E076": "The storage root does not have exactly one version declaration.",
    "E077": "The name of the storage root's version declaration does not have the form 0=ocfl_ and a version.",
    "E078": "The name of the storage root's version declaration does not begin with 0.",
    "E079": "The name of the storage root's version declaration does not go on with ocfl_ and a known version.",
    "E080": "The text inside the storage root's version declaration does not repeat the declaration and end the line.",
    "E081": "An object declares a later OCFL version than its storage root.",
    "E082": "An object lies neither at the end of a hierarchy nor directly in the storage root.",
    "E083": "Identifiers are not mapped to one storage path each.",
    "E084": "There is a file in a directory between the storage root and its objects.",
    "E085": "A directory below the storage root does not lead to an object.",
    "E086": "The storage root's extensions directory breaks the rules for extensions.",
    "E087": "Files in the storage root that a program does not understand must be ignored by it.",
    "E088": "A directory below the storage root is neither for objects nor for extensions.",
    "E089": "There is something on storage that is neither a file nor a directory.",
    "E090": "There is a link where only files and directories are allowed.",
    "E091": "The file system does not keep upper and lower case apart.",
    "E092": "A content file does not agree with the manifest.",
    "E093": "A content file does not agree with the fixity block.",
    "E094": "The message of a version is not text.",
    "E095": "Two logical paths of a version are the same, or one is a directory of the other.",
    "E096": "A digest occurs more than once in the manifest, upper and lower case being the same.",
    "E097": "A digest occurs more than once in a fixity block, upper and lower case being the same.",
    "E098": "A content path cannot be understood as names separated by slashes.",
    "E099": "A content path has a part that is empty or dots alone.",
    "E100": "A content path begins or ends with a slash.",
    "E101": "Two content paths are the same, or one is a directory of the other.",
    "E102": "The inventory has a key that the specification does not know.",
    "E103": "A version follows an older release of OCFL than the version before it.",
    "E104": "The name of a version directory does not begin with v.",
    "E105": "The name of a version directory is not v and a positive whole number.",
    "E106": "The manifest is no JSON object.",
    "E107": "A digest in the manifest is used by no version.",
    "E108": "The content directory is not directly inside the version directory.",
    "E110": "The object's identifier changed between versions.",
    "E111": "The fixity block is no JSON object.",
    "E112": "The storage root's extensions directory holds something other than directories of extensions.",
    "W001": "Version directories are zero-padded.",
    "W002": "A version directory holds a directory other than the content directory.",
    "W003": "A version has a content directory with nothing in it.",
    "W004": "The digest algorithm is not sha512.",
    "W005": "The object's identifier is not a URI.",
    "W007": "A version does not say why it was made or by whom.",
    "W008": "The user of a version has no address.",
    "W009": "The address of a version's user is not a URI.",
    "W010": "A version directory has no inventory.",
    "W011": "An earlier inventory gives other particulars of a version than the object's inventory does.",
    "W012": "The logs directory is not used for records of actions.",
    "W013": "The object's extensions directory holds an extension that is not registered.",
    "W014": "Objects are not all stored by the same layout.",
    "W015": "Some objects lie directly in the storage root and others in a hierarchy.",
    "W016": "The storage root's extensions directory holds an extension that is not registered.",
    UNREADABLE: "Something could not be read, so that nothing is known about it.",
}

_ONLY_1_0: Final = ("E068", "E086", "E091")
_SINCE_1_1: Final = ("E103", "E104", "E105", "E106", "E107", "E108", "E110", "E111", "E112", "W016")


def _spec_versions(code: str) -> tuple[str, ...]:
    if code in _ONLY_1_0:
        return ("1.0",)
    return ("1.1",) if code in _SINCE_1_1 else _BOTH


CODES: Final[Mapping[str, Code]] = {
    code: Code(code=code, sentence=sentence, spec_versions=_spec_versions(code))
    for code, sentence in _SENTENCES.items()
}
"""Code -> what it means, for every code of OCFL 1.0 and 1.1, and `U001` for what could not be read."""

REGISTERED_EXTENSIONS: Final = frozenset(
    {
        "0000-example-extension",
        "0001-digest-algorithms",
        "0002-flat-direct-storage-layout",
        "0003-hash-and-id-n-tuple-storage-layout",
        "0004-hashed-n-tuple-storage-layout",
        "0005-mutable-head",
        "0006-flat-omit-prefix-storage-layout",
        "0007-n-tuple-omit-prefix-storage-layout",
        "0008-schema-registry",
        "0009-digest-algorithms",
        "0010-differential-n-tuple-omit-prefix-storage-layout",
        "0011-direct-clean-path-layout",
        "0012-hash-and-no-prefix-id-n-tuple-storage-layout",
        "initial",
    }
)
"""The names that OCFL's community extensions are registered under; `initial` is the one without a number."""
