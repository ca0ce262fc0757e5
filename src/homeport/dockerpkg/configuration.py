"""The configuration of a docker-pkg tree: built-in values, the user's file, the tree's file.

Later files replace whole keys of earlier ones, as docker-pkg merges them. Every key, known or
not, is a variable of templates, but for the registry's login. Not for what images there are
(``tree``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from homeport.content.files import read_input
from homeport.dockerpkg.names import Naming
from homeport.errors import Faults, HomeportError, UsageError
from homeport.known_secrets import keep_secret
from homeport.oci.platform import Platform, parse_platforms
from homeport.yamlfile.parse import LARGEST, BadYaml, parse_yaml

#: What holds without any file (docker-pkg 4.0.4, its ``cli`` module).
DEFAULTS: Mapping[str, Any] = {
    "registry": "",
    "namespace": "",
    "username": None,
    "password": None,
    "base_images": [],
    "http_proxy": None,
    "apt_only_proxy": None,
    "apt_options": "",
    "scan_workers": 8,
    "distribution": "wikimedia",
    "update_id": "s",
    "fallback_author": "Author",
    "fallback_email": "email@domain",
    "ca_bundle": None,
    "force_numeric_user": False,
    "known_uid_mappings": {"root": 0, "www-data": 33, "nobody": 65534},
    "verify_command": "/bin/bash",
    "verify_args": ["-c", "{path}/test.sh {image}"],
    "container_limits": None,
    "driver": "docker",
    "platforms": [],
}
_TEXTS = (
    "registry", "namespace", "username", "password", "http_proxy", "apt_only_proxy", "apt_options",
    "distribution", "update_id", "fallback_author", "fallback_email", "ca_bundle",
    "verify_command",
)  # fmt: skip
_LISTS = ("base_images", "verify_args", "platforms")


class BadConfiguration(BadYaml):
    """A docker-pkg configuration cannot be used."""

    id = "docker-pkg-configuration"


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """What applies to the whole tree.

    files:     those that were read, the tree's last
    variables: every key, for templates; ``apt_only_proxy`` as docker-pkg fills it in
    """

    files: tuple[Path, ...]
    variables: Mapping[str, Any]

    def text(self, key: str) -> str:
        """A key's text, empty if it is not set."""
        return str(self.variables.get(key) or "")

    def texts(self, key: str) -> tuple[str, ...]:
        """A key's list."""
        return tuple(str(item) for item in self.variables.get(key) or ())

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """For images that name none themselves; empty: the engine's."""
        return tuple(parse_platforms(self.texts("platforms")) or ())

    @property
    def uids(self) -> Mapping[str, int]:
        """User names → numbers."""
        return {str(name): int(uid) for name, uid in self.variables["known_uid_mappings"].items()}

    @property
    def numeric_users(self) -> bool:
        """Whether images must run as a numeric user."""
        return bool(self.variables["force_numeric_user"])

    def naming(self, suffix: str = "") -> Naming:
        """How images are called."""
        return Naming(
            registry=self.text("registry"), namespace=self.text("namespace"), suffix=suffix
        )


def user_file(environment: Mapping[str, str], home: Path) -> Path:
    """Where docker-pkg looks for a user's own configuration."""
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config", "docker-pkg.yaml")


def read_configuration(file: Path, user: Path | None = None) -> Configuration:
    """Raises ``BadConfiguration``; a missing user file is none, a missing ``file`` is an error."""
    variables = dict(DEFAULTS)
    files = []
    for path in (user, file):
        if path is None or (path is user and not path.is_file()):
            continue
        variables |= _read(path)
        files.append(path)
    if password := variables.get("password"):
        keep_secret(str(password))
    if variables["apt_only_proxy"] is None:
        variables["apt_only_proxy"] = variables["http_proxy"]
    return Configuration(files=tuple(files), variables=variables)


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise BadConfiguration(
            f"no such file: {path}", where={"file": str(path)},
            hint="name the tree's configuration with --configfile",
        )  # fmt: skip
    data = read_input(path, LARGEST)
    # Our parser first: it bounds the document, and its faults have places.
    parse_yaml(data, str(path), error=BadConfiguration, merge_keys=True, expanded=True)
    try:
        found = yaml.safe_load(data)  # values as docker-pkg reads them
    except (yaml.YAMLError, ValueError) as error:
        raise BadConfiguration(f"invalid YAML: {error}", where={"file": str(path)}) from error
    if not isinstance(found, dict):
        raise BadConfiguration("expected a mapping of keys", where={"file": str(path)})
    values = {str(key): value for key, value in found.items()}
    faults: list[HomeportError] = [
        BadConfiguration(problem, where={"file": str(path), "field": key})
        for key, value in values.items()
        if (problem := _problem(key, value))
    ]
    if len(faults) > 1:
        raise Faults(faults, what=f"{path} cannot be used")
    if faults:
        raise faults[0]
    return values


def _problem(key: str, value: Any) -> str:
    """What is wrong with a known key's value; empty if nothing is."""
    problem = ""
    if value is None:
        return problem
    if key in _TEXTS and not isinstance(value, (str, int, float)):
        problem = "expected text"
    elif key in _LISTS and not _is_list(value):
        problem = "expected a list of texts"
    elif key == "platforms":
        try:
            parse_platforms([str(each) for each in value])
        except UsageError as error:
            problem = error.what
    elif key == "force_numeric_user" and not isinstance(value, bool):
        problem = "expected true or false"
    elif key == "known_uid_mappings" and not (
        isinstance(value, dict) and all(type(uid) is int and uid >= 0 for uid in value.values())
    ):
        problem = "expected user names with their numbers"
    elif key == "driver" and value != "docker":
        problem = f"unknown driver {value!r}; docker-pkg knows only docker"
    return problem


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, (str, int)) for each in value)
