"""Verdicts over signatures compared with gpgv and apt, on a corpus that GnuPG makes.

The rule: Homeport accepts nothing that gpgv or an apt at hand rejects. What it rejects
although some apt accepts it is listed in ``STRICTER``, with the reason.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from builders.archive import Archive, archive, suite
from homeport.debian.archive.keyring import parse_keyring
from homeport.debian.archive.signature import BadSignature, verify_clearsigned

pytestmark = pytest.mark.peer("gpg", "gpgv", "apt-get")

EARLY, LATER, LAST = "20200601T000000", "20210601T000000", "20220601T000000"
#: Cases that Homeport rejects although one of them accepts it: gpgv is the judge of apt before
#: 3.0, Sequoia that of apt 3.
STRICTER = {
    "digest SHA224": "apt 3 rejects it",
    "key rsa1024": "can be factored; apt 3 rejects it",
    "key dsa2048": "apt 3 rejects DSA",
    "key brainpoolP256r1": "apt 3 rejects the curve",
    "key secp256k1": "apt 3 rejects the curve",
    "signature in the future": "a clock is wrong; apt 3 rejects it",
    "extended subkey, signed before": "no binding of that time is left; apt 3 rejects it",
    "expired primary key, dated back": "apt 3 judges by the time that the signature states",
    "expired subkey, dated back": "as above; gpgv rejects it",
    "shortened subkey, dated back": "as above; gpgv rejects it",
    "primary key superseded, signed before": "as above; gpgv rejects it",
    "subkey superseded, signed before": "as above; gpgv rejects it",
    "primary key retired, signed before": "as above; gpgv rejects it",
    "subkey retired, signed before": "as above; gpgv rejects it",
}


@dataclass(frozen=True)
class Case:
    """An InRelease file, and the certificate of the key that signed it."""

    name: str
    data: bytes
    certificate: bytes


class Corpus:
    """Keys and signatures in a GnuPG home of its own."""

    def __init__(self, home: Path, release: bytes) -> None:
        self.home = home
        self.release = release
        self.made: list[tuple[str, bytes, str]] = []
        home.mkdir(mode=0o700)

    def gpg(self, *arguments: str, data: bytes = b"", at: str = "", tty: bool = False) -> bytes:
        time = ["--faked-system-time", f"{at}!"] if at else []
        mode = ["--no-tty", "--command-fd", "0"] if tty else ["--batch"]
        return subprocess.run(
            ["gpg", *mode, "--quiet", "--yes", "--homedir", str(self.home), "--pinentry-mode",
             "loopback", "--passphrase", "", "--allow-weak-digest-algos", "--expert", *time,
             *arguments],
            input=data, capture_output=True, check=True,
        ).stdout  # fmt: skip

    def key(
        self, name: str, kind: str = "rsa2048", *, expires: str = "never", at: str = ""
    ) -> None:
        self.gpg("--quick-gen-key", name, kind, "sign", expires, at=at)

    def key_with_subkey(self, name: str, *, expires: str = "never", at: str = "") -> str:
        """A certificate whose subkey signs; the subkey's fingerprint."""
        self.gpg("--quick-gen-key", name, "rsa2048", "cert", "never", at=at)
        self.gpg("--quick-add-key", self.fingerprints(name)[0], "rsa2048", "sign", expires, at=at)
        return self.fingerprints(name)[1]

    def fingerprints(self, name: str) -> list[str]:
        lines = self.gpg("--with-colons", "--list-keys", name).decode().splitlines()
        return [line.split(":")[9] for line in lines if line.startswith("fpr:")]

    def sign(self, case: str, key: str, *options: str, at: str = "") -> None:
        data = self.gpg(*options, "-u", key, "--clearsign", data=self.release, at=at)
        self.made.append((case, data, key))

    def edit(self, name: str, *words: str, at: str = "") -> None:
        self.gpg(
            "--edit-key", name, data="".join(f"{w}\n" for w in words).encode(), at=at, tty=True
        )

    def cases(self) -> list[Case]:
        return [Case(name, data, self.gpg("--export", key)) for name, data, key in self.made]


