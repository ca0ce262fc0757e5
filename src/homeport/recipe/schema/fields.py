"""The fields that a recipe file may have (docs/formats/recipe.md).

One declaration, ``RECIPE``, reads the file and gives the JSON Schema. What the fields
mean together (conflicts, accounts, defaults) is ``recipe.interpret``; which file and what
it extends is ``recipe.loading``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from homeport.recipe.entries import Steps
from homeport.recipe.schema import values
from homeport.recipe.text_files import BadRecipe
from homeport.yamlfile.parse import parse_yaml
from homeport.yamlfile.scalars import Constant, Flag, Number, Reader, Shape, Text
from homeport.yamlfile.shapes import Field, Fields, FieldValues, Kinds, ListOf, MapOf, Short

FORMAT = 1


def read_recipe_text(data: bytes, file: str) -> tuple[FieldValues | None, Reader]:
    """Read one file. The fields that are good, and the faults of the others.

    Raises ``BadRecipe`` where not even the YAML can be read.
    """
    reader = Reader(file, BadRecipe)
    part = RECIPE.read(parse_yaml(data, file, BadRecipe), "", reader)
    return (part if isinstance(part, FieldValues) else None), reader


def _optional(shape: Shape, about: str) -> Field:
    return Field(shape=shape, about=about)


def _needed(shape: Shape, about: str) -> Field:
    return Field(shape=shape, about=about, required=True)


_ONLY = {"platforms": _optional(values.PLATFORMS, "only for these platforms")}
_OWNED = {
    "mode": _optional(values.MODE, 'permission bits, four octal digits such as "0644"'),
    "owner": _optional(values.OWNER, "USER or USER:GROUP, names of accounts or numbers"),
}
_REPLACE = {
    "replace": _optional(
        Flag(), "replace the file of a package at this path; conffiles are replaced in any case"
    ),
}
_WORDS = ListOf(item=values.WORD, what="a list of strings", example='["/usr/bin/x", "--all"]')
_TEXTS = MapOf(key=Text(what="a key"), value=Text(empty=True), what="a mapping of strings")
_FILE_TEXT = Text(what="text", longest=1 << 18, empty=True)

_ARCHIVE = Fields(
    what="an archive",
    fields={
        "name": _needed(values.ARCHIVE_NAME, "its name in the recipe and the lockfile"),
        "suites": _needed(ListOf(item=values.SUITE), "suites, in order of preference"),
        "components": _optional(ListOf(item=values.COMPONENT), "components; main if absent"),
        "mirrors": _optional(
            ListOf(item=values.LINE), "base URLs or directories, tried in this order"
        ),
        "keys": _optional(
            ListOf(item=values.LINE),
            "accepted signers: key files beside the recipe, or names of certificates that ship "
            "with Homeport",
        ),
        "packages": _optional(
            ListOf(item=values.PACKAGE),
            "packages that come from this archive although an earlier one has them",
        ),
    },
)

_PACKAGE = Short(
    fields=Fields(
        what="a package",
        fields={
            "name": _needed(values.PACKAGE, "the package's name"),
            "slices": _optional(
                ListOf(item=values.SLICE), "only these slices; absent: the whole package"
            ),
            "version": _optional(values.VERSION, "exactly this version"),
            "suite": _optional(values.SUITE, "only from this suite"),
            "exclude": _optional(
                ListOf(item=values.EXCLUDE), "files of a whole package that are left out"
            ),
            **_ONLY,
        },
    ),
    text=values.PACKAGE_ENTRY,
    field="name",
)

_PIN = Fields(
    what="a pin",
    fields={
        "name": _needed(values.PACKAGE, "a package, chosen or needed by others"),
        "version": _optional(values.VERSION_PATTERN, "a version, or a pattern ending in *"),
        "suite": _optional(values.SUITE, "only from this suite"),
        **_ONLY,
    },
)

_FILES = Kinds(
    what="an entry of files",
    kinds={
        "from": Fields(
            what="a local file",
            fields={
                "from": _needed(values.LINE, "a file or directory, relative to this recipe"),
                "to": _needed(values.PATH, "where it goes; ends in / to keep a file's name"),
                **_OWNED,
                **_REPLACE,
                "exclude": _optional(
                    ListOf(item=values.LINE), "patterns as in .dockerignore, relative to from"
                ),
                **_ONLY,
            },
        ),
        "text": Fields(
            what="an inline file",
            fields={
                "text": _needed(_FILE_TEXT, "the file's content"),
                "to": _needed(values.PATH, "its path"),
                **_OWNED,
                **_REPLACE,
                **_ONLY,
            },
        ),
        "part": Fields(
            what="a file of a part",
            fields={
                "part": _needed(values.PART_NAME, "one of the recipe's parts"),
                "path": _needed(values.PATH, "a file or directory in its result"),
                "to": _needed(values.PATH, "where it goes; ends in / to keep a file's name"),
                **_OWNED,
                **_REPLACE,
                **_ONLY,
            },
        ),
        "image": Fields(
            what="a file of an image",
            fields={
                "image": _needed(values.IMAGE, "an image named by its digest"),
                "path": _needed(values.PATH, "a file or directory in it"),
                "to": _needed(values.PATH, "where it goes"),
                **_OWNED,
                **_REPLACE,
                **_ONLY,
            },
        ),
    },
)

_INPUTS = Kinds(
    what="an entry of inputs",
    kinds={
        "from": Fields(
            what="local files",
            fields={
                "from": _needed(values.LINE, "a file or directory, relative to this recipe"),
                "to": _needed(values.PATH, "where it goes; ends in / to keep a file's name"),
                "exclude": _optional(
                    ListOf(item=values.LINE), "patterns as in .dockerignore, relative to from"
                ),
            },
        ),
        "url": Fields(
            what="a file of a web server",
            fields={
                "url": _needed(values.WEB_URL, "its address"),
                "sha256": _needed(values.SHA256, "the digest that it must have"),
                "to": _needed(values.PATH, "its path"),
            },
        ),
        "git": Fields(
            what="a git repository",
            fields={
                "git": _needed(values.GIT_URL, "its address"),
                "commit": _needed(values.COMMIT, "the whole hash of a commit"),
                "ref": _optional(
                    values.GIT_REF,
                    "branch or tag in which homeport outdated looks for newer commits",
                ),
                "to": _needed(values.PATH, "the directory for its files"),
            },
        ),
        "source": Fields(
            what="a Debian source package",
            fields={
                "source": _needed(values.PACKAGE, "the source package's name"),
                "version": _optional(values.VERSION, "exactly this version"),
                "to": _needed(values.PATH, "the directory for the .dsc and the files it lists"),
            },
        ),
        "image": Fields(
            what="a path of an image",
            fields={
                "image": _needed(values.IMAGE, "an image named by its digest"),
                "path": _needed(values.PATH, "a file or directory in it"),
                "to": _needed(values.PATH, "where it goes"),
            },
        ),
    },
)
_NETWORK = {
    "network": _optional(Flag(), "allow commands to use the network; false if absent"),
}

_PART = Kinds(
    what="a part",
    kinds={
        "run": Fields(
            what="a part that runs commands",
            fields={
                "name": _needed(values.PART_NAME, "its name in files and the lockfile"),
                "run": _needed(
                    _FILE_TEXT, "commands for /bin/sh; what they leave in /out is the result"
                ),
                "on": _optional(
                    values.PLATFORMS, "platforms of the build root; [linux/amd64] if absent"
                ),
                "packages": _needed(ListOf(item=_PACKAGE), "packages of the build root"),
                "inputs": _optional(ListOf(item=_INPUTS), "inputs of the commands, all pinned"),
                "env": _optional(
                    MapOf(
                        key=values.ENV_NAME,
                        value=Text(empty=True),
                        what="a mapping of variables",
                    ),
                    "environment variables",
                ),
                **_NETWORK,
            },
        ),
        "from": Fields(
            what="a part from a Dockerfile",
            fields={
                "name": _needed(values.PART_NAME, "its name in files and the lockfile"),
                "from": _needed(
                    Fields(
                        what="from",
                        fields={
                            "dockerfile": _needed(values.LINE, "a file, relative to this recipe"),
                            "context": _optional(
                                values.LINE, "a directory; the Dockerfile's if absent"
                            ),
                            "target": _optional(values.WORD, "the stage that is the result"),
                            "args": _optional(_TEXTS, "build arguments"),
                        },
                    ),
                    "a Dockerfile and its context",
                ),
                **_NETWORK,
            },
        ),
    },
)

_LINK = Fields(
    what="a link",
    fields={
        "path": _needed(values.PATH, "path of the link"),
        "target": _needed(Text(what="a link's target"), "its target, absolute or relative"),
        **_REPLACE,
        **_ONLY,
    },
)

_DIRECTORY = Short(
    fields=Fields(
        what="a directory",
        fields={"path": _needed(values.PATH, "its path"), **_OWNED, **_ONLY},
    ),
    text=values.PATH,
    field="path",
)

_VEX = Fields(
    what="a statement about a vulnerability",
    fields={
        "vulnerability": _needed(values.VULNERABILITY, "its name"),
        "packages": _optional(
            ListOf(item=values.PACKAGE), "packages that it is about; absent: the image"
        ),
        "status": _needed(values.VEX_STATUS, "one of OpenVEX"),
        "justification": _optional(values.JUSTIFICATION, "for not_affected: one of OpenVEX"),
        "reason": _needed(values.SENTENCE, "the reason, or the action to take"),
        "by": _needed(values.SENTENCE, "author of the statement"),
        "date": _needed(values.DATE, "the day of the statement"),
    },
)

_ACCOUNTS = Fields(
    what="accounts",
    tolerant=True,
    fields={
        "users": _optional(
            ListOf(
                item=Fields(
                    what="a user",
                    fields={
                        "name": _needed(values.ACCOUNT, "login name"),
                        "uid": _needed(Number(what="a user id"), "its fixed number"),
                        "gid": _optional(
                            Number(what="a group id"), "primary group; the uid if absent"
                        ),
                        "home": _optional(values.PATH, "home directory; /nonexistent"),
                        "shell": _optional(values.PATH, "shell; /usr/sbin/nologin"),
                        "comment": _optional(
                            Text(what="a comment", pattern=r"[^:\r\n]*", empty=True), "full name"
                        ),
                    },
                )
            ),
            "lines of /etc/passwd",
        ),
        "groups": _optional(
            ListOf(
                item=Fields(
                    what="a group",
                    fields={
                        "name": _needed(values.ACCOUNT, "group name"),
                        "gid": _needed(Number(what="a group id"), "its fixed number"),
                        "members": _optional(ListOf(item=values.ACCOUNT), "users in it"),
                    },
                )
            ),
            "lines of /etc/group",
        ),
    },
)

_CONFIG = Fields(
    what="config",
    tolerant=True,
    fields={
        "env": _optional(
            MapOf(key=values.ENV_NAME, value=Text(empty=True), what="a mapping of variables"),
            "environment variables",
        ),
        "entrypoint": _optional(_WORDS, "the program, as a list of strings"),
        "cmd": _optional(_WORDS, "arguments after the entrypoint, as a list of strings"),
        "workdir": _optional(values.PATH, "working directory"),
        "user": _optional(values.CONFIG_USER, "user that the program runs as"),
        "stop_signal": _optional(values.STOP_SIGNAL, "signal that ends it"),
        "volumes": _optional(ListOf(item=values.PATH), "paths that engines mount volumes on"),
        "exposed_ports": _optional(ListOf(item=values.PORT), "ports it listens on"),
        "labels": _optional(_TEXTS, "labels, in the image's config"),
        "annotations": _optional(_TEXTS, "annotations, on manifests and index"),
    },
)

_STEPS = Fields(
    what="steps",
    tolerant=True,
    fields={
        "usrmerge": _optional(Flag(), "/bin, /sbin, /lib… are links into /usr"),
        "diversions": _optional(Flag(), "move files that another package diverts (dpkg-divert)"),
        "layout": _optional(
            Flag(), "folders of an installed system, if a whole package has scripts"
        ),
        "accounts": _optional(Flag(), "write /etc/passwd and /etc/group"),
        "alternatives": _optional(Flag(), "make the links of update-alternatives"),
        "packaged_state": _optional(Flag(), "make what tmpfiles.d and maintainer scripts make"),
        "ld_cache": _optional(Flag(), "write /etc/ld.so.cache where libraries need it"),
        "os_release": _optional(Flag(), "take the slice base-files_os-release"),
        "ca_bundle": _optional(Flag(), "make the CA bundle, when ca-certificates is chosen"),
        "ca_hashes": _optional(
            Flag(),
            "make single certificates with hashed links, for programs that read a directory",
        ),
        "java_keystore": _optional(Flag(), "fill Java's cacerts, with ca-certificates-java"),
        "gsettings_schemas": _optional(Flag(), "compile GLib's settings, if an image has any"),
        "mime_database": _optional(Flag(), "fill /usr/share/mime, with shared-mime-info"),
        "pixbuf_loaders": _optional(
            Flag(), "list gdk-pixbuf's loaders, if gdk-pixbuf is in the image"
        ),
        "xml_catalogs": _optional(Flag(), "write /etc/xml, if packages register schemas"),
        "python_bytecode": _optional(
            Flag(),
            "compile Python modules; requires the image's version of Python on the host",
        ),
        "status_database": _optional(Flag(), "write /var/lib/dpkg/status.d for scanners"),
        "copyright": _optional(Flag(), "take every package's copyright file"),
        "tmp": _optional(Flag(), "make /tmp with mode 1777"),
        "dpkg_database": _optional(
            Flag(), "write /var/lib/dpkg/status and info for dpkg inside; off without variant"
        ),
        "apt_sources": _optional(
            Flag(), "write the archives to /etc/apt/sources.list.d; off without variant"
        ),
    },
)
assert set(_STEPS.fields) == set(Steps.__struct_fields__)

_LAYERS = Short(
    fields=Fields(
        what="layers",
        fields={
            "split": _needed(
                ListOf(
                    item=ListOf(item=values.PACKAGE_GLOB),
                    what="a list of lists of package names",
                    example="[[libc6], [python3*]]",
                ),
                "packages of each layer; those that no entry names are in a layer below them",
            )
        },
    ),
    text=values.LAYERS,
    field="strategy",
)

_TEST_NAME = {"name": _needed(values.LINE, "what is tested, in one line"), **_ONLY}
_FOUND = ListOf(item=_FILE_TEXT, what="a list of strings", example='["hello"]')

_TEST = Kinds(
    what="a test",
    kinds={
        "file": Fields(
            what="a test of a path",
            fields={
                **_TEST_NAME,
                "file": _needed(values.PATH, "a path that must be there"),
                **_OWNED,
                "target": _optional(
                    Text(what="a link's target"), "the path is a link with this target"
                ),
                "contains": _optional(_FOUND, "strings that the file contains"),
            },
        ),
        "absent": Fields(
            what="a test that nothing is there",
            fields={**_TEST_NAME, "absent": _needed(values.PATH, "a path that must not be there")},
        ),
        "package": Fields(
            what="a test of the package database",
            fields={
                **_TEST_NAME,
                "package": _needed(values.PACKAGE, "a package that must be recorded"),
                "version": _optional(values.VERSION, "its exact version"),
            },
        ),
        "elf": Fields(
            what="a test of an ELF file",
            fields={
                **_TEST_NAME,
                "elf": _needed(
                    values.PATH, "an ELF file that must be for the platform's architecture"
                ),
            },
        ),
        "config": Fields(
            what="a test of the config",
            fields={
                **_TEST_NAME,
                "config": _needed(
                    _TEXTS,
                    "fields of the image config, such as User, and their values as JSON or text",
                ),
            },
        ),
        "run": Fields(
            what="a test that runs a command",
            fields={
                **_TEST_NAME,
                "run": _needed(_WORDS, "a command and its arguments, without a shell"),
                "exit": _optional(
                    Number(what="an exit code", most=255), "expected exit code; 0 if absent"
                ),
                "output": _optional(
                    _FOUND, "strings that it prints to standard output or standard error"
                ),
            },
        ),
    },
)

#: What may be given for all platforms, or below ``per_platform`` for one.
_PLATFORM_FIELDS: dict[str, Field] = {
    "packages": _optional(ListOf(item=_PACKAGE), "packages, whole or sliced"),
    "pins": _optional(ListOf(item=_PIN), "rules for packages wherever they are needed"),
    "files": _optional(ListOf(item=_FILES), "local files, inline files, files of parts and images"),
    "links": _optional(ListOf(item=_LINK), "symbolic links"),
    "directories": _optional(ListOf(item=_DIRECTORY), "directories"),
    "config": _optional(_CONFIG, "how a container starts"),
}


def _of_one_platform(fields: Fields) -> Fields:
    """Without ``platforms`` anywhere: below ``per_platform`` it could only mislead."""

    def inside(shape: Shape) -> Shape:
        match shape:
            case Fields():
                return _of_one_platform(shape)
            case Short():
                return msgspec.structs.replace(shape, fields=_of_one_platform(shape.fields))
            case Kinds():
                kinds = {key: _of_one_platform(kind) for key, kind in shape.kinds.items()}
                return msgspec.structs.replace(shape, kinds=kinds)
            case ListOf():
                return msgspec.structs.replace(shape, item=inside(shape.item))
            case _:
                return shape

    kept = {
        name: msgspec.structs.replace(field, shape=inside(field.shape))
        for name, field in fields.fields.items()
        if name != "platforms"
    }
    return msgspec.structs.replace(fields, fields=kept)


RECIPE = Fields(
    what="the recipe",
    tolerant=True,
    fields={
        "homeport": _needed(
            Constant(value=FORMAT, what="recipe format"), "version of the recipe format: 1"
        ),
        "name": _optional(values.RECIPE_NAME, "the image's name; the folder's if absent"),
        "summary": _optional(values.LINE, "what the image is for, in one line"),
        "extends": _optional(
            values.LINE, "a recipe that this one adds to: a file, or a name of the catalog"
        ),
        "platforms": _optional(values.PLATFORMS, "platforms that the image is built for"),
        "archives": _optional(
            ListOf(item=_ARCHIVE),
            "where packages come from; absent: Debian trixie with updates and security",
        ),
        "variant": _optional(
            values.VARIANT, "a whole Debian system with dpkg and apt, by mmdebstrap's names"
        ),
        "essential": _optional(
            values.ESSENTIAL,
            "which Essential packages of Debian to take; absent: needed, those that programs start",
        ),
        "locales": _optional(
            ListOf(item=values.LOCALE), "locales that the image has, taken out of locales-all"
        ),
        "alternatives": _optional(
            MapOf(
                key=Text(what="a name"), value=values.PATH, what="a mapping of names to programs"
            ),
            "the program of each alternative; absent: the one of the highest priority",
        ),
        "local_packages": _optional(
            values.LINE, "a folder of .deb files, which come before those of archives"
        ),
        "without": _optional(
            ListOf(item=values.PACKAGE), "dependencies of whole packages that are left out"
        ),
        "exclude": _optional(
            ListOf(item=values.EXCLUDE),
            "files of whole packages that are left out: doc, man, info, locale, globs",
        ),
        "accounts": _optional(_ACCOUNTS, "users and groups with fixed numbers"),
        "parts": _optional(
            ListOf(item=_PART), "what is built on a BuildKit engine first; files take from it"
        ),
        "layers": _optional(
            _LAYERS,
            "one (if absent); auto, grouped so that an update transfers little; or split by hand",
        ),
        "vex": _optional(ListOf(item=_VEX), "statements about vulnerabilities, for homeport vex"),
        "steps": _optional(_STEPS, "what is made besides packages and files; all on if absent"),
        "tests": _optional(
            ListOf(item=_TEST), "tests for homeport test; they are not part of the image"
        ),
        **_PLATFORM_FIELDS,
        "per_platform": _optional(
            MapOf(
                key=values.PLATFORM,
                value=_of_one_platform(
                    Fields(what="an entry of per_platform", fields=_PLATFORM_FIELDS, tolerant=True)
                ),
            ),
            "entries for single platforms",
        ),
    },
)


def recipe_schema() -> dict[str, Any]:
    """The JSON Schema of a recipe file, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Homeport recipe",
        **RECIPE.schema(),
    }
