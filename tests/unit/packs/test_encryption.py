"""Encryption: streams of any size, readable with `age`, and nothing altered or cut off is taken for the truth."""

import os
import subprocess
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repository.errors import ConfigError, IntegrityError, OperationCancelledError, SourceReadError
from repository.stop import StopToken
from storage_tiers.packs.encryption import (
    Identities,
    Recipients,
    decrypt_bytes,
    decrypted_chunks,
    encrypt_bytes,
    encrypted_chunks,
    encrypted_size,
    plain_size,
)
from storage_tiers.packs.writing import write_pack
from tests.doubles.opened_versions import make_version
from tests.doubles.packs import pack_bytes
from tests.unit.packs.test_pack_writing import needs

KEY = pyrage.x25519.Identity.generate()
IDENTITIES = Identities.parse(f"# created: today\n# public key: {KEY.to_public()}\n{KEY}\n", where="key.txt")
RECIPIENTS = Recipients.parse([str(KEY.to_public())], where="tiers.cloud.encryption")
STRANGER = Identities.parse(str(pyrage.x25519.Identity.generate()), where="other.txt")
SIZES = [0, 1, 65_535, 65_536, 65_537, 131_072, 3_000_000]


def decrypted(data: bytes, identities: Identities = IDENTITIES) -> bytes:
    return b"".join(decrypted_chunks([data], identities, where="v1.zip.age"))


@pytest.mark.parametrize("size_bytes", SIZES)
def test_what_is_encrypted_comes_back_and_its_size_was_known(size_bytes: int) -> None:
    plain = os.urandom(size_bytes)
    chunks = list(encrypted_chunks([plain], RECIPIENTS))
    data = b"".join(chunks)
    assert plain[:40] not in data or size_bytes < 40
    assert encrypted_size(chunks[0], size_bytes) == len(data)
    assert plain_size(data[: 64 << 10], len(data)) == size_bytes
    assert decrypted(data) == plain
    assert decrypt_bytes(data, IDENTITIES, where="x") == plain
    assert decrypted(encrypt_bytes(plain, RECIPIENTS)) == plain


@given(sizes=st.lists(st.integers(0, 70_000), max_size=6))
@settings(max_examples=30, deadline=None)
def test_any_chunks_come_back_in_order(sizes: list[int]) -> None:
    chunks = [bytes([number]) * size for number, size in enumerate(sizes)]
    data = b"".join(encrypted_chunks(chunks, RECIPIENTS))
    pieces = [data[start : start + 10_007] for start in range(0, len(data), 10_007)]
    assert b"".join(decrypted_chunks(pieces, IDENTITIES, where="x")) == b"".join(chunks)


def test_a_pack_goes_through_although_its_chunks_are_overwritten() -> None:
    version = make_version(files={f"data/{n}": os.urandom(700_000) for n in range(8)})
    data = b"".join(encrypted_chunks(write_pack(version, stop=StopToken()), RECIPIENTS))
    assert decrypted(data) == pack_bytes(version)


def test_the_program_age_decrypts_it(tmp_path: Path) -> None:
    """With the printed key and a common program everything can be read (A23)."""
    needs("age")
    plain = os.urandom(200_000)
    (tmp_path / "v1.zip.age").write_bytes(b"".join(encrypted_chunks([plain], RECIPIENTS)))
    (tmp_path / "key.txt").write_text(f"{KEY}\n")
    argv = ["age", "--decrypt", "-i", str(tmp_path / "key.txt"), str(tmp_path / "v1.zip.age")]
    assert subprocess.run(argv, check=True, capture_output=True).stdout == plain
    argv = ["age", "--encrypt", "-r", str(KEY.to_public())]
    assert decrypted(subprocess.run(argv, check=True, capture_output=True, input=plain).stdout) == plain


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_keys_of_openssh_serve_too(kind: str, tmp_path: Path) -> None:
    needs("ssh-keygen")
    argv = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "archive@example.org", "-f", str(tmp_path / "key")]
    subprocess.run(argv, check=True, capture_output=True)
    recipients = Recipients.parse((tmp_path / "key.pub").read_text().splitlines(), where="x")
    identities = Identities.parse((tmp_path / "key").read_text(), where="x")
    assert decrypted(b"".join(encrypted_chunks([b"text"], recipients)), identities) == b"text"


def test_each_of_several_recipients_can_decrypt_alone() -> None:
    other = pyrage.x25519.Identity.generate()
    both = Recipients.parse(["# archive", str(KEY.to_public()), "", str(other.to_public())], where="x")
    data = encrypt_bytes(b"text", both)
    for key in (KEY, other):
        assert decrypted(data, Identities.parse(str(key), where="x")) == b"text"


