"""Placement: which tiers an object belongs on, by the policies of the configuration and by the law.

Pure: it knows no configuration and no tier, only facts about them. `Placement.objections` says what is impossible or
unlawful; a configuration with an objection is refused, so that `Placement.wanted` gives what each policy promises.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from repository.model import Metadata, OpeningStatus, Retention, SecurityClass

BASE = "base"
"""What the backup base is called among the tiers; no tier may have this name."""
_RULES = 1
"""Raised when this module answers otherwise than before; part of every fingerprint."""

_PUBLIC = frozenset({SecurityClass.PUBLIC})
_OPEN = frozenset({OpeningStatus.OPEN})


class Zone(StrEnum):
    """The network in which a tier lies."""

    ISOLATED = "isolated"
    """Cut off from other networks."""
    GOVERNMENT = "government"
    """The government's own network."""
    PUBLIC = "public"
    """Anybody's network, as a public cloud; only what anybody may see may lie there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TierFacts:
    """What counts for placement in a tier, or in the backup base (named `BASE`)."""

    name: str
    site: str
    medium: str
    zone: Zone
    operator: str
    read_only: bool = False
    """Nothing new is put there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Which objects are meant: those for which everything that is given holds; None and no fields let all pass."""

    security_class: frozenset[SecurityClass] | None = None
    opening_status: frozenset[OpeningStatus] | None = None
    retention: frozenset[Retention] | None = None
    fonds: frozenset[str] | None = None
    fields: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Name of a free field -> the values that it may have."""

    def hold(self, metadata: Metadata) -> bool:
        """Whether an object is meant."""
        return (
            (self.security_class is None or metadata.security_class in self.security_class)
            and (self.opening_status is None or metadata.opening_status in self.opening_status)
            and (self.retention is None or metadata.retention in self.retention)
            and (self.fonds is None or metadata.fonds in self.fonds)
            and all(metadata.fields.get(name) in values for name, values in self.fields.items())
        )

    def cover(self, other: "Conditions") -> bool:
        """Whether every object that the other ones mean is meant by these too."""
        return (
            _covers(self.security_class, other.security_class or frozenset(SecurityClass))
            and _covers(self.opening_status, other.opening_status or frozenset(OpeningStatus))
            and _covers(self.retention, other.retention)
            and _covers(self.fonds, other.fonds)
            and all(_covers(values, other.fields.get(name)) for name, values in self.fields.items())
        )

    @property
    def mean_public_only(self) -> bool:
        """Whether all objects that are meant are public."""
        return _covers(_PUBLIC, self.security_class) and _covers(_OPEN, self.opening_status)


