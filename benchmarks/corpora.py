"""What is measured on: made from a seed, the same everywhere, kept for the next time.

    python benchmarks/corpora.py [--where FOLDER] [--scale 1.0] [NAME ...]

Each corpus is a folder of volumes, and each volume a folder of files that cannot be compressed.
"""

import argparse
import json
import random
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

DEFAULT_FOLDER = Path(__file__).resolve().parent.parent / "build" / "benchmarks"
RECIPE_VERSION = 1
_PIECE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a corpus is made: `volumes` folders with `files_per_volume` files of `file_bytes` each."""

    name: str
    says: str
    volumes: int
    files_per_volume: int
    file_bytes: int

    @property
    def files(self) -> int:
        """The number of files."""
        return self.volumes * self.files_per_volume

    @property
    def total_bytes(self) -> int:
        """The size of all files together."""
        return self.files * self.file_bytes

    def scaled(self, scale: float) -> "Recipe":
        """The same with fewer volumes, or, where the files are few and large, with smaller files."""
        if self.volumes * self.files_per_volume <= 4:  # noqa: PLR2004
            smaller = max(1, round(self.file_bytes * scale))
            return Recipe(**{**asdict(self), "file_bytes": smaller})
        return Recipe(**{**asdict(self), "volumes": max(1, round(self.volumes * scale))})


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="P",
            says="pages: 100 volumes x 100 files x 120 KB",
            volumes=100,
            files_per_volume=100,
            file_bytes=120_000,
        ),
        Recipe(
            name="S",
            says="small files: 200 volumes x 100 files x 4 KB",
            volumes=200,
            files_per_volume=100,
            file_bytes=4_000,
        ),
        Recipe(
            name="V",
            says="film: 4 volumes x 1 file x 512 MiB",
            volumes=4,
            files_per_volume=1,
            file_bytes=512 << 20,
        ),
        Recipe(
            name="V1",
            says="film in one volume: 1 volume x 4 files x 512 MiB",
            volumes=1,
            files_per_volume=4,
            file_bytes=512 << 20,
        ),
    )
}


def make(recipe: Recipe, where: Path) -> Path:
    """Give the folder of a corpus, making it if it is not there complete."""
    folder = where / f"corpus-{recipe.name}"
    stamp = where / f"corpus-{recipe.name}.json"
    wanted = json.dumps({"version": RECIPE_VERSION, **asdict(recipe)}, sort_keys=True)
    if folder.is_dir() and stamp.is_file() and stamp.read_text() == wanted:
        return folder
    stamp.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    for number in range(1, recipe.volumes + 1):
        volume = folder / f"J019-{recipe.name}·2015·D30-{number:03d}"
        volume.mkdir(parents=True)
        for page in range(1, recipe.files_per_volume + 1):
            # a generator for each file, so that a smaller corpus is the beginning of a larger one
            _fill(volume / f"{page:04d}.bin", recipe.file_bytes, seed=f"{number}/{page}")
    stamp.write_text(wanted)
    return folder


def volumes_of(corpus: Path) -> list[Path]:
    """The volumes of a corpus, in order."""
    return sorted(path for path in corpus.iterdir() if path.is_dir())


def read_all(corpus: Path) -> int:
    """Read every file, so that the page cache is warm, and give the number of bytes."""
    total = 0
    buffer = bytearray(1 << 20)
    for path in sorted(corpus.rglob("*")):
        if path.is_file():
            with path.open("rb", buffering=0) as stream:
                while count := stream.readinto(buffer):
                    total += count
    return total


def _fill(path: Path, size_bytes: int, *, seed: str) -> None:
    generator = random.Random(seed)
    with path.open("wb") as stream:
        left = size_bytes
        while left:
            piece = min(left, _PIECE_BYTES)
            stream.write(generator.randbytes(piece))
            left -= piece


def main() -> None:
    """Make the corpora that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECIPES)}; default: all")
    parser.add_argument("--where", type=Path, default=DEFAULT_FOLDER, help="folder to keep them in")
    parser.add_argument("--scale", type=float, default=1.0, help="a part of the full size, for a trial")
    arguments = parser.parse_args()
    for name in arguments.names or RECIPES:
        recipe = RECIPES[name].scaled(arguments.scale)
        print(f"{name}: {recipe.files} files, {recipe.total_bytes / 1e6:.0f} MB in {make(recipe, arguments.where)}")


if __name__ == "__main__":
    main()
