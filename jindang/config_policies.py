"""The policies in `jindang.yaml`: which objects get copies where, and what that has to give them."""

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, ConfigDict, Field

from jindang.config_values import Name, Section
from replication.placement import Conditions, Policy
from repository.model import OpeningStatus, Retention, SecurityClass

T = TypeVar("T")


def _not_empty(values: tuple[T, ...]) -> tuple[T, ...]:
    """A bound on the length would be told of a list whose only entry is wrong, too."""
    if not values:
        raise ValueError("give at least one, or leave the setting out: an empty list means no object at all")
    return values


Some = Annotated[tuple[T, ...], AfterValidator(_not_empty)]


class When(Section):
    """Which objects a policy means: those for which everything that is given here holds; all, when nothing is."""

    security_class: Some[SecurityClass] | None = Field(default=None, examples=[["公开"]])
    """Security classes (密级)."""
    opening_status: Some[OpeningStatus] | None = Field(default=None, examples=[["开放"]])
    """Opening status (开放状态)."""
    retention: Some[Retention] | None = Field(default=None, examples=[["永久", "30年"]])
    """Retention periods (保管期限)."""
    fonds: Some[str] | None = Field(default=None, examples=[["J019"]])
    """Fonds (全宗号)."""
    fields: dict[str, Some[str]] = Field(default_factory=dict, examples=[{"载体": ["照片", "底片"]}])
    """Free fields of the metadata, each with the values that it may have."""

    @property
    def conditions(self) -> Conditions:
        """The same for placement."""
        given: dict[str, Any] = {
            key: frozenset(values)
            for key in ("security_class", "opening_status", "retention", "fonds")
            if (values := getattr(self, key)) is not None
        }
        return Conditions(**given, fields={name: frozenset(values) for name, values in self.fields.items()})


class PlacementPolicy(Section):
    """Where the objects that it means get copies."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "everything", "tiers": ["second", "store"], "copies": 4, "sites": 3, "media": 2}]
        }
    )
    name: Name = Field(examples=["everything"])
    """A short name for reports: lower-case letters, digits and `-`."""
    when: When = When()
    """Which objects it means; the first policy that means an object decides where its copies go."""
    tiers: tuple[str, ...] = Field(default=(), examples=[["second", "store"]])
    """The tiers that get a copy; the primary tier has one in any case."""
    base: bool = True
    """Whether the backup base gets one too, where there is a base."""
    copies: int = Field(default=1, ge=1, le=100)
    """How many copies this must come to at least, with that on the primary tier and that on the base."""
    sites: int = Field(default=1, ge=1, le=100)
    """On how many different sites."""
    media: int = Field(default=1, ge=1, le=100)
    """On how many different media."""

    @property
    def policy(self) -> Policy:
        """The same for placement."""
        return Policy(
            name=self.name,
            when=self.when.conditions,
            tiers=frozenset(self.tiers),
            base=self.base,
            copies=self.copies,
            sites=self.sites,
            media=self.media,
        )
