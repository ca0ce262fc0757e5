"""What programs start of Essential packages, on which nothing depends."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.deb import deb, file, link
from builders.elf import elf
from builders.locking import World, versions
from homeport.content.blob import BytesBlob
from homeport.content.store import Store
from homeport.locking.implied.program_facts import facts_of

_LOADER = "/lib64/ld-linux-x86-64.so.2"


def script(text: str) -> object:
    return file(text, mode=0o755)


def essentials() -> list[bytes]:
    """A shell, coreutils with a library, grep's scripts, and the locale, as Debian has them."""
    program = elf(interpreter=_LOADER)
    return [
        deb(
            "dash", depends="dpkg", essential="yes",
            files={"usr/bin/dash": file(program, mode=0o755), "usr/bin/sh": link("dash")},
        ),
        deb(
            "coreutils", pre_depends="libacl1", essential="yes",
            files={
                "usr/bin/env": file(program, mode=0o755),
                "usr/bin/cat": file(program, mode=0o755),
                "usr/bin/cp": file(elf(interpreter=_LOADER, needed=["libacl.so.1"]), mode=0o755),
            },
        ),
        deb("libacl1", files={"usr/lib/x86_64-linux-gnu/libacl.so.1": elf(soname="libacl.so.1")}),
        deb(
            "grep", essential="yes",
            files={
                "usr/bin/grep": file(program, mode=0o755),
                "usr/bin/egrep": script("#!/bin/sh\nexec grep -E \"$@\"\n"),
            },
        ),
        deb("libc-bin", essential="yes", files={"usr/lib/locale/C.utf8/LC_CTYPE": b"x"}),
        deb("dpkg", essential="yes", files={"usr/bin/dpkg": file(program, mode=0o755)}),
    ]  # fmt: skip


def locked(tmp_path: Path, app: list[bytes], text: str) -> dict[str, str]:
    world = World(tmp_path, [*essentials(), *app])
    return versions(world.lock(f"steps: {{copyright: false, os_release: false}}\n{text}").lockfile)


def test_a_scripts_interpreter_and_commands_come_with_it_and_no_more(tmp_path: Path) -> None:
    app = deb("app", files={"usr/bin/app": script("#!/bin/sh\ncat x | env cp y z\n")})
    world = World(tmp_path, [*essentials(), app])
    result = world.lock(
        "steps: {copyright: false, os_release: false}\n"
        "packages: [app]\nconfig: {entrypoint: [/usr/bin/app]}"
    )
    assert versions(result.lockfile) == {
        "app": "1.0-1", "coreutils": "1.0-1 [implied]", "dash": "1.0-1 [implied]",
        "libacl1": "1.0-1 [implied]",
    }  # fmt: skip
    taken = {
        str(name): [p.path for p in each.paths] for name, each in result.lockfile.slices.items()
    }
    assert taken == {
        "coreutils_implied": ["/usr/bin/cat", "/usr/bin/cp", "/usr/bin/env"],
        "dash_implied": ["/usr/bin/dash", "/usr/bin/sh"],
        "libacl1_implied": ["/usr/lib/*/libacl.so.1*"],
    }
    assert any(
        line.startswith("coreutils: takes ") and line.endswith("which /usr/bin/app may start")
        for line in world.notes.lines
    )
    assert "libacl1: takes libacl.so.1, which /usr/bin/cp needs" in world.notes.lines


def test_of_the_c_library_come_the_libraries_and_no_more(tmp_path: Path) -> None:
    program = elf(interpreter=_LOADER, needed=["libc.so.6"])
    libc = {
        "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": elf(soname="ld-linux-x86-64.so.2"),
        "usr/lib/x86_64-linux-gnu/libc.so.6": elf(soname="libc.so.6"),
        "usr/lib/x86_64-linux-gnu/libnss_dns.so.2": elf(soname="libnss_dns.so.2"),
        "usr/lib/x86_64-linux-gnu/gconv/BIG5.so": elf(soname="BIG5.so"),
    }
    world = World(tmp_path, [
        deb("app", files={"usr/bin/app": script("#!/bin/sh\n:\n")}),
        deb("dash", pre_depends="libc6", essential="yes",
            files={"usr/bin/dash": file(program, mode=0o755), "usr/bin/sh": link("dash")}),
        deb("libc6", files=libc),
    ])  # fmt: skip
    lockfile = world.lock(
        "steps: {copyright: false, os_release: false}\n"
        "packages: [app]\nconfig: {entrypoint: [/usr/bin/app]}"
    ).lockfile
    assert versions(lockfile)["libc6"] == "1.0-1 [implied]"
    taken = next(each for name, each in lockfile.slices.items() if name.package == "libc6")
    assert [path.path for path in taken.paths] == [
        "/usr/lib/*/ld*.so.*", "/usr/lib/*/libc.so.*", "/usr/lib/*/libnss_dns.so.*",
    ]  # fmt: skip


