"""A24, A20: several processes at work on one repository; nobody loses, doubles or mixes anything."""

import hashlib
import os
from collections import Counter
from pathlib import Path

import pytest

from repository.ingest.request import IngestStatus
from repository.ocfl.object import open_content, read_inventory
from repository.ocfl.staging import STAGING_FOLDER, StagingSession, is_alive
from tests.doubles.vault import Account, SmallVault, outcome_from, outcome_line, payload_of, uri_of, write_package
from tests.faults.children import Child, patience, run_in_child
from tests.faults.invariants import broken_promises

VERSIONS = 30
ROUNDS = 5
NAMES = [f"object-{number}" for number in range(6)]


def require_sound(vault: SmallVault, account: Account) -> None:
    with vault.catalog() as catalog:
        assert broken_promises(vault.root_path, catalog, account) == []


# readers and a writer


def read_until(object_root: Path, last: int, seen: Path) -> None:
    """Read the head version in full, again and again, until it is the last one."""
    heads = []
    while not heads or heads[-1] < last:
        stored = read_inventory(object_root)
        head = stored.inventory.head.number
        assert not heads or head >= heads[-1], f"the head went back from {heads[-1]} to {head}"
        state = stored.inventory.state()
        for path, digest in state.items():
            with open_content(object_root, stored.inventory.content_path(digest)) as file:
                data = file.read()
            assert hashlib.sha512(data).hexdigest() == digest, f"version {head}: {path} is not what the inventory says"
            if path == "data/number":
                assert int(data) == head, f"version {head} holds the content of version {int(data)}"
        assert sorted(path for path in state if path.startswith("data/")) == ["data/number", "data/same"]
        heads.append(head)
    seen.write_text(" ".join(map(str, heads)))


def test_a_reader_sees_one_version_or_the_next_and_never_goes_back(tmp_path: Path) -> None:
    """A20: while a new version is put into place, its object can be read at every moment."""
    vault, package = SmallVault.create(tmp_path / "vault"), tmp_path / "grown"
    vault.ingest([write_package(package, {"number": b"1", "same": b"same"})])
    object_root, seen = vault.object_root("grown"), [tmp_path / f"seen-{number}" for number in range(2)]
    readers = [Child(lambda file=file: read_until(object_root, VERSIONS, file)) for file in seen]
    try:
        for number in range(2, VERSIONS + 1):
            write_package(package, {"number": b"%d" % number, "same": b"same"})
            (outcome,) = vault.ingest([package])
            assert (outcome.status, outcome.version) == (IngestStatus.NEW_VERSION, number)
    finally:
        codes = [reader.wait(20) for reader in readers]
    assert codes == [0, 0]
    heads = [set(map(int, file.read_text().split())) for file in seen]
    print(f"the readers saw {[len(each) for each in heads]} of {VERSIONS} versions")
    assert all(len(each) > 3 for each in heads)


# writers


def ingest_and_tell(vault: SmallVault, sources: list[Path], report: Path) -> None:
    with report.open("w") as file:

        def told(outcome: object) -> None:
            print(outcome_line(outcome), file=file, flush=True)  # type: ignore[arg-type]

        vault.ingest(sources, told=told)


@pytest.mark.parametrize("kind", ["same content", "other content", "other objects"])
def test_two_ingests_at_once_lose_and_double_nothing(tmp_path: Path, kind: str) -> None:
    """A24: the same and different packages, given to two processes in opposite order."""
    vault, account = SmallVault.create(tmp_path / "vault"), Account()
    counts: Counter[str] = Counter()
    for turn in range(ROUNDS):
        sides = []
        for side in ("left", "right"):
            mark = f"{turn}" if kind == "same content" else f"{turn} {side}"
            names = [f"{side}-{name}" for name in NAMES] if kind == "other objects" else NAMES
            folder = tmp_path / f"{side}-{turn}"
            sides.append([write_package(folder / name, {"page": f"{name} {mark}".encode()}) for name in names])
        sides[1].reverse()
        reports = [tmp_path / f"report-{turn}-{number}" for number in range(2)]
        for sources in sides:
            account.attempt(sources)
        children = [
            Child(lambda sources=sources, report=report: ingest_and_tell(vault, sources, report))
            for sources, report in zip(sides, reports, strict=True)
        ]
        assert [child.wait() for child in children] == [0, 0]
        outcomes = [outcome_from(line) for report in reports for line in report.read_text().splitlines()]
        counts.update(outcome.status for outcome in outcomes)
        assert sorted(outcome.source for outcome in outcomes) == sorted(path for side in sides for path in side)
        for outcome in outcomes:
            account.take(outcome)
    print(f"{kind}: {dict(counts)}")
    require_sound(vault, account)
    assert counts["refused"] == counts["failed"] == 0, counts
    versions = {uri: sorted(known) for uri, known in account.acknowledged.items()}
    each = list(range(1, ROUNDS * (2 if kind == "other content" else 1) + 1))
    assert list(versions.values()) == [each] * len(NAMES) * (2 if kind == "other objects" else 1)
    assert counts["unchanged"] == (ROUNDS * len(NAMES) if kind == "same content" else 0)


