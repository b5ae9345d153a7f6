"""What the objects of a tier are called, and that a listing comes in the port's order whatever the keys are."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_tiers.object_store.names import Names, in_order
from storage_tiers.port import VersionRef


def test_each_version_has_three_keys_and_each_key_tells_its_version() -> None:
    names, ref = Names(prefix="tier/"), VersionRef("a05/urn%3ax", 12)
    keys = names.of(ref)
    assert keys.in_order == (
        "tier/a05/urn%3ax/v12.zip",
        "tier/a05/urn%3ax/v12.inventory.json",
        "tier/a05/urn%3ax/v12.summary.json",
    )
    assert [names.ref_of_any(key) for key in keys.in_order] == [ref] * 3
    assert [names.ref(key) for key in keys.in_order] == [None, None, ref]
    assert names.stem(VersionRef("a05/urn%3ax", 1)) + "zip" not in keys.in_order


@pytest.mark.parametrize(
    "key",
    [
        "jindang-tier.json",
        "README.txt",
        "quarantine/20260101T000000Z/a/v1.summary.json",
        "canary/a/v1.summary.json",
        "a/v0.summary.json",
        "a/v01.summary.json",
        "a/v1.summary.json.age",
        "v1.summary.json",
        "a/v1.summary.json.bak",
    ],
)
def test_what_is_not_a_version_is_not_listed_as_one(key: str) -> None:
    assert Names().ref(key) is None


def test_an_encrypted_tier_does_not_take_plain_objects_for_its_own() -> None:
    names = Names(encrypted=True)
    assert names.ref("a/v1.summary.json") is None
    assert names.ref("a/v1.summary.json.age") == VersionRef("a", 1)


paths = st.text(alphabet="ab!-/%·", min_size=1, max_size=6).filter(
    lambda path: not path.startswith("/") and not path.endswith("/") and "//" not in path
)


@given(st.sets(st.builds(VersionRef, paths, st.integers(1, 12))), st.none() | st.builds(VersionRef, paths, st.just(3)))
def test_a_listing_is_brought_into_the_ports_order(refs: set[VersionRef], after: VersionRef | None) -> None:
    """A server sorts the bytes of keys: v10 comes before v2, and `a!` before `a/`."""
    folders = {ref.object_path for ref in refs}
    refs = {
        ref for ref in refs if not any(ref.object_path.startswith(f"{each}/") for each in folders)
    }  # OCFL 1.1, 4.2
    names = Names(prefix="tier/")
    start = names.start_after(after)
    keys = sorted((names.of(ref).summary for ref in refs), key=lambda key: key.encode())
    listed = [ref for key in keys if (start is None or key > start) and (ref := names.ref(key)) is not None]
    wanted = sorted(ref for ref in refs if after is None or ref > after)
    assert list(in_order(listed, after)) == wanted


def test_ordering_holds_back_no_more_than_one_object_of_many() -> None:
    """The memory is that of one object's versions, however many objects there are."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chooser = random.Random(seed)
    folders = sorted({f"{chooser.randrange(1 << 36):09x}" for _ in range(500)})
    refs = [VersionRef(f"{folder}/urn%3ax-{folder}", n) for folder in folders for n in (1, 10, 2)]
    taken = 0

    def listing() -> Iterator[VersionRef]:
        nonlocal taken
        for ref in refs:
            taken += 1
            yield ref

    for given_out, _ in enumerate(in_order(listing()), 1):
        assert taken - given_out <= 4
