"""Several processes put the same onto one disk tier: one stores it, the others find it there, and nothing is mixed."""

from pathlib import Path

from repository.ocfl.validate_storage_root import validate_storage_root
from repository.stop import StopToken
from storage_tiers.disk.tier import create_disk_tier, open_disk_tier
from storage_tiers.fixity_outcome import Depth
from tests.doubles.opened_versions import make_version
from tests.faults.children import Child

PROCESSES = 6


def test_one_of_several_processes_stores_each_version(tmp_path: Path) -> None:
    create_disk_tier(tmp_path / "tier", name="disk", institution="120000")
    versions = [make_version(1, {"data/a": b"1" * 50_000})]
    for number in range(2, 6):
        versions.append(make_version(number, {"data/a": bytes([number]) * 50_000}, previous=versions[-1]))

    def work() -> None:
        tier = open_disk_tier(tmp_path / "tier", name="disk")
        told = [tier.put_version(version, stop=StopToken()).status for version in versions]
        with (tmp_path / "told").open("a") as file:
            file.write("".join(f"{number} {status}\n" for number, status in enumerate(told)))

    children = [Child(work) for _ in range(PROCESSES)]
    assert [child.wait() for child in children] == [0] * PROCESSES
    told = (tmp_path / "told").read_text().splitlines()
    for number in range(len(versions)):
        assert sorted(line for line in told if line.startswith(f"{number} ")) == sorted(
            [f"{number} stored"] + [f"{number} already present"] * (PROCESSES - 1)
        )
    tier = open_disk_tier(tmp_path / "tier", name="disk")
    for version in versions:
        assert tier.verify_version(version.expected, depth=Depth.FULL, stop=StopToken()).findings == ()
    assert [each for each in validate_storage_root(tier.root.path) if each.severity == "error"] == []
    assert not (tier.root.path / "extensions/jindang-staging").exists()