def test_a_wrong_identity_is_a_matter_of_configuration() -> None:
    data = encrypt_bytes(b"text", RECIPIENTS)
    for read in (lambda: decrypted(data, STRANGER), lambda: decrypt_bytes(data, STRANGER, where="v1.zip.age")):
        with pytest.raises(ConfigError, match=r"v1\.zip\.age[\s\S]*other recipients"):
            read()


def test_every_flipped_bit_is_found() -> None:
    """A9"""
    data = encrypt_bytes(b"text", RECIPIENTS)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 7
        with pytest.raises((IntegrityError, ConfigError)):
            decrypt_bytes(bytes(damaged), IDENTITIES, where="x")


@pytest.mark.parametrize("position", [0, 70, -1, -70_000, -200_000])
def test_an_altered_stream_is_found(position: int) -> None:
    data = bytearray(encrypt_bytes(os.urandom(250_000), RECIPIENTS))
    data[position] ^= 1
    with pytest.raises((IntegrityError, ConfigError)):
        decrypted(bytes(data))


def test_a_stream_that_is_cut_off_is_found_wherever_it_is() -> None:
    data = encrypt_bytes(os.urandom(131_072), RECIPIENTS)
    chunk = 65_536 + 16
    cuts = [*range(0, len(data) - 2 * chunk, 37), len(data) - 2 * chunk, len(data) - chunk, len(data) - 1]
    for cut in cuts:
        with pytest.raises(IntegrityError, match="cut off"):
            decrypted(data[:cut])


@pytest.mark.parametrize("data", [b"", b"PK\3\4", b"x" * 70_000, b"age-encryption.org/v1\n"])
def test_what_is_not_encrypted_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        decrypted(data)
    with pytest.raises(IntegrityError):
        plain_size(data, len(data))


def test_bytes_behind_the_end_are_refused() -> None:
    with pytest.raises(IntegrityError):
        decrypted(encrypt_bytes(b"text", RECIPIENTS) + b"x")


@pytest.mark.parametrize("size_bytes", [100, 6_000_000])
def test_trouble_of_the_source_comes_out_as_it_is(size_bytes: int) -> None:
    """A10: a bad source is not called an encryption that failed."""
    version = make_version(files={"data/a": b"a" * size_bytes, "data/z": b"z"}).with_flipped_byte("v1/content/data/z")
    with pytest.raises(SourceReadError, match="not what its inventory says"):
        list(encrypted_chunks(write_pack(version, stop=StopToken()), RECIPIENTS))
    stop = StopToken()
    stop.set()
    with pytest.raises(OperationCancelledError):
        list(encrypted_chunks(write_pack(version, stop=stop), RECIPIENTS))


def test_an_error_of_the_network_is_not_called_an_altered_file() -> None:
    def failing() -> Iterator[bytes]:
        yield encrypt_bytes(b"x" * 100_000, RECIPIENTS)[:70_000]
        raise ConnectionResetError(104, "Connection reset by peer")

    with pytest.raises(ConnectionResetError):
        list(decrypted_chunks(failing(), IDENTITIES, where="x"))


def test_only_a_little_is_read_ahead_and_a_reader_may_leave() -> None:
    taken = []

    def chunks() -> Iterator[bytes]:
        for number in range(1000):
            taken.append(number)
            yield bytes(1 << 20)

    before = threading.active_count()
    stream = encrypted_chunks(chunks(), RECIPIENTS)
    next(stream)
    stream.close()
    assert len(taken) <= 6
    assert threading.active_count() == before


def test_memory_does_not_grow_with_the_stream() -> None:
    one = bytes(1 << 20)
    tracemalloc.start()
    try:
        flow = decrypted_chunks(encrypted_chunks((one for _ in range(40)), RECIPIENTS), IDENTITIES, where="x")
        assert sum(len(chunk) for chunk in flow) == 40 << 20
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


@pytest.mark.parametrize("lines", [[], ["# nobody"], ["age1nonsense"], ["ssh-ed25519 AAAA"], [str(KEY)], ["hello"]])
def test_recipients_that_cannot_be_used_are_refused(lines: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"tiers\.cloud"):
        Recipients.parse(lines, where="tiers.cloud.recipients")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "AGE-SECRET-KEY-1NONSENSE",
        f"{KEY}\nAGE-SECRET-KEY-1NONSENSE\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nnonsense\n-----END OPENSSH PRIVATE KEY-----\n",
    ],
    ids=["empty", "comment", "nonsense", "second is nonsense", "ssh nonsense"],
)
def test_identities_that_cannot_be_used_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError, match=r"key\.txt") as caught:
        Identities.parse(text, where="/etc/key.txt")
    assert "NONSENSE" not in str(caught.value)
    assert "nonsense" not in str(caught.value)


def test_a_private_key_given_as_a_recipient_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        Recipients.parse([str(KEY)], where="x")
    assert str(KEY)[20:40] not in str(caught.value)


def test_keys_do_not_show_when_they_are_printed() -> None:
    assert "AGE-SECRET" not in repr(IDENTITIES)