def fill(corpus: Corpus) -> None:
    corpus.key("plain", at=EARLY)
    corpus.sign("plain", "plain")
    for digest in ("MD5", "SHA1", "RIPEMD160", "SHA224", "SHA256", "SHA384", "SHA512"):
        corpus.sign(f"digest {digest}", "plain", "--digest-algo", digest)
    corpus.sign("signed years before the Date", "plain", at=LATER)
    corpus.sign("signature expired", "plain", "--default-sig-expire", "30d", at=LATER)
    corpus.sign("signature in the future", "plain", at="20400101T000000")
    corpus.sign("notation", "plain", "--sig-notation", "x@archive.example=1")
    corpus.sign("critical notation", "plain", "--sig-notation", "!x@archive.example=1")
    _expired(corpus)
    for reason, code in (("compromised", "1"), ("superseded", "2"), ("retired", "3")):
        _revoked(corpus, reason, code)
    _without_flag(corpus)
    for kind in ("rsa1024", "rsa3072", "dsa1024", "dsa2048", "nistp256", "nistp521",
                 "brainpoolP256r1", "secp256k1"):  # fmt: skip
        corpus.key(f"key-{kind}", kind)
        corpus.sign(f"key {kind}", f"key-{kind}")


def _expired(corpus: Corpus) -> None:
    corpus.key("expired", expires="1y", at=EARLY)
    corpus.sign("expired primary key, dated back", "expired", at="20201001T000000")
    corpus.key_with_subkey("rotated", expires="1y", at=EARLY)
    corpus.sign("expired subkey, dated back", "rotated", at="20201001T000000")
    subkey = corpus.key_with_subkey("extended", expires="1y", at=EARLY)
    corpus.sign("extended subkey, signed before", "extended", at="20201001T000000")
    corpus.gpg("--quick-set-expire", corpus.fingerprints("extended")[0], "0", subkey, at=LATER)
    corpus.sign("extended subkey", "extended")
    subkey = corpus.key_with_subkey("shortened", at=EARLY)
    corpus.gpg(
        "--quick-set-expire",
        corpus.fingerprints("shortened")[0],
        "2y",
        subkey,
        at="20200701T000000",
    )
    corpus.sign("shortened subkey, dated back", "shortened", at=LATER)


def _revoked(corpus: Corpus, reason: str, code: str) -> None:
    answers = ("y", code, "", "y")
    for name, subject in ((f"key-{reason}", "primary key"), (f"subkey-{reason}", "subkey")):
        is_subkey = subject == "subkey"
        if is_subkey:
            corpus.key_with_subkey(name, at=EARLY)
        else:
            corpus.key(name, at=EARLY)
        corpus.sign(f"{subject} {reason}, signed before", name, at=LATER)
        corpus.sign(f"{subject} {reason}, signed after", name)
        if is_subkey:
            corpus.edit(name, "key 1", "revkey", *answers, "save", at=LAST)
        else:
            revocation = corpus.gpg(
                "--gen-revoke", name, data="\n".join([*answers, ""]).encode(), at=LAST, tty=True
            )
            corpus.gpg("--import", data=revocation)


def _without_flag(corpus: Corpus) -> None:
    corpus.key("unflagged")
    corpus.sign("primary key without signing flag", "unflagged")
    corpus.edit("unflagged", "change-usage", "s", "q", "save")
    corpus.key_with_subkey("unflagged-subkey")
    corpus.sign("subkey without signing flag", "unflagged-subkey")
    corpus.edit("unflagged-subkey", "key 1", "change-usage", "s", "a", "q", "save")


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    date = datetime.now(UTC) - timedelta(hours=1)
    return archive(tmp_path_factory.mktemp("corpus") / "mirror", [suite(date=date)])


