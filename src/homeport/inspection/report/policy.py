"""Rules that an image must pass, for CI: read from a file or from options, checked on a report.

The file is YAML with ``rules:``. dive's ``.dive-ci`` is understood: its names in both
spellings, its "disabled". Each rule has a result; the caller decides about a failure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from homeport.content.files import read_input
from homeport.errors import Faults
from homeport.images.ambiguity import AMBIGUOUS
from homeport.inspection.model import ImageReport, InspectReport
from homeport.quantities import counted, human_size
from homeport.yamlfile.parse import BadYaml, Entries, Items, Scalar, YamlNode, parse_yaml
from homeport.yamlfile.scalars import Reader
from homeport.yamlfile.shapes import distinct

SCHEMA = "homeport-inspect-rules/v1"
_MAX_FILE = 1 << 20
_OFF = frozenset({"", "disabled", "off", "false", "empty", "none"})
_UNITS = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "k": 10**3, "m": 10**6, "g": 10**9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30,
}  # fmt: skip
_SPANS = {"h": 1 / 24, "d": 1, "w": 7, "m": 30, "y": 365}
_DIVE = {
    "lowestefficiency": "min-efficiency",
    "lowest-efficiency": "min-efficiency",
    "highestwastedbytes": "max-dive-wasted-bytes",
    "highest-wasted-bytes": "max-dive-wasted-bytes",
    "highestuserwastedpercent": "max-user-wasted",
    "highest-user-wasted-percent": "max-user-wasted",
}


class BadRule(BadYaml):
    """A rule that is not known, or a limit that is none."""

    id = "bad-rule"


class RuleResult(msgspec.Struct, frozen=True, kw_only=True):
    """A rule checked on an image: its limit, the value found, and whether it passed."""

    rule: str
    limit: str
    found: str
    passed: bool


class RulesReport(msgspec.Struct, frozen=True, kw_only=True):
    """``homeport-inspect-rules/v1``: every rule that was checked on an image."""

    schema: str = SCHEMA
    address: str
    digest: str
    passed: bool
    rules: tuple[RuleResult, ...]

    @property
    def broken(self) -> list[str]:
        """The names of the rules that the image breaks."""
        return [one.rule for one in self.rules if not one.passed]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule with its limit as written and as a value."""

    name: str
    text: str
    value: Any


def parse_rule(name: str, text: str) -> Rule | None:
    """A rule; ``None`` if its limit disables it. Raises ``BadRule``."""
    plain = name.strip()
    plain = _DIVE.get(plain.lower(), plain)
    if plain not in _RULES:
        raise BadRule(f"unknown rule {name!r}", hint=f"known rules: {', '.join(_RULES)}")
    text = text.strip().strip("\"'")
    flag = plain in ("no-setuid", "must-have-sbom")
    if text.lower() in (_OFF - {""} if flag else _OFF):
        return None
    try:
        return Rule(name=plain, text=text, value=_RULES[plain][0](text))
    except ValueError as error:
        raise BadRule(f"invalid limit {text!r} for {plain}", hint=str(error)) from error


def read_rules(path: Path) -> list[Rule]:
    """The rules of a file. All its faults at once (``Faults``)."""
    document = parse_yaml(read_input(path, _MAX_FILE), str(path), BadRule)
    entries = document.entries if isinstance(document, Entries) else []
    rules = next((value for key, value in entries if key.text == "rules"), document)
    reader = Reader(str(path), BadRule)
    if not isinstance(rules, Entries):
        raise BadRule("missing 'rules:'", where=reader.position(rules, "rules").where())
    found = []
    for key, value in distinct(rules, "rules", reader):
        try:
            if rule := parse_rule(key.text, _limit(value)):
                found.append(rule)
        except BadRule as error:
            reader.fault(value, f"rules.{key.text}", error.what, error.hint)
    if reader.faults:
        number = "1 fault" if len(reader.faults) == 1 else f"{len(reader.faults)} faults"
        raise Faults(reader.faults, what=f"{number} in {path}")
    return found


def choose_rules(config: Path | None, assignments: Sequence[str]) -> list[Rule]:
    """The rules of a file, then ``NAME=LIMIT`` assignments, which win.

    Without ``config``, ``.dive-ci`` of the current directory if it exists; without any rule,
    dive's defaults.
    """
    if config is None and (default := Path(".dive-ci")).is_file():
        config = default
    found = read_rules(config) if config is not None else []
    pairs = [(name, limit) for name, _, limit in (word.partition("=") for word in assignments)]
    if config is None and not pairs:
        pairs = list(DEFAULTS)
    return found + [rule for name, limit in pairs if (rule := parse_rule(name, limit))]


#: What dive checks by default.
DEFAULTS = (("min-efficiency", "0.9"), ("max-user-wasted", "0.1"))


def check_report(report: InspectReport, rules: Sequence[Rule], now: datetime) -> RulesReport:
    """Check every rule on the image of a report."""
    results = tuple(check_rules(report.image, rules, now))
    return RulesReport(
        address=report.address, digest=report.image.digest,
        passed=all(one.passed for one in results), rules=results,
    )  # fmt: skip


