"""Tiers and the backup base in the configuration: every kind takes its own settings, and all keep apart."""

import re
from pathlib import Path

import pytest

from jindang.config import Disk, ObjectStore, Settings
from jindang.config_file import load_settings
from replication.placement import Zone
from repository.errors import ConfigError

INSTITUTION = 'institution: {code: "120000", name: 天津市档案馆}\n'
PRIMARY = "{name: primary, path: primary}"
KEYS = "access_key: {env: A}, secret_key: {env: B}"
SLASHES = "endpoint: 'http://[::1]:80/', prefix: a/b/"
RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"


def load(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "jindang.yaml"
    path.write_text(INSTITUTION + text)
    return load_settings(path)


def problems(tmp_path: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    return caught.value.problems


def problem(tmp_path: Path, text: str) -> str:
    (only,) = problems(tmp_path, text)
    return only


def store(more: str = "", name: str = "store", bucket: str = "jindang") -> str:
    return f"{{name: {name}, kind: object-store, bucket: {bucket}, {KEYS}, {more}}}"


def store_problem(tmp_path: Path, more: str) -> str:
    return problem(tmp_path, f"tiers: [{PRIMARY}, {store(more)}]\n")


def base_problem(tmp_path: Path, more: str) -> str:
    return problem(tmp_path, f"tiers: [{PRIMARY}]\nbase: {{passphrase: {{env: A}}, {more}}}\n")


def test_each_kind_of_tier_has_its_own_settings_and_careful_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path, f"tiers: [{PRIMARY}, {store('recipients: [' + RECIPIENT + '], bandwidth: 50 MiB')}]\n")
    disk, objects = settings.tiers
    assert isinstance(disk, Disk)
    assert isinstance(objects, ObjectStore)
    assert (disk.zone, disk.site, disk.medium, disk.operator, disk.bandwidth) == (
        Zone.ISOLATED,
        "main",
        "disk",
        None,
        None,
    )
    assert disk.read_only is False
    assert (objects.endpoint, objects.prefix, objects.region, objects.parallel) == (None, "", "us-east-1", 8)
    assert objects.path_style is True
    assert objects.lock is None
    assert objects.bandwidth == 50 << 20
    assert objects.recipients == (RECIPIENT,)
    assert settings.disks == (disk,)
    assert settings.primary is disk
    assert settings.tier("store") is objects


def test_what_is_written_with_a_last_slash_is_the_same_as_without(tmp_path: Path) -> None:
    tier = load(tmp_path, f"tiers: [{PRIMARY}, {store(SLASHES)}]\n").tiers[1]
    assert isinstance(tier, ObjectStore)
    assert (tier.endpoint, tier.prefix) == ("http://[::1]:80", "a/b")
    assert tier.where == "http://[::1]:80/jindang/a/b"


@pytest.mark.parametrize(
    ("tiers", "said"),
    [
        ("[]", "give at least one tier"),
        ("[{name: a, path: a}, {name: a, path: b}]", "two tiers have the name 'a'"),
        ("[{name: a, path: x}, {name: b, path: ./x}]", "two tiers have the path"),
        ("[{name: a, path: x}, {name: b, path: x/y}]", "the tier 'b' lies inside the tier 'a'"),
        ("[{name: a, path: x/y}, {name: b, path: x}]", "the tier 'a' lies inside the tier 'b'"),
        ("[{name: Big One, path: x}]", "does not have the right form: A short name"),
        ("[{name: a, kind: tape, path: x}]", "'tape' is no kind of tier; allowed are 'disk', 'object-store'"),
        ("[{name: a, kind: 5, path: x}]", "allowed are 'disk', 'object-store'"),
        ("[{name: a, kind: null, path: x}]", "allowed are 'disk', 'object-store'"),
        ("[{name: a, path: 5}]", "give a path"),
        ("[a]", "give settings of its own"),
        ("[{name: a, path: ~nobody-of-this-name/x}]", "names the home folder of nobody here"),
        ("[{name: base, path: x}]", "no tier may be called 'base'"),
        (f"[{store()}]", "it must be a disk"),
        ("[{name: a, path: x, read_only: true}]", "the first tier cannot be read-only"),
        ("[{name: a, path: x, zone: public}]", "the first tier cannot lie in the zone `public`"),
        ("[{name: a, path: x, zone: internet}]", "allowed are 'isolated', 'government' or 'public'"),
        ("[{name: a, path: x, site: ' '}]", "does not have the right form: Where it stands"),
        ("[{name: a, path: x, bandwidth: fast}]", "give a number of bytes"),
        ("[{name: a, path: x, bucket: b}]", "there is no such setting here; allowed are bandwidth, kind, medium"),
    ],
)
def test_a_wrong_list_of_tiers_is_refused(tmp_path: Path, tiers: str, said: str) -> None:
    assert said in problem(tmp_path, f"tiers: {tiers}\n")


def test_the_place_of_a_mistake_is_its_place_in_the_file(tmp_path: Path) -> None:
    wrong = "{name: s, kind: object-store, bucket: b, parallel: 0, lock: {dayz: 1}, colour: 1}"
    text = f"tiers:\n- {PRIMARY}\n- {wrong}\n"
    assert [said.split(": ")[0] for said in problems(tmp_path, text)] == [
        "line 4, tiers[1].access_key",
        "line 4, tiers[1].bucket",
        "line 4, tiers[1].colour",
        "line 4, tiers[1].lock.days",
        "line 4, tiers[1].lock.dayz",
        "line 4, tiers[1].parallel",
        "line 4, tiers[1].secret_key",
    ]


def test_all_that_is_wrong_between_tiers_is_told_at_once(tmp_path: Path) -> None:
    tiers = ["{name: a, path: x, read_only: true}", "{name: base, path: x/y}", "{name: a, path: z}"]
    text = "tiers:\n" + "".join(f"- {tier}\n" for tier in tiers)
    assert problems(tmp_path, text) == (
        "line 3, tiers[0].read_only: the first tier cannot be read-only: packages are taken in onto it",
        "line 4, tiers[1].name: no tier may be called 'base': that is the backup base, which has settings of its own",
        "line 4, tiers[1].path: the tier 'base' lies inside the tier 'a'; keep them apart",
        "line 5, tiers[2].name: two tiers have the name 'a'; each needs its own",
    )


@pytest.mark.parametrize(
    ("first", "second", "is_refused"),
    [
        ("", "", True),
        ("", "prefix: a", True),
        ("prefix: a/b", "prefix: a", True),
        ("prefix: a", "prefix: a/", True),
        ("prefix: a", "prefix: ab", False),
        ("prefix: a", "endpoint: 'https://elsewhere.example.org', prefix: a", False),
    ],
)
def test_two_tiers_in_one_bucket_are_apart(tmp_path: Path, first: str, second: str, is_refused: bool) -> None:
    text = f"tiers: [{PRIMARY}, {store(first, 'one')}, {store(second, 'two')}]\n"
    if is_refused:
        assert "line 2, tiers[2].bucket: the tiers 'one' and 'two' lie in the same bucket" in problem(tmp_path, text)
    else:
        assert len(load(tmp_path, text).tiers) == 3


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("endpoint: s3.example.org", "does not have the right form: The store's address"),
        ("endpoint: 'https://key:secret@s3.example.org'", "does not have the right form: The store's address"),
        ("prefix: /a", "does not have the right form: What every key begins with"),
        ("recipients: [age1oops]", "does not have the right form"),
        ("identity: {env: A}", "`identity` reads what is encrypted, but nothing is"),
        ("parallel: 65", "65 is not allowed"),
        ("lock: {days: 0}", "0 is not allowed"),
        ("lock: {mode: forever, days: 1}", "allowed are 'governance' or 'compliance'"),
    ],
)
def test_a_wrong_object_store_is_refused(tmp_path: Path, more: str, said: str) -> None:
    assert said in store_problem(tmp_path, more)


