"""The effects of maintainer scripts, and what Homeport does instead.

Scripts are never run. Most only matter on a machine: they restart services, register
with daemons, convert old configuration. Those of packages that images often hold were
reviewed by hand, see ``KNOWN``. For any other, the effects are guessed from its commands
and reported as a warning for the user to judge.
"""

from __future__ import annotations

import re

import msgspec

from homeport.debian.deb.contents import PackageContents
from homeport.debian.package import PackageId

# Of the scripts, those that run when a package is installed for the first time.
_RUN_AT_INSTALLATION = ("preinst", "postinst")


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """Reviewed scripts, and why an image works without them.

    packages: a regular expression for whole names
    """

    packages: str
    instead: str


#: Read in trixie 13.8 on amd64, preinst and postinst of every package named here, as at a
#: first installation; the first entry that fits counts.
KNOWN = (
    Known(
        packages=r"libc6",
        instead="checks the kernel and restarts services; ld.so finds /usr/lib/TRIPLET by itself",
    ),
    Known(
        packages=r"libc-bin",
        instead="makes ld.so.cache, without which the C library looks in its folders; the step "
        "packaged-state copies nsswitch.conf to /etc",
    ),
    Known(
        packages=r"base-files",
        instead="the steps usrmerge and tmp make the links to /usr and /tmp; homes, /srv, /opt, "
        "/mnt, /etc/profile and /usr/local's folders are not made",
    ),
    Known(
        packages=r"base-passwd",
        instead="the step accounts writes /etc/passwd and /etc/group, with root and nobody and "
        "whom the recipe names, not with Debian's other system accounts",
    ),
    Known(packages=r"ca-certificates", instead="the step ca-bundle writes the bundle"),
    Known(
        packages=r"(lib)?python3(\.[0-9]+)?(-minimal|-stdlib)?",
        instead="compiles byte code and makes an empty dist-packages; Python does without both",
    ),
    Known(packages=r"debconf", instead="asks questions, which a build cannot answer"),
    Known(packages=r"dash", instead="only undoes diversions of old releases; it ships /usr/bin/sh"),
    Known(
        packages=r"bash",
        instead="registers a manual page, and makes /bin/sh where dash has not: for /bin/sh "
        "choose dash, or a link in the recipe",
    ),
    Known(
        packages=r"netbase",
        instead="makes /etc/hosts, which container engines write, and /etc/networks",
    ),
    Known(
        packages=r"tzdata",
        instead="links /etc/localtime to UTC, which is the time zone without it too",
    ),
    Known(
        packages=r"openssl", instead="makes /usr/lib/ssl where it is missing; the package has it"
    ),
    Known(
        packages=r"passwd",
        instead="makes the group shadow, /etc/shadow and /etc/gshadow; accounts of the recipe "
        "have no passwords",
    ),
    Known(packages=r"login|login\.defs|adduser", instead="only tidies up after older versions"),
    Known(
        packages=r"dpkg",
        instead="notes the architecture in /var/lib/dpkg and starts a timer; the step "
        "status-database records packages where scanners look",
    ),
    Known(
        packages=r"apt",
        instead="creates the account _apt and starts timers; to run apt in the image, name the "
        "account in the recipe",
    ),
    Known(
        packages=r"procps",
        instead="registers a service and applies kernel settings, which belong to the machine",
    ),
)


class Replaced(msgspec.Struct, frozen=True, kw_only=True):
    """A reviewed script, and what replaces it."""

    package: PackageId
    script: str
    instead: str


class ScriptWarning(msgspec.Struct, frozen=True, kw_only=True):
    """A script that was not reviewed, and its likely effects."""

    package: PackageId
    script: str
    would: str

    def __str__(self) -> str:
        return f"{self.package.name}: {self.script} is not run; it {self.would}"


class Scripts(msgspec.Struct, frozen=True, kw_only=True):
    """The replaced scripts of one package, and warnings about the others."""

    replaced: tuple[Replaced, ...]
    warnings: tuple[ScriptWarning, ...]


def judge_scripts(contents: PackageContents) -> Scripts:
    """Which scripts of a package are replaced, and which need a warning."""
    replaced: list[Replaced] = []
    warnings: list[ScriptWarning] = []
    for script in _RUN_AT_INSTALLATION:
        text = contents.scripts.get(script)
        if text is None:
            continue
        known = _known(contents.id.name)
        if known is not None:
            replaced.append(Replaced(package=contents.id, script=script, instead=known.instead))
        elif would := what_it_does(text):
            warnings.append(ScriptWarning(package=contents.id, script=script, would=would))
    return Scripts(replaced=tuple(replaced), warnings=tuple(warnings))


