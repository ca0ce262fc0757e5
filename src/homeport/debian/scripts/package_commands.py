"""Commands of maintainer scripts that Debian's packages bring: alternatives, diversions, PHP."""

from __future__ import annotations

import re
from collections.abc import Callable

from homeport.debian.scripts.capabilities import capability_attribute
from homeport.debian.scripts.command_output import output_of
from homeport.debian.scripts.diversions import divert_command
from homeport.debian.scripts.effects import (
    AddAlternative,
    AddCatalogEntry,
    MakeLink,
    SetCapabilities,
)
from homeport.debian.scripts.file_commands import set_attributes
from homeport.debian.scripts.machine import DONE, FOREIGN, UNSURE, Answer, Machine
from homeport.debian.scripts.modes import is_mode
from homeport.quantities import whole_number


def _statoverride(words: list[str], machine: Machine) -> Answer:
    operands = [word for word in words if not word.startswith("--")]
    if "--list" in words:
        return False, True
    if "--add" not in words or len(operands) != 4:
        return DONE if "--remove" in words else FOREIGN
    user, group, mode, path = operands
    if not is_mode(mode):
        return FOREIGN
    if machine.type_of(path) is None:
        return DONE
    return set_attributes(
        [path], machine, mode=mode.rjust(5, "0"), user=user, group=group, override=True
    )


def _divert(words: list[str], machine: Machine) -> Answer:
    found = divert_command(machine.package, words)
    if found is None:
        return FOREIGN if {"--add", "--divert", "--rename"} & set(words) else UNSURE
    if found.action in ("--add", "--remove"):
        machine.effects.append(found.effect(machine.package))
        return DONE
    if found.action == "--list":
        return machine.diversion(found.path) is not None, True
    return DONE


#: Type of a name → element of a catalog, and its attribute (OASIS XML Catalogs).
_CATALOG_TYPES = {
    "public": ("delegatePublic", "publicIdStartString"),
    "system": ("delegateSystem", "systemIdStartString"),
    "uri": ("delegateURI", "uriStartString"),
}


def _xml_catalog(words: list[str], machine: Machine) -> Answer:
    """``update-xmlcatalog`` of xml-core, for its root catalog and those of packages."""
    flags = {word for word in words if word in ("--add", "--del", "--root", "--sort", "--verbose")}
    rest = [word for word in words if word not in flags]
    values = dict(zip(rest[::2], rest[1::2], strict=False))
    if "--del" in flags:
        return DONE
    kind, name = _CATALOG_TYPES.get(values.get("--type", "")), values.get("--id", "")
    package, local = values.get("--package", ""), values.get("--local", "")
    root = "--root" in flags
    usable = re.fullmatch(r"[A-Za-z0-9.+-]+", package) and not re.search(r'["<\n]', name + local)
    if "--add" not in flags or kind is None or not name or not usable or not (root or local):
        return FOREIGN
    machine.effects.append(
        AddCatalogEntry(
            package=machine.package, catalog="catalog" if root else f"{package}.xml",
            key=f'{kind[0]} {kind[1]}="{name}"',
            target=f"file:///etc/xml/{package}.xml" if root else f"file://{local}",
        )
    )  # fmt: skip
    return DONE


def _alternatives(words: list[str], machine: Machine) -> Answer:
    todo = list(words)
    while todo and todo[0] in ("--quiet", "--force", "--verbose", "--skip-auto"):
        todo.pop(0)
    if todo[:1] in (["--query"], ["--list"], ["--display"]):
        return bool(output_of(["update-alternatives", *todo], None, machine)), True
    if not todo or todo[0] != "--install":
        return DONE  # --remove, --set to what is chosen anyway
    priority = whole_number(todo[4].removeprefix("-")) if len(todo) > 4 else None
    if priority is None:
        return FOREIGN
    slaves: list[tuple[str, str, str]] = []
    rest = todo[5:]
    while rest:
        if rest[0] not in ("--slave", "--follower") or len(rest) < 4:
            return FOREIGN
        slaves.append((rest[1], rest[2], rest[3]))
        rest = rest[4:]
    machine.effects.append(
        AddAlternative(
            package=machine.package, link=todo[1], name=todo[2], path=todo[3],
            priority=-priority if todo[4][0] == "-" else priority, slaves=tuple(slaves),
        )
    )  # fmt: skip
    return DONE


