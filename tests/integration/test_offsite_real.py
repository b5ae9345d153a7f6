"""Offsite by the command line on real parts at once: Ceph over TLS, borg behind a real sshd, PostgreSQL."""

import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jindang.config_file import load_settings
from jindang.vault import Vault
from repository.errors import TierDeniedError
from repository.stop import StopToken
from storage_tiers.contract.checks import CHECKS
from storage_tiers.contract.trial import TRIAL_FOLDER
from storage_tiers.fixity_outcome import Depth, FixityOutcome, FixityState
from storage_tiers.object_store.tier import ObjectStoreOptions
from storage_tiers.port import ExpectedVersion, VersionRef
from tests.doubles.buckets import new_bucket, new_tier, options_for, raw_client
from tests.doubles.ceph import CephServer
from tests.doubles.postgres import fresh_database
from tests.doubles.sshd import SshBase, borg_over_ssh, require_sshd
from tests.faults.children import patience
from tests.fixtures.catalog_rows import catalog_rows
from tests.fixtures.command_line import CommandLine, deposit, signals_kept
from tests.fixtures.offsite import NAME, PLACES, change, figures, take_in, told

PASSPHRASE = "锁 of the test"
LARGE_BYTES = 72 << 20
PART_BYTES = 16 << 20
WAIT_S = 120

CONFIG = """\
institution: {{code: "120000", name: 天津市档案馆}}
database: {{url: '{database}'}}
data: {data}
ingest: {{workers: 1, reserve_bytes: 0}}
tiers:
  - {{name: primary, path: primary}}
  - {{name: second, path: second, site: east, medium: hdd}}
  - name: store
    kind: object-store
    endpoint: {endpoint}
    ca_file: {ca_file}
    bucket: {bucket}
    site: government cloud
    medium: cloud
    access_key: {{file: secrets/access-key}}
    secret_key: {{file: secrets/secret-key}}
policies:
  - {{name: all, tiers: [second, store], base: {with_base}, copies: 3, media: 3}}
"""
BASE = """\
base:
  repository: {url}
  passphrase: {{file: secrets/passphrase}}
  ssh_key: {ssh_key}
  known_hosts: {known_hosts}
  site: the other city
  lock_wait_s: 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offsite:
    """A repository on real parts, and how a test gets at them behind its back."""

    jindang: CommandLine
    bucket: ObjectStoreOptions
    base: SshBase | None
    database: str

    def stored(self, prefix: str = "") -> list[str]:
        """Everything in the bucket that begins so; a key comes as often as there are versions of it."""
        with closing(raw_client(self.bucket)) as client:
            page = client.list_object_versions(Bucket=self.bucket.bucket, Prefix=prefix)
        return [each["Key"] for each in page.get("Versions", ())]

    def verify(self, identifier: str, number: int = 1) -> FixityOutcome:
        """Read a copy on the store in full, as the catalogue knows it."""
        with Vault(load_settings(self.jindang.config)) as vault:
            record = vault.find(identifier)
            version = next(version for version in record.versions if version.number == number)
            copy = next(
                copy for copy in vault.catalog.list_copies(record.id) if (copy.tier, copy.version) == ("store", number)
            )
            expected = ExpectedVersion(
                object_id=record.id,
                ref=VersionRef(record.object_path, number),
                inventory_digest=version.inventory_digest,
                location=copy.location,
            )
            with closing(vault.tier(vault.settings.tier("store"))) as tier:
                return tier.verify_version(expected, depth=Depth.FULL, stop=StopToken())


def make_offsite(
    folder: Path,
    ceph: CephServer,
    database: str,
    *,
    base: SshBase | None = None,
    capsys: pytest.CaptureFixture[str] | None = None,
) -> Offsite:
    """Configure it; nothing is made yet but an empty bucket."""
    bucket = new_bucket(options_for(ceph, tls=True))
    (folder / "secrets").mkdir(parents=True)
    secrets = {"access-key": ceph.access_key, "secret-key": ceph.secret_key, "passphrase": PASSPHRASE}
    for name, text in secrets.items():
        (folder / "secrets" / name).write_text(f"{text}\n")
    text = CONFIG.format(
        database=database,
        data="data",
        endpoint=ceph.https,
        ca_file=ceph.ca_file,
        bucket=bucket.bucket,
        with_base=str(base is not None).lower(),
    )
    if base is not None:
        text += BASE.format(url=base.url, ssh_key=base.ssh_key, known_hosts=base.server.known_hosts)
    (folder / "jindang.yaml").write_text(text)
    return Offsite(jindang=CommandLine(folder, capsys), bucket=bucket, base=base, database=database)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory, ceph: CephServer, postgres: str) -> Iterator[Offsite]:
    """Three objects that every place holds, verified. Tests leave it as it is."""
    require_sshd()
    folder = tmp_path_factory.mktemp("offsite")
    (folder / "site").mkdir()
    with ExitStack() as stack:
        stack.enter_context(signals_kept())
        base = stack.enter_context(borg_over_ssh(folder / "site"))
        database = stack.enter_context(fresh_database(postgres))
        offsite = make_offsite(folder / "vault", ceph, database, base=base)
        jindang = offsite.jindang
        assert jindang("init").code == 0
        take_in(jindang, folder / "packages")
        assert jindang.json("replicate", "run")["counts"] == {"copied": 8}
        assert len(jindang.json("backup", "run")["archives"][0]["versions"]) == 4
        yield offsite


@pytest.fixture
def small(
    tmp_path: Path,
    ceph: CephServer,
    postgres_database: str,
    capsys: pytest.CaptureFixture[str],
    signals_restored: None,
) -> Offsite:
    """One without a base, whose places are empty."""
    offsite = make_offsite(tmp_path / "vault", ceph, postgres_database, capsys=capsys)
    assert offsite.jindang("init").code == 0
    return offsite


def elsewhere(offsite: Offsite, name: str, changes: dict[str, str], capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The same repository with another configuration, beside the first."""
    jindang = CommandLine(offsite.jindang.folder, capsys)
    jindang.config = offsite.jindang.folder / f"{name}.yaml"
    shutil.copy(offsite.jindang.config, jindang.config)
    change(jindang.config, changes)
    return jindang


