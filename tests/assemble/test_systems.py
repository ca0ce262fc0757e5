"""Images that are whole systems: dpkg's own database, apt's sources, and what is left out."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from builders.building import BARE, BuildWorld, listing
from builders.deb import deb, file, link
from homeport.building.request import BuildResult
from homeport.errors import HomeportError

DPKG = BARE.replace("tmp: false}", "tmp: false, dpkg_database: true}")
CONF = b"setting = 1\n"


def build(root: Path, recipe: str, *packages: bytes) -> BuildResult:
    return BuildWorld(root, packages).build(recipe)


def database(built: BuildResult) -> dict[str, str]:
    """Below /var/lib/dpkg."""
    return {
        path.removeprefix("var/lib/dpkg/"): what
        for path, what in listing(built).items()
        if path.startswith("var/lib/dpkg/")
    }


def test_dpkg_finds_its_database_as_it_would_have_written_it(tmp_path: Path) -> None:
    built = build(
        tmp_path,
        DPKG + "packages: [tool, lib]\n",
        deb(
            "tool",
            conffiles=["/etc/tool.conf"],
            scripts={
                "postinst": "#!/bin/sh\nexit 0\n",
                "triggers": "interest-noawait /usr/share/tool\nactivate ldconfig\n",
            },
            files={"etc/tool.conf": CONF, "usr/bin/tool": file(b"t", mode=0o755)},
        ),
        deb(
            "lib",
            architecture="amd64",
            fields={"Multi-Arch": "same"},
            scripts={"triggers": "interest ldconfig # libraries\n"},
            files={"usr/lib/lib.so.1": b"l", "usr/lib/lib.so": link("lib.so.1")},
        ),
    )  # fmt: skip
    found = database(built)
    status = found.pop("status").removeprefix("0644 ")
    stanzas = [stanza.splitlines() for stanza in status.split("\n\n")]
    assert [stanza[:2] for stanza in stanzas] == [
        ["Package: lib", "Status: install ok installed"],
        ["Package: tool", "Status: install ok installed"],
    ]
    md5 = hashlib.md5(CONF, usedforsecurity=False).hexdigest()
    assert stanzas[1][-2:] == ["Conffiles:", f" /etc/tool.conf {md5}"]
    assert found["info/tool.list"].splitlines()[0] == "0644 /."
    assert set(found["info/tool.list"].splitlines()[1:]) >= {
        "/etc", "/etc/tool.conf", "/usr/bin/tool",
    }  # fmt: skip
    assert found["info/tool.postinst"] == "0755 #!/bin/sh\nexit 0"
    assert found["info/tool.conffiles"] == "0644 /etc/tool.conf"
    assert found["info/lib:amd64.list"].splitlines()[-1] == "/usr/lib/lib.so.1"
    assert found["triggers/File"] == "0644 /usr/share/tool tool/noawait"
    assert found["triggers/ldconfig"] == "0644 lib:amd64"
    assert not any(path.startswith("status.d/") for path in found)


SYSTEM = [
    deb("base", fields={"Essential": "yes", "Priority": "required"}, files={"usr/bin/base": b"b"}),
    deb("apt", fields={"Priority": "required"}, depends="lib", files={"usr/bin/apt": b"a"}),
    deb("lib", files={"usr/lib/lib.so": b"l"}),
    deb("req", fields={"Priority": "required"}, files={"usr/bin/req": b"r"}),
    deb("imp", fields={"Priority": "important"}, files={"usr/bin/imp": b"i"}),
    deb("std", fields={"Priority": "standard"}, files={"usr/bin/std": b"s"}),
    deb("build-essential", files={"usr/share/build": b"s"}),
]


@pytest.mark.parametrize(
    ("variant", "packages"),
    [
        ("essential", "base"),
        ("apt", "apt base lib"),
        ("required", "apt base lib req"),
        ("minbase", "apt base lib req"),
        ("buildd", "apt base build-essential lib req"),
        ("important", "apt base imp lib req"),
        ("debootstrap", "apt base imp lib req"),
        ("standard", "apt base imp lib req std"),
    ],
)
def test_a_variant_has_the_packages_that_mmdebstrap_gives_it(
    variant: str, packages: str, tmp_path: Path
) -> None:
    built = build(tmp_path, BARE + f"variant: {variant}\n", *SYSTEM)
    assert " ".join(each.id.name for each in built.built.images[0].packages) == packages


def test_packages_and_without_change_a_variant(tmp_path: Path) -> None:
    built = build(tmp_path, BARE + "variant: minbase\npackages: [std]\nwithout: [req]\n", *SYSTEM)
    names = [each.id.name for each in built.built.images[0].packages]
    assert names == ["apt", "base", "lib", "std"]


def test_a_variant_has_dpkgs_database_and_apts_sources(tmp_path: Path) -> None:
    recipe = """
