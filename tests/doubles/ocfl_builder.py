"""Makes OCFL objects and storage roots on disk, by the specification alone, and lets a test break them.

It shares no code with the modules it tests: an error in those must not be repeated here.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

USER = {"name": "林档案", "address": "mailto:lin@example.org"}
FIRST_FILES = {"a.txt": b"first\n", "b.txt": b"second\n", "页/c.txt": b"third\n"}


def digest_of(data: bytes, algorithm: str = "sha512") -> str:
    if algorithm.startswith("blake2b-"):
        return hashlib.blake2b(data, digest_size=int(algorithm[8:]) // 8).hexdigest()
    return hashlib.new(algorithm.replace("/", "_"), data).hexdigest()


def to_json(document: Any) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


@dataclass
class OcflObject:
    """An object under construction: `add` versions, `write`, then break it.

    Every version's files are given in full; what has the same bytes as before is not stored again. The inventory
    of each version is kept, with the digest algorithm that held when the version was added.
    """

    root: Path
    spec_version: str = "1.1"
    object_id: str = "urn:example:1"
    algorithm: str = "sha512"
    content_directory: str | None = None
    width: int = 0
    fixity: tuple[str, ...] = ()
    blocks: dict[str, dict[str, Any]] = field(default_factory=dict)
    states: dict[str, dict[str, bytes]] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    inventories: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, files: dict[str, bytes], **block: Any) -> "OcflObject":
        name = f"v{len(self.states) + 1:0{self.width}d}"
        self.states[name] = dict(files)
        for path, data in files.items():
            if data not in self.stored.values():
                self.stored[f"{name}/{self.content_directory or 'content'}/{path}"] = data
        self.blocks[name] = {
            "created": f"2026-01-{len(self.states):02d}T08:00:00+08:00",
            "message": f"version {name}",
            "user": USER,
        } | block
        self.inventories[name] = self._inventory(name)
        return self

    def _inventory(self, head: str) -> dict[str, Any]:
        def by_digest(contents: dict[str, bytes], algorithm: str) -> dict[str, list[str]]:
            found: dict[str, list[str]] = {}
            for path, data in contents.items():
                found.setdefault(digest_of(data, algorithm), []).append(path)
            return found

        inventory: dict[str, Any] = {
            "id": self.object_id,
            "type": f"https://ocfl.io/{self.spec_version}/spec/#inventory",
            "digestAlgorithm": self.algorithm,
            "head": head,
        }
        if self.content_directory is not None:
            inventory["contentDirectory"] = self.content_directory
        inventory["manifest"] = by_digest(self.stored, self.algorithm)
        inventory["versions"] = {
            name: self.blocks[name] | {"state": by_digest(state, self.algorithm)}
            for name, state in self.states.items()
        }
        if self.fixity:
            inventory["fixity"] = {each: by_digest(self.stored, each) for each in self.fixity if each != "size"}
        if "size" in self.fixity:
            sizes: dict[str, list[str]] = {}
            for path, data in self.stored.items():
                sizes.setdefault(str(len(data)), []).append(path)
            inventory["fixity"]["size"] = sizes
        return inventory

    def write(self) -> "OcflObject":
        self.root.mkdir(parents=True)
        self.declare(self.spec_version)
        for path, data in self.stored.items():
            self.put(path, data)
        for name, inventory in self.inventories.items():
            self.put_inventory(name, to_json(inventory), inventory["digestAlgorithm"])
        head = list(self.inventories)[-1]
        for file in sorted((self.root / head).glob("inventory.json*")):
            shutil.copyfile(file, self.root / file.name)
        return self

    def declare(self, spec_version: str) -> None:
        for old in self.root.glob("0=ocfl_object_*"):
            old.unlink()
        (self.root / f"0=ocfl_object_{spec_version}").write_bytes(f"ocfl_object_{spec_version}\n".encode())

    def put(self, path: str, data: bytes = b"something\n") -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def remove(self, path: str) -> None:
        target = self.root / path
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink()

    def put_inventory(self, where: str, data: bytes, algorithm: str = "sha512") -> None:
        """An inventory and a sidecar that agrees with it, in the root (`where` empty) or a version directory."""
        prefix = f"{where}/" if where else ""
        self.put(f"{prefix}inventory.json", data)
        self.put(f"{prefix}inventory.json.{algorithm}", f"{digest_of(data, algorithm)} inventory.json\n".encode())

    def inventory(self, where: str = "") -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.root / where / "inventory.json").read_bytes())
        return document

    def rewrite(self, *where: str, edit: Callable[[dict[str, Any]], object]) -> None:
        """Change what inventories say, and let their sidecars follow; the root's and the head's by default."""
        for place in where or ("", self.inventory()["head"]):
            document = self.inventory(place)
            algorithm = document["digestAlgorithm"]
            edit(document)
            self.put_inventory(place, to_json(document), algorithm)

    def rewrite_text(self, old: str, new: str, *where: str) -> None:
        """The same for what no JSON document can say, such as a repeated key."""
        for place in where or ("", self.inventory()["head"]):
            text = (self.root / place / "inventory.json").read_text()
            assert old in text
            self.put_inventory(place, text.replace(old, new, 1).encode(), self.algorithm)


def one_version(root: Path, **options: Any) -> OcflObject:
    return OcflObject(root, **options).add(FIRST_FILES).write()


def three_versions(root: Path, **options: Any) -> OcflObject:
    """A file is added, one changed, one renamed and one removed; version 3 stores nothing new."""
    return (
        OcflObject(root, **options)
        .add(FIRST_FILES)
        .add({"a.txt": b"changed\n", "b.txt": b"second\n", "d/e.txt": b"fourth\n"})
        .add({"a.txt": b"changed\n", "renamed.txt": b"second\n"})
        .write()
    )


@dataclass
class OcflRoot:
    """A storage root; objects are put into it where the test wants them."""

    path: Path
    spec_version: str = "1.1"

    def write(self) -> "OcflRoot":
        self.path.mkdir(parents=True)
        (self.path / f"0=ocfl_{self.spec_version}").write_bytes(f"ocfl_{self.spec_version}\n".encode())
        return self

    def put(self, path: str, data: bytes = b"something\n") -> None:
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def object(self, where: str, **options: Any) -> OcflObject:
        options = {"object_id": f"urn:example:{where}", "spec_version": self.spec_version} | options
        return one_version(self.path / where, **options)

    def declare_layout(self, extension: str, **config: Any) -> None:
        self.put("ocfl_layout.json", to_json({"extension": extension, "description": "a test's layout"}))
        self.put(f"extensions/{extension}/config.json", to_json({"extensionName": extension} | config))
