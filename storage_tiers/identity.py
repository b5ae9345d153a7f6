"""What every tier says of itself, so that an empty mount, a swapped disk or a wrong folder is recognised."""

import json
import uuid
from dataclasses import asdict, dataclass

from repository.errors import TierIdentityError

IDENTITY_FILE = "jindang-tier.json"
FORMAT = "jindang-tier/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class TierIdentity:
    """Who a tier is: an uuid that is never used twice, the tier's name, and whose records it holds."""

    uuid: str
    name: str
    institution: str
    format: str = FORMAT

    @classmethod
    def new(cls, name: str, *, institution: str) -> "TierIdentity":
        """A new tier's."""
        return cls(uuid=str(uuid.uuid4()), name=name, institution=institution)

    @classmethod
    def parse(cls, data: bytes, *, where: object) -> "TierIdentity":
        """Read what a tier says of itself.

        Raises:
            TierIdentityError: it is not the identity of a tier, or of a later format.
        """
        try:
            values = json.loads(data)
            identity = cls(**values)
            if not all(isinstance(value, str) for value in values.values()) or identity.format != FORMAT:
                raise ValueError(f"its format is {identity.format}")  # noqa: TRY301 - one place says what to do
        except (ValueError, TypeError) as error:
            raise TierIdentityError(
                "The identity of the tier cannot be read",
                where=where,
                why=str(error),
                next_step="put back the file from a copy of this tier; do not write a new one",
            ) from error
        return identity

    def __str__(self) -> str:
        """For people to read, in messages."""
        return f"{self.name!r} of institution {self.institution!r}, {self.uuid}"

    def to_bytes(self) -> bytes:
        """As it is stored."""
        return (json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n").encode()