def test_what_somebody_else_is_putting_into_place_is_not_acknowledged_before_it_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A20: the other one may still fail, and then a package that was called unchanged would be lost."""
    vault, package = SmallVault.create(tmp_path / "vault"), write_package(tmp_path / "shared", {"page": b"page"})
    ready, go = os.pipe(), os.pipe()

    def place_and_wait() -> None:
        from repository.ingest.commit import VersionCommitter

        record = VersionCommitter._record

        def wait_first(self: VersionCommitter, placed: object) -> None:
            os.write(ready[1], b"!")
            os.read(go[0], 1)
            record(self, placed)  # type: ignore[arg-type]

        VersionCommitter._record = wait_first  # type: ignore[method-assign,assignment]
        vault.ingest([package])

    monkeypatch.setattr("repository.ingest.run.RETRY_DELAY_S", 0.001)
    other = Child(place_and_wait)
    try:
        assert os.read(ready[0], 1) == b"!"
        assert vault.object_root("shared").is_dir()
        (outcome,) = vault.ingest([package])
    finally:
        os.write(go[1], b"!")
        assert other.wait() == 0
        for end in (*ready, *go):
            os.close(end)
    assert outcome.status is IngestStatus.FAILED
    assert "not yet in the catalogue" in str(outcome.error)
    (outcome,) = vault.ingest([package], told=(account := Account()).take)
    assert (outcome.status, outcome.version) == (IngestStatus.UNCHANGED, 1)
    account.attempt([package])
    require_sound(vault, account)


# sessions


def test_a_living_session_is_never_removed_by_the_recovery_of_another_a_dead_one_is(tmp_path: Path) -> None:
    """A24: what a process is making stays, whoever else comes and goes; when it is killed, nothing stays."""
    vault = SmallVault.create(tmp_path / "vault")
    name = tmp_path / "name"

    def make_and_wait() -> None:
        session = StagingSession(vault.root_path)
        session.new_folder().mkdir()
        name.with_suffix(".new").write_text(session.name)
        name.with_suffix(".new").rename(name)
        while True:
            os.read(blocked[0], 1)

    blocked = os.pipe()
    child = Child(make_and_wait)
    try:
        assert any(name.exists() for _ in patience(10))
        area = vault.root_path / STAGING_FOLDER
        for _ in range(3):
            assert vault.recover().removed_sessions == 0
            assert (area / name.read_text() / "1").is_dir()
            assert is_alive(vault.root_path, name.read_text())
        package = write_package(tmp_path / "p", {"page": b"page"})
        assert [outcome.status for outcome in vault.ingest([package])] == [IngestStatus.NEW_OBJECT]
        assert (area / name.read_text() / "1").is_dir()
    finally:
        child.kill()
        assert child.wait() < 0
        for end in blocked:
            os.close(end)
    assert not is_alive(vault.root_path, name.read_text())
    assert vault.recover().removed_sessions == 1
    assert not area.exists()


def test_recoveries_and_sessions_of_several_processes_do_not_hinder_each_other(tmp_path: Path) -> None:
    """A24: sessions come and go while others clear up; nobody meets an error, nothing is left."""
    vault = SmallVault.create(tmp_path / "vault")

    def come_and_go() -> None:
        for _ in range(150):
            with StagingSession(vault.root_path) as session:
                folder = session.new_folder()
                (folder / "v1").mkdir(parents=True)
                (folder / "v1" / "file").write_bytes(b"")
                assert (folder / "v1" / "file").exists()

    def clear_up() -> None:
        for _ in range(60):
            vault.recover()

    children = [Child(come_and_go), Child(come_and_go), Child(clear_up), Child(clear_up)]
    assert [child.wait() for child in children] == [0] * 4
    assert not (vault.root_path / STAGING_FOLDER).exists()


def test_of_two_recoveries_at_once_each_intent_is_recovered_by_one(tmp_path: Path) -> None:
    """A24: the second finds the work done, and does not forget what has been begun since."""
    template = SmallVault.create(tmp_path / "template")
    packages = [write_package(tmp_path / name, {"page": name.encode()}) for name in NAMES]

    def die_before_recording() -> None:
        from repository.ingest.commit import VersionCommitter

        VersionCommitter._record = lambda _self, _placed: os._exit(9)  # type: ignore[method-assign,assignment]
        template.ingest(packages)

    assert run_in_child(die_before_recording) == 9
    account = Account()
    account.attempt(packages)
    for turn in range(5):
        vault = template.copy(tmp_path / f"vault-{turn}")
        reports = [tmp_path / f"recovery-{turn}-{number}" for number in range(2)]

        def recover(vault: SmallVault, report: Path) -> None:
            recovery = vault.recover()
            assert recovery.problems == recovery.rolled_back == ()
            report.write_text("\n".join(intent.object_id.uri for intent in recovery.rolled_forward))

        children = [Child(lambda vault=vault, report=report: recover(vault, report)) for report in reports]
        assert [child.wait() for child in children] == [0, 0]
        done = [uri for report in reports for uri in report.read_text().split()]
        assert sorted(done) == sorted(map(uri_of, NAMES))
        for package in packages:
            account.acknowledged.setdefault(uri_of(package.name), {1: payload_of(package)})
        require_sound(vault, account)