def test_a_library_that_is_elsewhere_comes_with_its_whole_package(tmp_path: Path) -> None:
    program = elf(interpreter=_LOADER, needed=["libodd.so.1"])
    app = deb("app", files={"usr/bin/app": script("#!/bin/sh\nsed x\n")})
    odd = deb(
        "libodd1", files={"usr/lib/x86_64-linux-gnu/odd/libodd.so.1": elf(soname="libodd.so.1")}
    )
    sed = deb("sed", pre_depends="libodd1", essential="yes",
              files={"usr/bin/sed": file(program, mode=0o755)})  # fmt: skip
    text = "packages: [app]\nconfig: {entrypoint: [/usr/bin/app]}"
    assert locked(tmp_path, [app, odd, sed], text)["libodd1"] == "1.0-1"


def test_su_comes_with_what_it_asks(tmp_path: Path) -> None:
    """As Debian's rabbitmq-server, which root starts, changes to its own account."""
    program = elf(interpreter=_LOADER)
    app = deb("app", files={"usr/sbin/app": script('#!/bin/sh\nexec su app -s /bin/sh -c "$1"\n')})
    util_linux = deb("util-linux", essential="yes", files={
        "usr/bin/su": file(program, mode=0o4755), "etc/pam.d/su": "x", "usr/bin/more": "x",
    })  # fmt: skip
    pam = [deb(name, files={f"usr/share/{name}": "x"}) for name in
           ("libpam-modules", "libpam-runtime")]  # fmt: skip
    found = locked(
        tmp_path, [app, util_linux, *pam],
        "packages: [app]\nconfig: {entrypoint: [/usr/sbin/app]}",
    )  # fmt: skip
    assert found["util-linux"] == "1.0-1 [implied]"
    assert (found["libpam-modules"], found["libpam-runtime"]) == ("1.0-1", "1.0-1")


def test_what_erlangs_modules_look_up_comes_with_it(tmp_path: Path) -> None:
    program = file(elf(interpreter=_LOADER), mode=0o755)
    app = deb("app", depends="erlang-base", files={"usr/bin/app": script("#!/bin/sh\nexec erl\n")})
    erlang = deb("erlang-base", files={
        "usr/bin/erl": link("../lib/erlang/bin/erl"), "usr/lib/erlang/bin/erl": program,
    })  # fmt: skip
    coreutils = deb("coreutils", essential="yes", files={"usr/bin/df": program})
    world = World(tmp_path, [app, erlang, coreutils])
    lockfile = world.lock(
        "steps: {copyright: false, os_release: false}\n"
        "packages: [app]\nconfig: {entrypoint: [/usr/bin/app]}"
    ).lockfile
    taken = [path.path for each in lockfile.slices.values() for path in each.paths]
    assert taken == ["/usr/bin/df"]


def test_a_file_that_a_script_reads_is_shell_without_a_first_line(tmp_path: Path) -> None:
    """As git's scripts read ``git-sh-setup``."""
    app = deb("app", files={
        "usr/lib/app/app": script("#!/bin/sh\n. app-setup\n"),
        "usr/lib/app/app-setup": "# to be read\ncase $(cat /x) in\n*) ;;\nesac\n",
    })  # fmt: skip
    text = "packages: [app]\nconfig: {entrypoint: [/usr/lib/app/app]}"
    assert locked(tmp_path, [app], text)["coreutils"] == "1.0-1 [implied]"


def test_env_finds_the_program_that_it_starts(tmp_path: Path) -> None:
    tool = deb("tool", files={"usr/bin/tool": script("#!/usr/bin/env python9\n")})
    assert locked(tmp_path, [tool], "packages: [tool]") == {
        "coreutils": "1.0-1 [implied]", "tool": "1.0-1",
    }  # fmt: skip


def test_scripts_of_essential_packages_start_others(tmp_path: Path) -> None:
    tool = deb("tool", files={"usr/bin/tool": script("#!/bin/sh\negrep x\n")})
    found = locked(tmp_path, [tool], "packages: [tool]")
    assert found == {
        "dash": "1.0-1 [implied]", "grep": "1.0-1 [implied]", "tool": "1.0-1",
    }  # fmt: skip


def test_the_program_behind_an_alternative_is_found_as_its_script_computes_it(
    tmp_path: Path,
) -> None:
    postinst = """#!/bin/sh
base=/usr/share/tool
case "$1" in
configure)
    update-alternatives \\
      --install /usr/bin/tool tool $base/bin/low 10
    update-alternatives --install /usr/bin/tool tool $base/bin/high 20 \\
      --slave /usr/bin/toolDebug toolDebug $base/bin/debug
esac
"""
    tool = deb(
        "tool",
        files={
            "usr/share/tool/bin/low": file(elf(interpreter=_LOADER), mode=0o755),
            "usr/share/tool/bin/high": script("#!/bin/sh\n"),
            "usr/share/tool/bin/debug": script("#!/usr/bin/env python9\n"),
        },
        scripts={"postinst": postinst},
    )
    high = locked(tmp_path, [tool], "packages: [tool]\nconfig: {entrypoint: [/usr/bin/tool]}")
    assert high.keys() == {"tool", "dash"}
    (tmp_path / "slave").mkdir()
    slave = locked(
        tmp_path / "slave", [tool], "packages: [tool]\nconfig: {entrypoint: [/usr/bin/toolDebug]}"
    )
    assert slave.keys() == {"tool", "coreutils"}


