"""Dockerfiles of the tree: Jinja2 templates, docker-pkg's filters, and which images they name.

The environment is sandboxed and strict: an unknown variable or filter is an error with the
template's line. Included files lie in the tree. Filters give the text that docker-pkg gives,
its traps mended: registries with a port, lists on several lines in ``apt_remove``, and one
shell line a command.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from homeport.dockerpkg.names import reference_of, split_name, upstream_version
from homeport.dockerpkg.tree import TEMPLATE, SourceImage, Tree, read_text
from homeport.errors import UsageError
from homeport.quantities import human_size

if TYPE_CHECKING:
    from jinja2 import Environment

_LARGEST = 4 << 20
#: The user's own file may give these; a template could write them into an image.
_PRIVATE = frozenset(("username", "password"))
_NUMERIC_USER = re.compile(r"[0-9]+(?::[0-9]+)?")
_USER_LINE = re.compile(r"\s*user\s+(.*)", re.IGNORECASE)
_PROXY_FILE = "/etc/apt/apt.conf.d/80_proxy"
_CLEAN = "apt-get clean && rm -rf /var/lib/apt/lists/*"


class BadTemplate(UsageError):
    """A template cannot be rendered; file and line are in ``where``."""

    id = "docker-pkg-template"


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """A Dockerfile.

    named:    images of the tree that ``image_tag`` was asked for, in order
    warnings: what docker-pkg would only log
    """

    image: SourceImage
    text: str
    named: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Renderer:
    """Renders the templates of one tree."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._configuration = tree.configuration
        self._known = {split_name(each.reference)[0]: each for each in tree.images.values()}
        self._bases = {
            split_name(text)[0]: text for text in tree.configuration.texts("base_images")
        }
        self._named: dict[str, None] = {}
        self._warnings: list[str] = []

    def render(self, image: SourceImage) -> Rendered:
        """The Dockerfile of an image. Raises ``BadTemplate``, ``UsageError`` without Jinja2."""
        self._named, self._warnings = {}, []
        environment = _environment(self._tree.root, image.path, self._filters())
        variables = {
            key: value
            for key, value in self._configuration.variables.items()
            if key not in _PRIVATE
        }
        text = _rendered(environment, image.path / TEMPLATE, variables)
        if not text.strip():
            raise BadTemplate(
                "the rendered Dockerfile is empty", where={"file": str(image.path / TEMPLATE)}
            )
        if self._configuration.numeric_users:
            _require_numeric_user(text, image.path / TEMPLATE)
        return Rendered(
            image=image, text=text, named=tuple(self._named), warnings=tuple(self._warnings)
        )

    def _filters(self) -> dict[str, Callable[[str], str]]:
        return {
            "image_tag": self._image_tag,
            "upstream_version": upstream_version,
            "uid": self._uid,
            "add_user": self._add_user,
            "apt_install": self._apt_install,
            "apt_remove": self._apt_remove,
        }

    def _image_tag(self, name: str) -> str:
        repository = self._tree.naming.repository(str(name))
        if (image := self._known.get(repository)) is not None:
            self._named[image.name] = None
            return image.reference
        if (base := self._bases.get(repository) or self._bases.get(str(name))) is not None:
            return base
        known = ", ".join([*self._tree.images, *self._bases.values()])
        raise ValueError(f"image_tag: no image {name!r}; known are {known}")

    def _uid(self, user: str) -> str:
        found = self._configuration.uids.get(str(user))
        if found is None:
            self._warnings.append(f"no number for user {user!r} in known_uid_mappings")
            return str(user)
        return str(found)

    def _add_user(self, user: str) -> str:
        uid = self._configuration.uids.get(str(user))
        if uid is None:
            raise ValueError(f"add_user: no number for user {user!r} in known_uid_mappings")
        return (
            f"groupadd -o -g {uid} -r {user} && "
            f"useradd -l -o -r -m -d /var/lib/{user} -g {user} -u {uid} {user}"
        )

    def _apt_install(self, packages: str) -> str:
        options = self._configuration.text("apt_options")
        names = str(packages).replace("\n", " ")
        return self._apt(
            f"apt-get update {options}",
            f"DEBIAN_FRONTEND=noninteractive apt-get install {options} --yes {names}"
            " --no-install-recommends",
        )

    def _apt_remove(self, packages: str) -> str:
        names = str(packages).replace("\n", " ")
        return self._apt(
            "apt-get update",
            f"DEBIAN_FRONTEND=noninteractive apt-get remove --yes --purge {names}",
        )

    def _apt(self, *commands: str) -> str:
        """Commands for one RUN, through the proxy of apt if there is one."""
        proxy = self._configuration.text("apt_only_proxy")
        steps = [" ".join(command.split(" ")).rstrip() for command in commands]
        if proxy:
            line = f'Acquire::http::Proxy "{proxy}";'
            steps = [f"echo '{line}' > {_PROXY_FILE}", *steps, f"rm -f {_PROXY_FILE}"]
        return " \\\n    && ".join([*steps, _CLEAN])


