"""What a Go binary was built from: version, main package, module, revision, all packages.

By the build information where there is some (Go 1.13 and later, modules), else by the table
of functions, which every Go version writes. Each answer names its evidence.
"""

from __future__ import annotations

import os.path
import re

import msgspec

from homeport.elf import Elf
from homeport.inspection.binaries.gobuildinfo import GoModule, find_version, read_buildinfo
from homeport.inspection.binaries.pclntab import GoTable, read_table

_COMMAND_LINE = "command-line-arguments"
_RUNTIME = re.compile(rb"(.*)/src/runtime/proc(?:1)?\.go")
_MODULE_CACHE = "/pkg/mod/"
_DISTRIBUTIONS = (
    ("/usr/lib/go-", "Debian"),
    ("/usr/lib/golang", "Fedora"),
    ("/usr/lib/go", "Alpine or Arch"),
    ("/usr/local/go", "go.dev or its image"),
)
MOST_PACKAGES = 5000


class GoFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The facts recorded in a Go binary.

    main:        path of its main package
    main_evidence: build information, source path, or guess
    source:      source file of ``main.main``
    packages:    the packages it was built from, without Go's own; ``main`` left out
    standard:    how many packages of Go's own
    versions:    of modules, from file names, if nothing else records them
    goroot_origin: whose Go the path of its own library suggests
    table_format: layout of the table of functions
    """

    version: str = ""
    main: str = ""
    main_evidence: str = ""
    module: GoModule | None = None
    vcs: str = ""
    revision: str = ""
    revision_time: str = ""
    modified: bool = False
    settings: dict[str, str] = {}
    dependencies: tuple[GoModule, ...] = ()
    packages: tuple[str, ...] = ()
    standard: int = 0
    versions: dict[str, str] = {}
    source: str = ""
    goroot: str = ""
    goroot_origin: str = ""
    build_id: str = ""
    table_format: str = ""
    note: str = ""


def read_go(elf: Elf) -> GoFacts | None:
    """The facts of a Go binary; ``None`` if it is none."""
    info = read_buildinfo(elf)
    build_id = _build_id(elf)
    table = None
    if info is not None or build_id or _looks_like_go(elf):
        table = read_table(elf)
    if info is None and table is None:
        return GoFacts(build_id=build_id, note=_OBFUSCATED) if build_id else None
    version = info.version if info is not None else find_version(elf)
    if info is None and not version and not _is_go_table(table):
        return None
    settings = dict(info.settings) if info is not None else {}
    packages, standard = _packages(table)
    main, main_evidence, source = _main(info.path if info else "", table, packages)
    goroot, says = _goroot(table)
    return GoFacts(
        version=version,
        main=main,
        main_evidence=main_evidence,
        module=info.module if info else None,
        vcs=settings.get("vcs", ""),
        revision=settings.get("vcs.revision", ""),
        revision_time=settings.get("vcs.time", ""),
        modified=settings.get("vcs.modified") == "true",
        settings=settings,
        dependencies=info.dependencies if info else (),
        packages=packages[:MOST_PACKAGES],
        standard=standard,
        versions=_versions(table),
        source=source,
        goroot=goroot,
        goroot_origin=says,
        build_id=build_id,
        table_format=table.table_format if table else "",
    )


_OBFUSCATED = "has a Go build ID, but its function table is unreadable (obfuscated?)"


def _looks_like_go(elf: Elf) -> bool:
    if elf.find_section(".gopclntab") is not None:
        return True
    return b"runtime.goexit" in elf.data or b"Go build ID" in elf.data[: 1 << 20]


def _is_go_table(table: GoTable | None) -> bool:
    return table is not None and b"runtime.goexit" in table.functions


def _build_id(elf: Elf) -> str:
    for owner, type, text in elf.notes():
        if owner == b"Go" and type == 4:
            return text.decode("ascii", "replace")
    found = re.search(rb'\xff Go build ID: "([^"\n]{1,200})"', elf.data[: 1 << 16])
    return found[1].decode("ascii", "replace") if found else ""


def _packages(table: GoTable | None) -> tuple[tuple[str, ...], int]:
    """Packages by the names of functions and the directories of files; and how many standard."""
    if table is None:
        return (), 0
    names = {_package_of(name.decode("utf-8", "replace")) for name in table.functions}
    for file in table.files:
        names.add(_package_of_file(file.decode("utf-8", "replace")))
    names -= {"", "main"}
    own = sorted(name for name in names if not _is_standard(name))
    return tuple(own), len(names) - len(own)


def _package_of(function: str) -> str:
    """``github.com/a/b.(*T).Method`` → ``github.com/a/b``; vendored ones by their own path."""
    name = re.sub(r"^(?:type\.\.|type:\.?|go:|go\.)(?:eq\.|hash\.|\.)*", "", function)
    name = name.partition("[")[0]
    head, slash, tail = name.rpartition("/")
    package = head + slash + tail.partition(".")[0]
    package = package.replace("%2e", ".").replace("%2E", ".")
    if not re.fullmatch(r"[\w.~/+-]+", package) or package.startswith("."):
        return ""
    return package.rpartition("/vendor/")[2]


def _package_of_file(file: str) -> str:
    """The package of a source file, if its path contains it."""
    if found := _in_module_cache(file):
        module, inner = _unescaped(found[0]), found[2].rpartition("/")[0]
        return f"{module}/{inner}" if inner else module
    _, mark, rest = file.rpartition("/vendor/")
    if mark:
        return rest.rpartition("/")[0]
    return ""


def _in_module_cache(file: str) -> tuple[str, str, str] | None:
    """Module, version and path below it of ``…/pkg/mod/MODULE@VERSION/PATH``."""
    rooted = "/" + file
    at = rooted.rfind(_MODULE_CACHE, 0, rooted.rfind("@"))
    if at < 0:
        return None
    module, _, rest = rooted[at + len(_MODULE_CACHE) :].partition("@")
    version, _, path = rest.partition("/")
    return (module, version, path) if module and version else None


def _unescaped(path: str) -> str:
    """Undo the escaping of Go's module cache, which writes capital letters as ``!a``."""
    return re.sub(r"!([a-z])", lambda found: found[1].upper(), path)