@pytest.mark.parametrize("setting", ["identity", "secret_key"])
def test_a_secret_that_stands_in_the_file_is_not_repeated(tmp_path: Path, setting: str) -> None:
    text = f"tiers: [{PRIMARY}, {store('recipients: [' + RECIPIENT + '], identity: {env: C}')}]\n"
    (line,) = problems(tmp_path, re.sub(rf"{setting}: {{.*?}}", f"{setting}: my-own-secret", text))
    assert line == (
        f"line 2, tiers[1].{setting}: what stands here is not allowed; give settings of its own, each as `key: value`"
    )


@pytest.mark.parametrize("confirm", ["", ", confirm: 'yes'", ", confirm: nobody can delete for 365 days"])
def test_a_lock_that_nobody_can_undo_wants_a_sentence_with_its_days(tmp_path: Path, confirm: str) -> None:
    said = store_problem(tmp_path, f"lock: {{mode: compliance, days: 3650{confirm}}}")
    assert "tiers[1].lock: what is locked with `compliance` can be deleted by nobody for 3650 days" in said
    assert said.endswith('`confirm: "nobody can delete for 3650 days"`')


def test_a_lock_that_is_confirmed_is_taken(tmp_path: Path) -> None:
    lock = "lock: {mode: compliance, days: 3650, confirm: nobody can delete for 3650 days}"
    tier = load(tmp_path, f"tiers: [{PRIMARY}, {store(lock)}]\n").tiers[1]
    assert isinstance(tier, ObjectStore)
    assert tier.lock is not None
    assert (tier.lock.mode, tier.lock.days) == ("compliance", 3650)


