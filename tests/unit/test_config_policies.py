"""Policies in the configuration: what is impossible or unlawful is told, in words, where it stands, all at once."""

from pathlib import Path

import pytest

from jindang.config import Settings
from jindang.config_file import load_settings
from repository.errors import ConfigError
from repository.model import Metadata, OpeningStatus, Retention, SecurityClass

BEFORE = """\
institution: {code: "120000", name: 天津市档案馆}
tiers:
- {name: primary, path: primary, medium: hdd}
- {name: second, path: second, medium: hdd, site: east}
- {name: cloud, path: cloud, medium: cloud, site: cloud, zone: public}
- {name: old, path: old, medium: tape, site: cellar, read_only: true}
base: {repository: base, passphrase: {env: A}, site: the other city}
policies:
"""
PUBLIC = Metadata(security_class=SecurityClass.PUBLIC, opening_status=OpeningStatus.OPEN)
OPEN_ONLY = "when: {security_class: [公开], opening_status: [开放]}"


def load(tmp_path: Path, *policies: str, before: str = BEFORE) -> Settings:
    path = tmp_path / "jindang.yaml"
    path.write_text(before + "".join(f"- {policy}\n" for policy in policies))
    return load_settings(path)


def problems(tmp_path: Path, *policies: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, *policies)
    assert caught.value.exit_code == 3
    return caught.value.problems


def test_without_policies_every_object_goes_wherever_it_may_lie(tmp_path: Path) -> None:
    placement = load(tmp_path, before=BEFORE.replace("policies:\n", "")).placement
    assert placement.objections() == []
    assert placement.wanted(Metadata()) == ("primary", "second", "base")
    assert placement.wanted(PUBLIC) == ("primary", "second", "cloud", "base")
    assert {facts.operator for facts in placement.tiers} == {"天津市档案馆"}


def test_the_first_policy_that_means_an_object_decides(tmp_path: Path) -> None:
    placement = load(
        tmp_path,
        f"{{name: open-records, {OPEN_ONLY}, tiers: [cloud], base: false, copies: 2, sites: 2, media: 2}}",
        "{name: photographs, when: {retention: [永久], fonds: [J019], fields: {载体: [照片, 底片]}}, tiers: [second]}",
        "{name: internal, when: {security_class: [内部]}, base: false}",
    ).placement
    photographs = Metadata(retention=Retention.PERMANENT, fonds="J019", fields={"载体": "底片"})
    assert placement.wanted(PUBLIC) == ("primary", "cloud")
    assert placement.wanted(photographs) == ("primary", "second", "base")
    assert placement.wanted(Metadata()) == ("primary",)
    not_meant = Metadata(security_class=SecurityClass.SECRET)
    assert placement.policy_for(not_meant) is None
    assert placement.wanted(not_meant) == ("primary", "second", "base")


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("tiers: [third]", "names the tier 'third', which is not there; the tiers are primary, second, cloud, old"),
        ("tiers: [base]", "names `base` among its tiers; the backup base is asked for with `base: true`"),
        ("copies: 3", "asks for 3 copies, but its tiers give 2 (primary, base); name more tiers"),
        ("tiers: [second], base: false, sites: 3", "asks for 3 sites, but its tiers give 2 (main, east)"),
        ("tiers: [second], base: false, media: 2", "asks for 2 media, but its tiers give 1 (hdd)"),
        ("tiers: [old]", "wants copies on the tier 'old', which is read-only"),
        (
            "tiers: [cloud]",
            "could put objects that are not public on the tier 'cloud', which lies in the zone `public`",
        ),
        ("tiers: [cloud], when: {security_class: [公开]}", "could put objects that are not public"),
        ("tiers: [cloud], when: {opening_status: [开放]}", "could put objects that are not public"),
        (
            "tiers: [cloud], when: {security_class: [公开, 内部], opening_status: [开放]}",
            "allow only security_class [公开] and opening_status [开放] under `when`",
        ),
    ],
)
def test_what_is_impossible_or_unlawful_is_refused(tmp_path: Path, policy: str, said: str) -> None:
    (only,) = problems(tmp_path, f"{{name: p, {policy}}}")
    assert only.startswith("line 9, policies[0]: the policy 'p' ")
    assert said in only


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("{}", "{}"),
        ("{}", "{security_class: [内部]}"),
        ("{security_class: [内部, 公开]}", "{security_class: [内部], fonds: [J019]}"),
        ("{opening_status: [未审核, 开放, 控制, 延期开放]}", "{}"),
        ("{security_class: [公开, 内部, 秘密, 机密, 绝密]}", "{}"),
        ("{fields: {a: [x, y]}}", "{fields: {a: [x], b: [z]}}"),
    ],
)
def test_a_policy_that_an_earlier_one_leaves_nothing_is_refused(tmp_path: Path, earlier: str, later: str) -> None:
    (only,) = problems(tmp_path, f"{{name: first, when: {earlier}}}", f"{{name: then, when: {later}}}")
    assert only.startswith(
        "line 10, policies[1]: the policy 'then' never decides anything: the policy 'first' before it"
    )


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("{security_class: [内部]}", "{}"),
        ("{fonds: [J019]}", "{security_class: [内部]}"),
        ("{retention: [永久, 30年, 10年, 长期, 短期]}", "{}"),  # an object may have no retention at all
        ("{fields: {a: [x]}}", "{fields: {a: [x, y]}}"),
        ("{fields: {a: [x]}}", "{fields: {b: [x]}}"),
    ],
)
def test_a_policy_that_can_still_decide_is_taken(tmp_path: Path, earlier: str, later: str) -> None:
    assert load(tmp_path, f"{{name: first, when: {earlier}}}", f"{{name: then, when: {later}}}").policies


