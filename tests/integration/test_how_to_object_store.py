"""docs/how-to/add-an-object-store.md, word for word on a real Ceph, but for names of machines and folders."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from storage_tiers.object_store import errors
from storage_tiers.object_store.tier import ObjectStoreOptions
from tests.doubles.buckets import raw_client
from tests.doubles.ceph import CephServer
from tests.fixtures.command_line import deposit
from tests.fixtures.pages import PAGES, blocks, renamed, run

PAGE = "add-an-object-store"
CONFIG = """\
institution: {code: "120000", name: 天津市档案馆}
ingest: {workers: 1, reserve_bytes: 0}
tiers:
- {name: primary, path: primary}
"""
BUCKET = {"Bucket": "jindang"}
WRITER = {"AWS_ACCESS_KEY_ID": "WRITER", "AWS_SECRET_ACCESS_KEY": "secret-of-the-writer"}


class Store:
    """The page's store, its keeper, and the archive that uses it."""

    def __init__(self, ceph: CephServer, folder: Path, *, keys: Path | None = None) -> None:
        self.folder, self.keys = folder / "archive", keys or folder / "keys"
        self.endpoint = ceph.http
        self.folder.mkdir()
        self.keeper = {"AWS_ACCESS_KEY_ID": ceph.access_key, "AWS_SECRET_ACCESS_KEY": ceph.secret_key}
        self.names = {"https://s3.example.org": ceph.http, "/etc/jindang": str(self.keys)}

    def page(self, language: str, *, section: str | None = None) -> list[str]:
        return [renamed(block, self.names) for block in blocks(PAGE, language, section=section)]

    def run(self, script: str, **variables: str) -> str:
        return run(self.folder, renamed(script, self.names), **variables)

    def client(self, variables: dict[str, str]) -> Any:
        """What somebody with these keys can do."""
        access, secret = variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"]
        return raw_client(
            ObjectStoreOptions(endpoint=self.endpoint, bucket="jindang", access_key=access, secret_key=secret)
        )

    def configure(self, *parts: str, **changes: str) -> None:
        text = CONFIG + "".join(parts)
        (self.folder / "jindang.yaml").write_text(renamed(text, changes))


@pytest.fixture(scope="module")
def store(ceph: CephServer, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The page up to the copy: bucket and rights by the keeper, keys, tier, trial, lock, copy."""
    made = Store(ceph, tmp_path_factory.mktemp("page"))
    keys = [f"--access-key={WRITER['AWS_ACCESS_KEY_ID']}", f"--secret-key={WRITER['AWS_SECRET_ACCESS_KEY']}"]
    user = ["--uid=jindang-writer", "--display-name=writer", "--max-buckets=-1", *keys]
    argv = ["radosgw-admin", "-c", f"{ceph.folder}/ceph.conf", "user", "create", *user]
    subprocess.run(argv, check=True, capture_output=True)
    (made.folder / "rights.json").write_text(blocks(PAGE, "json")[0])
    for command in made.page("keeper"):
        made.run(command, **made.keeper)
    made.run(made.page("sh", section="The keys")[0])
    (made.keys / "store-access-key").write_text(WRITER["AWS_ACCESS_KEY_ID"])
    (made.keys / "store-secret-key").write_text(WRITER["AWS_SECRET_ACCESS_KEY"])
    assert all(file.stat().st_mode & 0o077 == 0 for file in made.keys.iterdir())
    return made


def test_the_page_works_word_for_word_and_its_rights_are_enough_and_no_more(store: Store) -> None:
    plain = store.page("yaml")[0]
    store.configure(plain)
    said = store.run(store.page("sh", section="The tier")[0])
    assert "17 promises tried, 0 broken" in said
    store.configure(plain, blocks(PAGE, "lock")[0])
    for script in store.page("sh", section="Lock what is stored"):
        store.run(script)
    store.run(f"jindang ingest {deposit(store.folder / 'deposits' / 'box-7')}")
    said = store.run(store.page("sh", section="Copy")[0])
    assert "copied: 1;" in said
    writer, keeper = store.client(WRITER), store.client(store.keeper)
    (pack,) = (each for each in writer.list_objects_v2(**BUCKET)["Contents"] if each["Key"].endswith("/v1.zip"))
    name = {**BUCKET, "Key": pack["Key"]}
    stored = {**name, "VersionId": writer.head_object(**name)["VersionId"]}
    suspended = {"Status": "Suspended"}
    for denied in (
        lambda: writer.delete_object(**name),
        lambda: writer.delete_object(**stored),
        lambda: writer.delete_object(**stored, BypassGovernanceRetention=True),
        lambda: writer.put_bucket_versioning(**BUCKET, VersioningConfiguration=suspended),
        lambda: writer.put_bucket_policy(**BUCKET, Policy=blocks(PAGE, "json")[0]),
        lambda: writer.delete_bucket_policy(**BUCKET),
        lambda: writer.delete_bucket(**BUCKET),
        lambda: keeper.delete_object(**stored),  # the lock holds the keeper too
    ):
        with pytest.raises(ClientError):
            denied()
    assert writer.head_object(**name)["VersionId"] == stored["VersionId"]
    writer.close()
    keeper.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("store-secret-key", "store-access-key"), "The object store does not accept the keys"),
        (("bucket: jindang", "bucket: jindam"), "There is no such bucket"),
        (("{http}", "http://127.0.0.1:1"), "The object store cannot be reached"),
        (("{http}", "{https}"), "The object store is not trusted"),
    ],
)
def test_what_is_wrong_is_told_in_the_words_of_the_table(
    store: Store, ceph: CephServer, tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    """A11"""
    right, wrong = (text.format(http=ceph.http, https=ceph.https) for text in change)
    other = Store(ceph, tmp_path, keys=store.keys)
    other.configure(other.page("yaml")[0], **{right: wrong})
    assert message in other.run("jindang init 2>&1 || jindang tier list 2>&1 || test $? = 4")
    assert any(row.startswith(message) for row in _rows())


def _rows() -> list[str]:
    """What the table of errors has in its first column."""
    table = (PAGES / f"{PAGE}.md").read_text(encoding="utf-8").split("| it says |")[1]
    return [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()[2:] if line.startswith("| ")]


def test_every_message_in_the_table_is_one_of_the_program() -> None:
    known = {value.what for value in vars(errors).values() if isinstance(value, errors._Meaning)}
    assert len(_rows()) >= 10
    assert set(_rows()) <= known


def test_an_encrypted_tier_is_as_the_page_says(store: Store, ceph: CephServer, tmp_path: Path) -> None:
    other = Store(ceph, tmp_path)
    other.keys.mkdir()
    recipient = other.run(other.page("encrypt")[0]).strip().splitlines()[-1]
    assert recipient.startswith("age1")
    for name, value in (
        ("access", store.keeper["AWS_ACCESS_KEY_ID"]),
        ("secret", store.keeper["AWS_SECRET_ACCESS_KEY"]),
    ):
        (other.keys / f"store-{name}-key").write_text(value)
    keeper = store.client(store.keeper)
    keeper.create_bucket(Bucket="jindang-sealed")
    other.configure(other.page("yaml")[1].replace("age1...", recipient))
    other.run("jindang init")
    other.run(f"jindang ingest {deposit(other.folder / 'deposits' / 'box-7')}; jindang replicate run")
    stored = [each["Key"] for each in keeper.list_objects_v2(Bucket="jindang-sealed")["Contents"]]
    keeper.close()
    assert len([key for key in stored if key.endswith(".age")]) == 3
