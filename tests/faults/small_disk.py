"""A disk of a few megabytes that can fill up: a tmpfs of the test's own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class SmallDisk:
    """A mounted tmpfs."""

    def __init__(self, path: Path, **options: str) -> None:
        self.path = path
        path.mkdir(parents=True)
        self._mount(**options)

    def grow(self, **options: str) -> None:
        """Give it more of something."""
        self._mount(remount="", **options)

    def clear(self) -> None:
        """Remove everything on it."""
        for entry in self.path.iterdir():
            shutil.rmtree(entry)

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.path)], check=True, capture_output=True)

    def free_bytes(self) -> int:
        usage = os.statvfs(self.path)
        return usage.f_bavail * usage.f_frsize

    def _mount(self, **options: str) -> None:
        words = ",".join(f"{name}={value}" if value else name for name, value in options.items())
        subprocess.run(["mount", "-t", "tmpfs", "-o", words, "tmpfs", str(self.path)], check=True, capture_output=True)


class Disks:
    """Makes small disks; all are unmounted at the end."""

    def __init__(self) -> None:
        self._made: list[SmallDisk] = []

    def __call__(self, path: Path, **options: str) -> SmallDisk:
        """Options of tmpfs(5): `size`, `nr_inodes`. Without the right to mount a visible skip, in CI an error."""
        try:
            disk = SmallDisk(path, **options)
        except (OSError, subprocess.CalledProcessError) as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"needs the right to mount a tmpfs (root): {error}")
        self._made.append(disk)
        return disk

    def unmount(self) -> None:
        for disk in reversed(self._made):
            disk.unmount()


@pytest.fixture
def small_disk() -> Iterator[Disks]:
    """Mounts disks for one test."""
    if shutil.which("mount") is None:
        pytest.skip("needs mount(8)")
    disks = Disks()
    try:
        yield disks
    finally:
        disks.unmount()
