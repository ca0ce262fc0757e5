"""The commands of maintainer scripts that Homeport understands: a white list.

Each either answers a question (``getent``, ``command -v``), has no effect on an image
(``systemctl``), or becomes an ``Effect``. Read in Debian trixie's scripts of about 1,200
packages that images use (docs/decisions/maintainer-scripts.md).
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Callable

import msgspec

from homeport.debian.architecture import TRIPLET_OF
from homeport.debian.scripts.accounts import ACCOUNT_COMMANDS
from homeport.debian.scripts.capabilities import capability_attribute
from homeport.debian.scripts.diversions import divert_command
from homeport.debian.scripts.effects import (
    AddAlternative,
    AddCatalogEntry,
    AddGroup,
    AddMember,
    AddUser,
    CopyTree,
    Divert,
    Effect,
    EndDiversion,
    MakeDirectory,
    MakeFile,
    MakeLink,
    SetAttributes,
    SetCapabilities,
)
from homeport.debian.scripts.modes import changed_mode, is_mode
from homeport.debian.version import parse_version
from homeport.errors import HomeportError

Answer = tuple[bool | None, bool]  # status, understood
_DONE: Answer = (True, True)
_UNSURE: Answer = (None, True)
_FOREIGN: Answer = (None, False)

#: Of no effect on an image: services, triggers, the machine's state, tidying, messages.
_WITHOUT_EFFECT_TEXT = """
    : true echo printf exec trap export sync sleep logger wait kill
    systemctl deb-systemd-helper deb-systemd-invoke invoke-rc.d update-rc.d service busctl
    systemd-tmpfiles systemd-sysusers runit-helper journalctl udevadm modprobe sysctl
    update-initramfs start-stop-daemon named-checkconf vgcfgbackup
    dpkg-trigger dpkg-maintscript-helper update-menus update-binfmts install-info
    install-docs update-mime ucfr ldconfig restorecon nscd telinit py3compile py3clean
    pycompile pyclean pypy3compile fc-cache glib-compile-schemas gio-querymodules
    update-mime-database update-desktop-database gtk-update-icon-cache update-icon-caches
    update-gsfontmap update-ca-certificates update-passwd shadowconfig update-shells add-shell
    remove-shell pam-auth-update mandb setpriv aa-enabled apparmor_parser a2query apache2_msg
    fold rm rmdir db_version db_input db_go db_stop db_subst db_fset
    db_reset db_purge db_capb db_title db_unregister db_beginblock db_endblock db_settitle
    db_progress db_clear db_info db_block
"""
WITHOUT_EFFECT = frozenset(_WITHOUT_EFFECT_TEXT.split())

#: Commands whose results belong to a container or a machine, never to an image.
BELONGS_ELSEWHERE = frozenset(
    ("make-ssl-cert", "ssh-keygen", "pg_createcluster", "slappasswd", "slapadd", "newaliases",
     "postalias", "dbus-uuidgen", "mysql_install_db", "mariadb-install-db",
     "systemd-machine-id-setup", "openssl", "rndc-confgen", "nsd-control-setup", "xrdp-keygen",
     "mkdhparams",
     "runlevel", "who", "ps", "pidof", "mountpoint", "df", "hostname", "uuidgen")
)  # fmt: skip

#: Ask about the machine; what they answer is not known.
_PROBES_TEXT = """
    grep egrep fgrep awk cut head tail sort uniq find cat ls stat expr tr wc cmp diff test
    md5sum sha1sum sha256sum sha512sum dpkg-query dpkg uname readlink realpath basename
    dirname date mktemp seq tty perl getcap pwd env phpquery debconf-show slapcat
    postconf db_fget db_metaget type set xargs
"""
_PROBES = frozenset(_PROBES_TEXT.split())

#: Print nothing when they read nothing.
_FILTERS = ("awk", "grep", "tr", "sed", "head", "tail", "sort", "uniq")

#: Commands that change an image: when one is not followed, it is reported.
_CHANGES_TEXT = """
    mkdir ln cp mv install chown chmod chgrp touch tee ucf adduser addgroup useradd groupadd
    usermod update-alternatives dpkg-divert dpkg-statoverride setcap setfacl php_invoke
    apache2_invoke update-xmlcatalog a2enmod a2enconf a2ensite
