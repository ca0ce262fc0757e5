"""Will this image build recipes here, as their frontend (``# syntax=REGISTRY/homeport``)?

Each case is the recipe in ``proof_recipe``, which has no packages and so needs no archive, as it
is or spoiled in one place. What comes out must be what the recipe says, or the refusal must say
what is wrong and what to do. One case has a package, which the engine fetches from Debian.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from homeport.buildkit.helper.frontend_build import Built, by_frontend
from homeport.buildkit.helper.trial import Kind, Row, Trial, judged, not_tried, row
from homeport.buildkit.session.context_folder import Offer
from homeport.buildkit.solve import GATEWAY
from homeport.printable import path_text
from homeport.tree.node import Tree

_SHIPPED = Path(__file__).parent / "proof_recipe"
_RECIPE, _LOCK = "homeport.yaml", "proof.lock"
#: Path → type, mode, owner, content or target, of what the recipe names.
_NAMED = {
    "etc/motd": ("file", 0o644, 0, 0, b"hello\n"),
    "srv/link": ("symlink", 0o777, 0, 0, b"own/first"),
    "srv/own/first": ("file", 0o755, 0, 0, b"first\n"),
    "srv/theirs": ("file", 0o640, 1000, 1001, b"y"),
    "usr/bin/privileged": ("file", 0o6755, 0, 0, b"x"),
    "var/spool/proof": ("directory", 0o1777, 0, 0, b""),
}
_LABELS = {"c": "d"}
_CONFIG = {
    "Entrypoint": ["/srv/own/first"], "Env": ["A=b"], "User": "1000:1001", "Labels": _LABELS,
}  # fmt: skip
_PACKAGE = "/etc/protocols"
_CANNOT_FETCH = ("no such host", "connection refused", "i/o timeout", "unreachable", "404")

Judge = Callable[[Built], str]
#: Spoils the recipe's folder.
Change = Callable[[Path], object]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """The recipe with ``change``, and why what comes out of it is wrong, if it is.

    refused: words of the refusal; the case then has no judge
    fetches: the engine needs Debian's archive
    twice:   built a second time, the result must be equal
    """

    name: str
    judge: Judge | None = None
    change: Change = lambda _: None
    attrs: Mapping[str, str] = msgspec.field(default_factory=dict)
    request: str = ""
    refused: tuple[str, ...] = ()
    fetches: bool = False
    twice: bool = False


def _replaced(name: str, old: str, new: str) -> Change:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    return change


def _package(folder: Path) -> None:
    for name in (_RECIPE, _LOCK):
        shutil.copyfile(_SHIPPED / "package" / name, folder / name)


def _wrong_package(folder: Path) -> None:
    _package(folder)
    document = json.loads((folder / _LOCK).read_text(encoding="utf-8"))
    for packages in document["platforms"].values():
        for package in packages:
            package["sha256"] = "0" * 64
    (folder / _LOCK).write_text(json.dumps(document), encoding="utf-8")


def _files(built: Built) -> str:
    assert built.tree is not None
    for name, expected in _NAMED.items():
        if (found := _seen(built.tree, name.encode())) != expected:
            return f"/{name} is {found} instead of {expected}"
    return ""


def _seen(tree: Tree, path: bytes) -> tuple[str, int, int, int, bytes] | None:
    if path not in tree:
        return None
    node = tree[path]
    content = node.target if node.type == "symlink" else b""
    if node.content is not None:
        with node.content.open() as stream:
            content = stream.read(1024)
    return node.type, node.mode, node.uid, node.gid, content


def _times(built: Built) -> str:
    """Every time is the lockfile's epoch, so that the same files come out on every day."""
    assert built.tree is not None
    epoch = json.loads((_SHIPPED / _LOCK).read_text(encoding="utf-8"))["epoch"] * 10**9
    others = [path for path, node in dict(built.tree).items() if path and node.mtime != epoch]
    return f"{path_text(others[0])} has another time than the lockfile's" if others else ""


def _config(built: Built) -> str:
    """Labels of ours may be there, too, such as the lockfile's digest."""
    found = {key: (built.config or {}).get(key) for key in _CONFIG}
    labels = {key: value for key, value in (found["Labels"] or {}).items() if key in _LABELS}
    found["Labels"] = labels
    return "" if found == _CONFIG else f"the configuration has {found} instead of {_CONFIG}"


def _platform(built: Built) -> str:
    document = json.loads(built.metadata.get("containerimage.config", b"{}"))
    found = document.get("architecture")
    return "" if found == "arm64" else f"it is for {found}"


def _protocols(built: Built) -> str:
    assert built.tree is not None
    return "" if _PACKAGE[1:].encode() in built.tree else f"{_PACKAGE} of the package is missing"