@pytest.mark.parametrize(
    ("repository", "is_there"),
    [
        ("ssh://jindang@base.example.org:2222/srv/base", None),
        ("ssh://base/./relative", None),
        ("ssh://jindang@[2001:db8::1]:22/srv/base", None),
        ("backup/base", "backup/base"),
        ("/srv/backup@base", "/srv/backup@base"),
    ],
)
def test_the_base_is_another_machine_or_a_folder(tmp_path: Path, repository: str, is_there: str | None) -> None:
    text = f"tiers: [{PRIMARY}]\nbase: {{repository: '{repository}', passphrase: {{env: A}}}}\n"
    base = load(tmp_path, text).base
    assert base is not None
    assert base.path == (None if is_there is None else tmp_path / is_there)
    assert base.repository == (repository if is_there is None else str(tmp_path / is_there))
    assert (base.lock_wait_s, base.keep.daily) == (600, 14)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("repository: ''", "give a text that is not empty"),
        ("repository: 'jindang@base:/srv/base'", "give the repository as ssh://USER@HOST:PORT/PATH"),
        ("repository: 'ssh://jindang:secret@base/srv'", "a password may not stand in it"),
        ("repository: 'ssh://base'", "give the repository as ssh://USER@HOST:PORT/PATH"),
        ("repository: 's3://base/x'", "give the repository as ssh://USER@HOST:PORT/PATH"),
        (
            "repository: primary/base",
            "base.repository: the backup base and the tier 'primary' lie one",
        ),
        ("repository: .", "the backup base and the tier 'primary' lie one inside the other"),
        ("repository: b, zone: public", "base.zone: the backup base holds everything, also what is not public"),
        ("repository: b, keep: {daily: 0, weekly: 0, monthly: 0, yearly: 0}", "or nothing is kept"),
        ("repository: b, keep: {daily: -1}", "-1 is not allowed"),
        ("repository: b, ssh_key: k, maintenance_ssh_key: ./k", "maintenance_ssh_key must not be ssh_key"),
    ],
)
def test_a_wrong_base_is_refused(tmp_path: Path, more: str, said: str) -> None:
    assert said in base_problem(tmp_path, more)


def test_a_plain_configuration_gives_what_it_was_read_from(tmp_path: Path) -> None:
    from jindang.config import settings_as_plain

    settings = load(
        tmp_path, f"tiers: [{PRIMARY}, {store('lock: {days: 5}')}]\nbase: {{repository: b, passphrase: {{env: A}}}}\n"
    )
    plain = settings_as_plain(settings)
    assert plain["tiers"][1]["secret_key"] == {"env": "B", "file": None, "command": None}
    assert Settings.model_validate(plain) == settings
