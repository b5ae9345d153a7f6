"""The contract of the port, as checks that any tier can be tried with: `jindang tier validate NAME`.

Each check stands for one MUST of `storage_tiers.port.StorageTier` or more, and uses the port alone. They work with
objects of their own (`urn:jindang:contract:<uuid>:...`, in `jindang-contract-<uuid>/`) and remove them again. What a
check finds broken, it raises as ContractBrokenError.
"""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from repository.clock import Clock, SystemClock
from repository.errors import (
    CopyConflictError,
    InvalidInputError,
    NotFoundError,
    OperationCancelledError,
    RepositoryError,
    SourceReadError,
    TierDeniedError,
)
from repository.model import ObjectId
from repository.stop import StopToken
from storage_tiers.contract.room import (
    BreakingVersion,
    ContractBrokenError,
    ContractRoom,
    IncompleteVersion,
    broken,
    flipped,
)
from storage_tiers.contract.trial import TrialTier
from storage_tiers.fixity_outcome import Depth, FixityState
from storage_tiers.port import ExpectedVersion, PutStatus, StorageTier, VersionRef

THREADS: Final = 8
_FILES: Final = {"data/a.txt": b"the first file\n", "data/b/c.bin": bytes(range(256)) * 300, "data/z.txt": b"the last"}
_ODD: Final = {
    "data/空 文件/第1页·正.txt": "金档".encode(),
    "data/empty": b"",
    "data/.hidden": b"a leading dot",
    "data/100% + & = ? # ;.txt": b"what a URL would change",
    "data/quote ' \" and \\ back": b"what a shell would change",
    "data/A": b"capital",
    "data/a": b"small",
    "data/" + "n" * 200: b"a long name",
    "data/d/e/e/p/file": b"deep",
    "data/large": bytes(range(251)) * 9000,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractCheck:
    """One check.

    Args:
        name: in a few words.
        promise: what the port says, in a sentence.
        run: raises ContractBrokenError, or whatever the tier raised where it should not have.
    """

    name: str
    promise: str
    run: Callable[[StorageTier, ContractRoom], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractResult:
    """What a check came to; `detail` says what was broken, and is empty when nothing was."""

    name: str
    promise: str
    passed: bool
    detail: str
    seconds: float


CHECKS: Final[list[ContractCheck]] = []


def _check(promise: str) -> Callable[[Callable[[StorageTier, ContractRoom], None]], None]:
    def register(run: Callable[[StorageTier, ContractRoom], None]) -> None:
        CHECKS.append(ContractCheck(name=run.__name__.strip("_").replace("_", " "), promise=promise, run=run))

    return register


def run_contract(tier: StorageTier, *, stop: StopToken, clock: Clock | None = None) -> Iterator[ContractResult]:
    """Try a tier with every check, one after the other; each leaves nothing behind.

    Raises:
        InvalidInputError: the tier cannot remove what a trial would put there; nothing was put.
        OperationCancelledError: stop was set; what was put is removed.
    """
    if not isinstance(tier, TrialTier) or tier.capabilities.immutable:
        raise InvalidInputError(
            f"The tier {tier.identity.name!r} cannot be tried",
            why="it gives up nothing that it has stored",
            next_step="try a bucket without Object Lock on the same server",
        )
    for check in CHECKS:
        stop.check()
        yield _run(check, tier, stop=stop, clock=clock or SystemClock())


def _run(check: ContractCheck, tier: StorageTier, *, stop: StopToken, clock: Clock) -> ContractResult:
    began_s, detail = clock.monotonic_s(), ""
    room = ContractRoom(tier=tier, run=str(uuid.uuid4()), stop=stop)
    try:
        check.run(tier, room)
    except ContractBrokenError as error:
        detail = str(error)
    except Exception as error:
        if stop.is_set and isinstance(error, OperationCancelledError):
            raise
        detail = f"{type(error).__name__}: {error}"
    finally:
        left = remove_everything(tier, room)
    detail = "\n".join(part for part in (detail, left) if part)
    return ContractResult(
        name=check.name,
        promise=check.promise,
        passed=not detail,
        detail=detail,
        seconds=clock.monotonic_s() - began_s,
    )


def remove_everything(tier: StorageTier, room: ContractRoom) -> str:
    """Remove what a room has put on a tier; returns what could not be removed and why, in words."""
    problems = []
    for ref in room.made():
        try:
            if isinstance(tier, TrialTier):
                tier.remove_trial(ref)
        except RepositoryError as error:
            problems.append(f"{ref.object_path} v{ref.number} could not be removed: {error}")
    return "\n".join(problems)


# putting and reading


@_check("MUST store exactly the bytes that the source gave")
def _what_is_put_comes_back(tier: StorageTier, room: ContractRoom) -> None:  # noqa: ARG001 - every check has both
    version = room.version(_ODD)
    if room.put(version) is not PutStatus.STORED:
        broken("put_version did not answer STORED for a new version")
    room.require_stored(version)


@_check("Versions of an object MUST be put in their order, and each keeps its own bytes")
def _versions_follow_one_another(tier: StorageTier, room: ContractRoom) -> None:  # noqa: ARG001
    first = room.version(_FILES)
    second = room.version({**_FILES, "data/new.txt": b"only in v2"}, previous=first)
    third = room.version({"data/a.txt": b"changed in v3"}, previous=second)
    for version in (first, second, third):
        room.put(version)
    for version in (first, second, third):
        room.require_stored(version)


@_check("A version whose predecessor is missing is refused with NotFoundError")
def _a_version_out_of_order_is_refused(tier: StorageTier, room: ContractRoom) -> None:  # noqa: ARG001
    first = room.version(_FILES)
    second = room.version({"data/a.txt": b"v2"}, previous=first)
    third = room.version({"data/a.txt": b"v3"}, previous=second)
    room.require_error(NotFoundError, lambda: room.put(second))
    room.require_absent(second)
    room.put(first)
    room.require_error(NotFoundError, lambda: room.put(third))
    room.require_absent(third)
    room.require_stored(first)


@_check("put_version of what is there already MUST return ALREADY_PRESENT")
def _the_same_again_is_already_present(tier: StorageTier, room: ContractRoom) -> None:  # noqa: ARG001
    first = room.version(_FILES)
    second = room.version({"data/a.txt": b"v2"}, previous=first)
    room.put(first)
    room.put(second)
    for version in (first, second):
        if room.put(version) is not PutStatus.ALREADY_PRESENT:
            broken(f"v{version.ref.number}, put again, was not answered with ALREADY_PRESENT")
        room.require_stored(version)
    if room.listed() != [first.ref, second.ref]:
        broken("a version that was put twice is not listed once")


@_check("put_version MUST NOT overwrite anything; another version under the same name is a CopyConflictError (A15)")
def _another_version_never_takes_the_place(tier: StorageTier, room: ContractRoom) -> None:  # noqa: ARG001
    first, other = room.version(_FILES), room.version({"data/a.txt": b"something else"})
    second = room.version({"data/a.txt": b"v2"}, previous=first)
    other_second = room.version({"data/a.txt": b"another v2"}, previous=first)
    room.put(first)
    room.require_error(CopyConflictError, lambda: room.put(other))
    room.put(second)
    room.require_error(CopyConflictError, lambda: room.put(other_second))
    room.require_stored(first)
    room.require_stored(second)


@_check("MUST store only when all bytes have their digests; a source that fails leaves nothing (A10)")
def _a_damaged_source_leaves_nothing(tier: StorageTier, room: ContractRoom) -> None:  # noqa: ARG001
    version = room.version(_FILES)
    for path in version.files:
        room.require_error(SourceReadError, lambda path=path: room.put(flipped(version, path)))  # type: ignore[misc]
        room.require_absent(version)
    room.put(version)
    room.require_stored(version)


@_check("A source that cannot be read to its end MUST leave nothing that others see")
def _a_source_that_breaks_off_leaves_nothing(tier: StorageTier, room: ContractRoom) -> None:  # noqa: ARG001
    version = room.version(_FILES)
    second = room.version({"data/a.txt": b"v2" * 70_000}, previous=version)
    for after_bytes in (0, 20, 40_000):
        room.require_error(
            SourceReadError,
            lambda after_bytes=after_bytes: room.put(BreakingVersion(version, after_bytes=after_bytes)),  # type: ignore[misc]
        )
        room.require_absent(version)
    room.put(version)
    room.require_error(SourceReadError, lambda: room.put(BreakingVersion(second, after_bytes=100)))
    room.require_absent(second)
    room.require_stored(version)


@_check("A source that gives fewer files than its version has MUST be refused")
def _a_source_with_a_file_left_out_leaves_nothing(tier: StorageTier, room: ContractRoom) -> None:  # noqa: ARG001
    version = room.version(_FILES)
    room.require_error(SourceReadError, lambda: room.put(IncompleteVersion(version)))
    room.require_absent(version)


@_check("open() gives one file, or any part of it")
def _parts_of_files_can_be_read(tier: StorageTier, room: ContractRoom) -> None:
    version = room.version(_FILES)
    room.put(version)
    path, data = "v1/content/data/b/c.bin", _FILES["data/b/c.bin"]
    size = len(data)
    with tier.open_version(version.ref) as opened:
        for offset, length in ((0, None), (0, 1), (255, 258), (size - 1, 1), (size - 3, 10), (1, None), (7, 0)):
            with opened.open(path, offset=offset, length=length) as stream:
                found = stream.read()
            if found != data[offset : size if length is None else offset + length]:
                broken(f"{length} bytes from {offset} on are not what was stored")
        room.require_error(SourceReadError, lambda: opened.open("v1/content/data/none").read())


# listing


@_check("list_versions gives every version once, in order of path and number, beginning after any one")
def _the_list_is_in_order(tier: StorageTier, room: ContractRoom) -> None:  # noqa: ARG001
    lengths = {"foo": 10, "foobar": 1, "foo-1": 1, "foo-1-x": 1}
    versions = [version for name, length in lengths.items() for version in room.history(length, name=name)]
    for version in versions:
        room.put(version)
    wanted = sorted(version.ref for version in versions)
    if room.listed() != wanted:
        broken(f"listed was {_named(room.listed())}, expected {_named(wanted)}")
    for position in (0, 1, 8, 9, 10, 12):
        found = room.listed(after=wanted[position])
        if found != wanted[position + 1 :]:
            broken(f"after {_named(wanted[position : position + 1])} came {_named(found)}")


def _named(refs: list[VersionRef]) -> str:
    return ", ".join(f"{ref.object_path.rpartition('/')[2]} v{ref.number}" for ref in refs) or "nothing"


@_check("Nothing but the object that is meant is touched, also when its name begins another's (A2)")
def _neighbours_are_left_alone(tier: StorageTier, room: ContractRoom) -> None:
    versions = [room.version(_FILES, name=name) for name in ("foo", "foobar", "foo-1")]
    for version in versions:
        room.put(version)
    if not isinstance(tier, TrialTier):
        broken("the tier cannot remove trial objects")
    tier.remove_trial(versions[0].ref)
    room.require_absent(versions[0])
    for version in versions[1:]:
        room.require_stored(version)
    record = VersionRef("abc/def/012/urn%3arecord", 1)
    room.require_error(TierDeniedError, lambda: tier.remove_trial(record))


# verifying


@_check("verify_version finds nothing wrong with a good copy, at any depth")
def _a_good_copy_is_verified(tier: StorageTier, room: ContractRoom) -> None:
    first = room.version(_ODD)
    second = room.version({"data/a.txt": b"v2"}, previous=first)
    room.put(first)
    room.put(second)
    for version in (first, second):
        for depth in Depth:
            outcome = tier.verify_version(version.expected, depth=depth, stop=room.stop)
            if outcome.findings:
                broken(f"v{version.ref.number}, {depth}: {outcome.findings[0]}")
        if outcome.read_bytes < sum(version.sizes.values()) or outcome.files != len(version.sizes):
            broken(f"{outcome.files} files and {outcome.read_bytes} bytes were read, less than the version has")


@_check("verify_version tells another valid version under the name from the one that is expected (A15)")
def _a_copy_must_be_this_version(tier: StorageTier, room: ContractRoom) -> None:
    version, other = room.version(_FILES), room.version(_FILES, name="other")
    room.put(version)
    for expected in (
        ExpectedVersion(
            object_id=ObjectId(other.inventory.id),
            ref=version.ref,
            inventory_digest=version.expected.inventory_digest,
        ),
        ExpectedVersion(
            object_id=version.summary.id, ref=version.ref, inventory_digest=other.expected.inventory_digest
        ),
    ):
        outcome = tier.verify_version(expected, depth=Depth.FULL, stop=room.stop)
        if outcome.state is not FixityState.MISMATCH:
            broken(f"a copy of another version is {outcome.state!s}, expected was {FixityState.MISMATCH!s}")


@_check('"Is not there" MUST be told as NotFoundError, and as MISSING by verify_version')
def _what_is_not_there_is_told(tier: StorageTier, room: ContractRoom) -> None:  # noqa: ARG001
    first = room.version(_FILES)
    second = room.version({"data/a.txt": b"v2"}, previous=first)
    room.require_absent(first)
    room.put(first)
    room.require_absent(second)


# at the same time, and not at all


@_check("put_version MUST be safe when several put the same at the same time")
def _many_may_put_the_same(tier: StorageTier, room: ContractRoom) -> None:  # noqa: ARG001
    first = room.version(_FILES)
    second = room.version({**_FILES, "data/new.txt": b"v2" * 20_000}, previous=first)
    for version in (first, second):
        with ThreadPoolExecutor(THREADS) as threads:
            statuses = list(threads.map(room.put, [version] * THREADS))
        if PutStatus.STORED not in statuses:
            broken("nobody was told that the version is stored now")
        room.require_stored(version)
    if room.listed() != [first.ref, second.ref]:
        broken(f"listed is {_named(room.listed())}")


@_check("A stopped put_version raises OperationCancelledError and leaves nothing")
def _a_stopped_put_leaves_nothing(tier: StorageTier, room: ContractRoom) -> None:
    version, stopped = room.version(_FILES), StopToken()
    stopped.set()
    room.require_error(OperationCancelledError, lambda: tier.put_version(version, stop=stopped))
    room.require_absent(version)


@_check("A tier says who it is, what it can do and how much space there is")
def _the_tier_says_what_it_is(tier: StorageTier, room: ContractRoom) -> None:  # noqa: ARG001
    usage, capabilities = tier.usage(), tier.capabilities
    if any(size is not None and size < 0 for size in (usage.total_bytes, usage.free_bytes)):
        broken(f"it states a negative size: {usage}")
    if capabilities.parallel_reads < 1 or capabilities.parallel_writes < 1 or not tier.identity.uuid:
        broken(f"it has no identity, or may not be used at all: {capabilities}")