_PHP_SAPIS = ("cli", "fpm", "cgi", "apache2", "embed", "phpdbg")
_PRIORITY = re.compile(r"^;\s*priority\s*=\s*(\d+)", re.MULTILINE)


def _php(words: list[str], machine: Machine) -> Answer:
    """``php_invoke enmod VERSION SAPI MODULE``: links in conf.d of every SAPI that is there.

    Their names begin with the priority that the module's file names (phpenmod(8)).
    """
    match words:
        case ["enmod", version, sapi, module]:
            available = f"/etc/php/{version}/mods-available/{module}.ini"
            found = _PRIORITY.search(machine.text_of(available) or "")
            priority = found[1] if found else "20"
            for each in _PHP_SAPIS if sapi == "ALL" else (sapi,):
                if machine.type_of(f"/etc/php/{version}/{each}") or machine.type_of(
                    f"/usr/lib/php/{version}/sapi/{each}"
                ):
                    path = f"/etc/php/{version}/{each}/conf.d/{priority}-{module}.ini"
                    machine.effects.append(
                        MakeLink(package=machine.package, path=path, target=available)
                    )
            return DONE
    return DONE


_APACHE_MPMS = ("mpm_prefork", "mpm_worker", "mpm_event")


def _apache(words: list[str], machine: Machine) -> Answer:
    """``apache2_invoke enmod NAME``: links in mods-enabled, or conf- and sites-enabled."""
    match [word for word in words if not word.startswith("-")]:
        case [("enmod" | "enconf" | "ensite") as kind, name, *_]:
            folder = {"enmod": "mods", "enconf": "conf", "ensite": "sites"}[kind]
            name = name.removesuffix(".conf").removesuffix(".load")
            if name.startswith("mpm_") and any(
                machine.type_of(f"/etc/apache2/mods-enabled/{other}.load")
                for other in _APACHE_MPMS
                if other != name
            ):
                return False, True  # as a2enmod: they exclude each other
            for end in (".load", ".conf"):
                if machine.type_of(f"/etc/apache2/{folder}-available/{name}{end}") is not None:
                    machine.effects.append(
                        MakeLink(
                            package=machine.package,
                            path=f"/etc/apache2/{folder}-enabled/{name}{end}",
                            target=f"../{folder}-available/{name}{end}",
                        )
                    )
            return DONE
    return DONE


def _setcap(words: list[str], machine: Machine) -> Answer:
    """``setcap TEXT FILE``, more such pairs after it; ``-r`` removes what upgrades have."""
    operands = [word for word in words if word not in ("-q", "-v", "-n")]
    if operands[:1] == ["-r"]:
        return DONE
    if len(operands) % 2:
        return FOREIGN
    for text, path in zip(operands[::2], operands[1::2], strict=True):
        if re.fullmatch(r"[a-z_,]+-[eip]+", text):
            continue  # taken away: a package ships none
        attribute = capability_attribute(text)
        if attribute is None:
            return FOREIGN
        machine.effects.append(
            SetCapabilities(package=machine.package, path=machine.path(path), attribute=attribute)
        )
    return DONE


PACKAGE_COMMANDS: dict[str, Callable[[list[str], Machine], Answer]] = {
    "dpkg-divert": _divert,
    "dpkg-statoverride": _statoverride,
    "update-alternatives": _alternatives,
    "update-xmlcatalog": _xml_catalog,
    "php_invoke": _php,
    "apache2_invoke": _apache,
    "a2enmod": lambda words, machine: _apache(["enmod", *words], machine),
    "a2enconf": lambda words, machine: _apache(["enconf", *words], machine),
    "a2ensite": lambda words, machine: _apache(["ensite", *words], machine),
    "setcap": _setcap,
}
