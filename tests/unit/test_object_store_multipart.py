"""How a stream is cut into parts: the same parts for the same size, in bounded memory."""

import hashlib
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repository.errors import IntegrityError, OperationCancelledError
from repository.stop import StopToken
from storage_tiers.object_store import multipart
from storage_tiers.object_store.put import MemoryBudget

MIB = 1 << 20


@pytest.mark.parametrize(
    ("size_bytes", "wanted"),
    [(1, 16 * MIB), (9000 * 16 * MIB, 16 * MIB), (9000 * 16 * MIB + 1, 17 * MIB), (5 << 40, 583 * MIB)],
)
def test_parts_are_as_long_as_they_must_be_and_whole_mebibytes(size_bytes: int, wanted: int) -> None:
    assert multipart.part_bytes(size_bytes) == wanted
    assert -(-size_bytes // wanted) <= multipart.MOST_PARTS


@pytest.fixture
def short_parts(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(multipart, "part_bytes", lambda _: 10)
    return 10


@given(st.lists(st.binary(max_size=35), max_size=12))
def test_whatever_the_chunks_the_parts_are_the_same_bytes(chunks: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multipart, "part_bytes", lambda _: 10)
        data, budget = b"".join(chunks), MemoryBudget(10)
        parts = []
        for part in multipart.split(chunks, len(data), budget=budget, stop=StopToken()):
            parts.append(bytes(part))
            budget.give(len(part))
        assert b"".join(parts) == data
        assert all(len(part) == 10 for part in parts[:-1])
        md5s = b"".join(hashlib.md5(part).digest() for part in parts)
        etag = multipart.etag_of(chunks, len(data), whole_bytes=-1, stop=StopToken())
        assert etag == f"{hashlib.md5(md5s).hexdigest()}-{len(parts)}"
        if data:
            whole = multipart.etag_of(chunks, len(data), whole_bytes=len(data), stop=StopToken())
            assert whole == hashlib.md5(data).hexdigest()


@pytest.mark.parametrize("said", [11, 35])
def test_a_stream_of_another_length_is_noticed_and_its_memory_given_back(short_parts: int, said: int) -> None:
    budget = MemoryBudget(1000)

    def send_all() -> None:
        for part in multipart.split([b"x" * 23], said, budget=budget, stop=StopToken()):
            budget.give(len(part))

    with pytest.raises(IntegrityError, match="another length"):
        send_all()
    with budget.taken(1000, stop=StopToken()):
        pass


def test_the_memory_of_all_uploads_is_bounded_and_waiting_for_it_can_be_stopped() -> None:
    budget, stop = MemoryBudget(100), StopToken()
    budget.take(60, stop=stop)
    waiting = threading.Thread(target=budget.take, args=(50,), kwargs={"stop": StopToken()})
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    budget.give(60)
    waiting.join(5)
    assert not waiting.is_alive()
    budget.give(50)
    with budget.taken(10**9, stop=stop):  # more than there is: alone, then
        stop.set()
        with pytest.raises(OperationCancelledError):
            budget.take(1, stop=stop)
