"""What maintainer scripts say: read as at a first installation, never run."""

from __future__ import annotations

import pytest

from homeport.debian.scripts.debconf import default_answers
from homeport.debian.scripts.effects import (
    AddAlternative,
    AddCatalogEntry,
    AddUser,
    CopyTree,
    Divert,
    Effect,
    EndDiversion,
    MakeDirectory,
    MakeFile,
    MakeLink,
    NotUnderstood,
    SetAttributes,
    SetCapabilities,
)
from homeport.debian.scripts.interpreter import World, read_script
from homeport.debian.scripts.machine import Files

_FILES = {"/etc/ready": "file", "/usr/bin/gawk": "file", "/etc/folder": "directory",
          "/etc/link": "symlink", "/etc/php/8.4/cli": "directory",
          "/usr/share/first.ini": "file"}  # fmt: skip


_TEXTS = {
    "/usr/share/helper": "make() { mkdir -p /var/$1; }\n",
    "/usr/bin/gawk": "\x7fELF",
    "/usr/share/first.ini": "; priority=30\nextension=second.so\n",
    "/usr/share/tool": "#!/bin/sh\nmkdir /var/$2\n",
    "/etc/php/8.4/mods-available/first.ini": "; priority=10\nextension=first.so\n",
}
WORLD = World(
    architecture="amd64",
    files=Files(
        type_of=_FILES.get,
        target_of={"/etc/link": "to"}.get,
        text_of=_TEXTS.get,
        names_in=lambda folder: ["a.conf", "b.conf", "c"] if folder == "/etc/folder" else [],
    ),
    account=lambda kind, name: name == "www-data",
)
TEMPLATES = "Template: p/yes\nType: boolean\nDefault: true\n\nTemplate: p/empty\nType: string\n"


def read(text: str, script: str = "postinst") -> list[Effect]:
    answers = default_answers(TEMPLATES)
    return read_script("p", script, f"#!/bin/sh\nset -e\n{text}\n", WORLD, answers)