def _covers(ours: frozenset[str] | None, theirs: frozenset[str] | None) -> bool:
    """Whether one set of values has all of another; None is every value, and no value at all."""
    return ours is None or (theirs is not None and theirs <= ours)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Where the objects that it means belong, and what that has to give them at least."""

    name: str
    when: Conditions = Conditions()
    tiers: frozenset[str] = frozenset()
    """Tiers that get a copy; the primary one gets one in any case."""
    base: bool = True
    """Whether the backup base gets one too, where there is a base."""
    copies: int = 1
    sites: int = 1
    media: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The policies in their order, and the tiers in theirs.

    Args:
        policies: the first whose conditions hold decides. An object for which none does belongs on every tier on
            which it may lie.
        tiers: the primary tier first; the backup base, where there is one, is the one named `BASE`.
    """

    policies: tuple[Policy, ...]
    tiers: tuple[TierFacts, ...]

    def policy_for(self, metadata: Metadata) -> Policy | None:
        """The policy that decides for an object; None when it belongs on every tier on which it may lie."""
        return next((policy for policy in self.policies if policy.when.hold(metadata)), None)

    def wanted(self, metadata: Metadata) -> tuple[str, ...]:
        """The names of the tiers on which an object belongs, in the order of the tiers.

        Never one in a public zone for an object that is not public, whatever the policies say; never a read-only one.
        """
        policy = self.policy_for(metadata)
        return tuple(
            tier.name
            for tier in (self.tiers if policy is None else self._targets(policy))
            if not tier.read_only and (tier.zone is not Zone.PUBLIC or metadata.is_public)
        )

    @property
    def fingerprint(self) -> str:
        """A digest that changes whenever an answer of `wanted` could change; 64 hex characters.

        It stays the same when only what does not matter to `wanted` changes: names of policies, numbers, sites.
        """
        tiers = [(tier.name, tier.zone is Zone.PUBLIC, tier.read_only) for tier in self.tiers]
        policies = [(_plain(policy.when), [t.name for t in self._targets(policy)]) for policy in self.policies]
        return hashlib.sha256(json.dumps([_RULES, tiers, policies]).encode()).hexdigest()

    def objections(self) -> list[str]:
        """Everything that is impossible or unlawful in the policies, for people to read."""
        return [
            f"the policy {policy.name!r} {text}"
            for number, policy in enumerate(self.policies)
            for text in self.objections_to(number)
        ]

    def objections_to(self, number: int) -> Iterator[str]:
        """What is impossible or unlawful in one policy, counted from 0."""
        policy, targets = self.policies[number], self._targets(self.policies[number])
        yield from self._unknown_tiers(policy)
        for tier in targets:
            if tier.read_only:
                yield f"wants copies on {_called(tier)}, which is read-only; nothing new is put there"
            if tier.zone is Zone.PUBLIC and not policy.when.mean_public_only:
                yield (
                    f"could put objects that are not public on {_called(tier)}, which lies in the zone `public`; name "
                    f"another tier, or allow only security_class [{SecurityClass.PUBLIC}] and opening_status "
                    f"[{OpeningStatus.OPEN}] under `when`"
                )
        yield from _unmet(policy, [tier for tier in targets if not tier.read_only])
        for earlier in self.policies[:number]:
            if earlier.when.cover(policy.when):
                yield (
                    f"never decides anything: the policy {earlier.name!r} before it takes all the objects that it "
                    "means; put it before that one, or remove it"
                )
                break

    def _targets(self, policy: Policy) -> tuple[TierFacts, ...]:
        """The tiers that a policy names, whether it may or not, with the primary one and the base."""
        return tuple(
            tier
            for position, tier in enumerate(self.tiers)
            if position == 0 or (policy.base if tier.name == BASE else tier.name in policy.tiers)
        )

    def _unknown_tiers(self, policy: Policy) -> Iterator[str]:
        known = [tier.name for tier in self.tiers if tier.name != BASE]
        for name in sorted(policy.tiers.difference(known)):
            if name == BASE:
                yield "names `base` among its tiers; the backup base is asked for with `base: true`"
            else:
                yield f"names the tier {name!r}, which is not there; the tiers are {', '.join(known)}"


def _unmet(policy: Policy, targets: list[TierFacts]) -> Iterator[str]:
    for number, what, given in (
        (policy.copies, "copies", [tier.name for tier in targets]),
        (policy.sites, "sites", list(dict.fromkeys(tier.site for tier in targets))),
        (policy.media, "media", list(dict.fromkeys(tier.medium for tier in targets))),
    ):
        if number > len(given):
            yield f"asks for {number} {what}, but its tiers give {len(given)} ({', '.join(given)}); name more tiers"


def _called(tier: TierFacts) -> str:
    return "the backup base" if tier.name == BASE else f"the tier {tier.name!r}"


def _plain(when: Conditions) -> list[object]:
    """Conditions as JSON, the same for the same conditions in whatever order they were written."""

    def ordered(values: Iterable[str] | None) -> list[str] | None:
        return None if values is None else sorted(values)

    plain = [ordered(values) for values in (when.security_class, when.opening_status, when.retention, when.fonds)]
    return [*plain, {name: ordered(when.fields[name]) for name in sorted(when.fields)}]
