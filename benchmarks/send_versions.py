"""Puts every version of a vault's primary tier on its store, as `jindang replicate run` does, without reading back.

    python benchmarks/send_versions.py CONFIGURATION

So that sending can be measured beside tools that only send.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jindang.config_file import load_settings
from jindang.vault import Vault
from storage_tiers.port import Placed, PutStatus, VersionRef


def main() -> None:
    """Send everything; complain when something was there already."""
    with Vault(load_settings(Path(sys.argv[1]))) as vault:
        source, target = vault.tier(vault.settings.primary), vault.tier(vault.settings.tier("store"))

        def send(ref: VersionRef) -> Placed:
            with source.open_version(ref) as version:
                return target.put_version(version, stop=vault.stop)

        with ThreadPoolExecutor(vault.settings.replication.parallel) as threads:
            placed = list(threads.map(send, source.list_versions()))
        target.close()
    if any(each.status is not PutStatus.STORED for each in placed):
        raise SystemExit("something was on the store already")
    print(f"{len(placed)} versions sent")


if __name__ == "__main__":
    main()
