"""Placement: the law holds whatever the policies say, and a policy without an objection gives what it promises."""

from dataclasses import replace
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from replication.placement import BASE, Conditions, Placement, Policy, TierFacts, Zone
from repository.model import Metadata, OpeningStatus, Retention, SecurityClass

PATIENT = settings(deadline=None)
"""The machine may be busy with other tests."""
RETENTIONS = (None, Retention.PERMANENT, Retention.TEN_YEARS)
FONDS = (None, "J019", "J020")
VALUES = (None, "x", "y")
EVERY_OBJECT = tuple(
    Metadata(
        security_class=security_class,
        opening_status=opening_status,
        retention=retention,
        fonds=fonds,
        fields={} if value is None else {"a": value},
    )
    for security_class, opening_status, retention, fonds, value in product(
        SecurityClass, OpeningStatus, RETENTIONS, FONDS, VALUES
    )
)
"""One object of each kind that the generated conditions can tell apart."""
OTHER_TIERS = ("one", "two", "three", "four")


def some(values: type | tuple[object, ...]) -> st.SearchStrategy[frozenset[object]]:
    """A few of some values, or all; never none."""
    every = [value for value in values if value is not None]  # type: ignore[union-attr]
    return st.frozensets(st.sampled_from(every), min_size=1, max_size=len(every))


CONDITIONS = st.builds(
    Conditions,
    security_class=st.one_of(st.none(), st.just(frozenset({SecurityClass.PUBLIC})), some(SecurityClass)),
    opening_status=st.one_of(st.none(), st.just(frozenset({OpeningStatus.OPEN})), some(OpeningStatus)),
    retention=st.one_of(st.none(), some(RETENTIONS)),
    fonds=st.one_of(st.none(), some(FONDS)),
    fields=st.dictionaries(st.just("a"), some(VALUES), max_size=1),
)
NUMBERS = st.sampled_from((1, 1, 1, 2, 2, 3, 6))


def policies(names: list[str]) -> st.SearchStrategy[Policy]:
    """A policy that names some of these tiers."""
    return st.builds(
        Policy,
        name=st.uuids().map(str),
        when=CONDITIONS,
        tiers=st.frozensets(st.sampled_from(names)) if names else st.just(frozenset()),
        base=st.booleans(),
        copies=NUMBERS,
        sites=NUMBERS,
        media=NUMBERS,
    )


ANY_POLICY = policies([*OTHER_TIERS, "nowhere", BASE])


def facts(name: str) -> st.SearchStrategy[TierFacts]:
    return st.builds(
        TierFacts,
        name=st.just(name),
        site=st.sampled_from(("main", "east", "far")),
        medium=st.sampled_from(("hdd", "ssd", "tape")),
        zone=st.sampled_from((*Zone, Zone.ISOLATED, Zone.GOVERNMENT)),
        operator=st.just("somebody"),
        read_only=st.sampled_from((False, False, False, True)),
    )


@st.composite
def placements(draw: st.DrawFn) -> Placement:
    """Anything that one could write, the lawful and the unlawful."""
    others = draw(st.lists(st.sampled_from(OTHER_TIERS), unique=True))
    base = draw(st.sampled_from(([], [BASE])))
    tiers = tuple(draw(facts(name)) for name in ["primary", *others, *base])
    policy = st.one_of(policies(others), policies(others), ANY_POLICY)
    return Placement(policies=tuple(draw(st.lists(policy, max_size=4))), tiers=tiers)


def accepted(placement: Placement) -> Placement:
    """The same without the policies that have an objection."""
    good = [p for number, p in enumerate(placement.policies) if not list(placement.objections_to(number))]
    return replace(placement, policies=tuple(good))


def broken_promises(placement: Placement, policy: Policy, metadata: Metadata) -> list[str]:
    """What a policy asked for that an object does not get."""
    wanted = placement.wanted(metadata)
    got = [tier for tier in placement.tiers if tier.name in wanted]
    named = {"primary", *policy.tiers, *([BASE] if policy.base and placement.tiers[-1].name == BASE else [])}
    return [
        *(f"no copy on {name}" for name in named.difference(wanted)),
        *(["too few copies"] if len(got) < policy.copies else []),
        *(["too few sites"] if len({tier.site for tier in got}) < policy.sites else []),
        *(["too few media"] if len({tier.medium for tier in got}) < policy.media else []),
    ]


@PATIENT
@given(placements())
def test_nothing_that_is_not_public_is_ever_wanted_in_a_public_zone_whatever_the_policies_say(
    placement: Placement,
) -> None:
    public = {tier.name for tier in placement.tiers if tier.zone is Zone.PUBLIC}
    for metadata in EVERY_OBJECT:
        if not metadata.is_public:
            assert public.isdisjoint(placement.wanted(metadata))


@PATIENT
@given(placements())
def test_what_is_wanted_is_there_writable_once_and_in_the_order_of_the_tiers(placement: Placement) -> None:
    writable = [tier.name for tier in placement.tiers if not tier.read_only]
    for metadata in EVERY_OBJECT:
        wanted = placement.wanted(metadata)
        assert list(wanted) == [name for name in writable if name in wanted]


