"""What packages expect of an installed system is made from their own words."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.building import BuildWorld, image_of, listing, tree_of
from builders.deb import deb, file, link
from builders.elf import elf
from builders.recipe import recipe
from homeport.assemble.elf_check import CannotStart
from homeport.assemble.steps.java_keystore import keystore
from homeport.assemble.system.accounts import settle_accounts
from homeport.assemble.system.knowledge import load_knowledge
from homeport.debian.scripts.effects import AddGroup, AddUser
from homeport.errors import UsageError

_POSTINST = """#!/bin/sh
set -e
if [ "$1" = configure ]; then
  adduser --system --home /var/lib/daemon --group daemond >/dev/null
  install -d -m 2755 -o daemond -g adm /var/log/daemond
  chown daemond /etc/daemond.conf
  update-alternatives --install /usr/bin/editor editor /usr/bin/vi 10
  update-alternatives --install /usr/bin/editor editor /usr/bin/ed 20
fi
"""
_FILES = {
    "etc/daemond.conf": "x",
    "usr/bin/vi": file("v", mode=0o755),
    "usr/bin/ed": file("e", mode=0o755),
    "usr/lib/systemd/system/d.service": (
        "[Unit]\nUser=no\n[Service]\nUser=other\nRuntimeDirectory=d/sock %i\n"
        "RuntimeDirectoryMode=700\nStateDirectory=../x\n"
    ),
    "usr/lib/sysusers.d/d.conf": 'u other 321 "Other"\nm other adm\n',
    "usr/lib/tmpfiles.d/d.conf": "d /var/run/daemond 0750 daemond other\nd /usr/bad 0755\n",
}
_OFF = (
    "steps: {os_release: false, copyright: false, status_database: false, tmp: false%s}\n"
    "packages: [daemond]\n"
)


def _world(tmp_path: Path, **scripts: str) -> BuildWorld:
    package = deb("daemond", files=_FILES, conffiles=["/etc/daemond.conf"], scripts=scripts)
    return BuildWorld(tmp_path, [package])


def test_accounts_directories_and_alternatives_are_made(tmp_path: Path) -> None:
    made = listing(_world(tmp_path, postinst=_POSTINST).build(_OFF % ""))
    uid = int(next(x for x in made["etc/passwd"].splitlines() if "daemond" in x).split(":")[2])
    assert f"daemond:x:{uid}:{uid}::/var/lib/daemon:/usr/sbin/nologin" in made["etc/passwd"]
    assert "other:x:321:321:Other:/:/usr/sbin/nologin" in made["etc/passwd"]
    assert "www-data:x:33:33:" in made["etc/passwd"]
    assert "adm:x:4:other" in made["etc/group"]
    assert made["etc/shadow"].startswith("0640 0:42 ")
    assert made["var/run"] == "-> /run"
    assert made["var/lock"] == "-> /run/lock"
    assert made["run/daemond"] == f"directory 0750 {uid}:321"
    assert made["var/log/daemond"] == f"directory 2755 {uid}:4"
    assert made["var/lib/daemon"] == f"directory 0755 {uid}:{uid}"
    assert made["etc/daemond.conf"] == f"0644 {uid}:0 x"
    assert made["run/d/sock"] == "directory 0700 321:321"
    assert not {"x", "var/x", "run/%i"} & set(made)
    assert made["usr/bin/editor"] == "-> /etc/alternatives/editor"
    assert made["etc/alternatives/editor"] == "-> /usr/bin/ed"
    assert "usr/bad" not in made


def test_the_recipe_chooses_an_alternative(tmp_path: Path) -> None:
    recipe = "alternatives: {editor: /usr/bin/vi}\n" + _OFF % ""
    made = listing(_world(tmp_path, postinst=_POSTINST).build(recipe))
    assert made["etc/alternatives/editor"] == "-> /usr/bin/vi"


def test_dpkgs_database_of_alternatives_has_all_that_fit_in_one_list(tmp_path: Path) -> None:
    """As update-alternatives writes it: an empty line before the first, and after the last."""
    recipe = (_OFF % "").replace("tmp: false", "tmp: false, dpkg_database: true")
    made = listing(_world(tmp_path, postinst=_POSTINST).build(recipe))
    text = "auto\n/usr/bin/editor\n\n/usr/bin/ed\n20\n/usr/bin/vi\n10"
    assert made["var/lib/dpkg/alternatives/editor"].strip() == f"0644 {text}"


def test_a_protocol_of_dovecot_switches_itself_on(tmp_path: Path) -> None:
    text = (
        "#!/bin/sh\ncat <<EOF > /usr/share/dovecot/protocols.d/imapd.protocol\nimap = yes\nEOF\n"
        "cat <<EOF > /usr/share/other\nx\nEOF\n"
    )
    made = listing(_world(tmp_path, postinst=text).build(_OFF % ""))
    assert made["usr/share/dovecot/protocols.d/imapd.protocol"] == "0644 imap = yes"
    assert "usr/share/other" not in made


def test_what_packages_ship_below_var_run_is_below_run(tmp_path: Path) -> None:
    files = {"var/run/base/x": "x", "var/lock/": ""}
    package = deb("base", files=files, scripts={"postinst": "#!/bin/sh\n:\n"})
    recipe = (_OFF % "").replace("daemond", "base")
    made = listing(BuildWorld(tmp_path, [package]).build(recipe))
    assert (made["var/run"], made["var/lock"]) == ("-> /run", "-> /run/lock")
    assert made["run/base/x"] == "0644 x"


def test_minimal_essentials_are_added_where_the_recipe_has_not_chosen_them(tmp_path: Path) -> None:
    names = ("base-files", "base-passwd", "coreutils", "dash", "libc-bin")
    world = BuildWorld(tmp_path, [deb(name, files={f"usr/share/{name}": name}) for name in names])
    recipe = "essential: minimal\n" + (_OFF % "").replace("daemond", "dash")
    assert {f"usr/share/{name}" for name in names} <= set(listing(world.build(recipe)))


def test_the_image_starts_as_a_user_that_a_package_brings(tmp_path: Path) -> None:
    world = _world(tmp_path, postinst=_POSTINST)
    recipe = _OFF % "" + "config: {user: 'daemond:adm'}\n"
    built = world.build(recipe)
    assert "daemond:x:" in listing(built)["etc/passwd"]
    with pytest.raises(UsageError, match=r"the image has no user 'daemon2' \(config.user\)"):
        world.build(recipe.replace("daemond:adm", "daemon2"))
    with pytest.raises(UsageError, match="the image has no group 'daemon3'"):
        world.build(recipe.replace("daemond:adm", "daemond:daemon3"))


def test_each_step_can_be_switched_off(tmp_path: Path) -> None:
    off = ", layout: false, alternatives: false, packaged_state: false"
    made = listing(_world(tmp_path, postinst=_POSTINST).build(_OFF % off))
    assert "daemond:x:" in made["etc/passwd"]
    assert not {"var/run", "usr/bin/editor", "var/log/daemond"} & set(made)
    assert made["etc/daemond.conf"] == "0644 x"


def test_an_image_without_scripts_has_nothing_of_it(tmp_path: Path) -> None:
    made = listing(_world(tmp_path).build(_OFF % ""))
    assert set(made) == {*_FILES, "etc/passwd", "etc/group", "bin", "sbin", "lib", "lib64",
                         "usr/lib64", "usr/sbin"}  # fmt: skip
    assert "www-data" not in made["etc/passwd"]


def test_the_recipe_has_the_last_word(tmp_path: Path) -> None:
    recipe = (
        _OFF % ""
        + "accounts: {users: [{name: daemond, uid: 321}]}\n"
        + "files: [{to: /etc/daemond.conf, text: mine, mode: '0600'}]\n"
        + "links: [{path: /usr/bin/editor, target: vi}]\n"
    )
    made = listing(_world(tmp_path, postinst=_POSTINST).build(recipe))
    assert "daemond:x:321:321:" in made["etc/passwd"]
    assert made["etc/daemond.conf"] == "0600 mine"
    assert made["usr/bin/editor"] == "-> vi"
    other = next(x for x in made["etc/passwd"].splitlines() if x.startswith("other:"))
    assert other.split(":")[2] != "321"


def test_what_is_not_understood_is_said_with_its_line(tmp_path: Path) -> None:
    script = "#!/bin/sh\nset -e\nfrobnicate /var/x\n"
    built = _world(tmp_path, postinst=script).build(_OFF % "").built.images[0]
    assert [line for line in built.warnings if "line 3 is not run: frobnicate /var/x" in line]


def test_a_number_follows_from_the_name_whatever_else_is_there() -> None:
    def numbers(*names: str) -> dict[str, int]:
        settled = settle_accounts((), (), [AddUser(package="p", name=n) for n in names], "/bin/sh")
        return {name: settled.users[name].uid for name in names}

    names = [f"daemon{number}" for number in range(60)]
    many = numbers(*names)
    assert len(set(many.values())) == len(names)
    assert numbers(*reversed(names)) == many
    assert numbers("daemon7") == {"daemon7": 466}


def test_a_keystore_is_what_the_format_says() -> None:
    store = keystore({"b": b"\x30\x00", "a": b"\x30\x01\x00"}, 1000)
    assert store.startswith(bytes.fromhex("feedfeed 00000002 00000002 00000002 0001") + b"a")
    assert store == keystore({"a": b"\x30\x01\x00", "b": b"\x30\x00"}, 1000)
    assert len(store) == 12 + 2 * (4 + 3 + 8 + 7 + 4) + 5 + 20


def test_all_knowledge_is_readable_and_says_where_it_comes_from() -> None:
    for package, known in load_knowledge().items():
        assert known.why, package
        assert known.versions, package
        says = known.prints or known.environments or known.instead_of_scripts
        assert list(known.effects(package)) or says, package


def test_an_entrypoint_whose_interpreter_is_missing_is_refused(tmp_path: Path) -> None:
    package = deb("tool", files={"usr/bin/tool": file("#!/bin/sh\n:\n", mode=0o755)})
    recipe = (
        "steps: {os_release: false, copyright: false, status_database: false}\n"
        "packages: [tool]\nconfig: {entrypoint: [/usr/bin/tool]}\n"
    )
    with pytest.raises(CannotStart, match="is a script for /bin/sh") as caught:
        BuildWorld(tmp_path, [package]).build(recipe)
    assert caught.value.hint == "add to the recipe: packages: [dash]"


def test_shells_of_packages_are_listed(tmp_path: Path) -> None:
    files = {
        "usr/sbin/update-shells": "", "usr/bin/rbash": file("x", mode=0o755),
        "usr/share/debianutils/shells": "# valid shells\n/bin/sh\n",
        "usr/share/debianutils/shells.d/bash": "/bin/rbash # restricted\n/usr/bin/rbash\n",
    }  # fmt: skip
    package = deb("debianutils", files=files, scripts={"postinst": "#!/bin/sh\nupdate-shells\n"})
    made = listing(
        BuildWorld(tmp_path, [package]).build((_OFF % "").replace("daemond", "debianutils"))
    )
    assert made["etc/shells"] == (
        "0644 # valid shells\n/bin/sh\n/usr/bin/sh\n/bin/rbash\n/usr/bin/rbash"
    )


def test_an_owner_of_all_below_a_folder_is_the_owner_of_its_links(tmp_path: Path) -> None:
    """As chown -R has it, which follows no link; without -R the owner is that of the target."""
    files = {"etc/d/a": "x", "etc/d/on/a": link("../a"), "etc/b": "x", "etc/to-b": link("b")}
    commands = ("chown -R www-data /etc/d/on", "chmod -R o= /etc/d/on", "chown :adm /etc/to-b")
    postinst = "\n".join(("#!/bin/sh", *commands))
    package = deb("daemond", files=files, scripts={"postinst": postinst})
    made = tree_of(BuildWorld(tmp_path, [package]).build(_OFF % ""))
    owners = {path: (made[path.encode()].uid, made[path.encode()].gid) for path in files}
    assert owners == {"etc/d/on/a": (33, 0), "etc/d/a": (0, 0), "etc/to-b": (0, 0), "etc/b": (0, 4)}
    assert made[b"etc/d/on/a"].mode == 0o777
    assert (made[b"etc/d/on"].uid, made[b"etc/d/on"].mode) == (33, 0o750)


@pytest.mark.parametrize(
    ("postinst", "home"),
    {
        "[ $(getent group daemond) ] || adduser --system --home /var/lib/d --group daemond\n"
        "systemd-sysusers d.conf": "/var/lib/d",
        "systemd-sysusers d.conf\nadduser --system --home /var/lib/d --group daemond": "/srv/d",
        "getent passwd daemond || adduser --system --home /var/lib/d --group daemond": "/var/lib/d",
        "getent passwd daemon || adduser --system --home /var/lib/d --group daemond": "/srv/d",
    }.items(),
)
def test_accounts_of_sysusers_are_there_when_the_script_says_so(
    tmp_path: Path, postinst: str, home: str
) -> None:
    """A script that makes the account before has the last word on its home and comment."""
    files = {"usr/lib/sysusers.d/d.conf": 'u daemond - "Of systemd" /srv/d\n'}
    package = deb("daemond", files=files, scripts={"postinst": f"#!/bin/sh\n{postinst}\n"})
    made = listing(BuildWorld(tmp_path, [package]).build(_OFF % ""))
    line = next(x for x in made["etc/passwd"].splitlines() if x.startswith("daemond:"))
    assert line.split(":")[5] == home


def test_of_several_lines_for_a_path_the_first_file_counts(tmp_path: Path) -> None:
    package = deb(
        "pp",
        files={
            "usr/lib/tmpfiles.d/b.conf": "d /run/lock 0755\nz /var/log/later 2750 root adm\n",
            "usr/lib/tmpfiles.d/a.conf": "d /run/lock 1777\nf^ /etc/hosts - - - - credential\n",
        },
        scripts={"postinst": "#!/bin/sh\nmkdir /var/log/later\n"},
    )
    made = listing(BuildWorld(tmp_path, [package]).build((_OFF % "").replace("daemond", "pp")))
    assert made["run/lock"] == "directory 1777"
    assert made["var/log/later"] == "directory 2750 0:4"
    assert "etc/hosts" not in made


def test_capabilities_become_an_attribute_of_the_file(tmp_path: Path) -> None:
    package = deb(
        "ping", files={"usr/bin/ping": file("p", mode=0o755)},
        scripts={"postinst": "#!/bin/sh\nsetcap cap_net_raw+ep /bin/ping || chmod u+s /bin/ping\n"},
    )  # fmt: skip
    built = BuildWorld(tmp_path, [package]).build((_OFF % "").replace("daemond", "ping"))
    node = tree_of(built)[b"usr/bin/ping"]
    assert node.mode == 0o755
    assert set(node.xattrs) == {b"security.capability"}


@pytest.mark.parametrize(
    ("first_line", "path", "hint"),
    [
        ("#!/usr/bin/env node", "", "add to the recipe: packages: [nodejs]"),
        ("#!/usr/bin/env -S A=b node --x", "", "add to the recipe: packages: [nodejs]"),
        ("#!/usr/bin/env runner", "/usr/bin", "choose a package that provides it"),
        ("#!/usr/bin/env runner", "", None),
        ("#!/usr/bin/env runner", "/opt:/usr/local/bin", None),
    ],
)
def test_a_program_that_env_starts_must_be_there(
    first_line: str, path: str, hint: str | None, tmp_path: Path
) -> None:
    contents = {"bin/tool": f"{first_line}\n", "bin/env": "", "local/bin/runner": "x"}
    files = {f"usr/{name}": file(text, mode=0o755) for name, text in contents.items()}
    recipe = (
        "steps: {os_release: false, copyright: false, status_database: false}\n"
        "packages: [tool]\nconfig: {entrypoint: [/usr/bin/tool]"
        + (f", env: {{PATH: '{path}'}}}}\n" if path else "}\n")
    )
    world = BuildWorld(tmp_path, [deb("tool", files=files)])
    if hint is None:
        world.build(recipe)
        return
    with pytest.raises(CannotStart, match=r"is a script for (node|runner), which") as caught:
        world.build(recipe)
    assert caught.value.hint == hint


def test_a_warning_ends_with_its_recipe_line(tmp_path: Path) -> None:
    world = _world(tmp_path, postinst="#!/bin/sh\nif frobs; then cp /etc/a /etc/made; fi\n")
    (line,) = [w for w in world.build(_OFF % "").built.images[0].warnings if "frobs" not in w]
    assert line.endswith("add to the recipe: files: [{to: /etc/made, from: FILE}]")
    ended = world.build(_OFF % "" + "files: [{to: /etc/made, text: x}]\n").built.images[0]
    assert not [warning for warning in ended.warnings if "/etc/made" in warning]


def test_programs_that_only_maintainer_scripts_call_are_no_warnings(tmp_path: Path) -> None:
    script = file("#!/usr/bin/perl\n", mode=0o755)
    helpers = deb("init-system-helpers", files={"usr/bin/deb-systemd-helper": script})
    tool = deb("tool", files={"etc/init.d/tool": script, "usr/bin/tool": script})
    recipe = (
        "steps: {os_release: false, copyright: false, status_database: false}\n"
        "packages: [init-system-helpers, tool]\n"
    )
    (warning,) = BuildWorld(tmp_path, [helpers, tool]).build(recipe).built.images[0].warnings
    assert warning.startswith("/usr/bin/tool is a script for '/usr/bin/perl'")


@pytest.mark.parametrize(("group_is_there", "members"), [(True, ("postgres",)), (False, ())])
def test_a_known_account_joins_a_group_only_if_the_image_has_it(
    group_is_there: bool, members: tuple[str, ...]
) -> None:
    effects = list(load_knowledge()["postgresql-common"].effects("postgresql-common"))
    if group_is_there:
        effects.append(AddGroup(package="ssl-cert", name="ssl-cert"))
    found = settle_accounts((), (), effects, "/bin/bash")
    assert found.members.get("ssl-cert", ()) == members
    assert ("ssl-cert" in found.groups) == group_is_there


def test_a_program_has_the_variables_that_its_package_starts_it_with(tmp_path: Path) -> None:
    """As /etc/apache2/envvars, without which Apache refuses its own configuration."""
    apache = deb("apache2", "2.4.66-1", files={"usr/sbin/apache2": file("x", mode=0o755)})
    world = BuildWorld(tmp_path, [apache])
    text = """
