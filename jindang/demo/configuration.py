"""The configuration of the demo's repository: three copies at three places, and a backup base at a fourth."""

from pathlib import Path

from jindang.demo.simulated_store import BUCKET

_TEXT = """\
# A small example of a whole configuration; `jindang config schema` and docs/reference/configuration.md have the rest.
institution: {{code: "120000", name: 金档示范馆 (demo archive)}}
tiers:
  - {{name: primary, path: primary, site: main building}}
  - {{name: second, path: second, site: east depot, medium: hdd}}
  - name: store
    kind: object-store
    endpoint: {endpoint}
    bucket: {bucket}
    site: government cloud
    medium: cloud
    zone: government
    access_key: {{file: secrets/store-access-key}}
    secret_key: {{file: secrets/store-secret-key}}
base:
  repository: base
  passphrase: {{file: secrets/base-passphrase}}
  site: the other city
policies:
  - name: three-copies
    tiers: [second, store]
    copies: 3
    sites: 3
    media: 3
"""
_SECRETS = {"store-access-key": "demo", "store-secret-key": "demo", "base-passphrase": "only for this demo"}


def write_demo_configuration(folder: Path, *, endpoint: str) -> Path:
    """Write the configuration and its secrets into the demo's folder; returns the file."""
    secrets = folder / "secrets"
    secrets.mkdir(mode=0o700)
    for name, text in _SECRETS.items():
        (secrets / name).write_text(f"{text}\n", encoding="utf-8")
    path = folder / "jindang.yaml"
    path.write_text(_TEXT.format(endpoint=endpoint, bucket=BUCKET), encoding="utf-8")
    return path
