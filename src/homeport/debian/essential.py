"""What packages may count on without depending on it: Debian's Essential packages.

"Packages are not required to declare any dependencies they have on other packages which are
marked Essential" (Debian Policy 3.8, 3.5), so a resolver that follows Depends leaves them out.
Here: the programs of theirs that other programs start, as Debian 12 and 13 ship them. Not
those that only administer a Debian system (dpkg, init-system-helpers, base-passwd, login).
"""

from __future__ import annotations

import msgspec


class EssentialPackage(msgspec.Struct, frozen=True, kw_only=True):
    """One package.

    programs: names in ``/usr/bin``, of ``folder`` "sbin" in ``/usr/sbin``
    with_each: globs of what each of the programs reads
    whole:    a script of the package makes the names (alternatives), so a part is not enough
    """

    programs: str
    folder: str = "bin"
    with_each: tuple[str, ...] = ()
    whole: bool = False


#: Also mawk, which base-files depends on as ``awk``.
ESSENTIAL_PACKAGES = {
    "bash": EssentialPackage(programs="bash"),
    "bsdutils": EssentialPackage(programs="logger renice script wall"),
    "coreutils": EssentialPackage(
        programs="[ arch b2sum base32 base64 basename basenc cat chgrp chmod chown cksum comm cp "
        "csplit cut date dd df dir dircolors dirname du echo env expand expr factor false fmt fold "
        "groups head hostid id install join link ln logname ls md5sum mkdir mkfifo mknod mktemp mv "
        "nice nl nohup nproc numfmt od paste pathchk pinky pr printenv printf ptx pwd readlink "
        "realpath rm rmdir seq sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf sleep "
        "sort split stat stdbuf stty sum sync tac tail tee test timeout touch tr true truncate "
        "tsort tty uname unexpand uniq unlink users vdir wc who whoami yes"
    ),
    "dash": EssentialPackage(programs="dash sh"),
    "debianutils": EssentialPackage(programs="ischroot run-parts savelog which", whole=True),
    "diffutils": EssentialPackage(programs="cmp diff diff3 sdiff"),
    "findutils": EssentialPackage(programs="find xargs"),
    "grep": EssentialPackage(programs="egrep fgrep grep rgrep"),
    "gzip": EssentialPackage(
        programs="gunzip gzip uncompress zcat zcmp zdiff zegrep zfgrep zgrep zless zmore"
    ),
    "hostname": EssentialPackage(programs="dnsdomainname domainname hostname"),
    "libc-bin": EssentialPackage(programs="getconf getent iconv ldd locale localedef tzselect"),
    "mawk": EssentialPackage(programs="awk mawk", whole=True),
    "ncurses-bin": EssentialPackage(programs="clear infocmp reset tabs tic tput tset"),
    "perl-base": EssentialPackage(programs="perl", with_each=("/usr/lib/*/perl-base/**",)),
    "sed": EssentialPackage(programs="sed"),
    "sysvinit-utils": EssentialPackage(programs="pidof"),
    "tar": EssentialPackage(programs="tar"),
    "util-linux": EssentialPackage(
        programs="findmnt flock getopt ionice more mountpoint namei nsenter prlimit rev runuser "
        "setpriv setsid su taskset unshare whereis"
    ),
}


class Along(msgspec.Struct, frozen=True, kw_only=True):
    """What one program cannot do without: globs of its own package, and other packages."""

    globs: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


_PAM = ("libpam-modules", "libpam-runtime")
#: Of programs that start others as another user.
ALONG = {
    "su": Along(globs=("/etc/pam.d/su", "/etc/pam.d/su-l"), packages=_PAM),
    "runuser": Along(
        globs=("/usr/sbin/runuser", "/sbin/runuser", "/etc/pam.d/runuser", "/etc/pam.d/runuser-l"),
        packages=_PAM,
    ),
}
#: Programs whose modules, which are no programs, look others up by name: Erlang's ``disksup``.
LOOK_UP = {"erl": ("df", "sh")}
#: The C library's package, its libraries (those that programs are linked with) and what they load.
LIBC = "libc6"
LIBC_LIBRARIES = (
    "libanl.so", "libc.so", "libdl.so", "libm.so", "libpthread.so", "libresolv.so", "librt.so",
    "libutil.so",
)  # fmt: skip
LIBC_FILES = (
    "/lib/*/ld*.so.*", "/lib/ld*.so.*", "/lib64/ld*.so.*", "/usr/lib/*/ld*.so.*",
    "/usr/lib/ld*.so.*", "/usr/lib64/ld*.so.*",
    *(
        f"{folder}/*/{name}.*"
        for folder in ("/lib", "/usr/lib")
        for name in (*LIBC_LIBRARIES, "libnss_dns.so", "libnss_files.so")
    ),
)  # fmt: skip
#: Programs of libc-bin for who starts a system.
LDCONFIG = "/usr/sbin/ldconfig"
#: The locale that every Debian system has, of libc-bin.
C_UTF_8 = "/usr/lib/locale/C.utf8/**"
#: Packages with the commands that people and their scripts type.
COMMANDS = (
    "coreutils", "dash", "debianutils", "diffutils", "findutils", "grep", "gzip", "hostname",
    "mawk", "sed", "tar",
)  # fmt: skip


def package_of(program: str) -> str | None:
    """The Essential package with a program of this name."""
    return _owners().get(program)


def _owners() -> dict[str, str]:
    return {
        program: name
        for name, package in ESSENTIAL_PACKAGES.items()
        for program in package.programs.split()
    }