"""
CHANGES = frozenset(_CHANGES_TEXT.split())

#: How files of ``mktemp`` are called; none is made.
TEMPORARY = "/tmp/homeport-"  # noqa: S108


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """The image's files, as a script may ask about them.

    type_of: ``file``, ``directory``, ``symlink`` or ``None``
    target_of: what a link holds
    text_of: the text of a file, links followed
    names_in: names of files and links in a folder, in byte order
    """

    type_of: Callable[[str], str | None]
    target_of: Callable[[str], str | None]
    text_of: Callable[[str], str | None]
    names_in: Callable[[str], list[str]]


class Machine:
    """What a script has done so far, and what it may ask."""

    def __init__(
        self,
        *,
        package: str,
        architecture: str,
        files: Files,
        account: Callable[[str, str], bool],
        answers: dict[str, str | None],
    ) -> None:
        self.package = package
        self.architecture = architecture
        self.answers = answers
        self.files = files
        self.umask = 0o022
        self.folder = "/"
        self._temporary = 0
        self.effects: list[Effect] = []
        self._account = account

    def path(self, text: str) -> str:
        """The absolute path that ``text`` means in the script's working directory."""
        return posixpath.normpath(posixpath.join(self.folder, text))

    def type_of(self, path: str) -> str | None:
        """``file``, ``directory``, ``symlink`` or ``None``, with what the script made."""
        path = self.path(path)
        for effect in self.effects:
            if isinstance(effect, MakeDirectory | CopyTree) and effect.path == path:
                return "directory"
            if isinstance(effect, MakeFile) and effect.path == path:
                return "file"
            if isinstance(effect, MakeLink) and effect.path == path:
                return "symlink"
        return self.files.type_of(path)

    def test_file(self, operator: str, path: str) -> bool | None:
        if not path:
            return False
        path = self.path(path)
        if path.startswith(("/proc/", "/dev/", "/sys/", "/run/", "/tmp/")):  # noqa: S108
            return False
        found = self.type_of(path)
        if operator in ("-L", "-h"):
            return found == "symlink"
        if operator == "-d":
            return found == "directory"
        if operator == "-f":
            return found == "file"
        return found is not None

    def has_account(self, kind: str, name: str) -> bool:
        made = (AddUser,) if kind == "passwd" else (AddUser, AddGroup)
        if any(isinstance(e, made) and getattr(e, "name", "") == name for e in self.effects):
            return True
        return self._account(kind, name)

    def program(self, name: str) -> str | None:
        """Where the image has a program."""
        if name.startswith("/"):
            return name if self.type_of(name) else None
        places = ("/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/")
        return next((place + name for place in places if self.type_of(place + name)), None)

    def write(self, path: str, text: str) -> None:
        self.effects.append(
            MakeFile(
                package=self.package, path=self.path(path), text=text,
                mode=self.new_mode(0o666),
            )
        )  # fmt: skip

    def new_mode(self, mode: int) -> int | None:
        """Mode of something new; ``None``: the usual one."""
        return None if self.umask == 0o022 else mode & ~self.umask

    def made(self, path: str) -> MakeFile | None:
        """The file that the script has made at ``path``."""
        path = self.path(path)
        found = (e for e in self.effects if isinstance(e, MakeFile) and e.path == path)
        return next(found, None)

    def diversion(self, path: str) -> Divert | None:
        """The diversion of ``path`` that the script has made and not removed."""
        found = None
        for effect in self.effects:
            if isinstance(effect, Divert | EndDiversion) and effect.path == path:
                found = effect if isinstance(effect, Divert) else None
        return found

    def _groups_of(self, user: str) -> str | None:
        """Names of the groups of an account that the script has made."""
        made = [e for e in self.effects if isinstance(e, AddUser) and e.name == user]
        if not made:
            return None
        more = [e.group for e in self.effects if isinstance(e, AddMember) and e.user == user]
        return " ".join([made[0].group or user, *more]) + "\n"

    def output(self, words: list[str], text: str | None) -> str | None:  # noqa: PLR0911, PLR0912  a row a command
        """What a command prints, if that follows from what is known."""
        match words:
            case ["cat"] | ["cat", "-"]:
                return text
            case [":"] | ["true"]:
                return ""
            case ["cut", *arguments] if text is not None:
                return _cut(arguments, text)
            case [name, *arguments] if text == "" and name in _FILTERS:
                # awk's BEGIN and END print without a line too.
                return None if re.search("BEGIN|END", " ".join(arguments)) else ""
            case ["readlink", path]:
                return self.files.target_of(self.path(path))
            case ["mktemp", *_]:
                self._temporary += 1
                return f"{TEMPORARY}{self._temporary}\n"
            case ["phpquery", "-M", "-v", version]:
                names = self.files.names_in(f"/etc/php/{version}/mods-available")
                return "".join(f"{name.removesuffix('.ini')}\n" for name in names)
            case ["id", "-Gn", name]:
                return self._groups_of(name)
            case ["update-alternatives", "--query" | "--list" | "--display", name]:
                offers = [
                    e for e in self.effects if isinstance(e, AddAlternative) and e.name == name
                ]
                best = max(offers, key=lambda each: each.priority, default=None)
                return f"Value: {best.path}\n" if best is not None else ""
            case ["getcap", _]:
                return ""
            case ["echo", "-n", *rest]:
                return " ".join(rest)
            case ["echo", *rest]:
                return " ".join(rest) + "\n"
            case ["printf", form] if "%" not in form:
                return form.replace("\\n", "\n").replace("\\t", "\t")
            case ["printf", "%s\n" | "%s\\n", one]:
                return one + "\n"
            case ["dpkg", "--print-architecture"]:
                return self.architecture
            case ["dpkg-architecture", option] if option.endswith("DEB_HOST_MULTIARCH"):
                return TRIPLET_OF.get(self.architecture)
            case ["basename", path]:
                return posixpath.basename(path.rstrip("/"))
            case ["basename", path, suffix]:
                return posixpath.basename(path.rstrip("/")).removesuffix(suffix)
            case ["dirname", path]:
                return posixpath.dirname(path)
            case ["id", "-u"]:
                return "0"
            case ["command", "-v", name] | ["which", name]:
                return self.program(name) or ""
            case ["dpkg-divert", "--truename", path]:
                diversion = self.diversion(path)
                return path if diversion is None else diversion.to
            case ["dpkg-divert", "--listpackage", path]:
                diversion = self.diversion(path)
                owner = "" if diversion is None else diversion.owner
                return "LOCAL" if owner == ":" else owner
            case ["dpkg-statoverride", "--list", _]:
                return ""
            case ["getent", kind, name] if not self.has_account(kind, name):
                return ""
        return None