def test_every_place_holds_everything_verified_and_nothing_is_owed(held: Offsite) -> None:
    """A22: Chinese identifiers and two versions of one object, through TLS, ssh and PostgreSQL."""
    assert figures(held.jindang) == dict.fromkeys(PLACES, (4, 4, 4))
    assert held.jindang.json("replicate", "plan")["owed"] == []
    shown = held.jindang.json("show", NAME)
    assert [(copy["tier"], copy["version"], copy["state"]) for copy in shown["copies"] if copy["tier"] == "store"] == [
        ("store", 1, "verified"),
        ("store", 2, "verified"),
    ]
    assert len(held.stored(shown["object_path"])) == 6


@pytest.mark.parametrize("place", ["store", "base"])
def test_each_place_alone_gives_the_catalogue_back(
    held: Offsite, place: str, postgres_database: str, capsys: pytest.CaptureFixture[str], signals_restored: None
) -> None:
    """The old catalogue, the old state folder and the other places' answers are not used."""
    again = elsewhere(
        held, f"rebuilt-{place}", {held.database: postgres_database, "data: data": f"data: data-{place}"}, capsys
    )
    assert again.json("catalog", "rebuild", "--from", place) == {"tier": place, "objects": 3, "problems": []}
    assert told(catalog_rows(postgres_database)) == told(catalog_rows(held.database))
    assert figures(again)[place][:2] == (4, 4)


def test_replaced_bytes_under_the_old_label_are_found(held: Offsite) -> None:
    """A9: same size, same metadata, same name; whoever reads it in full sees it, and where."""
    path, options = held.jindang.json("show", "b")["object_path"], held.bucket
    (key,) = [key for key in held.stored(path) if key.endswith(".zip")]
    with closing(raw_client(options)) as client:
        stored = client.get_object(Bucket=options.bucket, Key=key)
        good = stored["Body"].read()
        bad = bytearray(good)
        bad[good.index(b"one page")] ^= 1
        try:
            client.put_object(Bucket=options.bucket, Key=key, Body=bytes(bad), Metadata=stored["Metadata"])
            found = held.verify("b")
        finally:
            client.put_object(Bucket=options.bucket, Key=key, Body=good, Metadata=stored["Metadata"])
    assert found.state is FixityState.MISMATCH
    assert [finding.path for finding in found.findings] == ["v1/content/data/page"]
    assert held.verify("b").state is FixityState.VERIFIED
    assert held.verify(NAME, 2).state is FixityState.VERIFIED


