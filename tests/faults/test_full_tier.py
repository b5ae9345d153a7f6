"""A21: a disk tier that fills up while a version is put; a clear message, nothing left behind, and work goes on."""

from pathlib import Path

import pytest

from repository.errors import TierFullError
from repository.stop import StopToken
from storage_tiers.disk.tier import create_disk_tier
from storage_tiers.fixity_outcome import Depth
from storage_tiers.port import PutStatus
from tests.doubles.opened_versions import make_version
from tests.faults.small_disk import Disks, small_disk

__all__ = ["small_disk"]


def names(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize("large_bytes", [1 << 30, 1 << 16], ids=["small files", "large files"])
@pytest.mark.parametrize("limit", ["size", "nr_inodes"])
def test_a_put_that_fills_the_disk_leaves_nothing_and_goes_on_later(
    limit: str, large_bytes: int, small_disk: Disks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage_tiers.disk.writing.LARGE_FILE_BYTES", large_bytes)
    monkeypatch.setattr("storage_tiers.disk.writing.free_bytes", lambda _: 1 << 40)  # it fills up meanwhile
    options = {"size": "2m"} if limit == "size" else {"size": "8m", "nr_inodes": "40"}
    disk = small_disk(tmp_path / "disk", **options)
    tier = create_disk_tier(disk.path / "tier", name="small", institution="120000")
    first = make_version(1, {f"data/{number}": bytes([number]) * 4000 for number in range(5)})
    files = {f"data/{number}/x": bytes([number]) * 200_000 for number in range(20)}
    second = make_version(2, files, previous=first)
    tier.put_version(first, stop=StopToken())
    before = names(disk.path)
    with pytest.raises(TierFullError, match="no space left"):
        tier.put_version(second, stop=StopToken())
    assert names(disk.path) == before
    with pytest.raises(TierFullError, match="no space left"):
        tier.put_version(make_version(1, files, identifier="urn:example:other"), stop=StopToken())
    assert names(disk.path) == before
    disk.grow(size="16m", nr_inodes="0")
    assert tier.put_version(second, stop=StopToken()).status is PutStatus.STORED
    for version in (first, second):
        assert tier.verify_version(version.expected, depth=Depth.FULL, stop=StopToken()).findings == ()