def run_command(words: list[str], text: str | None, machine: Machine) -> Answer:
    """Status of a command, and whether it is understood; its effects are noted in ``machine``."""
    name = words[0].rpartition("/")[2] if words[0].startswith("/") else words[0]
    if name in WITHOUT_EFFECT:
        return _DONE
    if name in BELONGS_ELSEWHERE or name in _PROBES:
        return _compare(words) if words[:2] == ["dpkg", "--compare-versions"] else _UNSURE
    if name in ACCOUNT_COMMANDS:
        effects = ACCOUNT_COMMANDS[name](machine.package, words[1:])
        if effects is None:
            return _FOREIGN
        machine.effects += effects
        return _DONE
    known = _COMMANDS.get(name)
    return known(words[1:], machine) if known else _FOREIGN


def _compare(words: list[str]) -> Answer:
    """``dpkg --compare-versions``: an empty version is older than any (``lt-nl``: newer)."""
    if len(words) != 5:
        return _UNSURE
    left, operator, right = words[2:]
    newer = operator.endswith("-nl")
    operator = operator.removesuffix("-nl")
    if left and right:
        try:
            a, b = parse_version(left), parse_version(right)
        except HomeportError:
            return _UNSURE
        order = (a > b) - (a < b)
    elif left == right:
        order = 0
    else:
        order = (1 if newer else -1) * (1 if not left else -1)
    answers = {"lt": order < 0, "le": order <= 0, "eq": order == 0, "ne": order != 0,
               "ge": order >= 0, "gt": order > 0, "<<": order < 0, "<=": order <= 0,
               "=": order == 0, ">=": order >= 0, ">>": order > 0}  # fmt: skip
    return answers.get(operator), True


