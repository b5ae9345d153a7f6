"""Ours and the peers that bring a folder to an object store, on a real Ceph: how each is prepared and run."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from corpora import volumes_of
from tools import OURS_BIN, PEERS_BIN, ROOT, installed, jindang_version

sys.path.insert(0, str(ROOT))
from tests.doubles.ceph import CephServer

OURS = "jindang, sending"
WHOLE = "jindang replicate run"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreJob:
    """A command ready to be timed, and how it is seen that it did its work."""

    argv: list[str]
    environment: dict[str, str]
    check: Callable[[str], None] = lambda _output: None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreTool:
    """One of those compared; `prepare` makes everything that is not timed."""

    name: str
    version: Callable[[], str]
    prepare: Callable[[Path, Path, CephServer, str], StoreJob]
    says: str


@contextmanager
def fresh_bucket(ceph: CephServer, name: str) -> Iterator[str]:
    """An empty bucket, removed afterwards with all that is in it, at once."""
    aws(ceph, "s3api", "create-bucket", "--bucket", name)
    try:
        yield name
    finally:
        config = str(Path(ceph.folder) / "ceph.conf")
        argv = ["radosgw-admin", "-c", config, "bucket", "rm", f"--bucket={name}", "--purge-objects", "--bypass-gc"]
        subprocess.run(argv, check=True, capture_output=True)


def aws(ceph: CephServer, *words: str) -> str:
    """Run the AWS command line against Ceph; its output."""
    argv = [str(PEERS_BIN / "aws"), "--endpoint-url", ceph.http, *words]
    done = subprocess.run(
        argv, env={**os.environ, **aws_environment(ceph)}, check=True, capture_output=True, text=True
    )
    return done.stdout


def aws_environment(ceph: CephServer) -> dict[str, str]:
    """Keys and what RGW 16 needs."""
    return {
        "AWS_ACCESS_KEY_ID": ceph.access_key,
        "AWS_SECRET_ACCESS_KEY": ceph.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def rclone_environment(ceph: CephServer) -> dict[str, str]:
    """A remote `ceph:` without a configuration file; rclone cannot take the certificates that AWS's variable names."""
    return {
        "AWS_CA_BUNDLE": "",
        "RCLONE_CONFIG_CEPH_TYPE": "s3",
        "RCLONE_CONFIG_CEPH_PROVIDER": "Ceph",
        "RCLONE_CONFIG_CEPH_ENDPOINT": ceph.http,
        "RCLONE_CONFIG_CEPH_ACCESS_KEY_ID": ceph.access_key,
        "RCLONE_CONFIG_CEPH_SECRET_ACCESS_KEY": ceph.secret_key,
    }


def make_vault(corpus: Path, work: Path, ceph: CephServer, bucket: str) -> Path:
    """A vault whose primary tier has the corpus, and whose store has nothing; returns its configuration."""
    vault = work / "vault"
    vault.mkdir(parents=True)
    config = vault / "jindang.yaml"
    config.write_text(
        f"""\
institution: {{code: "1", name: benchmark}}
tiers:
  - {{name: primary, path: primary}}
  - name: store
    kind: object-store
    endpoint: {ceph.http}
    bucket: {bucket}
    access_key: {{env: AWS_ACCESS_KEY_ID}}
    secret_key: {{env: AWS_SECRET_ACCESS_KEY}}
""",
        encoding="utf-8",
    )
    environment = {**os.environ, **aws_environment(ceph)}
    jindang = [str(OURS_BIN / "jindang"), "--config", str(config), "-q"]
    for words in (["init", str(vault)], ["ingest", *map(str, volumes_of(corpus))]):
        subprocess.run([*jindang, *words], env=environment, check=True, capture_output=True)
    return config


def _prepare_sending(corpus: Path, work: Path, ceph: CephServer, bucket: str) -> StoreJob:
    config = make_vault(corpus, work, ceph, bucket)
    script = str(Path(__file__).resolve().parent / "send_versions.py")
    return StoreJob(argv=[str(OURS_BIN / "python"), script, str(config)], environment=aws_environment(ceph))


def _prepare_run(corpus: Path, work: Path, ceph: CephServer, bucket: str) -> StoreJob:
    config = make_vault(corpus, work, ceph, bucket)
    objects = len(volumes_of(corpus))

    def check(output: str) -> None:
        answer = json.loads(output)
        if answer["counts"] != {"copied": objects}:
            raise SystemExit(f"not everything was copied: {answer['counts']}")

    argv = [str(OURS_BIN / "jindang"), "--config", str(config), "replicate", "run", "--json"]
    return StoreJob(argv=argv, environment=aws_environment(ceph), check=check)


def _prepare_rclone(*options: str) -> Callable[[Path, Path, CephServer, str], StoreJob]:
    def prepare(corpus: Path, work: Path, ceph: CephServer, bucket: str) -> StoreJob:
        work.mkdir(parents=True)
        argv = ["rclone", "copy", *options, "--config", str(work / "none"), str(corpus), f"ceph:{bucket}"]
        return StoreJob(argv=argv, environment=rclone_environment(ceph))

    return prepare


def _rclone_version() -> str:
    said = subprocess.run(["rclone", "version"], capture_output=True, text=True, check=True).stdout
    return said.splitlines()[0].removeprefix("rclone ")


def _prepare_aws(corpus: Path, work: Path, ceph: CephServer, bucket: str) -> StoreJob:
    work.mkdir(parents=True)
    argv = [str(PEERS_BIN / "aws"), "--endpoint-url", ceph.http, "s3", "sync", "--only-show-errors"]
    return StoreJob(argv=[*argv, str(corpus), f"s3://{bucket}"], environment=aws_environment(ceph))


STORE_TOOLS = [
    StoreTool(
        name=OURS,
        version=jindang_version,
        prepare=_prepare_sending,
        says="puts every version on the store as `replicate run` does, each file checked against its digest on the "
        "way, and does not read back",
    ),
    StoreTool(
        name=WHOLE,
        version=jindang_version,
        prepare=_prepare_run,
        says="the whole: sending, reading every byte back, recording",
    ),
    StoreTool(
        name="rclone copy",
        version=_rclone_version,
        prepare=_prepare_rclone("--transfers", "16"),
        says="`--transfers 16`",
    ),
    StoreTool(
        name="rclone copy, tuned",
        version=_rclone_version,
        prepare=_prepare_rclone(
            "--transfers=16", "--checkers=32", "--s3-upload-concurrency=8", "--s3-chunk-size=16M", "--fast-list"
        ),
        says="`--transfers 16 --checkers 32 --s3-upload-concurrency 8 --s3-chunk-size 16M --fast-list`, checksums on",
    ),
    StoreTool(
        name="aws s3 sync",
        version=installed(PEERS_BIN / "python", "awscli"),
        prepare=_prepare_aws,
        says="with its defaults",
    ),
]