@pytest.mark.parametrize(
    ("secret", "says"),
    [("secret-key", "does not accept the keys"), ("access-key", "does not accept the keys"), ("", "is not trusted")],
    ids=["secret", "access", "certificate"],
)
def test_a_store_that_refuses_us_or_that_we_refuse_is_told_with_what_to_do(
    held: Offsite, secret: str, says: str, capsys: pytest.CaptureFixture[str], signals_restored: None
) -> None:
    (held.jindang.folder / "secrets" / "another").write_text("another\n")
    changes = {f"secrets/{secret}": "secrets/another"} if secret else {f"    ca_file: {held.bucket.ca_file}\n": ""}
    said = elsewhere(held, "refused", changes, capsys)("replicate", "run")
    assert said.code == 4
    assert says in said.err
    assert ("access_key and secret_key" if secret else "ca_file") in said.err.split("Next step: ")[1]
    assert "another" not in said.err


def test_a_base_that_cannot_be_reached_or_refuses_our_key_is_told(
    held: Offsite, capsys: pytest.CaptureFixture[str], signals_restored: None
) -> None:
    assert held.base is not None
    port, host_key = held.base.server.port, held.base.server.folder / "host-key"
    for changes, says in (
        ({f"127.0.0.1:{port}/": "127.0.0.1:9/"}, "The backup base cannot be reached"),
        ({f"ssh_key: {held.base.ssh_key}": f"ssh_key: {host_key}"}, "does not accept our ssh key"),
    ):
        said = elsewhere(held, "unreached", changes, capsys)("backup", "run")
        assert said.code == 4
        assert says in said.err
        assert "Next step: " in said.err
    assert figures(held.jindang)["base"] == (4, 4, 4)


