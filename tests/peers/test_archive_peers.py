"""Signatures made by GnuPG, and apt itself reading the archives that our tests use."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from builders.archive import archive, suite
from builders.deb import deb
from builders.opening import World, new_world
from homeport.debian.archive.apt_sources import read_apt_sources
from homeport.debian.archive.keyring import SHIPPED, Keyring, parse_keyring, shipped_keyring
from homeport.debian.archive.release import KeyExpired
from homeport.debian.archive.signature import BadSignature, verify_clearsigned, verify_detached

TEXT = b"Origin: Debian\nSuite: trixie\n- a line with a dash\n"


class Gpg:
    """A GnuPG home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(mode=0o700)

    def run(self, *arguments: str, data: bytes = b"") -> bytes:
        return subprocess.run(
            ["gpg", "--batch", "--quiet", "--homedir", str(self.home), "--pinentry-mode",
             "loopback", "--passphrase", "", *arguments],
            input=data, capture_output=True, check=True,
        ).stdout  # fmt: skip

    def key(self, name: str, *options: str, expires: str = "never") -> Keyring:
        self.run(*options, "--quick-gen-key", name, "rsa2048", "sign", expires)
        return parse_keyring(self.run("--export", name), name)

    def inrelease(self, name: str, *options: str, text: bytes = TEXT) -> bytes:
        return self.run(*options, "-u", name, "--clearsign", data=text)


@pytest.fixture
def gpg(tmp_path: Path):
    made = Gpg(tmp_path / "gnupg")
    yield made
    subprocess.run(["gpgconf", "--homedir", str(made.home), "--kill", "all"], check=False)


@pytest.mark.peer("gpg")
def test_what_gnupg_signed_is_believed(gpg: Gpg) -> None:
    ring = gpg.key("archive@debian.example")
    signed = verify_clearsigned(gpg.inrelease("archive@debian.example"), ring)
    assert signed.text.strip() == TEXT.strip()
    assert signed.signers == ring.fingerprints
    detached = gpg.run("-u", "archive@debian.example", "--armor", "--detach-sign", data=TEXT)
    assert verify_detached(TEXT, detached, ring).signers == ring.fingerprints


@pytest.mark.peer("gpg")
def test_a_signature_over_sha1_is_not_believed(gpg: Gpg) -> None:
    ring = gpg.key("archive@debian.example")
    weak = gpg.inrelease("archive@debian.example", "--digest-algo", "SHA1")
    assert b"Hash: SHA1" in weak
    with pytest.raises(BadSignature):
        verify_clearsigned(weak, ring)


@pytest.mark.peer("gpg")
def test_a_signature_made_after_its_key_expired_is_not_believed(gpg: Gpg) -> None:
    past = "--faked-system-time", "20200101T000000!"
    ring = gpg.key("archive@debian.example", *past, expires="1y")
    honest = gpg.inrelease("archive@debian.example", *past)
    signed = verify_clearsigned(honest, ring)  # at the time that it states
    assert str(ring.trust_end(signed.keys)) == "expired on 2020-12-31"
    with pytest.raises(subprocess.CalledProcessError):
        gpg.inrelease("archive@debian.example")


@pytest.mark.peer("gpg")
def test_an_archive_whose_keys_have_expired_is_refused_unless_a_date_is_given(
    gpg: Gpg, tmp_path: Path
) -> None:
    past = "--faked-system-time", "20200101T000000!"
    ring = gpg.key("archive@debian.example", *past, expires="1y")
    date = datetime(2020, 1, 1, tzinfo=UTC)
    debian = archive(tmp_path / "mirror", [suite(date=date, valid_for=None)])
    directory = debian.dists("trixie")
    release = (directory / "Release").read_bytes()
    (directory / "InRelease").write_bytes(
        gpg.inrelease("archive@debian.example", *past, text=release)
    )
    world = new_world(tmp_path / "cache")
    try:
        with pytest.raises(KeyExpired, match="expired on 2020-12-31"):
            world.open(debian, keyring=ring, now=datetime(2021, 1, 1, tzinfo=UTC))
        assert world.open(debian, keyring=ring, now=date)
    finally:
        world.close()


@pytest.mark.peer("gpg")
def test_a_signature_from_the_future_says_that_the_clock_is_wrong(gpg: Gpg) -> None:
    ring = gpg.key("archive@debian.example")
    data = gpg.inrelease("archive@debian.example", "--faked-system-time", "20990101T000000!")
    with pytest.raises(BadSignature, match="in the future") as caught:
        verify_clearsigned(data, ring)
    assert caught.value.hint == "set this machine's clock"


