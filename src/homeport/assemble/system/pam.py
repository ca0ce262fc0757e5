"""/etc/pam.d/common-*: what ``pam-auth-update`` makes of its templates and profiles.

Packages ship profiles in /usr/share/pam-configs, libpam-runtime the templates in
/usr/share/pam. Every profile whose default is yes is on, the highest priority first; a
template has a place for modules of the "Primary" and one for those of the "Additional"
block (pam-auth-update(8), and the wiki page PAMConfigFrameworkSpec of Ubuntu). Read at pam
1.7.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from homeport.assemble.system.paths import ImagePaths
from homeport.debian.scripts.effects import Effect, MakeFile

PROGRAM = "/usr/sbin/pam-auth-update"
_PACKAGE = "libpam-runtime"
_TEMPLATES = "/usr/share/pam"
_PROFILES = "/usr/share/pam-configs"
_TYPES = ("auth", "account", "password", "session", "session-noninteractive")
_BLOCKS = {
    '# here are the per-package modules (the "Primary" block)': "Primary",
    '# and here are more per-package modules (the "Additional" block)': "Additional",
}
_ENDS = {
    "Primary": "# here's the fallback if no module succeeds",
    "Additional": "# end of pam-auth-update config",
}
_MODULE = re.compile(r"((?:\[[^]]+\]|\w+)\s+\S+)\s*(.*)")

Profile = dict[str, str]


def pam_effects(paths: ImagePaths) -> Iterator[Effect]:
    if paths.type_of(PROGRAM) is None:
        return
    profiles = _chosen(
        [_profile(text, name) for name in paths.names_in(_PROFILES)
         if (text := paths.text_of(f"{_PROFILES}/{name}")) is not None]
    )  # fmt: skip
    for kind in _TYPES:
        template = paths.text_of(f"{_TEMPLATES}/common-{kind}")
        if template is not None:
            text = common_file(template, kind, profiles)
            yield MakeFile(package=_PACKAGE, path=f"/etc/pam.d/common-{kind}", text=text)


def common_file(template: str, kind: str, profiles: list[Profile]) -> str:
    """The file of one kind: ``template`` with the modules of ``profiles`` in its two blocks."""
    made: list[str] = []
    end = ""
    for line in template.splitlines():
        if end and not line.startswith(end):
            continue
        end = ""
        made.append(line)
        block = next((name for start, name in _BLOCKS.items() if line.startswith(start)), None)
        if block is not None:
            made += _modules(block, kind, profiles)
            end = _ENDS[block]
    return "".join(f"{line}\n" for line in made)


def _modules(block: str, kind: str, profiles: list[Profile]) -> list[str]:
    base = kind.removesuffix("-noninteractive")
    field = base.capitalize()
    using = [
        profile for profile in profiles if profile.get(f"{field}-Type", "") == block
        and not (base != kind and profile.get("Session-Interactive-Only") == "yes")
    ]  # fmt: skip
    lines: list[str] = []
    for number, profile in enumerate(using):
        first = profile.get(f"{field}-Initial", "") if number == 0 else ""
        lines += (first or profile.get(field, "")).splitlines()
    if not lines and block == "Primary":
        return [f"{base}\t[default=1]\t\t\tpam_permit.so"]
    # A jump to "end" counts the modules between.
    left = len(lines) if block == "Primary" else len(lines) - 1
    return [f"{base}\t{_line(line, left - number)}" for number, line in enumerate(lines)]


def _line(line: str, left: int) -> str:
    match = _MODULE.match(line)
    if match is None:
        return line
    return f"{match[1].replace('end', str(left))} {' '.join(match[2].split())}"


def _profile(text: str, name: str) -> Profile:
    """Fields of a profile; the lines of a module's list without the blanks before them."""
    fields: Profile = {"": name}
    field = ""
    for line in text.splitlines():
        if line.startswith((" ", "\t")):
            if field and line.strip():
                fields[field] = f"{fields[field]}\n{line.strip()}".strip("\n")
        elif ":" in line and not line.startswith("#"):
            field, _, value = line.partition(":")
            fields[field] = value.strip()
    return fields


def _chosen(profiles: list[Profile]) -> list[Profile]:
    """Those that are on by default, by priority; none that one before it conflicts with."""
    wanted = [profile for profile in profiles if profile.get("Default", "") == "yes"]
    wanted.sort(key=lambda profile: profile[""], reverse=True)
    wanted.sort(key=lambda profile: -_number(profile.get("Priority", "")))
    against: set[str] = set()
    kept: list[Profile] = []
    for profile in wanted:
        if profile[""] not in against:
            kept.append(profile)
            against |= {name.strip() for name in profile.get("Conflicts", "").split(",")}
    return kept


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