def child(config: Path, *words: str) -> "subprocess.Popen[str]":
    argv = [sys.executable, "-m", "jindang", "--config", str(config), *words]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_after_a_kill_in_the_middle_of_an_upload_the_next_run_completes_it(small: Offsite, tmp_path: Path) -> None:
    """A16, A22: nothing is seen of it before, nothing is there twice afterwards, nothing is owed."""
    package = deposit(tmp_path / "film", note="small")
    (package / "film.mov").write_bytes(os.urandom(LARGE_BYTES))
    assert small.jindang("ingest", package).code == 0
    change(small.jindang.config, {"kind: object-store": "kind: object-store\n    bandwidth: 24 MiB"})
    process = child(small.jindang.config, "replicate", "run", "--tier", "store")
    try:
        begun = parts_of_unfinished_uploads(small, process, at_least=2)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    path = small.jindang.json("show", "film")["object_path"]
    assert process.returncode == -signal.SIGKILL
    assert small.stored(path) == []
    assert figures(small.jindang)["store"] == (1, 0, 0)
    change(small.jindang.config, {"\n    bandwidth: 24 MiB": ""})
    assert small.jindang.json("replicate", "run")["counts"] == {"copied": 2}
    assert figures(small.jindang) == {"primary": (1, 1, 1), "second": (1, 1, 1), "store": (1, 1, 1)}
    assert small.jindang.json("replicate", "plan")["owed"] == []
    assert sorted(key.rpartition("/")[2] for key in small.stored(path)) == [
        "v1.inventory.json",
        "v1.summary.json",
        "v1.zip",
    ]
    with closing(raw_client(small.bucket)) as client:
        assert not client.list_multipart_uploads(Bucket=small.bucket.bucket).get("Uploads")
    assert 2 <= begun <= -(-LARGE_BYTES // PART_BYTES)
    assert small.verify("film").state is FixityState.VERIFIED


def parts_of_unfinished_uploads(offsite: Offsite, process: "subprocess.Popen[str]", *, at_least: int) -> int:
    """Wait until a process has sent so many parts, and is not done."""
    bucket = offsite.bucket.bucket
    with closing(raw_client(offsite.bucket)) as client:
        for _ in patience(WAIT_S):
            assert process.poll() is None, process.communicate()
            for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", ()):
                page = client.list_parts(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
                if len(page.get("Parts", ())) >= at_least:
                    return len(page["Parts"])
    raise AssertionError("no upload was begun")


def test_two_runs_at_once_end_well_and_everything_is_held_once(small: Offsite, tmp_path: Path) -> None:
    """A16: two processes, as a timer and a person start them; in a bucket that would keep what is put twice."""
    for number in range(6):
        deposit(tmp_path / f"p{number}", page=f"{number}" * 200_000)
    assert small.jindang("ingest", *(tmp_path / f"p{number}" for number in range(6))).code == 0
    processes = [child(small.jindang.config, "replicate", "run") for _ in range(2)]
    said = [process.communicate(timeout=WAIT_S) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert figures(small.jindang) == {"primary": (6, 6, 6), "second": (6, 6, 6), "store": (6, 6, 6)}
    assert small.jindang.json("replicate", "plan")["owed"] == []
    stored = [key for key in small.stored() if "/" in key]
    assert len(stored) == len(set(stored)) == 18
    assert small.jindang("ocfl", "validate", small.jindang.folder / "second").code == 0
    copies = [copy for number in range(6) for copy in small.jindang.json("show", f"p{number}")["copies"]]
    assert len(copies) == 18


def test_in_a_bucket_with_versions_a_trial_goes_with_all_that_ever_lay_under_its_names(ceph: CephServer) -> None:
    """A2: what two put at once, and marks of deletion; never what lies beside it, nor a record."""
    options = new_bucket(options_for(ceph, tls=True))
    room = [f"{TRIAL_FOLDER}{uuid.uuid4()}/{name}" for name in ("foo", "foobar")]
    with closing(raw_client(options)) as client, new_tier(options) as tier:
        client.put_bucket_versioning(Bucket=options.bucket, VersioningConfiguration={"Status": "Enabled"})
        for path in room:
            for key in tier.names.of(VersionRef(path, 1)).in_order:
                for text in (b"one", b"two"):
                    client.put_object(Bucket=options.bucket, Key=key, Body=text)
            client.delete_object(Bucket=options.bucket, Key=tier.names.of(VersionRef(path, 1)).pack)
        tier.remove_trial(VersionRef(room[0], 1))
        page = client.list_object_versions(Bucket=options.bucket, Prefix="tier/jindang-contract-")
        left = [each["Key"] for each in (*page["Versions"], *page["DeleteMarkers"])]
        assert len(left) == 7
        assert {key.rpartition("/")[0] for key in left} == {f"tier/{room[1]}"}
        with pytest.raises(TierDeniedError, match="Only trial objects"):
            tier.remove_trial(VersionRef("abc/def/012/urn%3arecord", 1))


LOCK = "lock: {mode: compliance, days: 10, confirm: nobody can delete for 10 days}"


@pytest.fixture
def locking(tmp_path: Path, ceph: CephServer, capsys: pytest.CaptureFixture[str], signals_restored: None) -> Offsite:
    """One whose store locks for ten days, with one object; on SQLite."""
    url = f"sqlite:///{tmp_path}/vault/catalogue.sqlite"
    offsite = make_offsite(tmp_path / "vault", ceph, url, capsys=capsys)
    bucket = new_bucket(options_for(ceph, tls=True), locked=True)
    change(
        offsite.jindang.config,
        {offsite.bucket.bucket: bucket.bucket, "kind: object-store": f"kind: object-store\n    {LOCK}"},
    )
    assert offsite.jindang("init").code == 0
    return Offsite(jindang=offsite.jindang, bucket=bucket, base=None, database=url)


def test_a_bucket_that_locks_is_tried_as_far_as_it_can_be(locking: Offsite) -> None:
    said = locking.jindang("tier", "validate", "store")
    assert (said.code, said.err) == (0, "")
    assert "not tried, because the bucket gives up nothing" in said.out
    for name in ("delete the version", "shorten the lock", "overwrite", "suspend versioning"):
        assert f"refused  {name}" in said.out
    answer: dict[str, Any] = locking.jindang.json("tier", "validate", "store")
    assert (answer["contract_tried"], answer["results"], answer["lock_findings"]) == (False, [], [])
    assert answer["capabilities"]["object_lock"]
    assert all(attempt["refused"] for attempt in answer["lock_attempts"])


def test_a_lock_that_the_server_does_not_keep_is_told_in_words(
    locking: Offsite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that accepts the request and deletes all the same, as some do with their compatibility mode."""
    from storage_tiers.object_store import examine
    from storage_tiers.object_store.lock import WormAttempt

    names = ("delete the version", "shorten the lock", "overwrite", "suspend versioning")
    broken = tuple(WormAttempt(name=name, refused=False, detail="the server did it") for name in names)
    monkeypatch.setattr(examine, "probe_worm", lambda *_, **__: broken)
    said = locking.jindang("tier", "validate", "store")
    assert said.code == 1
    assert said.err.count("NOT PROTECTED: ") == 4
    assert "the store deleted a version that was locked, with the keys of this tier" in said.err
    assert "DONE     delete the version" in said.out


def test_a_lock_that_the_bucket_cannot_have_is_told(small: Offsite) -> None:
    """The setting came after the bucket."""
    change(small.jindang.config, {"kind: object-store": f"kind: object-store\n    {LOCK}"})
    said = small.jindang("tier", "validate", "store")
    assert said.code == 1
    assert "its bucket was made without object lock" in said.err


def test_ceph_keeps_the_contract_and_what_it_can_do_is_noted_anew(small: Offsite) -> None:
    """A2, A10, A15, over TLS; the note is wrong, as after an upgrade of the server. No trial is left."""
    key, before = "jindang-capabilities.json", small.stored()
    with closing(raw_client(small.bucket)) as client:
        noted = client.get_object(Bucket=small.bucket.bucket, Key=key)["Body"].read()
        client.put_object(Bucket=small.bucket.bucket, Key=key, Body=noted.replace(b"true", b"false"))
        said = small.jindang("tier", "validate", "store")
        assert client.get_object(Bucket=small.bucket.bucket, Key=key)["Body"].read() == noted
    assert (said.code, said.err) == (0, "")
    assert f"{len(CHECKS)} promises tried, 0 broken" in said.out
    assert "yes  if_none_match  (changed; the note in the bucket is brought up to date)" in said.out
    assert small.stored() == before


def test_locks_are_shown_and_moved_on(locking: Offsite, tmp_path: Path) -> None:
    jindang = locking.jindang
    assert "No version is stored on this tier yet" in jindang("tier", "locks", "store").out
    assert jindang("ingest", deposit(tmp_path / "a"), deposit(tmp_path / "b")).code == 0
    assert jindang("replicate", "run", "--tier", "store").code == 0
    first = jindang.json("tier", "locks", "store")
    assert (first["versions"], first["locked"], first["ending_within"], first["extended"]) == (2, 2, 0, 0)
    assert first["locked_until_at_least"] is not None
    change(jindang.config, {"days: 10": "days: 30", "for 10 days": "for 30 days"})
    shown = jindang("tier", "locks", "store")
    assert "2 of 2 versions are locked, the first until " in shown.out
    assert "2 locks end within 15 days; `jindang tier locks store --extend` extends them" in shown.out
    assert jindang.json("tier", "locks", "store", "--extend", "--within", "5")["extended"] == 0
    extended = jindang.json("tier", "locks", "store", "--extend")
    assert (extended["extended"], extended["ending_within"]) == (2, 0)
    assert extended["first_end"] > first["first_end"]
    again = jindang.json("tier", "locks", "store", "--extend")
    assert (again["extended"], again["first_end"]) == (0, extended["first_end"])


def test_what_is_not_locked_is_a_finding_until_it_is(locking: Offsite, tmp_path: Path) -> None:
    """Put there before the lock came into the settings."""
    jindang = locking.jindang
    assert jindang("ingest", deposit(tmp_path / "a")).code == 0
    change(jindang.config, {f"\n    {LOCK}": ""})
    assert jindang("replicate", "run", "--tier", "store").code == 0
    said = jindang("tier", "locks", "store")
    assert said.code == 2
    assert "locks nothing" in said.err
    change(jindang.config, {"kind: object-store": f"kind: object-store\n    {LOCK}"})
    said = jindang("tier", "locks", "store")
    assert said.code == 1
    assert "1 versions have no lock" in said.err
    assert jindang.json("tier", "locks", "store", "--extend")["extended"] == 1
    assert jindang.json("tier", "locks", "store")["not_locked"] == 0
