"""Which names a package may use, how names are shown to people, and which names collide.

Names that come as text (archives, manifests, fetch.txt) can point out of the package, names that a directory listing
gives cannot; a backslash or a drive letter does so on Windows only, where the package may one day be restored.
"""

import re
import unicodedata
from collections.abc import Callable
from urllib.parse import unquote

from repository.packages.package import Limits

_DRIVE = re.compile(r"[A-Za-z]:")
_SEPARATORS = re.compile(r"[/\\]")
_DECODINGS = 3
_SHOWN_CHARACTERS = 300

FIX_ENCODING = (
    "names must be UTF-8: convert them with `convmv -f GBK -t UTF-8 -r --notest FOLDER` (or the encoding that they "
    "have), then hand the package in again"
)
FIX_ZIP_ENCODING = (
    "names must be UTF-8: unpack it on the computer where it was made and pack it again with 7-Zip and the parameter "
    "`cu=on`, or run `unzip -O GBK FILE` and hand in the folder"
)


def shown(path: str) -> str:
    """A name in quotes, fit for a message: what cannot be printed, or would mislead the eye, is escaped."""
    text = path if len(path) <= _SHOWN_CHARACTERS else f"{path[:_SHOWN_CHARACTERS]}…"
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else _escaped(c) for c in text) + '"'


def shown_bytes(name: bytes) -> str:
    """A name that is not UTF-8, in quotes, each foreign byte escaped in hex."""
    return '"' + name[:_SHOWN_CHARACTERS].decode("utf-8", "backslashreplace") + '"'


def _escaped(character: str) -> str:
    return f"\\{character}" if character in '"\\' else character.encode("unicode_escape", "backslashreplace").decode()


def size_problem(path: str, limits: Limits) -> str | None:
    """Why a path is too long or too deep; None where it is neither.

    Lengths are counted in UTF-8 bytes because that is what file systems count.
    """
    parts = path.split("/")
    if len(parts) > limits.max_depth:
        return f"it lies {len(parts)} folders deep; at most {limits.max_depth} are allowed"
    if (size := len(path.encode("utf-8", "surrogatepass"))) > limits.max_path_bytes:
        return f"its path is {size} bytes long; at most {limits.max_path_bytes} are allowed"
    if (size := max(len(part.encode("utf-8", "surrogatepass")) for part in parts)) > limits.max_name_bytes:
        return f"its name is {size} bytes long; at most {limits.max_name_bytes} are allowed"
    return None


def escape_problem(path: str) -> str | None:
    """Why a path that came as text would leave the package when somebody unpacks it; None where it stays inside.

    Percent-encoded forms are looked at as well, because the reader at the other end may decode them.
    """
    forms = [path]
    while len(forms) <= _DECODINGS and (decoded := unquote(forms[-1], errors="surrogateescape")) != forms[-1]:
        forms.append(decoded)
    for form in forms:
        if reason := _escape_of(form):
            return reason if form is path else f"{reason}, once its percent-encoding is decoded"
    return None


def _escape_of(path: str) -> str | None:
    if "\0" in path:
        return "it has a NUL character in its name"
    if path.startswith(("/", "\\")):
        return "it is an absolute path"
    if _DRIVE.match(path):
        return "it begins with a drive letter"
    if ".." in _SEPARATORS.split(path):
        return 'it leaves the package with ".."'
    return None


def plain_problem(path: str) -> str | None:
    """Why a path is not written plainly, as `a/b/c`; None where it is."""
    if not path:
        return "it has no name"
    if any(part in {"", ".", ".."} for part in path.split("/")):
        return 'it has an empty, "." or ".." part in its path'
    return None


def folded(path: str) -> str:
    """What two paths have in common that a file system without case or with normalisation takes for one.

    Source: ext4 casefold and APFS, which compare decomposed names after full case folding; NTFS folds less.
    """
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def normalised(path: str) -> str:
    """A path in Unicode form NFC."""
    return path if path.isascii() else unicodedata.normalize("NFC", path)


class CollisionFinder:
    """Finds siblings that some file systems cannot hold side by side; every path is added once.

    Memory: one folded path for each file and folder, about 150 bytes each, until the finder is dropped.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._by_key: dict[str, str] = {}
        self._folders: set[str] = set()

    def add(self, path: str) -> None:
        """Take in a file, and the folders above it."""
        self._add_folders(path)
        if path in self._folders:
            self._report(f"{shown(path)} is both a file and a folder: rename one of them")
        else:
            self._add(path)

    def _add_folders(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        missing = []
        while parent and parent not in self._folders:
            missing.append(parent)
            parent = parent.rpartition("/")[0]
        for folder in reversed(missing):
            self._folders.add(folder)
            self._add(folder, is_folder=True)

    def _add(self, path: str, *, is_folder: bool = False) -> None:
        key = folded(path)
        other = self._by_key.get(key)
        if other is None:
            self._by_key[path if key == path else key] = path  # one string for both where they are the same
            return
        if other == path:
            what = "is both a file and a folder" if is_folder else "is there twice"
            self._report(f"{shown(path)} {what}: rename or remove one of them")
        elif other.rpartition("/")[0] == path.rpartition("/")[0]:
            self._report(_collision(other, path))


def _collision(first: str, second: str) -> str:
    same_form = normalised(first) == normalised(second)
    how = "Unicode normalisation form (they look the same)" if same_form else "upper and lower case"
    shown_second = shown(second) if not same_form else f"{shown(second)} {second.rpartition('/')[2]!a}"
    return (
        f"{shown(first)} and {shown_second} differ only in {how}, so that many file systems cannot hold both: "
        "rename one of them"
    )
