"""Key files: cosign's encrypted form, plain PEM, and what is none of these."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from builders.private_sigstore import b64, pem_of
from homeport.attest.errors import BadKey, WrongPassword
from homeport.attest.keys.private_key import encrypt_key, generate_key, read_private_key
from homeport.attest.keys.public_key import read_public_key
from homeport.attest.keys.secretbox import DecryptionFailed, seal, unseal
from homeport.attest.keys.sources import load_private_key, load_public_key
from homeport.cli.main import homeport
from homeport.errors import HomeportError, UsageError


def no_password() -> bytes:
    raise AssertionError("no password is needed")


def pem(key: object, encryption: KeySerializationEncryption | None = None) -> bytes:
    form = PrivateFormat.PKCS8
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())  # type: ignore[attr-defined,no-any-return]


def test_secretbox_is_that_of_nacl() -> None:
    """The example of NaCl's own tests (tests/secretbox.c), in Bernstein's documentation."""
    key = bytes.fromhex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
    nonce = bytes.fromhex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37")
    message = bytes.fromhex(
        "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d4"
        "5e6c61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a"
        "024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705"
    )
    box = seal(message, nonce, key)
    assert box.hex().startswith("f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce")
    assert unseal(box, nonce, key) == message
    with pytest.raises(DecryptionFailed):
        unseal(box[:-1] + bytes([box[-1] ^ 1]), nonce, key)


@given(st.binary(max_size=300), st.binary(min_size=24, max_size=24))
def test_what_was_sealed_is_unsealed(message: bytes, nonce: bytes) -> None:
    assert unseal(seal(message, nonce, b"k" * 32), nonce, b"k" * 32) == message


def test_a_key_file_is_read_back_with_its_password() -> None:
    key = generate_key()
    file = encrypt_key(key, b"secret")
    assert file.startswith(b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n")
    found = read_private_key(file, lambda: b"secret")
    assert found.public == key.public
    assert repr(found) == f"PrivateKey({key.public.fingerprint})"
    with pytest.raises(WrongPassword, match="wrong password"):
        read_private_key(file, lambda: b"Secret")


def test_the_old_label_is_read_too() -> None:
    key = generate_key()
    file = encrypt_key(key, b"").replace(b"SIGSTORE", b"COSIGN")
    assert read_private_key(file, lambda: b"").public == key.public


@pytest.mark.parametrize("cost", [1 << 30, 0, 16384])
def test_costs_that_could_take_all_memory_are_refused(cost: int) -> None:
    kdf = {"name": "scrypt", "params": {"N": cost, "r": 8, "p": 1}, "salt": b64(b"s" * 32)}
    cipher = {"name": "nacl/secretbox", "nonce": b64(b"n" * 24)}
    document = json.dumps({"kdf": kdf, "cipher": cipher, "ciphertext": b64(b"c" * 99)}).encode()
    label = "ENCRYPTED SIGSTORE PRIVATE KEY"
    file = f"-----BEGIN {label}-----\n{b64(document)}\n-----END {label}-----\n".encode()
    with pytest.raises(BadKey, match="unsupported parameters"):
        read_private_key(file, lambda: b"")


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["p256", "p384", "ed25519", "rsa"],
)
def test_keys_of_these_types_sign_and_verify(key: object) -> None:
    found = read_private_key(pem(key), no_password)
    signature = found.sign(b"data")
    public = read_public_key(found.public.pem)
    assert public.has_signed(signature, b"data")
    assert not public.has_signed(signature, b"other")
    assert not public.has_signed(b"", b"data")


def test_a_plain_encrypted_key_is_read() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    file = pem(key, BestAvailableEncryption(b"secret"))
    assert read_private_key(file, lambda: b"secret").public.pem == pem_of(key)
    with pytest.raises(WrongPassword):
        read_private_key(file, lambda: b"other")


@pytest.mark.parametrize(
    ("key", "because"),
    [
        (ec.generate_private_key(ec.SECP256K1()), "unsupported curve secp256k1"),
        (x25519.X25519PrivateKey.generate(), "cannot sign"),
        (rsa.generate_private_key(65537, 1024), "RSA key of 1024 bits"),
    ],
    ids=["k1", "x25519", "rsa"],
)
def test_other_keys_are_refused(key: object, because: str) -> None:
    with pytest.raises(BadKey, match=because):
        read_private_key(pem(key), no_password)


def test_a_public_key_where_a_private_belongs_is_named(tmp_path: Path) -> None:
    key = generate_key()
    with pytest.raises(BadKey, match="is a public key; signing requires the private key"):
        read_private_key(key.public.pem, no_password)
    with pytest.raises(BadKey, match="is a private key; verification requires the public key"):
        read_public_key(encrypt_key(key, b""))


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff\xfe", b"-----BEGIN PRIVATE KEY-----\n"])
def test_what_is_no_key_is_named(data: bytes) -> None:
    with pytest.raises(BadKey):
        read_private_key(data, no_password)
    with pytest.raises(BadKey):
        read_public_key(data)


def test_a_damaged_key_file_is_named() -> None:
    file = encrypt_key(generate_key(), b"").replace(b"\n", b"!\n", 2)
    with pytest.raises(BadKey, match="is damaged"):
        read_private_key(file, lambda: b"")


def test_keys_come_from_files_and_variables(tmp_path: Path) -> None:
    key = generate_key()
    (tmp_path / "k.key").write_bytes(encrypt_key(key, b"x"))
    environment = {
        "COSIGN_PASSWORD": "x", "PRIVATE": encrypt_key(key, b"x").decode(),
        "PUBLIC": key.public.pem.decode(),
    }  # fmt: skip
    assert load_private_key(str(tmp_path / "k.key"), environment).public == key.public
    assert load_private_key("env://PRIVATE", environment).public == key.public
    assert load_public_key("env://PUBLIC", environment) == key.public
    for place, kind in (("env://ABSENT", BadKey), ("awskms://alias/x", UsageError),
                        (str(tmp_path / "absent"), HomeportError)):  # fmt: skip
        with pytest.raises(kind):
            load_private_key(place, environment)
    with pytest.raises(BadKey, match="COSIGN_PASSWORD is not set"):
        load_private_key("env://PRIVATE", {"PRIVATE": environment["PRIVATE"]})


def run(*arguments: str) -> Result:
    return CliRunner().invoke(homeport, list(arguments))


def test_the_command_writes_a_pair_and_keeps_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSIGN_PASSWORD", "secret")
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    before = os.umask(0o027)
    try:
        made = run("key", "generate", "-o", str(tmp_path / "release"), "--format", "json")
    finally:
        os.umask(before)
    document = json.loads(made.stdout)
    private, public = Path(document["private"]), Path(document["public"])
    assert [stat.S_IMODE(path.stat().st_mode) for path in (private, public)] == [0o600, 0o640]
    key = load_private_key(str(private), os.environ)
    assert key.public.fingerprint == document["fingerprint"]
    assert load_public_key(str(public), {}) == key.public
    again = run("key", "generate", "-o", str(tmp_path / "release"))
    assert isinstance(again.exception, UsageError)
    assert load_private_key(str(private), os.environ).public == key.public


def test_without_a_terminal_the_password_must_be_in_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COSIGN_PASSWORD", raising=False)
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    made = run("key", "generate", "-o", str(tmp_path / "k"))
    assert isinstance(made.exception, UsageError)
    assert made.exception.hint == "set COSIGN_PASSWORD, which may be empty"
    assert list(tmp_path.glob("k.*")) == []