steps: {os_release: false}
variant: essential
archives:
  - {name: test, suites: [trixie], mirrors: [https://deb.example/debian], keys: [key.asc]}
files: [{from: key.asc, to: /etc/apt/keyrings/test.asc}]
"""
    found = listing(build(tmp_path, recipe, *SYSTEM))
    assert "var/lib/dpkg/status" in found
    assert found["etc/apt/sources.list.d/test.sources"] == (
        "0644 Types: deb\nURIs: https://deb.example/debian\nSuites: trixie\nComponents: main\n"
        "Signed-By: /etc/apt/keyrings/test.asc"
    )


DOCUMENTED = deb(
    "tool",
    files={
        "usr/bin/tool": b"t",
        "usr/share/doc/tool/copyright": b"licence",
        "usr/share/doc/tool/examples/x": b"x",
        "usr/share/doc/lib": link("tool"),
        "usr/share/man/man1/tool.1.gz": b"m",
        "usr/share/locale/de/LC_MESSAGES/tool.mo": b"d",
        "usr/share/tool/data": b"d",
    },
)
#: Folders whose content is left out stay, empty.
FOLDERS = {"usr/share/man", "usr/share/locale"}
KEPT = {"usr/bin/tool", "usr/share/doc/tool/copyright", "usr/share/doc/lib"} | FOLDERS
DATA = "usr/share/tool/data"


@pytest.mark.parametrize(
    ("recipe", "left_out"),
    [
        ("packages: [tool]\nexclude: [doc, man, locale]", KEPT | {DATA}),
        (
            "packages: [{name: tool, exclude: [doc, man, locale, /usr/share/tool/**]}]",
            KEPT | {"usr/share/tool"},
        ),
        ("packages: [{name: tool, exclude: [doc, man]}]\nexclude: [locale]", KEPT | {DATA}),
    ],
)
def test_files_of_whole_packages_can_be_left_out_but_not_their_copyright(
    recipe: str, left_out: set[str], tmp_path: Path
) -> None:
    assert set(listing(build(tmp_path, BARE + recipe + "\n", DOCUMENTED))) == left_out


def test_what_is_left_out_of_a_slice_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(HomeportError) as caught:
        build(
            tmp_path, BARE + "packages: [{name: tool, slices: [a], exclude: [doc]}]\n", DOCUMENTED
        )
    assert "exclude applies to whole packages" in str(caught.value.faults[0].what)  # type: ignore[attr-defined]


def test_accounts_are_base_passwds_where_it_is_in_the_image(tmp_path: Path) -> None:
    base = deb(
        "base-passwd",
        files={
            "usr/share/base-passwd/passwd.master":
                b"root:*:0:0:root:/root:/bin/bash\nwww-data:*:33:33:www-data:/var/www:/bin/no\n",
            "usr/share/base-passwd/group.master": b"root:*:0:\nadm:*:4:\nwww-data:*:33:\n",
        },
    )  # fmt: skip
    recipe = (
        BARE.replace("accounts: false", "accounts: true")
        + "packages: [base-passwd]\naccounts: {users: [{name: app, uid: 900}]}\n"
    )
    found = listing(build(tmp_path, recipe, base))
    assert found["etc/passwd"].splitlines() == [
        "0644 root:*:0:0:root:/root:/bin/bash",
        "www-data:*:33:33:www-data:/var/www:/bin/no",
        "app:x:900:900::/nonexistent:/usr/sbin/nologin",
    ]
    assert found["etc/group"] == "0644 root:*:0:\nadm:*:4:\nwww-data:*:33:\napp:x:900:"


def test_scripts_that_are_only_read_are_no_warnings(tmp_path: Path) -> None:
    script = file(b"#!/usr/bin/none\n", mode=0o755)
    examples = deb(
        "tool",
        files={"usr/share/doc/tool/x": script, "usr/share/tool/examples/y": script},
    )
    program = deb("other", files={"usr/bin/other": script})
    built = build(tmp_path, BARE + "packages: [tool, other]\n", examples, program)
    assert built.built.images[0].warnings == (
        "/usr/bin/other is a script for '/usr/bin/none', which is not in the image; "
        "to leave it out, exclude: [/usr/bin/other]",
    )
