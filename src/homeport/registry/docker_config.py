"""Reading and writing docker's ``config.json`` and containers' ``auth.json``.

Both have ``auths`` (base64 of user:password, or tokens), ``credHelpers`` and
``credsStore`` (programs that keep the secrets). Nothing of a secret gets into an error.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from homeport.content.files import explained, open_input, write_file
from homeport.errors import UsageError
from homeport.quantities import human_size
from homeport.registry.login import Login

_LIMIT = 4 << 20
#: Under these names Docker Hub's credentials are kept.
_HUB = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io")


class HelperEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A program that may keep the login of a registry, and what it knows the registry as."""

    helper: str
    servers: tuple[str, ...]


class AuthFile(msgspec.Struct, frozen=True, kw_only=True):
    """One such file. ``document`` has every field, so that writing loses none."""

    path: Path
    document: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"AuthFile(path={self.path!r})"

    def entries(self, registry: str, repository: str = "") -> Iterator[Login | HelperEntry]:
        """What the file has for a registry: its helper, then the most specific of its logins.

        ``host/team`` comes before ``host``. Raises ``UsageError`` naming the file when an entry
        is damaged.
        """
        helper = self.helper_for(registry)
        if helper:
            yield HelperEntry(helper=helper, servers=server_names(registry))
        auths = _table(self.document.get("auths"))
        by_name = {_plain(key): value for key, value in auths.items()}
        for name in _candidates(registry, repository):
            entry = by_name.get(name)
            if isinstance(entry, dict) and (login := self._login(entry, name)) is not None:
                yield login
                return

    def registries(self) -> Iterator[str]:
        """The registries that the file names, Docker Hub as ``docker.io``."""
        for table in ("auths", "credHelpers"):
            for key in _table(self.document.get(table)):
                name = _plain(key).partition("/")[0]
                if key in _HUB or name in _HUB:
                    yield "docker.io"
                elif name:
                    yield name

    def helper_for(self, registry: str) -> str:
        """The program that keeps this registry's secrets, or ``""``."""
        by_host = _table(self.document.get("credHelpers"))
        for name in (registry, *server_names(registry)):
            if isinstance(by_host.get(name), str):
                return str(by_host[name])
        store = self.document.get("credsStore")
        return store if isinstance(store, str) else ""

    def with_login(self, registry: str, login: Login) -> AuthFile:
        """The file with this login in it, as docker writes it."""
        pair = binascii.b2a_base64(
            f"{login.username}:{login.password}".encode(), newline=False
        ).decode()
        return self._with_auths(
            {**_table(self.document.get("auths")), _key(registry): {"auth": pair}}
        )

    def without(self, registry: str) -> tuple[AuthFile, bool]:
        """The file without this registry, and whether it was in it."""
        auths = _table(self.document.get("auths"))
        names = set(_candidates(registry, ""))
        kept = {key: value for key, value in auths.items() if _plain(key) not in names}
        return self._with_auths(kept), len(kept) != len(auths)

    def save(self) -> None:
        """Write it, readable by its owner alone; a link stays, and what it leads to is written."""
        path = self.path.resolve()
        with explained(path.parent):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        raw = msgspec.json.format(msgspec.json.encode(self.document), indent=8)
        write_file(path, raw + b"\n", mode=0o600)

    def _with_auths(self, auths: Mapping[str, Any]) -> AuthFile:
        return AuthFile(path=self.path, document={**self.document, "auths": dict(auths)})

    def _login(self, entry: Mapping[str, Any], name: str) -> Login | None:
        username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
        if entry.get("auth"):
            username, password = self._decoded(entry["auth"], name)
        identity, token = entry.get("identitytoken"), entry.get("registrytoken")
        if not (password or identity or token):
            return None
        if username == "<token>":
            username, identity, password = "", identity or password, ""
        return Login(
            username=username,
            password=password,
            identity_token=str(identity or ""),
            registry_token=str(token or ""),
            source=str(self.path),
        )

    def _decoded(self, auth: object, name: str) -> tuple[str, str]:
        try:
            text = binascii.a2b_base64(str(auth) + "===").decode().rstrip("\0")
        except ValueError as error:  # not ASCII, not base64, or not UTF-8
            raise UsageError(
                f"invalid credentials in the entry of {name}", where={"file": str(self.path)}
            ) from error
        username, colon, password = text.partition(":")
        if not colon:
            raise UsageError(f"no password in the entry of {name}", where={"file": str(self.path)})
        return username, password


def read_auth_file(path: Path) -> AuthFile | None:
    """The file, or ``None`` if there is none. Raises ``UsageError`` that names it, no content."""
    try:
        with open_input(path) as stream:
            raw = stream.read(_LIMIT + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(
            f"cannot read the credentials: {error.strerror}", where={"file": str(path)}
        ) from error
    return parse_auth_file(raw, path)


def parse_auth_file(raw: bytes, path: Path) -> AuthFile:
    """The file whose content is ``raw``."""
    if len(raw) > _LIMIT:
        raise UsageError(f"the file is larger than {human_size(_LIMIT)}", where={"file": str(path)})
    try:
        document = msgspec.json.decode(raw) if raw.strip() else {}
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UsageError("the file is not valid JSON", where={"file": str(path)}) from error
    if not isinstance(document, dict):
        raise UsageError("the file is not a JSON object", where={"file": str(path)})
    return AuthFile(path=path, document=document)


def _key(registry: str) -> str:
    return _HUB[0] if registry in _HUB else registry


def server_names(registry: str) -> tuple[str, ...]:
    """What helpers know the registry as."""
    return (_HUB[0],) if registry in _HUB else (registry, f"https://{registry}")


def _candidates(registry: str, repository: str) -> list[str]:
    hosts = [_plain(name) for name in _HUB] if registry in _HUB else [registry]
    parts = repository.split("/") if repository else []
    names = [
        "/".join([host, *parts[:length]]) for length in range(len(parts), -1, -1) for host in hosts
    ]
    return list(dict.fromkeys(names))


def _plain(key: str) -> str:
    """``https://host/v1/`` and ``host`` are the same; a path of one's own stays."""
    name = key.removeprefix("https://").removeprefix("http://").rstrip("/")
    return name.removesuffix("/v1").removesuffix("/v2")


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
