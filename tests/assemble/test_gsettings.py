"""Settings of GLib are compiled, values of its types are read and written."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from builders.building import BARE, BuildWorld, tree_of
from builders.deb import deb
from builders.gvdb import read_gvdb
from homeport.assemble.system.gsettings import compile_schemas
from homeport.assemble.system.gvariant import Just, Typed, serialised, variant
from homeport.assemble.system.gvariant_text import parse
from homeport.content.blob import verified

_ODD = {
    "z.enums.xml": """<schemalist>
      <enum id="x.level"><value nick="low" value="-1"/><value nick="high" value="0x10"/></enum>
      <flags id="x.rights"><value nick="none" value="0"/><value nick="read" value="1"/>
        <value nick="write" value="2147483648"/></flags>
    </schemalist>""",
    "a.gschema.xml": """<?xml version="1.0"?><schemalist gettext-domain="odd">
      <schema id="x.base"><key name="name" type="s"><default>'one'</default></key>
        <key name="size" type="i"><range min="-3"/><default>2</default></key></schema>
      <schema id="x.odd" extends="x.base" path="/x/odd/" gettext-domain="other">
        <override name="name" l10n="messages" context="menu"> "t\\u00e4xt" </override>
        <key name="level" enum="x.level"><aliases><alias value="top" target="high"/></aliases>
          <default>'high'</default></key>
        <key name="rights" flags="x.rights"><default>['read', 'write']</default></key>
        <key name="choice" type="ms"><choices><choice value="aa"/><choice value="bb"/></choices>
          <aliases><alias value="cc" target="bb"/></aliases><default>just 'aa'</default></key>
        <key name="time" type="s"><default l10n="time"><![CDATA[ '%a' ]]></default>
          <summary>Time</summary><description>of <!-- a comment --> the day</description></key>
        <key name="deep" type="a{sv}"><default>{'a': &lt;1&gt;, "b": &lt;(true, [1.5, 2])&gt;,
          'c': &lt;@as []&gt;, 'd': &lt;{1: 'x'}&gt;, 'e': &lt;uint32 7&gt;}</default></key>
        <key name="pairs" type="a(su)"><default>[('x', 1), ('y', 0x2)]</default></key>
        <key name="numbers" type="(ynqiuxthdb)"><default>(255, -1, 010, -2147483648, 1, -9, 9, -1,
          1e-3, false)</default></key>
        <key name="bytes" type="ay"><default>b'a\\x62\\101'</default></key>
        <key name="none" type="mi"><default>nothing</default></key>
        <key name="empty" type="as"><default>[]</default></key>
        <key name="single" type="(s)"><default>('only',)</default></key>
        <key name="unit" type="a()"><default>[(), ()]</default></key>
        <key name="entry" type="{is}"><default>{1, 'x'}</default></key>
        <child name="sub" schema="x.base"/>
      </schema>
      <schema id="x.list" list-of="x.base" path="/x/list:/"/>
    </schemalist>""",
    "bad.gschema.xml": """<schemalist><schema id="x.bad"><key name="k" type="i">
      <default>'text'</default></key></schema></schemalist>""",
    "10.gschema.override": "# words\n[x.odd]\nlevel = 'low' \n[x.base:GNOME]\nsize=3\n"
    "[x.missing]\nk=1\n[x.base]\nnone=1\nsize=-4\n",
}


def test_a_file_with_a_fault_is_left_out_and_an_override_alone(tmp_path: Path) -> None:
    faults: list[str] = []
    files = {name: text.encode() for name, text in _ODD.items()}
    found = read_gvdb(compile_schemas(files, lambda name, why: faults.append(f"{name}: {why}")))
    assert faults == [
        "bad.gschema.xml: \"'text'\" is not of type i",
        "10.gschema.override, none: no such key in x.base that can be overridden",
        "10.gschema.override, size: out of range",
    ]
    assert sorted(found[""]) == ["x.base", "x.list", "x.odd"]
    assert found["x.base"]["size"].endswith(b"\0(i(y(ii))(ya{sv}))")
    assert found["x.odd"][".gettext-domain"] == b"other\0\0s"
    assert found["x.list"][".list-of"] == b"x.base\0\0s"


@pytest.mark.peer("glib-compile-schemas")
def test_odd_schemas_are_compiled_as_glib_does(tmp_path: Path) -> None:
    for name, text in _ODD.items():
        (tmp_path / name).write_text(text)
    program = str(shutil.which("glib-compile-schemas"))
    subprocess.run([program, tmp_path], check=True, capture_output=True)
    theirs = read_gvdb((tmp_path / "gschemas.compiled").read_bytes())
    files = {name: text.encode() for name, text in _ODD.items()}
    assert read_gvdb(compile_schemas(files, lambda *_: None)) == theirs


def test_an_image_with_schemas_has_them_compiled(tmp_path: Path) -> None:
    folder = "usr/share/glib-2.0/schemas/"
    files = {folder + name: text for name, text in _ODD.items()}
    world = BuildWorld(tmp_path, [deb("settings", files=files)])
    built = world.build(BARE + "packages: [settings]\n")
    node = tree_of(built)[(folder + "gschemas.compiled").encode()]
    assert node.content is not None
    with verified(node.content, "schemas") as stream:
        assert "x.odd" in read_gvdb(stream.read())
    (warning, *_) = [each for each in built.built.images[0].warnings if "bad.gschema.xml" in each]
    assert "/usr/share/glib-2.0/schemas/bad.gschema.xml was not compiled" in warning
    off = BARE.replace("tmp: false", "tmp: false, gsettings_schemas: false")
    assert (folder + "gschemas.compiled").encode() not in tree_of(
        world.build(off + "packages: [settings]\n")
    )


@pytest.mark.parametrize(("kind", "value", "data"), [
    # The examples of "GVariant Serialisation".
    ("ms", Just("Hello world"), b"Hello world\0\0"),
    ("ab", [True, False, False, True, True], b"\1\0\0\1\1"),
    ("(si)", ("foo", -1), b"foo\0\xff\xff\xff\xff\4"),
    ("a(si)", [("hi", -2), ("bye", -1)],
     b"hi\0\0\xfe\xff\xff\xff\3\0\0\0bye\0\xff\xff\xff\xff\4\x09\x15"),
    ("as", ["i", "can", "has", "strings?"], b"i\0can\0has\0strings?\0\2\6\x0a\x13"),
    ("((ys)as)", ((ord("i"), "can"), ["has", "strings?"]), b"ican\0has\0strings?\0\4\x0d\5"),
    ("(yy)", (0x70, 0x80), b"\x70\x80"),
    ("(iy)", (96, 0x70), b"\x60\0\0\0\x70\0\0\0"),
    ("a(iy)", [(96, 0x70), (648, 0xf7)], b"\x60\0\0\0\x70\0\0\0\x88\2\0\0\xf7\0\0\0"),
    ("{si}", ("a key", 514), b"a key\0\0\0\2\2\0\0\6"),
])  # fmt: skip
def test_values_are_written_as_glib_says(kind: str, value: Any, data: bytes) -> None:
    assert serialised(kind, value) == data
    assert variant(kind, value) == data + b"\0" + kind.encode()


@pytest.mark.parametrize(("kind", "text", "value"), [
    ("v", "<'x'>", Typed("s", "x")), ("d", "0x10", 16.0), ("d", "-inf", float("-inf")),
    ("s", r"'a\'\n\U0001F600\0'", "a'\n😀0"), ("mmi", "just nothing", Just(None)),
    ("a{s(is)}", "{'k': (1, 'v')}", [("k", (1, "v"))]), ("a{si}", "[{'k', 1}]", [("k", 1)]),
    ("x", "int64 -5", -5), ("av", "[<1>, <@ai []>, <(1,)>]",
     [Typed("i", 1), Typed("ai", []), Typed("(i)", (1,))]),
])  # fmt: skip
def test_texts_are_read(kind: str, text: str, value: Any) -> None:
    assert parse(kind, text) == value


@pytest.mark.parametrize(("kind", "text"), [
    ("y", "256"), ("u", "-1"), ("s", "'x"), ("as", "['a' 'b']"),
    ("i", "1.5"), ("b", "1"), ("s", "x"),
    ("i", "1 2"), ("i", ""), ("i", "int64 1"), ("(ii)", "(1)"), ("v", "1"), ("v", "<>"), ("a", "1"),
    ("{vs}", "{<1>, 'x'}"), ("i", "0x"), ("v", "<" * 100 + ">" * 100), ("a" * 100 + "i", "[]"),
    ("q", "%i"),
])  # fmt: skip
def test_what_is_not_a_value_is_a_fault(kind: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(kind, text)