def _getent(words: list[str], machine: Machine) -> Answer:
    match words:
        case [("passwd" | "group") as kind, name]:
            return machine.has_account(kind, name), True
    return _UNSURE


def _id(words: list[str], machine: Machine) -> Answer:
    names = [word for word in words if not word.startswith("-")]
    return (machine.has_account("passwd", names[0]), True) if len(names) == 1 else _UNSURE


def _command(words: list[str], machine: Machine) -> Answer:
    names = [word for word in words if not word.startswith("-")]
    return (machine.program(names[0]) is not None, True) if names else _UNSURE


#: Long options whose value may be the next word.
_WITH_VALUE = ("mode", "owner", "group", "sum-file")


def _options(words: list[str], with_value: str) -> tuple[dict[str, str], list[str]]:
    """Short options and operands; letters of ``with_value`` take the next word."""
    options: dict[str, str] = {}
    operands: list[str] = []
    todo = list(words)
    while todo:
        word = todo.pop(0)
        if word == "--":
            return options, operands + todo
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            follows = name in _WITH_VALUE and not equals and todo
            options[name] = todo.pop(0) if follows else value
        elif word.startswith("-") and len(word) > 1:
            for letter in word[1:]:
                options[letter] = todo.pop(0) if letter in with_value and todo else ""
        else:
            operands.append(word)
    return options, operands


def _mode(text: str | None) -> int | None:
    """The mode of something new."""
    return changed_mode(0, text, directory=False) if text and is_mode(text) else None


def _owner(text: str) -> tuple[str | None, str | None]:
    user, colon, group = text.partition(":") if ":" in text else text.partition(".")
    return user or None, (group or None) if colon else None


def _mkdir(words: list[str], machine: Machine) -> Answer:
    options, paths = _options(words, "m")
    mode = options.get("m") or options.get("mode")
    for path in paths:
        if machine.type_of(path) is None:
            machine.effects.append(
                MakeDirectory(
                    package=machine.package, path=machine.path(path),
                    mode=_mode(mode) if mode else machine.new_mode(0o777),
                )
            )  # fmt: skip
    return _DONE


def _install(words: list[str], machine: Machine) -> Answer:
    options, paths = _options(words, "mogtS")
    user, group = options.get("o") or options.get("owner"), options.get("g") or options.get("group")
    mode = _mode(options.get("m") or options.get("mode"))
    if "d" in options or "directory" in options:
        for path in paths:
            machine.effects.append(
                MakeDirectory(
                    package=machine.package, path=machine.path(path), mode=mode or 0o755,
                    user=user, group=group,
                )
            )  # fmt: skip
        return _DONE
    return _copy_to(paths, mode or 0o755, machine)


def _copy(words: list[str], machine: Machine) -> Answer:
    options, paths = _options(words, "tS")
    if (
        {"r", "R", "a"} & set(options)
        and len(paths) == 2
        and (machine.type_of(paths[0]) == "directory")
    ):
        source, to = map(machine.path, paths)
        if machine.type_of(to) == "directory":
            to = posixpath.join(to, posixpath.basename(source))
        machine.effects.append(CopyTree(package=machine.package, path=to, source=source))
        return _DONE
    return _copy_to(paths, None, machine)


