"""The commands of maintainer scripts that Homeport understands: a white list.

Each either answers a question (``getent``, ``command -v``), has no effect on an image
(``systemctl``), or becomes an ``Effect``. Read in Debian trixie's scripts of about 1,200
packages that images use (docs/decisions/maintainer-scripts.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from homeport.debian.scripts.accounts import ACCOUNT_COMMANDS
from homeport.debian.scripts.command_options import options_of
from homeport.debian.scripts.effects import AddGroup, AddUser, Effect
from homeport.debian.scripts.file_commands import FILE_COMMANDS
from homeport.debian.scripts.machine import DONE, FOREIGN, UNSURE, Answer, Machine
from homeport.debian.scripts.modes import is_mode
from homeport.debian.scripts.package_commands import PACKAGE_COMMANDS
from homeport.debian.scripts.stream_editor import edited, edited_files
from homeport.debian.version import parse_version
from homeport.errors import HomeportError

#: Of no effect on an image: services, triggers, the machine's state, tidying, messages.
_WITHOUT_EFFECT_TEXT = """
    : true echo printf exec trap export sync sleep logger wait kill
    systemctl deb-systemd-helper deb-systemd-invoke invoke-rc.d update-rc.d service busctl
    systemd-tmpfiles runit-helper journalctl udevadm modprobe sysctl
    update-initramfs start-stop-daemon named-checkconf vgcfgbackup
    dpkg-trigger dpkg-maintscript-helper update-menus update-binfmts install-info
    install-docs update-mime update-catalog update-fonts-scale update-fonts-dir
    update-fonts-alias helpztags ucfr ldconfig restorecon nscd telinit py3compile py3clean
    gtk-query-immodules-2.0 gtk-query-immodules-3.0 pycompile pyclean pypy3compile fc-cache
    glib-compile-schemas gio-querymodules
    update-mime-database update-desktop-database gtk-update-icon-cache update-icon-caches
    update-gsfontmap update-ca-certificates update-passwd shadowconfig update-shells add-shell
    remove-shell pam-auth-update mandb setpriv aa-enabled apparmor_parser a2query apache2_msg
    fold rmdir db_version db_input db_go db_stop db_subst db_fset
    db_reset db_purge db_capb db_title db_unregister db_beginblock db_endblock db_settitle
    db_progress db_clear db_info db_block
"""
WITHOUT_EFFECT = frozenset(_WITHOUT_EFFECT_TEXT.split())

#: Commands whose results belong to a container or a machine, never to an image.
BELONGS_ELSEWHERE = frozenset(
    ("make-ssl-cert", "ssh-keygen", "pg_createcluster", "slappasswd", "slapadd", "newaliases",
     "postalias", "dbus-uuidgen", "mysql_install_db", "mariadb-install-db",
     "systemd-machine-id-setup", "openssl", "rndc-confgen", "nsd-control-setup", "xrdp-keygen",
     "mkdhparams", "sqlite3", "systemd-hwdb", "etckeeper", "augenrules", "proftpd", "aa-status",
     "runlevel", "who", "ps", "pidof", "mountpoint", "df", "hostname", "uuidgen")
)  # fmt: skip

#: Ask about the machine; what they answer is not known.
_PROBES_TEXT = """
    grep egrep fgrep awk cut head tail sort uniq find cat ls stat expr tr wc cmp diff test
    md5sum sha1sum sha256sum sha512sum dpkg-query dpkg uname readlink realpath basename
    dirname date mktemp seq tty perl getcap pwd env phpquery debconf-show slapcat
    postconf lsb_release db_fget db_metaget type set xargs
"""
_PROBES = frozenset(_PROBES_TEXT.split())
_BETWEEN_COMMANDS = re.compile(r"\n|;|&&")

#: Commands that change an image: when one is not followed, it is reported.
_CHANGES_TEXT = """
    mkdir ln cp mv install chown chmod chgrp touch tee ucf adduser addgroup useradd groupadd
    usermod update-alternatives dpkg-divert dpkg-statoverride setcap setfacl php_invoke
    apache2_invoke update-xmlcatalog a2enmod a2enconf a2ensite
