"""``--secret`` and ``--ssh``: secrets and agents for a build, read before it starts.

All must exist: a secret that a build silently lacks is a bug found late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from homeport.content.reading import read_bounded
from homeport.errors import UsageError
from homeport.known_secrets import keep_secret

_SECRET_LIMIT = 500 << 10
_KEYS = ("id", "src", "source", "env", "type")
_HIDDEN_LINES = 100


class SecretNotFound(UsageError):
    """A named secret or agent does not exist."""

    id = "secret-not-found"


def read_secrets(texts: Sequence[str], environment: Mapping[str, str]) -> dict[str, bytes]:
    """Values by id, of ``id=ID,src=FILE``, ``id=ID,env=VAR`` or ``id=VAR``."""
    found = {}
    for text in texts:
        fields: dict[str, str] = {}
        for word in text.split(","):
            key, equals, value = word.partition("=")
            if not equals or key not in _KEYS:
                raise UsageError(f"--secret {text}: {word!r} is unknown; use id=, src= or env=")
            fields[key] = value
        id = fields.get("id", "")
        if not id:
            raise UsageError(f"--secret {text}: no id")
        found[id] = _value(id, fields, environment)
        # A step of the build may print it, line by line.
        for line in found[id].decode("utf-8", "surrogateescape").splitlines()[:_HIDDEN_LINES]:
            keep_secret(line.strip())
    return found


def _value(id: str, fields: Mapping[str, str], environment: Mapping[str, str]) -> bytes:
    path = fields.get("src") or fields.get("source")
    if path is None:
        variable = fields.get("env", id)
        if variable not in environment:
            raise SecretNotFound(f"secret {id}: the variable {variable} is not set")
        return environment[variable].encode("utf-8", "surrogateescape")
    try:
        with open(path, "rb") as stream:
            return read_bounded(stream, _SECRET_LIMIT, f"secret {id}")
    except OSError as error:
        raise SecretNotFound(
            f"cannot read secret {id}: {error.strerror}", where={"file": path}
        ) from error


def read_agents(texts: Sequence[str], environment: Mapping[str, str]) -> dict[str, Path]:
    """Sockets by id, of ``default`` or ``ID=SOCKET``."""
    found = {}
    for text in texts:
        id, equals, place = text.partition("=")
        path = place if equals else environment.get("SSH_AUTH_SOCK", "")
        if not path:
            raise SecretNotFound(f"--ssh {text}: no ssh agent runs (SSH_AUTH_SOCK is empty)")
        if not Path(path).is_socket():
            raise SecretNotFound(f"--ssh {text}: {path} is not a socket of an agent")
        found[id or "default"] = Path(path)
    return found