@PATIENT
@given(placements())
def test_a_policy_without_an_objection_is_kept_for_every_object_that_it_decides(placement: Placement) -> None:
    placement = accepted(placement)
    assert placement.objections() == []
    for metadata in EVERY_OBJECT:
        policy = placement.policy_for(metadata)
        if policy is not None:
            assert broken_promises(placement, policy, metadata) == []
            assert set(placement.wanted(metadata)) <= {"primary", BASE, *policy.tiers}


@PATIENT
@given(placements())
def test_a_policy_with_an_objection_breaks_its_promise_for_some_object_or_decides_nothing(
    placement: Placement,
) -> None:
    for number, policy in enumerate(placement.policies):
        decided = [metadata for metadata in EVERY_OBJECT if placement.policy_for(metadata) is policy]
        objections = list(placement.objections_to(number))
        if any("never decides" in text for text in objections):
            assert decided == []
        elif objections and BASE not in policy.tiers:  # that is refused for its form alone
            alone = replace(placement, policies=(policy,))
            meant = [metadata for metadata in EVERY_OBJECT if policy.when.hold(metadata)]
            assert any(broken_promises(alone, policy, metadata) for metadata in meant)


@PATIENT
@given(placements())
def test_an_object_that_no_policy_means_goes_wherever_it_may_lie(placement: Placement) -> None:
    for metadata in EVERY_OBJECT:
        if placement.policy_for(metadata) is None:
            assert placement.wanted(metadata) == tuple(
                tier.name
                for tier in placement.tiers
                if not tier.read_only and (metadata.is_public or tier.zone is not Zone.PUBLIC)
            )


@st.composite
def changed(draw: st.DrawFn) -> tuple[Placement, Placement]:
    """A placement, and the same after somebody changed something in the configuration."""
    before = draw(placements())
    given_policies, (primary, *others) = before.policies, before.tiers
    after = draw(
        st.one_of(
            st.permutations(given_policies).map(lambda p: replace(before, policies=tuple(p))),
            st.permutations(others).map(lambda t: replace(before, tiers=(primary, *t))),
            st.just(replace(before, policies=given_policies[:-1])),
            st.just(replace(before, tiers=(primary, *others[:-1]))),
            facts("primary").map(lambda t: replace(before, tiers=(t, *others))),
            st.just(replace(before, tiers=(replace(primary, read_only=not primary.read_only), *others))),
            ANY_POLICY.map(lambda p: replace(before, policies=(p, *given_policies[1:]))),
            ANY_POLICY.map(lambda p: replace(before, policies=(*given_policies, p))),
        )
    )
    return before, after


@PATIENT
@given(changed())
def test_a_change_of_any_answer_changes_the_fingerprint(pair: tuple[Placement, Placement]) -> None:
    before, after = pair
    if before.fingerprint == after.fingerprint:
        assert [before.wanted(metadata) for metadata in EVERY_OBJECT] == [after.wanted(m) for m in EVERY_OBJECT]


@PATIENT
@given(placements(), st.integers(min_value=1, max_value=9))
def test_names_of_policies_numbers_sites_and_operators_do_not_change_the_fingerprint(
    placement: Placement, number: int
) -> None:
    renamed = (replace(p, name=f"new-{p.name}", copies=number, sites=number) for p in placement.policies)
    tiers = (replace(tier, site="elsewhere", operator="another") for tier in placement.tiers)
    again = Placement(policies=tuple(renamed), tiers=tuple(tiers))
    assert again.fingerprint == placement.fingerprint


def tier(name: str, zone: Zone = Zone.ISOLATED) -> TierFacts:
    return TierFacts(name=name, site="main", medium="hdd", zone=zone, operator="somebody")


OPEN_ONLY = Conditions(
    security_class=frozenset({SecurityClass.PUBLIC}), opening_status=frozenset({OpeningStatus.OPEN})
)
TWO = Placement(
    policies=(
        Policy(name="open", when=OPEN_ONLY, tiers=frozenset({"cloud"}), copies=2),
        Policy(name="fonds", when=Conditions(fonds=frozenset({"J020", "J019"}))),
    ),
    tiers=(tier("primary"), tier("cloud", Zone.PUBLIC), tier(BASE)),
)


def test_policies_in_another_order_have_another_fingerprint_when_an_answer_changes() -> None:
    other = replace(TWO, policies=TWO.policies[::-1])
    both = Metadata(security_class=SecurityClass.PUBLIC, opening_status=OpeningStatus.OPEN, fonds="J019")
    assert TWO.wanted(both) == ("primary", "cloud", BASE)
    assert other.wanted(both) == ("primary", BASE)
    assert TWO.fingerprint != other.fingerprint


def test_the_fingerprint_is_the_same_on_every_machine_and_in_every_process() -> None:
    """It is kept in the catalogue: when this fails, every object is looked at again after an upgrade."""
    assert TWO.fingerprint == "9fc1ad2635125a8c08387257623dc5fd035f2f5f9bfb79354814795b2a706c5f"


def test_an_objection_names_its_policy() -> None:
    wrong = replace(TWO, policies=(Policy(name="p", tiers=frozenset({"cloud", "x"}), copies=9), TWO.policies[0]))
    told = wrong.objections()
    assert [text.split("' ")[0] for text in told] == [
        "the policy 'p",
        "the policy 'p",
        "the policy 'p",
        "the policy 'open",
    ]
    assert "never decides anything: the policy 'p' before it" in told[3]