"""
CHANGES = frozenset(_CHANGES_TEXT.split())


def run_command(words: list[str], text: str | None, machine: Machine) -> Answer:
    """Status of a command, and whether it is understood; its effects are noted in ``machine``."""
    name = words[0].rpartition("/")[2] if words[0].startswith("/") else words[0]
    if name in WITHOUT_EFFECT:
        return DONE
    if name in BELONGS_ELSEWHERE or name in _PROBES:
        return _compare(words) if words[:2] == ["dpkg", "--compare-versions"] else UNSURE
    if name in ACCOUNT_COMMANDS:
        effects = ACCOUNT_COMMANDS[name](machine.package, words[1:])
        if effects is None:
            return FOREIGN
        machine.effects += [each for each in effects if not _is_there(each, machine)]
        return DONE
    known = _COMMANDS.get(name)
    return known(words[1:], machine) if known else FOREIGN


def _is_there(effect: Effect, machine: Machine) -> bool:
    """Whether it is an account that is there: adduser leaves it as it is."""
    if isinstance(effect, AddUser):
        return machine.has_account("passwd", effect.name)
    return isinstance(effect, AddGroup) and machine.has_account("group", effect.name)


def _sysusers(words: list[str], machine: Machine) -> Answer:
    machine.declared = frozenset()
    return DONE


def _compare(words: list[str]) -> Answer:
    """``dpkg --compare-versions``: an empty version is older than any (``lt-nl``: newer)."""
    if len(words) != 5:
        return UNSURE
    left, operator, right = words[2:]
    newer = operator.endswith("-nl")
    operator = operator.removesuffix("-nl")
    if left and right:
        try:
            a, b = parse_version(left), parse_version(right)
        except HomeportError:
            return UNSURE
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
    return UNSURE


def _id(words: list[str], machine: Machine) -> Answer:
    names = [word for word in words if not word.startswith("-")]
    return (machine.has_account("passwd", names[0]), True) if len(names) == 1 else UNSURE


def _command(words: list[str], machine: Machine) -> Answer:
    names = [word for word in words if not word.startswith("-")]
    return (machine.program(names[0]) is not None, True) if names else UNSURE


def _cd(words: list[str], machine: Machine) -> Answer:
    if words:
        machine.folder = machine.path(words[-1])
    return DONE


def _as_user(words: list[str], machine: Machine) -> Answer:
    """``su -c "test …" || chown …``: no other user has anything yet; else not in an image."""
    for text in words:
        commands = [each.strip() for each in _BETWEEN_COMMANDS.split(text) if each.strip()]
        asked = [each for each in commands if each not in ("set -e", "set -eu")]
        if asked and all(each.startswith(("test ", "[ ")) for each in asked):
            return False, True
    return UNSURE


def _umask(words: list[str], machine: Machine) -> Answer:
    if words and is_mode(words[0]) and words[0].isdecimal():
        machine.umask = int(words[0], 8)
    return DONE


def _sed(words: list[str], machine: Machine) -> Answer:
    """A filter, but with ``-i``, which changes files that the script has made."""
    options, _ = options_of(words, "ef")
    if "i" not in options and "in-place" not in options:
        return UNSURE
    for path in edited_files(words):
        if machine.type_of(path) is not None:
            text = edited([*(each for each in words if each != path), path], None, machine)
            if text is None or not (machine.rewrite(path, text) or machine.text_of(path) == text):
                return FOREIGN
    return DONE


def _rm(words: list[str], machine: Machine) -> Answer:
    """What upgrades remove is not there; what the script has made itself is taken back."""
    for path in options_of(words, "")[1]:
        machine.remove(path)
    return DONE


def _db_set(words: list[str], machine: Machine) -> Answer:
    if words:
        machine.answers[words[0]] = " ".join(words[1:])
    return DONE


def _db_register(words: list[str], machine: Machine) -> Answer:
    if len(words) == 2:
        machine.answers[words[1]] = machine.answers.get(words[0])
    return DONE


_COMMANDS: dict[str, Callable[[list[str], Machine], Answer]] = {
    **FILE_COMMANDS,
    **PACKAGE_COMMANDS,
    "false": lambda _words, _machine: (False, True),
    "ischroot": lambda _words, _machine: (True, True),
    "getent": _getent,
    "id": _id,
    "command": _command,
    "which": _command,
    "cd": _cd,
    "su": _as_user,
    "runuser": _as_user,
    "sed": _sed,
    "rm": _rm,
    "systemd-sysusers": _sysusers,
    "umask": _umask,
    "db_set": _db_set,
    "db_register": _db_register,
}