def _no_warnings(built: Built) -> str:
    warnings = json.loads(built.metadata["result.json"])["warnings"]
    return f"it finds {warnings}" if warnings else ""


def _describes(built: Built) -> str:
    names = {each["name"] for each in json.loads(built.metadata["result.json"])}
    return "" if "frontend.lint" in names else f"it answers {sorted(names)} alone"


CASES: tuple[Case, ...] = (
    Case(name="files, links and directories are those of the recipe", judge=_files),
    Case(name="every time is the lockfile's", judge=_times),
    Case(name="the configuration is that of the recipe", judge=_config),
    Case(name="another platform, without an emulator", attrs={"platform": "linux/arm64"},
         judge=_platform),
    Case(name="a second build without cache has the same files", judge=_files, twice=True),
    Case(name="a package is fetched by the engine", change=_package, judge=_protocols,
         fetches=True),
    Case(name="a package with another hash is refused", change=_wrong_package,
         refused=("digest mismatch",), fetches=True),
    Case(name="a missing lockfile is refused with the command to make it",
         change=lambda folder: (folder / _LOCK).unlink(), refused=("proof.lock", "homeport lock")),
    Case(name="a stale lockfile is refused",
         change=_replaced(_RECIPE, "platforms: [linux/amd64, linux/arm64]",
                          "platforms: [linux/amd64, linux/arm64]\npackages: [netbase]"),
         refused=("proof.lock", "homeport lock")),
    Case(name="a fault of the recipe is refused with its line",
         change=_replaced(_RECIPE, "links:", "linkss:"), refused=("homeport.yaml", "linkss")),
    Case(name="a file that does not exist is refused",
         change=lambda folder: (folder / "own/first").unlink(), refused=("own",)),
    Case(name="a platform that the recipe has not is refused",
         attrs={"platform": "linux/s390x"}, refused=("s390x",)),
    Case(name="--check finds nothing in a good recipe", request="frontend.lint",
         judge=_no_warnings),
    Case(name="--check finds a fault", request="frontend.lint",
         change=_replaced(_RECIPE, "links:", "linkss:"), refused=("homeport.yaml", "linkss")),
    Case(name="it tells which questions it answers", request="frontend.subrequests.describe",
         judge=_describes),
)  # fmt: skip


@contextmanager
def deciding(trial: Trial) -> Iterator[Callable[[Case], Row]]:
    """Build a case by the image."""
    with tempfile.TemporaryDirectory(prefix="homeport-") as place:
        yield lambda case: _decide(trial, case, Path(place))


def _decide(trial: Trial, case: Case, place: Path) -> Row:
    folder = place / "recipe"
    shutil.copytree(_SHIPPED, folder, ignore=shutil.ignore_patterns("package"), dirs_exist_ok=False)
    try:
        (folder / "own/first").chmod(0o755)
        case.change(folder)
        built = _build(trial, case, folder, place)
        if case.fetches and any(word in built.error for word in _CANNOT_FETCH):
            return not_tried(case.name, f"the engine cannot fetch a package: {built.error}")
        if case.refused:
            return _refused(case, built)
        if built.error or case.judge is None:
            return row(case.name, built.error)
        why = judged(case.judge, built)
        if case.twice and not why:
            again = _build(trial, case, folder, place)
            why = again.error or judged(_unequal, built, again)
        return row(case.name, why)
    finally:
        shutil.rmtree(folder)


def _build(trial: Trial, case: Case, folder: Path, place: Path) -> Built:
    folders = {"context": Offer(folder), "dockerfile": Offer(folder)}
    attrs = {"filename": _RECIPE, "no-cache": "", **case.attrs}
    return by_frontend(trial, GATEWAY, attrs, folders, place, request=case.request)


def _unequal(one: Built, other: Built) -> str:
    assert one.tree is not None
    assert other.tree is not None
    if one.config != other.config:
        return "the second build has another configuration"
    trees = [
        {path: (node.mtime, _seen(tree, path)) for path, node in dict(tree).items()}
        for tree in (one.tree, other.tree)
    ]
    changed = sorted(path for path in trees[0] if trees[0][path] != trees[1].get(path))
    return f"{path_text(changed[0])} differs in the second build" if changed else ""


def _refused(case: Case, built: Built) -> Row:
    if not built.error:
        return row(case.name, "it was built, but must be refused")
    missing = [word for word in case.refused if word not in f"{built.error}\n{built.log}"]
    if missing:
        return row(case.name, f"refused with {built.error!r}, without {', '.join(missing)}")
    return row(case.name, "", "refused, as it must be")


KIND = Kind(name="recipe-frontend", cases=CASES, deciding=deciding)
