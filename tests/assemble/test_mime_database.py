"""The database of MIME types says what packages and the recipe declare."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from builders.building import BARE, BuildWorld, listing
from builders.deb import deb
from builders.mime_cache import read_mime_cache
from homeport.assemble.system.mime_database import database
from homeport.assemble.system.mime_types import NAMESPACE, read_mime_types

_BEGIN = '<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">'
ODD = {
    "b.xml": f"""<!DOCTYPE mime-info [<!ATTLIST glob weight CDATA "50">]>{_BEGIN}
      <mime-type type="text/x-one"><comment>One &amp; only</comment>
        <comment xml:lang="de">Eins</comment><acronym>ONE</acronym>
        <glob pattern="*.ONE"/><glob pattern="*.One" case-sensitive="true" weight="60"/>
        <glob pattern="makefile"/><glob pattern="x[0-9]*.?"/><glob pattern="*.täg"/>
        <alias type="text/one"/><sub-class-of type="text/plain"/><sub-class-of type="x/y"/>
        <root-XML namespaceURI="urn:x" localName="root"/><icon name="one"/>
        <generic-icon name="text"/>
        <magic priority="80"><match type="string" offset="0:4" value="a\\x41\\101\\n" mask="0xff0f">
            <match type="big32" offset="8" value="0x01020304" mask="0xffff0000"/>
            <match type="little16" offset="9" value="010">
              <match type="host16" offset="3" value="7"/></match></match>
          <match type="byte" offset="2" value="255"/></magic></mime-type>
      <mime-type type="x-content/disc"><treemagic priority="10">
        <treematch path="video" type="directory" non-empty="true" match-case="true">
          <treematch path="run" executable="true" type="file" mimetype="text/x-one"/></treematch>
        <treematch path="link" type="link"/></treemagic></mime-type>
    </mime-info>""",
    "c.xml": f"""{_BEGIN}
      <mime-type type="text/x-one"><comment>One again</comment><glob pattern="*.one"/>
        <other xmlns="urn:other" a="b">text</other></mime-type>
      <mime-type type="text/x-bad"><glob pattern="*.kept"/><glob weight="1"/>
        <glob pattern="*.lost"/></mime-type>
      <mime-type type="nonsense"/></mime-info>""",
    "Override.xml": f"""{_BEGIN}<mime-type type="Text/X-Cleared"><glob-deleteall/>
      <magic-deleteall/><glob pattern="*.one" weight="70"/></mime-type></mime-info>""",
    "z.xml": "<mime-info/>",
}


def made() -> tuple[dict[str, bytes], list[str]]:
    faults: list[str] = []
    files = {name: text.encode() for name, text in ODD.items()}
    types = read_mime_types(files, lambda name, why: faults.append(f"{name}: {why}"))
    return dict(database(types, "2.4")), faults


def test_faults_are_told_and_what_stood_before_them_counts() -> None:
    files, faults = made()
    assert faults == [
        "c.xml: text/x-bad: <glob> without a valid pattern",
        "c.xml: nonsense: not a <mime-type> with a valid type",
        f"z.xml: expected <mime-info> of {NAMESPACE}, found <mime-info>",
    ]
    globs = files["globs2"].decode()
    assert "50:text/x-bad:*.kept\n" in globs
    assert "lost" not in globs
    assert "60:text/x-one:*.One:cs\n60:text/x-one:*.One\n" in globs
    assert "<comment>One again</comment>" in files["text/x-one.xml"].decode()
    assert "One &amp; only" not in files["text/x-one.xml"].decode()


@pytest.mark.peer("update-mime-database")
def test_odd_types_are_written_as_shared_mime_info_does(tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    for name, text in ODD.items():
        (tmp_path / "packages" / name).write_text(text)
    program = str(shutil.which("update-mime-database"))
    subprocess.run([program, tmp_path], check=True, capture_output=True)
    ours, _ = made()
    names = {str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*") if each.is_file()}
    assert {name for name in names if not name.startswith("packages")} == set(ours)
    for name, data in ours.items():
        theirs = (tmp_path / name).read_bytes()
        if name == "mime.cache":
            assert read_mime_cache(data) == read_mime_cache(theirs)
        elif name != "version":
            assert sorted(data.splitlines()) == sorted(theirs.splitlines()), name


def test_an_image_has_the_database_with_shared_mime_info(tmp_path: Path) -> None:
    files = {f"usr/share/mime/packages/{name}": text for name, text in ODD.items()}
    types = deb("types", files=files)
    program = {"usr/bin/update-mime-database": "x"}
    shared = deb("shared-mime-info", version="2.4-5+b2", files=program)
    world = BuildWorld(tmp_path, [types, shared])
    found = listing(world.build(BARE + "packages: [types, shared-mime-info]\n"))
    assert found["usr/share/mime/version"] == "0644 2.4"
    assert {"usr/share/mime/mime.cache", "usr/share/mime/text/x-one.xml"} <= set(found)
    alone = listing(world.build(BARE + "packages: [types]\n"))
    off = BARE.replace("tmp: false", "tmp: false, mime_database: false")
    without = listing(world.build(off + "packages: [types, shared-mime-info]\n"))
    assert "usr/share/mime/mime.cache" not in {*alone, *without}


def test_a_type_cannot_leave_the_folder_and_entities_are_refused() -> None:
    faults: list[str] = []
    bad = {
        "a.xml": f'{_BEGIN}<mime-type type="../x"/><mime-type type="/x"/></mime-info>'.encode(),
        "b.xml": b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>',
    }
    types = read_mime_types(bad, lambda name, why: faults.append(f"{name}: {why}"))
    assert list(types.fields) == []
    assert faults == [
        "a.xml: ../x: invalid type", "a.xml: /x: invalid type",
        "b.xml: the document declares the entity 'a'",
    ]  # fmt: skip
