"""Our order of versions and our wildcards of architectures against those of dpkg."""

from __future__ import annotations

import random
import subprocess

import pytest

from homeport.debian.architecture import PLATFORM_OF, matches_architecture
from homeport.debian.version import parse_version

pytestmark = pytest.mark.peer("dpkg")

_PIECES = ["0", "1", "9", "10", "01", "~", "~~", "+", ".", "-", "a", "Z", "b1", "rc", "deb13u1"]
_PAIRS = 3000


def generated(seed: int, count: int) -> list[tuple[str, str]]:
    """Pairs that are often nearly the same, since that is where orders differ."""
    source = random.Random(seed)

    def version() -> str:
        epoch = source.choice(["", "", "", "0:", "1:", "12:"])
        text = source.choice("0123") + "".join(source.choices(_PIECES, k=source.randrange(5)))
        return epoch + text.rstrip("-")

    def changed(text: str) -> str:
        if source.random() < 0.3:
            return version()
        at = source.randrange(text.find(":") + 2, len(text) + 1)
        return (text[:at] + source.choice(_PIECES) + text[at + source.randrange(2) :]).rstrip("-")

    firsts = [version() for _ in range(count)]
    return [(first, changed(first)) for first in firsts]


def test_thousands_of_pairs_are_ordered_as_dpkg_orders_them() -> None:
    lines = []
    for left, right in generated(seed=4, count=_PAIRS):
        a, b = parse_version(left), parse_version(right)
        operator = "lt" if a < b else "gt" if a > b else "eq"
        claim = f"'{left}' {operator} '{right}'"
        lines.append(f"dpkg --compare-versions {claim} || echo {claim}")
    script = "\n".join(lines)
    run = subprocess.run(["sh"], input=script, capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("", "")


def test_the_generated_pairs_are_not_all_of_one_kind() -> None:
    pairs = [(parse_version(a), parse_version(b)) for a, b in generated(seed=4, count=_PAIRS)]
    shares = [sum(a < b for a, b in pairs), sum(a == b for a, b in pairs)]
    assert min(*shares, _PAIRS - sum(shares)) > 100


@pytest.mark.parametrize("text", ["", "1:", "a:1", "1-", "-1", "1 2", "1_2", "99999999999:1"])
def test_what_we_refuse_dpkg_warns_of_or_refuses_too(text: str) -> None:
    with pytest.raises(Exception, match=r"version"):
        parse_version(text)
    run = subprocess.run(
        ["dpkg", "--validate-version", text], capture_output=True, text=True, check=False
    )
    assert run.returncode != 0


@pytest.mark.peer("dpkg-architecture")
@pytest.mark.parametrize("architecture", sorted(PLATFORM_OF))
def test_wildcards_of_architectures_mean_what_dpkg_says(architecture: str) -> None:
    parts = ("any", "linux", "gnu", "musl", "hurd", "base", "eabi", "eabihf", "arm", "amd64")
    patterns = ["any", "amd64", "armhf", "mips64el", *(f"{a}-{b}" for a in parts for b in parts)]
    patterns += [f"{a}-{b}-any" for a in parts for b in parts]
    patterns += [f"{a}-gnu-{b}-any" for a in parts for b in parts]
    for pattern in patterns:
        command = ["dpkg-architecture", f"-a{architecture}", f"-i{pattern}"]
        expected = subprocess.run(command, check=False, capture_output=True).returncode == 0
        assert matches_architecture(architecture, pattern) == expected, pattern