def _copy_to(paths: list[str], mode: int | None, machine: Machine) -> Answer:
    if len(paths) != 2 or any(c in "".join(paths) for c in "*?["):
        return _FOREIGN
    source, to = paths
    if source == "/dev/null":
        machine.effects.append(MakeFile(package=machine.package, path=machine.path(to), mode=mode))
        return _DONE
    if machine.type_of(to) == "directory" or to.endswith("/"):
        to = posixpath.join(to, posixpath.basename(source))
    if machine.type_of(source) in (None, "directory"):
        return _FOREIGN
    made, to, source = machine.made(source), machine.path(to), machine.path(source)
    effect = MakeFile(package=machine.package, path=to, source=source, mode=mode)
    if made is not None:
        effect = msgspec.structs.replace(made, path=to, mode=made.mode if mode is None else mode)
    machine.effects.append(effect)
    return _DONE


def _ucf(words: list[str], machine: Machine) -> Answer:
    """Copies a shipped file to /etc, unless it is there."""
    _, paths = _options(words, "")
    return _copy_to(paths[-2:], None, machine)


def _move(words: list[str], machine: Machine) -> Answer:
    """What the script has made itself, and what upgrades move, which is not there."""
    _, paths = _options(words, "tS")
    if len(paths) == 2:
        source, to = map(machine.path, paths)
        for at, effect in enumerate(machine.effects):
            if isinstance(effect, MakeFile | MakeLink) and effect.path == source:
                machine.effects[at] = msgspec.structs.replace(effect, path=to)
                return _DONE
    return _DONE if all(machine.type_of(path) is None for path in paths[:-1]) else _FOREIGN


def _touch(words: list[str], machine: Machine) -> Answer:
    _, paths = _options(words, "dtr")
    for path in paths:
        if machine.type_of(path) is None:
            machine.write(path, "")
    return _DONE


def _link(words: list[str], machine: Machine) -> Answer:
    options, paths = _options(words, "tS")
    if ("s" not in options and "symbolic" not in options) or len(paths) != 2:
        return _FOREIGN
    target, path = paths
    if machine.type_of(path) == "directory" and "n" not in options and "T" not in options:
        path = posixpath.join(path, posixpath.basename(target))
    machine.effects.append(
        MakeLink(package=machine.package, path=machine.path(path), target=target)
    )
    return _DONE


def _chmod(words: list[str], machine: Machine) -> Answer:
    recursive = "-R" in words
    operands = [word for word in words if not re.fullmatch(r"-[RcvfhH]+|--[a-z-]+", word)]
    if len(operands) < 2 or not is_mode(operands[0]):
        return _FOREIGN
    return _attributes(operands[1:], machine, mode=operands[0], recursive=recursive)


def _chown(words: list[str], machine: Machine) -> Answer:
    options, operands = _options(words, "")
    if len(operands) < 2:
        return _FOREIGN
    user, group = _owner(operands[0])
    return _attributes(operands[1:], machine, user=user, group=group, recursive="R" in options)


def _chgrp(words: list[str], machine: Machine) -> Answer:
    options, operands = _options(words, "")
    if len(operands) < 2:
        return _FOREIGN
    return _attributes(operands[1:], machine, group=operands[0], recursive="R" in options)


def _matching(pattern: str, machine: Machine) -> list[str]:
    """The files of the image that a path with wildcards in its last part names."""
    folder, _, last = pattern.rpartition("/")
    names = machine.files.names_in(folder)
    made = (getattr(each, "path", "").rpartition("/") for each in machine.effects)
    names += [name for at, _, name in made if at == folder and name not in names]
    return [f"{folder}/{name}" for name in names if fnmatch.fnmatchcase(name, last)]


def _cut(arguments: list[str], text: str) -> str | None:
    """``cut -d: -f2``, ``cut -b -7``: one field, or the first characters of each line."""
    apart = (re.fullmatch("(-[dfbc])(.+)", each, re.DOTALL) for each in arguments)
    words = [
        word
        for each, match in zip(arguments, apart, strict=True)
        for word in (match.groups() if match else (each,))
    ]
    options, files = _options(words, "dfbc")
    field, first = options.get("f", ""), options.get("b") or options.get("c") or ""
    lines = text.split("\n")
    if files:
        return None
    if field.isdigit() and int(field):
        mark = options.get("d", "\t")
        parts = [line.split(mark) if mark else [line] for line in lines]
        return "\n".join(
            part[0] if len(part) == 1 else "".join(part[int(field) - 1 : int(field)])
            for part in parts
        )
    if re.fullmatch(r"-\d+", first):
        return "\n".join(line[: int(first[1:])] for line in lines)
    return None