def _is_standard(package: str) -> bool:
    return "." not in package.partition("/")[0]


def _main(path: str, table: GoTable | None, packages: tuple[str, ...]) -> tuple[str, str, str]:
    """The main package, how it is known, and its source file."""
    source = table.main.decode("utf-8", "replace") if table else ""
    if path and path != _COMMAND_LINE:
        return path, "build information", source
    found = _main_by_source(source)
    if found:
        return found, "source path", source
    # The common prefix of the module's own packages, if the main package does not tell.
    guess = _common(packages)
    if guess:
        return guess, "guess", source
    return "", "", source


def _main_by_source(source: str) -> str:
    if not source:
        return ""
    folder = source.rpartition("/")[0]
    if _in_module_cache(source):
        return _package_of_file(source)
    _, mark, inside = folder.rpartition("/src/")
    if mark and "." in inside.partition("/")[0]:
        return inside
    if not folder.startswith("/") and "/" in folder:
        return folder  # -trimpath, or a path relative to a workspace
    return ""


def _common(packages: tuple[str, ...]) -> str:
    hosts: dict[str, list[str]] = {}
    for package in packages:
        root = "/".join(package.split("/")[:3])
        hosts.setdefault(root, []).append(package)
    if not hosts:
        return ""
    root = max(hosts, key=lambda one: len(hosts[one]))
    return os.path.commonpath(hosts[root]) if len(hosts[root]) > 1 else root


def _goroot(table: GoTable | None) -> tuple[str, str]:
    for file in table.files if table else ():
        if found := _RUNTIME.fullmatch(file):
            root = found[1].decode("utf-8", "replace")
            origin = next((name for prefix, name in _DISTRIBUTIONS if root.startswith(prefix)), "")
            return root, origin
    return "", ""


def _versions(table: GoTable | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for file in table.files if table else ():
        if match := _in_module_cache(file.decode("utf-8", "replace")):
            found[_unescaped(match[0])] = match[1]
    return dict(sorted(found.items()))