def check_rules(report: ImageReport, rules: Sequence[Rule], now: datetime) -> list[RuleResult]:
    """Every rule on one image, in the given order; of two of one name the last counts."""
    last = {rule.name: rule for rule in rules}
    results = [
        RuleResult(rule=name, limit=rule.text, found=found, passed=passed)
        for name, rule in last.items()
        for found, passed in [_RULES[name][1](report, rule.value, now)]
    ]
    # No rule can be checked on an image that is another one for other readers.
    return results + [
        RuleResult(rule="no-ambiguous-document", limit="", found=one.examples[0], passed=False)
        for one in report.anomalies
        if one.kind == AMBIGUOUS
    ]


# -- limits


def _fraction(text: str) -> float:
    number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= number <= 1:
        raise ValueError("expected a number from 0 to 1, or a percentage")
    return number


def _bytes(text: str) -> int:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", text)
    if found is None or found[2].lower() not in _UNITS:
        raise ValueError("expected a size such as 20MB or 1.5GiB")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def _span(text: str) -> timedelta:
    found = re.fullmatch(r"([0-9]+)([hdwmy])", text)
    if found is None:
        raise ValueError("expected a time span such as 30d, 12w or 1y")
    return timedelta(days=int(found[1]) * _SPANS[found[2]])


def _flag(text: str) -> bool:
    if text.lower() not in ("", "true", "yes", "on", "1"):
        raise ValueError("expected on or off")
    return True


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names:
        raise ValueError("expected names, separated by commas")
    return names


def _limit(node: YamlNode) -> str:
    """A limit as written; a list is written as its items with commas."""
    if isinstance(node, Items):
        return ",".join(_limit(item) for item in node.items)
    if not isinstance(node, Scalar):
        raise BadRule("expected a limit, found a mapping")
    return "" if node.plain and node.text in ("~", "null") else node.text


# -- checks


def _efficiency(report: ImageReport, limit: float, _now: datetime) -> tuple[str, bool]:
    score = report.waste.dive.score
    return f"{score:.4f}", score >= limit


def _wasted(report: ImageReport, limit: int, _now: datetime) -> tuple[str, bool]:
    return human_size(report.waste.size), report.waste.size <= limit


def _dive_wasted(report: ImageReport, limit: int, _now: datetime) -> tuple[str, bool]:
    wasted = report.waste.dive.wasted_bytes
    return human_size(wasted), wasted <= limit


def _user_wasted(report: ImageReport, limit: float, _now: datetime) -> tuple[str, bool]:
    wasted = report.waste.dive.user_wasted
    return f"{wasted:.4f}", wasted <= limit


def _size(report: ImageReport, limit: int, _now: datetime) -> tuple[str, bool]:
    return human_size(report.sizes.compressed), report.sizes.compressed <= limit


def _age(report: ImageReport, limit: timedelta, now: datetime) -> tuple[str, bool]:
    age = report.age
    created = [] if age.created_is_fixed else [age.created]
    for stamp in (*created, age.newest_history):
        try:
            made = datetime.fromisoformat(re.sub(r"\.\d+", "", stamp).replace("Z", "+00:00"))
        except ValueError:
            continue
        made = made if made.tzinfo else made.replace(tzinfo=UTC)
        return f"{(now - made).days} days", now - made <= limit
    return "unknown: no timestamp of the build", False


def _setuid(report: ImageReport, _limit: bool, _now: datetime) -> tuple[str, bool]:
    found = [one for one in report.anomalies if one.kind in ("setuid", "setgid")]
    count = sum(one.count for one in found)
    first = f", first {found[0].examples[0]}" if found else ""
    return f"{counted(count, 'file')}{first}", not count


def _sbom(report: ImageReport, _limit: bool, _now: datetime) -> tuple[str, bool]:
    count = sum(one.kind == "SBOM" for one in report.attached)
    return f"{count} SBOMs", bool(count)


def _base(report: ImageReport, limit: tuple[str, ...], _now: datetime) -> tuple[str, bool]:
    base = report.base
    release = base.version.partition(".")[0]
    mine = {
        base.image, base.image_digest, base.distribution, base.codename,
        f"{base.distribution}:{base.version}", f"{base.distribution}:{release}",
        f"{base.distribution}:{base.codename}",
    } - {"", ":"}  # fmt: skip
    shown = base.image or f"{base.distribution}:{base.version}".strip(":") or "unknown"
    return shown, any(name in mine for name in limit)


_Limit = Callable[[str], Any]
_Check = Callable[[ImageReport, Any, datetime], tuple[str, bool]]
_RULES: dict[str, tuple[_Limit, _Check]] = {
    "min-efficiency": (_fraction, _efficiency),
    "max-wasted-bytes": (_bytes, _wasted),
    "max-dive-wasted-bytes": (_bytes, _dive_wasted),
    "max-user-wasted": (_fraction, _user_wasted),
    "max-size": (_bytes, _size),
    "max-age": (_span, _age),
    "no-setuid": (_flag, _setuid),
    "must-have-sbom": (_flag, _sbom),
    "base-in": (_names, _base),
}
