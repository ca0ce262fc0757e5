"""Runs an image's own test before it is published, as docker-pkg does.

``verify_command`` with ``verify_args``; ``{path}`` is the image's directory and ``{image}`` its
name. The test runs on this machine with the rights of the user: it is code of the tree.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from homeport.dockerpkg.configuration import Configuration
from homeport.dockerpkg.names import reference_of
from homeport.dockerpkg.tree import SourceImage
from homeport.errors import HomeportError, UsageError
from homeport.images.image import Image, Index
from homeport.images.load import choose_engine, load
from homeport.images.platforms import select
from homeport.images.transports.docker_api import EngineError
from homeport.oci.platform import native_platform
from homeport.runtime import Runtime

OpenImage = Callable[[str], AbstractContextManager[Image | Index]]


class VerificationFailed(HomeportError):
    """The image's own test did not pass; nothing was published."""

    id = "docker-pkg-test"


def has_test(image: SourceImage, configuration: Configuration) -> bool:
    """Whether every word with ``{path}`` names a file that is there: else there is no test."""
    for argument in configuration.texts("verify_args"):
        for word in _words(argument):
            if "{path}" in word and not Path(_filled(word, image)).exists():
                return False
    return True


def verify(
    image: SourceImage, configuration: Configuration, environment: Mapping[str, str]
) -> None:
    """Run the test. Raises ``VerificationFailed`` with what it printed last."""
    command = configuration.text("verify_command")
    program = shutil.which(command, path=environment.get("PATH"))
    if program is None:
        raise VerificationFailed(
            f"verify_command {command!r} is not installed", where={"image": image.name}
        )
    arguments = [_filled(text, image) for text in configuration.texts("verify_args")]
    given = {key: environment[key] for key in ("PATH",) if key in environment}
    done = subprocess.run(
        [program, *arguments], env=given | proxies(configuration), check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode != 0:
        printed = done.stdout.decode("utf-8", "replace").strip().splitlines()[-5:]
        raise VerificationFailed(
            f"its test ended with exit code {done.returncode}: {' | '.join(printed)}".rstrip(": "),
            where={"image": image.name, "file": str(image.path)},
        )


def load_for_test(address: str, reference: str, *, open_image: OpenImage, runtime: Runtime) -> bool:
    """Hand the image of this machine's platform to docker or podman; whether there is one."""
    name = reference_of(reference)
    assert name is not None
    try:
        choose_engine()
    except EngineError:
        return False
    with open_image(address) as value:
        load(select(value, [native_platform()]), name, runtime)
    return True


def proxies(configuration: Configuration) -> dict[str, str]:
    """The proxy as variables for builds and tests; BuildKit leaves them out of cache keys."""
    proxy = configuration.text("http_proxy")
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    return dict.fromkeys(names, proxy) if proxy else {}


def _filled(text: str, image: SourceImage) -> str:
    try:
        return text.format(path=image.path, image=image.reference)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise UsageError(
            f"verify_args: {text!r} may contain {{path}} and {{image}} alone",
            where={"field": "verify_args"},
        ) from error


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(
            f"verify_args: {text!r}: {error}", where={"field": "verify_args"}
        ) from error