def is_reviewed(name: str) -> bool:
    """Whether the scripts of this package were reviewed."""
    return _known(name) is not None


def _known(name: str) -> Known | None:
    return next((known for known in KNOWN if re.fullmatch(known.packages, name)), None)


# Effects on the image, in the order in which they are reported.
_EFFECTS = (
    (r"update-alternatives\b.*--install", "registers {alternatives} with update-alternatives"),
    (r"\b(adduser|addgroup|useradd|groupadd|systemd-sysusers)\b", "creates accounts"),
    (r"\b(mkdir|install\s+-[a-z]*d)\b", "makes directories"),
    (r"\bln\s", "makes links"),
    (r"\b(chown|chmod|dpkg-statoverride|setcap|setfacl)\b", "changes owners or permissions"),
    (r"\bdpkg-divert\b", "diverts files of other packages"),
    (
        r"((?<!-)\b(cp|mv|touch|tee|ucf|install(?!\s+-[a-z]*d)|sed\s+-i)\s)|(>>?\s*\"?(\$DPKG_ROOT)?/(?!dev/))",
        "writes files",
    ),
    (
        r"\b(update-(?!alternatives|rc\.d|menus)[a-z0-9.-]+|[a-z0-9-]+-update)\b",
        "runs {program}",
    ),
)

# Commands that only matter where services run, or where another version was before.
_WITHOUT_EFFECT = re.compile(
    r"\b(ldconfig|(pypy|py)3?(compile|clean)|dpkg-maintscript-helper|deb-systemd-helper"
    r"|deb-systemd-invoke|invoke-rc\.d|update-rc\.d|systemctl|systemd-tmpfiles|update-menus"
    r"|db_[a-z]+|confmodule|dpkg\s+--compare-versions|dpkg-trigger)\b"
)

# What is left of a script that does nothing: shell syntax, tests, messages.
_SYNTAX = re.compile(
    r"(set\s+[-+][a-z]+|:|true|false|exit(\s+\S+)?|:\s.*|return(\s+\S+)?|fi|else|esac|done|then|do|\{|\}|;;|\)"
    r"|(if|elif|while|for|case)\b.*|[\w|*.\"' -]+\)\s*(;;)?|\w+=\S*|(echo|printf)\b.*|shift"
    r"|\w+\s*\(\)\s*\{?|\[.*\](\s*(&&|\|\|).*)?|\|\|\s*true|&&\s*\S+)"
)

_SHELL = re.compile(r"#!\s*/(usr/)?bin/(env\s+)?(ba|da)?sh\b")
_LONGEST_LINE = 1000  # characters looked at


def what_it_does(script: str) -> str | None:
    """A phrase for what a script would do to an image; ``None`` if nothing that matters."""
    interpreter = script.partition("\n")[0]
    if interpreter.startswith("#!") and not _SHELL.match(interpreter):
        return f"is a program for {interpreter[2:].strip()}"
    lines = _commands(script)
    effects = [
        phrase for pattern, phrase in _EFFECTS if any(re.search(pattern, line) for line in lines)
    ]
    if effects:
        return ", ".join(effects).format(
            alternatives=_alternatives(lines), program=_found(_EFFECTS[-1][0], lines)
        )
    rest = [
        line for line in lines if not _WITHOUT_EFFECT.search(line) and not _SYNTAX.fullmatch(line)
    ]
    return (
        f"runs commands that Homeport does not recognise, for example: {rest[0][:80]}"
        if rest
        else None
    )


def _commands(script: str) -> list[str]:
    """The lines with commands: continued ones joined, comments left out."""
    joined = script.replace("\\\n", " ")
    lines = (re.sub(r"\s+", " ", line[:_LONGEST_LINE]).strip() for line in joined.split("\n"))
    return [
        line
        for line in lines
        if line
        and not line.startswith("#")
        and not _WITHOUT_EFFECT.match(line)
        and "/etc/init.d/" not in line
    ]


def _alternatives(lines: list[str]) -> str:
    """``/usr/bin/awk awk /usr/bin/mawk`` is reported as ``awk → /usr/bin/mawk``."""
    found = (re.search(r"--install (\S+) (\S+) (\S+)", line) for line in lines)
    links = [f"{match[1]} → {match[3]}" for match in found if match]
    return ", ".join(links) or "something"


def _found(pattern: str, lines: list[str]) -> str:
    matches = (re.search(pattern, line) for line in lines)
    return ", ".join(dict.fromkeys(match[0] for match in matches if match))
