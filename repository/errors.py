"""Every error that Jindang raises on purpose.

RepositoryError
├── ConfigError                  the configuration cannot be used                                  exit 3
├── NotFoundError                what was asked for is not in the repository                       exit 1
├── PackageError                 a package was refused                                             exit 1
├── InvalidInputError            a value given by a person cannot be used                          exit 2
├── IntegrityError               stored bytes are not what they were                               exit 5
│   ├── InventoryError           an OCFL inventory cannot be trusted
│   └── DigestMismatchError      a file is not what its inventory says
├── CatalogError                 the catalogue database cannot do its work                         exit 4
│   ├── CatalogUnavailableError  cannot be reached or is locked                                    retryable
│   └── CatalogOutdatedError     was made by another release
├── TierError                    a storage tier cannot do its work                                 exit 4
│   ├── TierUnavailableError     is not there: not mounted, not reachable                          retryable
│   ├── TierIdentityError        is another one than expected: empty mount, swapped disk
│   ├── TierDeniedError          permission refused
│   ├── TierFullError            no space left                                                     retryable
│   ├── UnreadableError          a file is there and cannot be read
│   ├── CopyConflictError        something else lies there under the name of the copy
│   └── PlacementError           the object may not lie there
├── SourceReadError              what was to be copied could not be read; its cause says why       exit 4
├── BackupError                  the backup base cannot do its work                                exit 4
│   ├── BaseUnavailableError     cannot be reached, or somebody else has it locked                 retryable
│   ├── BaseFullError            no space left                                                     retryable
│   └── BaseTamperedError        archives that we made are gone, or others are there               exit 5
├── WorkerLostError              a worker process ended in the middle of its work         exit 4, retryable
├── ConflictError                somebody else is changing the same object                  exit 4, retryable
└── OperationCancelledError      a person or the system asked us to stop                           exit 130

A check that finds something wrong returns a value; an error means "I could not do my job". Every error says what,
where, why, and what to do next, in words for an archivist.
"""

from typing import ClassVar


class RepositoryError(Exception):
    """What went wrong, where, why, and what to do next.

    Args:
        what: one sentence, without the final full stop.
        where: the path, object or setting that it is about.
        why: the cause, where it is known.
        next_step: what a person can do now.
    """

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(
        self, what: str, *, where: object = None, why: str | None = None, next_step: str | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = None if where is None else str(where)
        self.why = why
        self.next_step = next_step

    def __str__(self) -> str:
        """The message as a person reads it, on one to three lines."""
        head = self.what if self.where is None else f"{self.what}: {self.where}"
        if self.why:
            head = f"{head} ({self.why})"
        return f"{head}\n  Next step: {self.next_step}" if self.next_step else head

    def as_json(self) -> dict[str, object]:
        """The same for a machine: type, what, where, why, next_step, retryable."""
        return {
            "error": type(self).__name__,
            "what": self.what,
            "where": self.where,
            "why": self.why,
            "next_step": self.next_step,
            "retryable": self.retryable,
        }


class ConfigError(RepositoryError):
    """The configuration cannot be used; `problems` lists everything that is wrong with it."""

    exit_code = 3

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        why: str | None = None,
        next_step: str | None = None,
        problems: tuple[str, ...] = (),
    ) -> None:
        super().__init__(what, where=where, why=why, next_step=next_step)
        self.problems = problems

    def __str__(self) -> str:
        """The message, then one line for each problem."""
        return "\n".join([super().__str__(), *(f"  - {problem}" for problem in self.problems)])

    def as_json(self) -> dict[str, object]:
        """As every error, and `problems`."""
        return {**super().as_json(), "problems": list(self.problems)}


class NotFoundError(RepositoryError):
    """What was asked for is not in the repository."""


class InvalidInputError(RepositoryError):
    """A value given by a person cannot be used."""

    exit_code = 2


class PackageError(RepositoryError):
    """A package was refused; `problems` lists every reason that was found."""

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        why: str | None = None,
        next_step: str | None = None,
        problems: tuple[str, ...] = (),
    ) -> None:
        super().__init__(what, where=where, why=why, next_step=next_step)
        self.problems = problems

    def __str__(self) -> str:
        """The message; with several problems, one line for each of them in place of the cause."""
        if not self.problems:
            return super().__str__()
        head = self.what if self.where is None else f"{self.what}: {self.where}"
        step = [f"  Next step: {self.next_step}"] if self.next_step else []
        return "\n".join([head, *(f"  - {problem}" for problem in self.problems), *step])

    def as_json(self) -> dict[str, object]:
        """As every error, and `problems`."""
        return {**super().as_json(), "problems": list(self.problems)}


class IntegrityError(RepositoryError):
    """Stored bytes are not what they were."""

    exit_code = 5


class InventoryError(IntegrityError):
    """An OCFL inventory cannot be trusted."""


class DigestMismatchError(IntegrityError):
    """A file has another size or digest than its inventory says; both are told as people read them."""

    def __init__(self, what: str, *, where: object, expected: str, observed: str) -> None:
        super().__init__(
            what,
            where=where,
            why=f"expected {expected}, found {observed}",
            next_step="restore the object from another copy",
        )
        self.expected = expected
        self.observed = observed


class CatalogError(RepositoryError):
    """The catalogue database cannot do its work."""

    exit_code = 4


class CatalogUnavailableError(CatalogError):
    """The catalogue cannot be reached or is locked."""

    retryable = True


class CatalogOutdatedError(CatalogError):
    """The catalogue was made by another release of Jindang."""


class TierError(RepositoryError):
    """A storage tier cannot do its work."""

    exit_code = 4


class TierUnavailableError(TierError):
    """The tier is not there: nothing was learned about what it holds."""

    retryable = True


class TierIdentityError(TierError):
    """What is there is not the tier that the configuration names."""


class TierDeniedError(TierError):
    """The tier refused permission."""


class TierFullError(TierError):
    """The tier has no space left."""

    retryable = True


class UnreadableError(TierError):
    """A file is there and cannot be read: a bad sector, a permission."""


class CopyConflictError(TierError):
    """Something else lies there under the name of the copy; a person must look, nothing is overwritten."""

    exit_code = 5


class PlacementError(TierError):
    """The object's class does not allow a copy there."""


class SourceReadError(RepositoryError):
    """What was to be copied could not be read, or is not what it should be; `cause` says why.

    Raised by whatever reads a version, so that whoever writes it elsewhere can tell the two apart.
    """

    exit_code = 4

    def __init__(self, cause: RepositoryError) -> None:
        super().__init__(cause.what, where=cause.where, why=cause.why, next_step=cause.next_step)
        self.cause = cause


class BackupError(RepositoryError):
    """The backup base cannot do its work."""

    exit_code = 4


class BaseUnavailableError(BackupError):
    """The backup base cannot be reached, or somebody else has it locked."""

    retryable = True


class BaseFullError(BackupError):
    """The backup base has no space left."""

    retryable = True


class BaseTamperedError(BackupError):
    """The archives on the backup base are not those that we made."""

    exit_code = 5


class WorkerLostError(RepositoryError):
    """A worker process ended in the middle of its work."""

    exit_code = 4
    retryable = True


class ConflictError(RepositoryError):
    """Somebody else is changing the same object."""

    exit_code = 4
    retryable = True


class OperationCancelledError(RepositoryError):
    """A person or the system asked us to stop."""

    exit_code = 130