CASES = {
    "an entry of a catalog of XML": (
        'update-xmlcatalog --sort --add --type system --id "http://x/y.dtd" --package docs '
        "--local /usr/share/xml/docs/catalog.xml",
        AddCatalogEntry(
            package="p", catalog="docs.xml", target="file:///usr/share/xml/docs/catalog.xml",
            key='delegateSystem systemIdStartString="http://x/y.dtd"',
        ),
    ),
    "an entry of the catalog of all": (
        'update-xmlcatalog --add --type public --id "-//X//Y" --package docs --root',
        AddCatalogEntry(
            package="p", catalog="catalog", target="file:///etc/xml/docs.xml",
            key='delegatePublic publicIdStartString="-//X//Y"',
        ),
    ),
    "an account of its own group": (
        "if ! getent passwd redis >/dev/null; then\n"
        "  adduser --system --home /var/lib/redis --quiet --group redis || true\nfi",
        AddUser(package="p", name="redis", home="/var/lib/redis", make_home=True),
    ),
    "a variable and a default in a path": (
        'D="${BASE:-/var/lib}"; mkdir -p "$D/x"',
        MakeDirectory(package="p", path="/var/lib/x"),
    ),
    "a loop over words in a case": (
        'case "$1" in configure|abort*) for n in a; do '
        'install -d -m 0750 -o www-data /srv/$n; done;; esac',
        MakeDirectory(package="p", path="/srv/a", mode=0o750, user="www-data"),
    ),
    "a function and its arguments": (
        'own() { chown "$2" "$1"; }\nown /etc/ready root:adm',
        SetAttributes(package="p", path="/etc/ready", user="root", group="adm"),
    ),
    "an override only where none is": (
        "if ! dpkg-statoverride --list /etc/ready >/dev/null 2>&1; then\n"
        "dpkg-statoverride --update --add root www-data 4754 /etc/ready; fi",
        SetAttributes(package="p", path="/etc/ready", user="root", group="www-data", mode="04754",
                      override=True),
    ),
    "an alternative with a slave": (
        "update-alternatives --quiet --install /usr/bin/awk awk /usr/bin/gawk 10 \\\n"
        " --slave /usr/share/man/awk.1 awk.1 /usr/share/man/gawk.1",
        AddAlternative(
            package="p", link="/usr/bin/awk", name="awk", path="/usr/bin/gawk", priority=10,
            slaves=(("/usr/share/man/awk.1", "awk.1", "/usr/share/man/gawk.1"),),
        ),
    ),
    "words in a variable that goes over lines": (
        'i=x\ns="--slave \\\n  /usr/bin/$i \\\n\t$i \\\n /usr/lib/$i"\n'
        "update-alternatives --install /usr/bin/awk awk /usr/bin/gawk 5 $s $none",
        AddAlternative(
            package="p", link="/usr/bin/awk", name="awk", path="/usr/bin/gawk", priority=5,
            slaves=(("/usr/bin/x", "x", "/usr/lib/x"),),
        ),
    ),
    "a here-document": (
        "N=x\ncat > /etc/new <<EOF\nname $N\nEOF",
        MakeFile(package="p", path="/etc/new", text="name x\n"),
    ),
    "a configuration by ucf": (
        "ucf --three-way /etc/ready /etc/made",
        MakeFile(package="p", path="/etc/made", source="/etc/ready"),
    ),
    "a configuration made in a temporary file": (
        'T="$(mktemp)"\ncp -aZ /etc/ready "$T"\n[ yes = yes ] || sed -i s/a/b/ "$T"\n'
        'ucf --three-way "$T" /etc/made; rm "$T"',
        MakeFile(package="p", path="/etc/made", source="/etc/ready"),
    ),
    "a link that is moved to its place": (
        "ln -nsf /usr/share/x /etc/x.new && mv -f /etc/x.new /etc/x",
        MakeLink(package="p", path="/etc/x", target="/usr/share/x"),
    ),
    "an empty file, and its mode from umask": (
        'umask 066\nif ! [ -f "$DPKG_ROOT"/etc/new ]; then : > "$DPKG_ROOT/etc/new"; fi',
        MakeFile(package="p", path="/etc/new", mode=0o600),
    ),
    "a here-document that is indented": (
        "cat > /etc/new <<-EOF\n\tone\n\ttwo\n\tEOF",
        MakeFile(package="p", path="/etc/new", text="one\ntwo\n"),
    ),
    "a question of debconf": (
        'db_get p/yes\nif [ "$RET" = true ]; then mkdir /var/q; fi',
        MakeDirectory(package="p", path="/var/q"),
    ),
    "an answer that the script gives itself": (
        'db_set p/empty x\ndb_get p/empty || true\nmkdir "/var/$RET"',
        MakeDirectory(package="p", path="/var/x"),
    ),
    "what a function prints": (
        'where() { [ -L /etc/link ] || return; T="$(readlink /etc/link)"; echo "${T#t}"; }\n'
        'mkdir "/var/$(where)"',
        MakeDirectory(package="p", path="/var/o"),
    ),
    "capabilities": (
        "if command -v gawk >/dev/null; then\n"
        "  if setcap cap_net_raw+ep /etc/ready; then :; else chmod u+s /etc/ready; fi; fi",
        SetCapabilities(
            package="p", path="/etc/ready",
            attribute=bytes.fromhex("01000002 00200000 00000000 00000000 00000000"),
        ),
    ),
    "a change of a mode": (
        "chmod u=rwX,g+s,o-w /etc/folder",
        SetAttributes(package="p", path="/etc/folder", mode="u=rwX,g+s,o-w"),
    ),
    "functions of another file": (
        ". /usr/share/helper\nmake x",
        MakeDirectory(package="p", path="/var/x"),
    ),
    "another script": (
        "/usr/share/tool a x",
        MakeDirectory(package="p", path="/var/x"),
    ),
    "a loop until its arguments end": (
        "set -- x; while [ $# -ge 1 ]; do mkdir /var/$1; shift 1; done",
        MakeDirectory(package="p", path="/var/x"),
    ),
    "files that a pattern matches": (
        'cd /etc/folder\nfor f in *.conf; do [ "$f" = a.conf ] && continue\n'
        'ln -s "$f" /etc/x; done',
        MakeLink(package="p", path="/etc/x", target="b.conf"),
    ),
    "a folder with all below it": (
        "cp -r /etc/folder /srv/folder",
        CopyTree(package="p", path="/srv/folder", source="/etc/folder"),
    ),
    "a module of PHP by its priority": (
        "php_invoke enmod 8.4 cli first",
        MakeLink(package="p", path="/etc/php/8.4/cli/conf.d/10-first.ini",
                 target="/etc/php/8.4/mods-available/first.ini"),
    ),
    "an empty file by install": (
        "install --mode 600 /dev/null /etc/new",
        MakeFile(package="p", path="/etc/new", mode=0o600),
    ),
    "an owner that no other user can have checked": (
        'su -s /bin/sh www-data -c "test -O /etc/ready" || chown www-data /etc/ready',
        SetAttributes(package="p", path="/etc/ready", user="www-data"),
    ),
    "an owner that another user checks in several lines": (
        "su -s /bin/sh www-data -c '\n\tset -e\n\ttest -O /etc/ready\n\t[ -G /etc/ready ]\n'"
        " || chown www-data /etc/ready",
        SetAttributes(package="p", path="/etc/ready", user="www-data"),
    ),
    "an account that is not there has no number": (
        'if [ -z "`id -u new 2> /dev/null`" ]; then useradd --system --gid nogroup -d / new; fi',
        AddUser(package="p", name="new", group="nogroup", home="/"),
    ),
    "a pattern in quotes is a word of a loop": (
        'for p in "/etc/folder/*.conf" /var/\\*/x; do\n'
        "[ \"$p\" = '/var/*/x' ] && mkdir /var/x\ndone",
        MakeDirectory(package="p", path="/var/x"),
    ),
    "the path of the script itself": (
        'echo "by $0" > /etc/new',
        MakeFile(package="p", path="/etc/new", text="by /var/lib/dpkg/info/p.postinst\n"),
    ),
    "a folder of debhelper's list below /usr/local": (
        "(\nmode=0755\nwhile read line; do\nset -- $line\n"
        'if [ ! -e "$1" ]; then mkdir "$1" 2>/dev/null; fi\ndone\n) << DATA\n'
        "/etc/folder default\n/usr/local/share/x default\nDATA",
        MakeDirectory(package="p", path="/usr/local/share/x"),
    ),
    "a command that is words of a variable": (
        'C="mkdir -p"; D=; $D $C /var/x\n${TRACE:+ echo "$0 $*" 1>&2 }\n'
        '[ "$(uname -s)" = Linux ] || mkdir /var/y',
        MakeDirectory(package="p", path="/var/x"),
    ),
    "a link into a folder": (
        "ln -s ../a /etc/folder",
        MakeLink(package="p", path="/etc/folder/a", target="../a"),
    ),
    "a result that is not known": (
        "db_get p/q\nif [ \"$RET\" = true ]; then\n  mkdir /var/q\nfi",
        NotUnderstood(package="p", script="postinst", line=5, text="mkdir /var/q"),
    ),
    "a program that is not known": (
        "frobnicate --all",
        NotUnderstood(package="p", script="postinst", line=3, text="frobnicate --all"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_script_says_what_it_makes(name: str) -> None:
    text, effect = CASES[name]
    assert read(text) == [effect]


@pytest.mark.parametrize(
    "text",
    [
        "if [ -d /run/systemd/system ]; then mkdir /var/x; fi",
        "deb-systemd-helper unmask 'x.service' >/dev/null || true",
        'if dpkg --compare-versions "$2" lt-nl 1.0; then mkdir /var/x; fi',
        '[ "$1" = configure ] || exit 0\n[ -n "$2" ] || exit 0\nmkdir /var/x',
        'if [ "$1" = "upgrade" -o "$1" = "remove" ]; then mkdir /var/x; fi',
        "getent group www-data >/dev/null || addgroup www-data",
        "mv /etc/old /etc/new",
        'if [ "$DPKG_MAINTSCRIPT_ARCH" != $(dpkg --print-architecture) ]; then mkdir /var/x; fi',
        'D=/var/x\nunset D\n[ -z "$D" ] || mkdir $D',
        "if getcap /etc/ready | grep -qs ready; then setcap -r /etc/ready; fi",
        "eval dpkg-statoverride --list /var/x | while read U G M F; do chown $U:$G $F; done",
        'T=$(mktemp)\nif [ -n "$2" ] && ! update-passwd --dry-run > "$T"; then mkdir /var/x; fi',
    ],
)
def test_what_only_upgrades_and_machines_need_is_silent(text: str) -> None:
    assert read(text) == []


@pytest.mark.parametrize(
    ("text", "last"),
    [
        (
            "ucf /usr/share/first.ini /etc/php/8.4/mods-available/second.ini\n"
            "php_invoke enmod 8.4 ALL second",
            MakeLink(package="p", path="/etc/php/8.4/cli/conf.d/30-second.ini",
                     target="/etc/php/8.4/mods-available/second.ini"),
        ),
        (
            "echo 'D=/var/x' > /etc/default\n. /etc/default\nmkdir $D",
            MakeDirectory(package="p", path="/var/x"),
        ),
        (
            "ln -s /var/y /etc/new\nmkdir $(readlink /etc/new)",
            MakeDirectory(package="p", path="/var/y"),
        ),
    ],
)  # fmt: skip
def test_a_script_sees_what_it_has_made_itself(text: str, last: Effect) -> None:
    assert read(text)[-1] == last


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("echo a > /etc/x; echo b >> /etc/x", "a\nb\n"),
        ("for i in a b; do echo $i; done > /etc/x", "a\nb\n"),
        ('{ echo a; if [ -z "$2" ]; then echo b; fi; } > /etc/x', "a\nb\n"),
        ("echo A=1 > /etc/y; sed 's/1/2/' /etc/y > /etc/x; rm -f /etc/y", "A=2\n"),
        ("echo A=1 > /etc/x; sed -i -e '/A/s/1/2/' /etc/x", "A=2\n"),
        ('echo "a `basename /x/b`" > /etc/x', "a b\n"),
        ("a=1 b=2\necho $a$b > /etc/x", "12\n"),
        (
            "f() {\n  to=$1 n=$2\n  echo $to/$n\n}\n"
            "echo $(\n f a b\n for i in c; do f x $i; done\n) > /etc/x",
            "a/b x/c\n",
        ),
        ("echo 'uri a' > /etc/x; grep -qi '^URI[[:space:]]' /etc/x || echo b > /etc/x", "uri a\n"),
        ("echo a > /etc/x; [ $(grep a /etc/none | wc -l) -gt 1 ] && echo b > /etc/x", "a\n"),
        (
            "echo a > /etc/y\nmd5sum /etc/y > /etc/x; rm /etc/y",
            "60b725f10c9c85c70d97880dfe8191b3  /etc/y\n",
        ),
        ("cat /dev/null > /etc/x; echo b >> /etc/x", "b\n"),
        ("echo a > /etc/x; echo b > /etc/y; mv -f /etc/y /etc/x", "b\n"),
        ("echo a > /etc/y; sed s/a/b/ < /etc/y > /etc/x; rm /etc/y", "b\n"),
        ("while read -r a b; do echo $b; done > /etc/x <<EOF\n1 one two\n2\nEOF", "one two\n\n"),
        ("printf '%s\\n' 'a b' | while read a b; do echo $b; done > /etc/x", "b\n"),
        ("echo $(seq 2) $(seq 3 4) $(seq 6 -2 2) $(seq 2 1) > /etc/x", "1 2 3 4 6 4 2\n"),
        (
            "M=/a; f() { N=$M/n/$1; echo $N $M/$2.gz $M/b$1 '$M/$1' > /etc/x; }; f 1 2",
            "/a/n/1 /a/2.gz /a/b1 $M/$1\n",
        ),
        ("V=$(printf '%s\\n' ' a ' | sed -e 's/^ *//'); echo $V > /etc/x", "a\n"),
    ],
)
def test_a_file_is_written_in_parts(text: str, made: str) -> None:
    assert read(text) == [MakeFile(package="p", path="/etc/x", text=made)]


@pytest.mark.parametrize(
    "text",
    [
        "echo a > /etc/x\nfor i in a; do if frobs; then echo b; fi; done >> /etc/x",
        "echo b >> /etc/ready",
        "{ frob; } > /etc/x",
        "seq x > /etc/x",
        "seq 1 0 9 > /etc/x",
        "seq 99999999 > /etc/x",
    ],
)
def test_a_file_whose_text_is_not_known_is_named(text: str) -> None:
    assert any(isinstance(each, NotUnderstood) for each in read(text))


def test_a_preinst_is_read_as_at_an_installation() -> None:
    text = 'if [ "$1" = install ]; then mkdir /var/x; fi'
    assert read(text, "preinst") == [MakeDirectory(package="p", path="/var/x")]
    assert read(text) == []


def test_what_a_program_prints_can_be_told() -> None:
    text = (
        "#!/bin/sh\nif ! toold -p | grep -q '^user'; then mkdir /var/default; fi\n"
        "user=$(toold -p |\n   awk '{print $2}')\nmkdir /var/$user\n"
    )
    prints = {"toold -p": "", "toold -p | awk '{print $2}'": "me"}
    found = read_script("p", "postinst", text, WORLD, prints=prints)
    assert [each.path for each in found if isinstance(each, MakeDirectory)] == [
        "/var/default", "/var/me",
    ]  # fmt: skip


def test_what_debconf_answers_about_a_question_can_be_told() -> None:
    text = (
        "#!/bin/sh\ndb_fget p/yes changed\n"
        'if [ "$RET" = true ]; then sed -i /a/d main.cf; else mkdir /var/x; fi\n'
    )
    assert all(isinstance(each, NotUnderstood) for each in read(text))
    found = read_script("p", "postinst", text, WORLD, prints={"db_fget p/yes changed": "false"})
    assert found == [MakeDirectory(package="p", path="/var/x")]


@pytest.mark.parametrize(
    ("command", "name"),
    {
        "echo /a:b:c | cut -d : -f 2": "b",
        "echo conf.d/x | cut -b -4": "conf",
        "dpkg-statoverride --list /x | awk '{print $4}' | tr -s ' ' :": "",
        "getent passwd nobody-here | cut -d: -f6": "",
        "echo  a b | awk '{ print $1 }'": "a",
        "echo a:b: | awk -F : '{print $2;}'": "b",
        "echo a:b | awk -F: '{print $3}'": "",
    }.items(),
)
def test_what_a_pipeline_prints_follows_from_its_text(command: str, name: str) -> None:
    assert read(f"mkdir /var/x$({command})") == [MakeDirectory(package="p", path=f"/var/x{name}")]


def test_wildcards_mean_the_files_that_are_there() -> None:
    text = "touch /etc/folder/d.conf\nchmod 640 /etc/folder/*.conf /etc/folder/none*"
    found = [each.path for each in read(text) if isinstance(each, SetAttributes)]
    assert found == ["/etc/folder/d.conf"]
    (answer,) = read("chown root /etc/*/x")
    assert isinstance(answer, NotUnderstood)


@pytest.mark.parametrize(
    ("text", "effects"),
    {
        "--package p --add --rename --divert /usr/bin/x.q /usr/bin/x": [("/usr/bin/x.q", "p")],
        "/usr/bin/x": [("/usr/bin/x.distrib", "p")],
        "--quiet --no-rename --package=other --divert=/usr/x /usr/bin/x": [("/usr/x", "other")],
        "--local --rename /usr/bin/x": [("/usr/bin/x.distrib", ":")],
    }.items(),
)
def test_a_diversion_is_read_as_dpkg_divert_reads_it(
    text: str, effects: list[tuple[str, str]]
) -> None:
    ((to, owner),) = effects
    assert read(f"dpkg-divert {text}") == [
        Divert(package="p", path="/usr/bin/x", to=to, owner=owner)
    ]


def test_a_script_can_ask_about_its_diversions_and_remove_them() -> None:
    asked = (
        "dpkg-divert --add /usr/bin/x\n"
        'if [ "$(dpkg-divert --truename /usr/bin/x)" != /usr/bin/x ]; then mkdir /var/yes; fi\n'
        'if [ "$(dpkg-divert --listpackage /usr/bin/y)" ]; then mkdir /var/no; fi\n'
        "dpkg-divert --remove --rename /usr/bin/x\n"
        "dpkg-divert --list /usr/bin/x || mkdir /var/gone\n"
    )
    assert read(asked)[1:] == [
        MakeDirectory(package="p", path="/var/yes"),
        EndDiversion(package="p", path="/usr/bin/x"),
        MakeDirectory(package="p", path="/var/gone"),
    ]


@pytest.mark.parametrize(
    "arguments",
    ["--add ../x", "--add /usr/../x", "--divert /usr/bin/../../x /usr/bin/x", "--add //x",
     "--admindir /x --add /usr/bin/x", "--add /usr/bin/$(frobnicate)", "--add /a /b"],
)  # fmt: skip
def test_a_diversion_that_is_not_plain_is_named(arguments: str) -> None:
    (answer,) = read(f"dpkg-divert {arguments}")
    assert isinstance(answer, NotUnderstood)
    assert answer.text == f"dpkg-divert {arguments}"


def test_a_hostile_script_ends() -> None:
    loop = "f() { f; }\nf"
    (answer,) = read(loop)
    assert isinstance(answer, NotUnderstood)
    assert answer.text == "more steps than Homeport follows"
    deep = "(" * 3000 + ":" + ")" * 3000
    assert all(isinstance(each, NotUnderstood) for each in read(deep))


def test_a_program_of_another_language_is_named() -> None:
    (answer,) = read_script("p", "postinst", "#!/usr/bin/perl\nunlink;\n", WORLD)
    assert isinstance(answer, NotUnderstood)
    assert answer.text == "a program for /usr/bin/perl"