def test_scripts_in_a_folder_of_its_own_that_a_program_names_are_its_helpers(
    tmp_path: Path,
) -> None:
    program = elf(interpreter=_LOADER, needed=["libapp.so.1"])
    library = elf(soname="libapp.so.1") + b"\0/usr/lib/app\0/usr/lib/other\0"
    packages = [
        deb(
            "app", source="app",
            files={
                "usr/sbin/app": file(program, mode=0o755),
                "usr/lib/x86_64-linux-gnu/libapp.so.1": library,
                "usr/lib/app/start": script("#!/bin/sh\ncat x\n"),
                "usr/lib/app/unused": script("#!/usr/bin/perl\n"),
                "usr/lib/app/data": "#!/bin/sh\ngrep x\n",
            },
        ),
        deb("other", files={"usr/lib/other/start": script("#!/bin/sh\ngrep x\n")}),
    ]  # fmt: skip
    text = "packages: [app, other]\nconfig: {entrypoint: [/usr/sbin/app]}"
    found = locked(tmp_path, packages, text)
    assert found.keys() == {"app", "other", "coreutils", "dash"}


def test_a_program_that_calls_system_has_a_shell(tmp_path: Path) -> None:
    program = elf(interpreter=_LOADER) + b"\0/bin/sh\0"
    app = deb("app", files={"usr/sbin/app": file(program, mode=0o755)})
    text = "packages: [app]\nconfig: {entrypoint: [/usr/sbin/app]}"
    assert "dash" in locked(tmp_path, [app], text)


def test_a_cron_has_the_commands_that_its_users_type(tmp_path: Path) -> None:
    cron = deb("cron", files={"usr/sbin/cron": file(elf(interpreter=_LOADER), mode=0o755)})
    found = locked(tmp_path, [cron], "packages: [cron]\nconfig: {entrypoint: [/usr/sbin/cron, -f]}")
    assert {"coreutils", "dash", "grep", "libc-bin"} <= found.keys()
    assert "dpkg" not in found


def test_what_a_metapackage_depends_on_counts_as_named(tmp_path: Path) -> None:
    packages = [
        deb("meta", depends="tool", files={"usr/share/doc/meta/README": b"x"}),
        deb("tool", files={"usr/bin/tool": script("#!/bin/sh\n")}),
    ]
    assert "dash" in locked(tmp_path, packages, "packages: [meta]")


@pytest.mark.parametrize(
    "text",
    [
        "packages: [app]\nessential: none",
        "packages: [app]\nwithout: [dash]",
        # The recipe has a shell of its own.
        "packages: [app]\nlinks: [{path: /bin/sh, target: /usr/bin/app}]",
        "packages: [admin]",
        "packages: [admin]\nconfig: {entrypoint: [/usr/bin/other]}",
        "packages: [app_bin]",
    ],
)
def test_there_is_none_where_nothing_asks_for_it(tmp_path: Path, text: str) -> None:
    packages = [
        deb("app", files={"usr/bin/app": script("#!/bin/sh\n")}),
        deb("admin", files={"usr/sbin/admin": script("#!/bin/sh\ncat\n")}),
    ]
    world = World(tmp_path, [*essentials(), *packages])
    world.slices("app", "bin: {paths: [/usr/bin/app]}")
    text = f"steps: {{copyright: false, os_release: false}}\n{text}"
    assert "dash" not in versions(world.lock(text).lockfile)


def test_an_archive_without_essential_packages_is_locked(tmp_path: Path) -> None:
    world = World(tmp_path, [deb("app", files={"usr/bin/app": script("#!/bin/sh\n")})])
    assert versions(world.lock("packages: [app]").lockfile) == {"app": "1.0-1"}


def test_paths_in_data_count_only_as_whole_words(tmp_path: Path) -> None:
    data = elf(interpreter=_LOADER) + b"\0/usr/bin/env\0x/bin/cp\0'/bin/rm'\0/bin/ls/x\0"
    assert facts_of(BytesBlob(data), Store(tmp_path)).calls == ("/usr/bin/env", "/bin/rm")


def test_the_shell_that_the_libc_of_a_static_program_knows_does_not_count(tmp_path: Path) -> None:
    store, words = Store(tmp_path), b"\0/bin/sh\0/usr/bin/env\0"
    linked = elf(interpreter=_LOADER, needed=["libc.so.6"]) + words
    assert facts_of(BytesBlob(linked), store).calls == ("/bin/sh", "/usr/bin/env")
    assert facts_of(BytesBlob(elf() + words), store).calls == ("/usr/bin/env",)