def _attributes(
    paths: list[str],
    machine: Machine,
    *,
    mode: str = "",
    user: str | None = None,
    group: str | None = None,
    recursive: bool = False,
    override: bool = False,
) -> Answer:
    wildcards = [path for path in paths if any(c in path for c in "*?[")]
    if any(c in path.rpartition("/")[0] for path in wildcards for c in "*?["):
        return _FOREIGN
    for path in wildcards:
        at = paths.index(path)
        paths = [*paths[:at], *_matching(machine.path(path), machine), *paths[at + 1 :]]
    for path in paths:
        if machine.type_of(path) is not None:
            machine.effects.append(
                SetAttributes(
                    package=machine.package, path=machine.path(path), mode=mode, user=user,
                    group=group, recursive=recursive, override=override,
                )
            )  # fmt: skip
    return _DONE


def _statoverride(words: list[str], machine: Machine) -> Answer:
    operands = [word for word in words if not word.startswith("--")]
    if "--list" in words:
        return False, True
    if "--add" not in words or len(operands) != 4:
        return _DONE if "--remove" in words else _FOREIGN
    user, group, mode, path = operands
    if not is_mode(mode):
        return _FOREIGN
    if machine.type_of(path) is None:
        return _DONE
    return _attributes(
        [path], machine, mode=mode.rjust(5, "0"), user=user, group=group, override=True
    )


def _divert(words: list[str], machine: Machine) -> Answer:
    found = divert_command(machine.package, words)
    if found is None:
        return _FOREIGN if {"--add", "--divert", "--rename"} & set(words) else _UNSURE
    if found.action in ("--add", "--remove"):
        machine.effects.append(found.effect(machine.package))
        return _DONE
    if found.action == "--list":
        return machine.diversion(found.path) is not None, True
    return _DONE


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
        return _DONE
    kind, name = _CATALOG_TYPES.get(values.get("--type", "")), values.get("--id", "")
    package, local = values.get("--package", ""), values.get("--local", "")
    root = "--root" in flags
    usable = re.fullmatch(r"[A-Za-z0-9.+-]+", package) and not re.search(r'["<\n]', name + local)
    if "--add" not in flags or kind is None or not name or not usable or not (root or local):
        return _FOREIGN
    machine.effects.append(
        AddCatalogEntry(
            package=machine.package, catalog="catalog" if root else f"{package}.xml",
            key=f'{kind[0]} {kind[1]}="{name}"',
            target=f"file:///etc/xml/{package}.xml" if root else f"file://{local}",
        )
    )  # fmt: skip
    return _DONE


def _alternatives(words: list[str], machine: Machine) -> Answer:
    todo = list(words)
    while todo and todo[0] in ("--quiet", "--force", "--verbose", "--skip-auto"):
        todo.pop(0)
    if todo[:1] in (["--query"], ["--list"], ["--display"]):
        return bool(machine.output(["update-alternatives", *todo], None)), True
    if not todo or todo[0] != "--install":
        return _DONE  # --remove, --set to what is chosen anyway
    if len(todo) < 5 or not todo[4].lstrip("-").isdigit():
        return _FOREIGN
    slaves: list[tuple[str, str, str]] = []
    rest = todo[5:]
    while rest:
        if rest[0] not in ("--slave", "--follower") or len(rest) < 4:
            return _FOREIGN
        slaves.append((rest[1], rest[2], rest[3]))
        rest = rest[4:]
    machine.effects.append(
        AddAlternative(
            package=machine.package, link=todo[1], name=todo[2], path=todo[3],
            priority=int(todo[4]), slaves=tuple(slaves),
        )
    )  # fmt: skip
    return _DONE


_PHP_SAPIS = ("cli", "fpm", "cgi", "apache2", "embed", "phpdbg")
_PRIORITY = re.compile(r"^;\s*priority\s*=\s*(\d+)", re.MULTILINE)