packages: [apache2]
config: {entrypoint: [/usr/sbin/apache2], env: {APACHE_LOG_DIR: /srv/log}}
"""
    config = image_of(world.build(text)).config()
    assert config is not None
    assert config.parsed.config is not None
    env = dict(each.split("=", 1) for each in config.parsed.config.env or ())
    assert env["APACHE_RUN_DIR"] == "/var/run/apache2"
    assert env["APACHE_LOG_DIR"] == "/srv/log"


def test_tomcat_finds_the_folders_that_its_unit_names(tmp_path: Path) -> None:
    start = "usr/share/tomcat10/bin/catalina.sh"
    tomcat = deb("tomcat10", "10.1.60-0+deb13u1", files={start: file("\x7fELF", mode=0o755)})
    text = f"packages: [tomcat10]\nconfig: {{entrypoint: [/{start}]}}\n"
    config = image_of(BuildWorld(tmp_path, [tomcat]).build(text)).config()
    assert config is not None
    assert config.parsed.config is not None
    assert "CATALINA_BASE=/var/lib/tomcat10" in (config.parsed.config.env or ())


def test_a_recipe_with_apt_has_its_database_sources_and_essential_packages(tmp_path: Path) -> None:
    asked = recipe(tmp_path, "packages: [apt]")
    assert (asked.steps.dpkg_database, asked.steps.apt_sources) == (True, True)
    assert asked.essential == "true"
    assert recipe(tmp_path, "packages: [apt]\nessential: none").essential == "none"
    other = recipe(tmp_path, "packages: [dpkg]\nsteps: {dpkg_database: false}")
    assert not other.steps.dpkg_database


def test_the_package_locales_has_the_locale_that_the_environment_names(tmp_path: Path) -> None:
    asked = recipe(tmp_path, "packages: [locales]\nconfig: {env: {LANG: de_DE.UTF-8}}")
    assert asked.locales == ("de_DE.UTF-8",)
    assert "locales-all" in {each.name for each in asked.packages}
    without = recipe(tmp_path, "packages: [locales]\nconfig: {env: {LANG: C.UTF-8}}")
    assert without.locales == ()


def test_a_missing_library_of_a_plug_in_is_named_with_its_package(tmp_path: Path) -> None:
    """As of iproute2's ``q_atm.so``, which needs a library that iproute2 only recommends."""
    package = deb(
        "tools", recommends="other | libatm1t64", suggests="libatm2",
        files={"usr/lib/tools/q_atm.so": elf(needed=["libatm.so.1"])},
    )  # fmt: skip
    recipe = (
        "steps: {os_release: false, copyright: false, status_database: false}\npackages: [tools]\n"
    )
    world = BuildWorld(tmp_path, [package])
    assert world.build(recipe).built.images[0].warnings == (
        "tools: /usr/lib/tools/q_atm.so needs files that are not in the image: libatm.so.1; "
        "to add it, packages: [libatm1t64]; to leave it out, exclude: [/usr/lib/tools/q_atm.so]",
    )
    left_out = recipe + "exclude: [/usr/lib/tools/q_atm.so]\n"
    assert world.build(left_out).built.images[0].warnings == ()