@pytest.fixture(scope="module")
def cases(debian: Archive, tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    release = (debian.dists("trixie") / "Release").read_bytes()
    corpus = Corpus(tmp_path_factory.mktemp("gnupg") / "home", release)
    fill(corpus)
    made = corpus.cases()
    subprocess.run(["gpgconf", "--homedir", str(corpus.home), "--kill", "all"], check=False)
    return made


def ours(case: Case) -> bool:
    """As a new lock judges it: the signature, and the end of its keys by the clock."""
    ring = parse_keyring(case.certificate, case.name)
    try:
        signed = verify_clearsigned(case.data, ring)
    except BadSignature:
        return False
    end = ring.trust_end(signed.keys)
    return end is None or end.date > datetime.now(UTC)


def gpgv(case: Case, folder: Path) -> bool:
    """By its status lines, as apt reads them; its exit code is no verdict on keys."""
    (folder / "ring.gpg").write_bytes(case.certificate)
    (folder / "InRelease").write_bytes(case.data)
    status = subprocess.run(
        ["gpgv", "--homedir", str(folder), "--ignore-time-conflict", "--keyring",
         str(folder / "ring.gpg"), "--status-fd", "1", str(folder / "InRelease")],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    return "GOODSIG" in {line.split()[1] for line in status.splitlines()}


def apt(case: Case, debian: Archive, folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("etc/sources.list.d", "etc/preferences.d", "lists/partial", "cache/archives"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "ring.gpg").write_bytes(case.certificate)
    (debian.dists("trixie") / "InRelease").write_bytes(case.data)
    (folder / "etc" / "sources.list.d" / "x.sources").write_text(
        f"Types: deb\nURIs: {debian.url}\nSuites: trixie\nComponents: main\n"
        f"Signed-By: {folder}/ring.gpg\n"
    )
    settings = {
        "Dir::Etc": f"{folder}/etc", "Dir::State::lists": f"{folder}/lists",
        "Dir::State::status": f"{folder}/status", "Dir::Cache": f"{folder}/cache",
        "APT::Architecture": "amd64", "APT::Architectures": "amd64",
        "APT::Sandbox::User": "root", "Acquire::Languages": "none",
        "APT::Update::Error-Mode": "any",
    }  # fmt: skip
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    return not subprocess.run(
        ["apt-get", *options, "update"],
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "APT_CONFIG": "/dev/null", "LC_ALL": "C"},
        capture_output=True, check=False,
    ).returncode  # fmt: skip


def test_homeport_accepts_no_signature_that_gpgv_or_apt_rejects(
    cases: list[Case], debian: Archive, tmp_path: Path
) -> None:
    verdicts = {
        case.name: (ours(case), gpgv(case, tmp_path), apt(case, debian, tmp_path / "apt"))
        for case in cases
    }
    assert len(verdicts) == len(cases) >= 40
    assert {name for name, (we, them, their_apt) in verdicts.items() if we and not them} == set()
    assert {name for name, (we, _, their_apt) in verdicts.items() if we and not their_apt} == set()
    stricter = {name for name, (we, _, their_apt) in verdicts.items() if their_apt and not we}
    assert stricter <= STRICTER.keys()
    assert {name for name, (we, *_) in verdicts.items() if we} == {
        "plain", "digest SHA256", "digest SHA384", "digest SHA512", "notation",
        "signed years before the Date", "extended subkey",
        "key rsa3072", "key nistp256", "key nistp521",
    }  # fmt: skip


def test_a_weak_digest_is_named(cases: list[Case]) -> None:
    weak = next(case for case in cases if case.name == "digest SHA1")
    with pytest.raises(BadSignature, match="uses SHA1, which is weak"):
        verify_clearsigned(weak.data, parse_keyring(weak.certificate, "ring"))


def test_a_retired_key_is_trusted_until_its_revocation(cases: list[Case]) -> None:
    retired = next(case for case in cases if case.name == "subkey retired, signed before")
    ring = parse_keyring(retired.certificate, "ring")
    end = ring.trust_end(verify_clearsigned(retired.data, ring).keys)
    assert str(end) == "revoked on 2022-06-01"