def test_everything_that_is_wrong_with_policies_is_told_at_once(tmp_path: Path) -> None:
    found = problems(tmp_path, "{name: a, tiers: [third, cloud], copies: 9}", "{name: a, tiers: [old]}")
    assert [line.split(": ")[0] for line in found] == [
        *["line 9, policies[0]"] * 3,
        "line 10, policies[1].name",
        *["line 10, policies[1]"] * 2,
    ]
    assert found[3].endswith("two policies have the name 'a'; each needs its own")


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("when: {security_class: 公开}", "policies[0].when.security_class: '公开' is not allowed; give a list"),
        (
            "when: {security_class: [open]}",
            "when.security_class[0]: 'open' is not allowed; allowed are '公开'",
        ),
        (
            "when: {fonds: []}",
            "when.fonds: give at least one, or leave the setting out",
        ),
        ("when: {fields: {a: []}}", "policies[0].when.fields.a: give at least one"),
        ("when: {fields: {a: x}}", "policies[0].when.fields.a: 'x' is not allowed; give a list"),
        ("when: {fields: [a]}", "policies[0].when.fields: ['a'] is not allowed; give settings of its own"),
        ("when: {fields: {5: [x]}}", "policies[0].when.fields[5]: 5 is not allowed; give text"),
        ("when: {year: [1950]}", "allowed are fields, fonds, opening_status, retention, security_class"),
        ("copies: 0", "policies[0].copies: 0 is not allowed"),
    ],
)
def test_a_policy_of_the_wrong_form_is_refused(tmp_path: Path, policy: str, said: str) -> None:
    (only,) = problems(tmp_path, f"{{name: p, {policy}}}")
    assert said in only


def test_policies_are_not_judged_by_tiers_that_are_wrong_themselves(tmp_path: Path) -> None:
    before = BEFORE.replace("name: second", "name: SECOND")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "{name: p, tiers: [second]}", before=before)
    assert ["name" in line and "SECOND" in line for line in caught.value.problems] == [True]