def _environment(
    root: Path, folder: Path, filters: Mapping[str, Callable[[str], str]]
) -> Environment:
    # 60 ms that other commands save
    from jinja2 import BaseLoader, StrictUndefined, TemplateNotFound
    from jinja2.sandbox import SandboxedEnvironment

    inside = root.resolve()

    class Loader(BaseLoader):
        """Files of the image's directory; links may lead elsewhere in the tree, not out of it."""

        def get_source(
            self, environment: Environment, template: str
        ) -> tuple[str, str, Callable[[], bool]]:
            path = folder.joinpath(*(part for part in template.split("/") if part != "."))
            if ".." in template.split("/") or not path.resolve().is_relative_to(inside):
                raise TemplateNotFound(template, f"{template} lies outside the tree")
            if not path.is_file():
                raise TemplateNotFound(template)
            return read_text(path), str(path), lambda: True

    environment = SandboxedEnvironment(
        loader=Loader(), extensions=["jinja2.ext.do"], undefined=StrictUndefined
    )
    environment.filters.update(filters)
    return environment


def _rendered(environment: Environment, file: Path, variables: Mapping[str, Any]) -> str:
    # 0 ms: loaded above; optional
    from jinja2 import TemplateError, TemplateNotFound, TemplateSyntaxError

    parts: list[str] = []
    size = 0
    try:
        for part in environment.get_template(file.name).generate(dict(variables)):
            size += len(part)
            if size > _LARGEST:
                raise BadTemplate(
                    f"the rendered Dockerfile is larger than {human_size(_LARGEST)}",
                    where={"file": str(file)},
                )
            parts.append(part)
    except TemplateSyntaxError as error:
        where: dict[str, str | int] = {"file": error.filename or str(file), "line": error.lineno}
        raise BadTemplate(str(error.message), where=where) from error
    except TemplateNotFound as error:
        raise BadTemplate(
            f"cannot include {error.message or error.name}",
            where={"file": str(file), **_line(error)},
        ) from error
    except (TemplateError, ValueError, TypeError, ArithmeticError, LookupError) as error:
        raise BadTemplate(str(error), where={"file": str(file), **_line(error)}) from error
    except SyntaxError as error:  # of the Python that Jinja2 makes of it
        raise BadTemplate(f"{error.msg}", where={"file": str(file)}) from error
    except RecursionError as error:
        raise BadTemplate("templates include each other", where={"file": str(file)}) from error
    return "".join(parts)


def _line(error: BaseException) -> dict[str, str | int]:
    """File and line of the template in which it was raised: Jinja2 rewrites its frames so."""
    found: dict[str, str | int] = {}
    trace = error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if not name.endswith(".py") and not name.startswith("<"):
            found = {"file": name, "line": trace.tb_lineno}
        trace = trace.tb_next
    return found


def _require_numeric_user(text: str, file: Path) -> None:
    """The last USER must be a number (``force_numeric_user``); lower-case words count too."""
    users = [found[1].strip() for line in text.splitlines() if (found := _USER_LINE.match(line))]
    if users and not _NUMERIC_USER.fullmatch(users[-1]):
        raise BadTemplate(
            f"the last USER is {users[-1]!r}, not a number (force_numeric_user)",
            where={"file": str(file)},
            hint='write USER {{ "NAME" | uid }} and give NAME a number in known_uid_mappings',
        )


def names_image(text: str, tree: Tree) -> SourceImage | None:
    """The image of the tree that a reference in a Dockerfile means: its tag, or ``latest``."""
    found = reference_of(text)
    if found is None or "@" in text:
        return None
    for image in tree.images.values():
        own = reference_of(image.reference)
        if own and (own.registry, own.repository) == (found.registry, found.repository):
            return image if found.tag in (own.tag, "latest") else None
    return None