def _php(words: list[str], machine: Machine) -> Answer:
    """``php_invoke enmod VERSION SAPI MODULE``: links in conf.d of every SAPI that is there.

    Their names begin with the priority that the module's file names (phpenmod(8)).
    """
    match words:
        case ["enmod", version, sapi, module]:
            available = f"/etc/php/{version}/mods-available/{module}.ini"
            found = _PRIORITY.search(machine.files.text_of(available) or "")
            priority = found[1] if found else "20"
            for each in _PHP_SAPIS if sapi == "ALL" else (sapi,):
                if machine.type_of(f"/etc/php/{version}/{each}") or machine.type_of(
                    f"/usr/lib/php/{version}/sapi/{each}"
                ):
                    path = f"/etc/php/{version}/{each}/conf.d/{priority}-{module}.ini"
                    machine.effects.append(
                        MakeLink(package=machine.package, path=path, target=available)
                    )
            return _DONE
    return _DONE


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
            return _DONE
    return _DONE


def _cd(words: list[str], machine: Machine) -> Answer:
    if words:
        machine.folder = machine.path(words[-1])
    return _DONE


def _as_user(words: list[str], machine: Machine) -> Answer:
    """``su -c "test …" || chown …``: no other user has anything yet; else not in an image."""
    return (False, True) if any(word.startswith("test ") for word in words) else _UNSURE


def _setcap(words: list[str], machine: Machine) -> Answer:
    """``setcap TEXT FILE``, more such pairs after it; ``-r`` removes what upgrades have."""
    operands = [word for word in words if word not in ("-q", "-v", "-n")]
    if operands[:1] == ["-r"]:
        return _DONE
    if len(operands) % 2:
        return _FOREIGN
    for text, path in zip(operands[::2], operands[1::2], strict=True):
        attribute = capability_attribute(text)
        if attribute is None:
            return _FOREIGN
        machine.effects.append(
            SetCapabilities(package=machine.package, path=machine.path(path), attribute=attribute)
        )
    return _DONE


def _umask(words: list[str], machine: Machine) -> Answer:
    if words and is_mode(words[0]) and words[0].isdigit():
        machine.umask = int(words[0], 8)
    return _DONE


def _sed(words: list[str], machine: Machine) -> Answer:
    """A filter, but with ``-i``: of the files that it changes the text is not known."""
    options, paths = _options(words, "ef")
    if "i" not in options and "in-place" not in options:
        return _UNSURE
    return _DONE if all(machine.type_of(path) is None for path in paths[1:]) else _FOREIGN


def _db_set(words: list[str], machine: Machine) -> Answer:
    if words:
        machine.answers[words[0]] = " ".join(words[1:])
    return _DONE


def _db_register(words: list[str], machine: Machine) -> Answer:
    if len(words) == 2:
        machine.answers[words[1]] = machine.answers.get(words[0])
    return _DONE


_COMMANDS: dict[str, Callable[[list[str], Machine], Answer]] = {
    "false": lambda _words, _machine: (False, True),
    "ischroot": lambda _words, _machine: (True, True),
    "getent": _getent,
    "id": _id,
    "command": _command,
    "which": _command,
    "mkdir": _mkdir,
    "install": _install,
    "cp": _copy,
    "ucf": _ucf,
    "mv": _move,
    "touch": _touch,
    "ln": _link,
    "chmod": _chmod,
    "chown": _chown,
    "chgrp": _chgrp,
    "dpkg-divert": _divert,
    "dpkg-statoverride": _statoverride,
    "update-alternatives": _alternatives,
    "update-xmlcatalog": _xml_catalog,
    "php_invoke": _php,
    "apache2_invoke": _apache,
    "a2enmod": lambda words, machine: _apache(["enmod", *words], machine),
    "a2enconf": lambda words, machine: _apache(["enconf", *words], machine),
    "a2ensite": lambda words, machine: _apache(["ensite", *words], machine),
    "cd": _cd,
    "su": _as_user,
    "runuser": _as_user,
    "setcap": _setcap,
    "sed": _sed,
    "umask": _umask,
    "db_set": _db_set,
    "db_register": _db_register,
}