@pytest.mark.peer("gpg")
def test_one_trusted_signer_among_strangers_is_enough(gpg: Gpg) -> None:
    gpg.key("stranger@debian.example")
    ring = gpg.key("archive@debian.example")
    data = gpg.inrelease("stranger@debian.example", "-u", "archive@debian.example")
    assert verify_clearsigned(data, ring).signers == ring.fingerprints


@pytest.mark.peer("gpg")
@pytest.mark.parametrize("name", SHIPPED)
def test_gnupg_reads_the_shipped_certificates_as_we_do(gpg: Gpg, name: str) -> None:
    ring = shipped_keyring(name)
    output = gpg.run("--with-colons", "--show-keys", data=ring.certificates[0]).decode()
    fingerprints = [line.split(":")[9] for line in output.splitlines() if line.startswith("fpr:")]
    assert fingerprints == list(ring.all_keys[0])


@pytest.fixture
def apt_root(tmp_path: Path) -> Path:
    """An apt configuration of its own, with nothing of this machine's."""
    for folder in ("etc/sources.list.d", "etc/preferences.d", "lists/partial", "cache/archives"):
        (tmp_path / "apt" / folder).mkdir(parents=True)
    (tmp_path / "apt" / "status").touch()
    return tmp_path / "apt"


def apt(root: Path, program: str, *arguments: str) -> str:
    settings = {
        "Dir::Etc": f"{root}/etc",
        "Dir::State::lists": f"{root}/lists",
        "Dir::State::status": f"{root}/status",
        "Dir::Cache": f"{root}/cache",
        "APT::Architecture": "amd64",
        "APT::Architectures": "amd64",
        "APT::Sandbox::User": "root",
        "Acquire::Check-Date": "true",
        "Acquire::Check-Valid-Until": "true",
        "Acquire::Languages": "none",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    return subprocess.run(
        [program, *options, *arguments],
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "APT_CONFIG": "/dev/null", "LC_ALL": "C"},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


@pytest.mark.peer("apt-get", "gpgv")
def test_apt_believes_the_little_archives_of_our_tests(tmp_path: Path, apt_root: Path) -> None:
    debian = archive(
        tmp_path / "mirror",
        [
            suite(
                packages=[deb("hello", "1.0-1", "amd64"), deb("hello", "1.1-1", "amd64")],
                date=datetime.now(UTC) - timedelta(hours=1),
            )
        ],
    )
    (tmp_path / "key.asc").write_bytes(debian.certificate)
    (apt_root / "etc" / "sources.list.d" / "x.sources").write_text(
        f"Types: deb\nURIs: {debian.url}\nSuites: trixie\nComponents: main\n"
        f"Signed-By: {tmp_path}/key.asc\n"
    )
    apt(apt_root, "apt-get", "update")
    shown = apt(apt_root, "apt-cache", "show", "hello")
    versions = [line.split()[1] for line in shown.splitlines() if line.startswith("Version:")]
    world: World = new_world(tmp_path / "cache")
    try:
        state = world.open(debian, architectures=["amd64"], now=datetime.now(UTC))
        ours = [package.id.version for package in state.indexes["amd64"].named("hello")]
    finally:
        world.close()
    assert ours == versions == ["1.1-1", "1.0-1"]


@pytest.mark.peer("apt-get")
def test_we_read_sources_as_apt_does(apt_root: Path) -> None:
    (apt_root / "etc" / "sources.list").write_text(
        "deb [arch=amd64] http://one.example/debian trixie main contrib\n"
        "# deb http://never.example/debian trixie main\n"
        "deb-src http://never.example/debian trixie main\n"
    )
    (apt_root / "etc" / "sources.list.d" / "b.sources").write_text(
        "# a comment\nTypes: deb\nURIs: http://two.example/debian/ http://three.example/debian/\n"
        "Suites: trixie trixie-updates\nComponents: main\n# another\nArchitectures: amd64\n\n"
        "Types: deb\nEnabled: no\nURIs: http://never.example/debian/\nSuites: trixie\n"
        "Components: main\n"
    )
    lines = apt(
        apt_root, "apt-get", "indextargets", "--no-release-info",
        "--format", "$(REPO_URI) $(SUITE) $(RELEASE) $(COMPONENT)", "Created-By: Packages",
    ).splitlines()  # fmt: skip
    theirs = {(line.split()[0].rstrip("/"), *line.split()[-2:]) for line in lines}
    ours = {
        (uri.rstrip("/"), name, component)
        for source in read_apt_sources(apt_root / "etc").sources
        for uri in source.uris
        for name in source.suites
        for component in source.components
    }
    assert ours == theirs
