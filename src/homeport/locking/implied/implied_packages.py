"""Essential packages that an image needs although nothing depends on them.

Debian's packages may use Essential ones without a dependency. Of these an image gets what its
programs start, and no more: slices with those programs, and the libraries that they need
(docs/decisions/essential.md). Started are the program of ``entrypoint`` or ``cmd``, and scripts
in ``/usr/bin`` of the packages that the recipe names. Nothing for an image of slices alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from homeport.content.store import Store
from homeport.debian.deb.contents import PackageContents, select_paths
from homeport.debian.essential import (
    ALONG,
    C_UTF_8,
    COMMANDS,
    ESSENTIAL_PACKAGES,
    LDCONFIG,
    LIBC,
    LIBC_FILES,
    LIBC_LIBRARIES,
    LOOK_UP,
    Along,
    package_of,
)
from homeport.debian.library_package import is_called_like
from homeport.debian.package import Package
from homeport.locking.implied.image_programs import ImagePackage, ImagePrograms, place_of
from homeport.oci.platform import Platform
from homeport.recipe.entries import InlineFile, LocalFiles
from homeport.recipe.lock.lock_request import needs_essentials
from homeport.recipe.model import Recipe
from homeport.recipe.platforms import debian_architecture
from homeport.recipe.slices.model import IMPLIED, Slice, SliceName, SlicePath

#: Programs that start what their users type: with them come the commands that users expect.
_RUN_COMMANDS = ("ansible", "ansible-playbook", "bash", "cron", "dash", "make", "sh", "sshd")
_FOLDERS = ("/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/")
#: Links and scripts, and what they mean.
_ALONG = {"sh": ("dash",), "rgrep": ("grep",), "egrep": ("grep",), "fgrep": ("grep",)}
_SHOWN = 4
_LANG = ("LANG", "LC_ALL", "LC_CTYPE")


class ImageContents(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the image of one platform so far, by package.

    slices: a package without an entry is whole
    taken:  the paths that it puts in the image, as it ships them
    """

    platform: Platform
    packages: Mapping[str, Package]
    slices: Mapping[str, tuple[Slice, ...]]
    contents: Mapping[str, PackageContents]
    taken: Mapping[str, Sequence[bytes]]

    def without(self, names: Collection[str]) -> ImageContents:
        packages = {name: each for name, each in self.packages.items() if name not in names}
        return msgspec.structs.replace(
            self,
            packages=packages,
            slices={name: each for name, each in self.slices.items() if name in packages},
        )


class Implied(msgspec.Struct, frozen=True, kw_only=True):
    """What was found for one platform.

    paths:   package → globs of what is taken of it → what starts that
    whole:   packages that are taken as a whole, and libraries → what starts or needs them
    """

    paths: Mapping[str, Mapping[str, str]] = msgspec.field(default_factory=dict)
    whole: Mapping[str, str] = msgspec.field(default_factory=dict)

    def with_more(self, other: Implied) -> Implied:
        names = {**self.paths, **other.paths}
        return Implied(
            paths={
                name: {**other.paths.get(name, {}), **self.paths.get(name, {})} for name in names
            },
            whole={**other.whole, **self.whole},
        )


def implied_slices(found: Iterable[Implied]) -> dict[SliceName, Slice]:
    """One definition for each package, which all platforms of a lockfile share."""
    paths: dict[str, set[str]] = {}
    for each in found:
        for package, globs in each.paths.items():
            paths.setdefault(package, set()).update(globs)
    return {
        (name := SliceName(package=package, slice=IMPLIED)): Slice(
            name=name, paths=tuple(SlicePath(path=glob) for glob in sorted(globs))
        )
        for package, globs in sorted(paths.items())
    }


def implied_texts(found: Iterable[Implied]) -> list[str]:
    """One line for each package: what is taken of it, and for which program."""
    all_of = Implied()
    for each in found:
        all_of = all_of.with_more(each)
    texts = [
        f"{package}: takes {_shown(globs)}, which {next(iter(globs.values()))} "
        + ("may start" if package in ESSENTIAL_PACKAGES else "needs")
        for package, globs in sorted(all_of.paths.items())
    ]
    return texts + [f"{package}: taken for {by}" for package, by in sorted(all_of.whole.items())]


def _shown(globs: Iterable[str]) -> str:
    names = dict.fromkeys(
        "C.UTF-8" if glob == C_UTF_8 else name
        for glob in globs
        if glob == C_UTF_8 or (name := _plain_name(glob))
    )  # fmt: skip
    more = len(names) - _SHOWN
    return ", ".join([*list(names)[:_SHOWN], *([f"{more} more"] if more > 0 else [])])


def _plain_name(glob: str) -> str:
    """The file that a glob is about; "" if the glob leaves it open."""
    name = glob.rpartition("/")[2].removesuffix("*").removesuffix(".")
    return "" if "*" in name else name


def without_unmatched(
    slices: Mapping[SliceName, Slice], contents: Iterable[Mapping[str, PackageContents]]
) -> dict[SliceName, Slice]:
    """The definitions with the globs that match in the packages of some platform."""
    platforms = list(contents)
    return {
        name: msgspec.structs.replace(
            slice,
            paths=tuple(
                path for path in slice.paths
                if any(
                    select_paths(of[name.package], (path.path,)).paths
                    for of in platforms if name.package in of
                )
            ),
        )
        for name, slice in slices.items()
    }  # fmt: skip


def find_implied(
    recipe: Recipe, image: ImageContents, *, available: Callable[[str], bool], store: Store
) -> Implied:
    """What programs of ``image`` start that is not in it, of the packages that are available."""
    whole = [
        choice.name
        for choice in recipe.packages
        if choice.whole and choice.applies_to(image.platform)
    ]
    if not whole or not needs_essentials(recipe):
        return Implied()
    found = _Search(recipe, image, store).find(whole)
    return Implied(
        paths={name: globs for name, globs in found.paths.items() if available(name)},
        whole={name: by for name, by in found.whole.items() if available(name)},
    )


def explain_implied(
    recipe: Recipe, image: ImageContents, unexplained: Collection[str], store: Store
) -> Implied:
    """What starts or needs the packages of a finished image that nothing else explains.

    They are left out, and what is missing then is asked for in rounds, as when locking.
    Globs that match nothing in their package are left out.
    """
    known = Implied()
    while True:
        left_out = set(unexplained) - {*known.paths, *known.whole}
        more = known.with_more(
            find_implied(
                recipe, image.without(left_out), available=image.packages.__contains__, store=store
            )
        )
        if more == known:
            break
        known = more
    return Implied(
        paths={
            name: {
                glob: by for glob, by in globs.items()
                if select_paths(image.contents[name], (glob,)).paths
            }
            for name, globs in known.paths.items()
        },
        whole=known.whole,
    )  # fmt: skip


class _Search:
    def __init__(self, recipe: Recipe, image: ImageContents, store: Store) -> None:
        self._recipe = recipe
        self._config = recipe.config_for(image.platform)
        self._packages = image.packages
        self._contents = image.contents
        self._sliced = image.slices
        self._programs = ImagePrograms(
            {
                name: ImagePackage(
                    contents=image.contents[name],
                    source=package.source_name,
                    paths=tuple(image.taken[name]),
                )
                for name, package in image.packages.items()
            },
            dict(_own_paths(recipe, image.platform)),
            debian_architecture(image.platform),
            store,
        )
        self._paths: dict[str, dict[str, str]] = {}
        self._whole: dict[str, str] = {}

    def find(self, named: Iterable[str]) -> Implied:
        start = (*self._config.entrypoint, *self._config.cmd)[:1]
        roots = [found for word in start if (found := self._programs.find(word))]
        for word in start:
            if word.rpartition("/")[2] in _RUN_COMMANDS:
                self._add_commands(word)
            if not roots:
                self._need(word, "the recipe's config")
        for package in self._with_commands(named):
            roots += self._programs.scripts_of(package)
        reached, starts = self._programs.reached(roots)
        for each in starts:
            self._need(each.program, each.by)
        for path in sorted(reached):
            name = path.rpartition(b"/")[2].decode("utf-8", "replace")
            for program in LOOK_UP.get(name, ()):
                self._need(program, "/" + path.decode("utf-8", "surrogateescape"))
            if self._programs.facts(path).encoding and not self._programs.is_essential(path):
                self._need_locale("/" + path.decode("utf-8", "surrogateescape"))
        if any("utf" in self._config.env.get(name, "").lower() for name in _LANG):
            self._need_locale("the recipe's env")
        self._add_libraries()
        return Implied(paths=self._paths, whole=self._whole)

    def _with_commands(self, named: Iterable[str]) -> Iterator[str]:
        """The named packages; what a metapackage depends on in its place.

        Essential packages count on each other as on the rest, so they ask for nothing.
        """
        for name in named:
            package = self._packages.get(name)
            if package is None or package.essential:
                continue
            yield name
            if self._programs.is_metapackage(name):
                for group in (*package.pre_depends, *package.depends):
                    yield from (each.name for each in group if each.name in self._packages)

    def _add_commands(self, by: str) -> None:
        self._need_locale(by)
        for package in COMMANDS:
            for program in ESSENTIAL_PACKAGES[package].programs.split():
                self._need(program, by)

    def _need(self, program: str, by: str) -> None:
        name = program.rpartition("/")[2]
        in_usual_folder = "/" not in program or program.startswith(_FOLDERS)
        if not in_usual_folder or self._programs.find(program) is not None:
            return
        if program in (LDCONFIG, "/sbin/ldconfig"):
            self._take("libc-bin", LDCONFIG, by)
            self._take("libc-bin", "/sbin/ldconfig", by)
        package = package_of(name)
        if package is None or package in self._recipe.without:
            return
        known = ESSENTIAL_PACKAGES[package]
        if known.whole:
            self._whole.setdefault(package, by)
            return
        for each in (name, *_ALONG.get(name, ())):
            # As packages ship it: in Debian 12 many are below /bin.
            self._take(package, f"/usr/bin/{each}", by)
            self._take(package, f"/bin/{each}", by)
        along = ALONG.get(name, Along())
        for glob in (*known.with_each, *along.globs):
            self._take(package, glob, by)
        for other in along.packages:
            self._whole.setdefault(other, by)

    def _need_locale(self, by: str) -> None:
        if self._programs.file_at("/usr/lib/locale/C.utf8/LC_CTYPE") is None:
            self._take("libc-bin", C_UTF_8, by)

    def _take(self, package: str, glob: str, by: str) -> None:
        if package not in self._recipe.without:
            self._paths.setdefault(package, {}).setdefault(glob, by)

    def _add_libraries(self) -> None:
        """Of packages that are here for their programs: what those need to be started.

        A library's package is called like the library (Debian Policy 8.1), and of it only the
        library is taken. Where a name says nothing, and where the library is not found so, all
        that the program's package depends on is taken.
        """
        for name, slices in self._sliced.items():
            if not any(each.name.slice == IMPLIED for each in slices):
                continue
            package = self._packages[name]
            names = {
                each.name for group in (*package.pre_depends, *package.depends) for each in group
                if each.name not in ESSENTIAL_PACKAGES and each.name not in _NO_LIBRARIES
            }  # fmt: skip
            for library, by in self._missing_libraries(name):
                if LIBC in names and library.startswith(_OF_LIBC):
                    fitting, globs = [LIBC], LIBC_FILES
                else:
                    fitting = sorted(each for each in names if is_called_like(each, library))
                    globs = (f"/usr/lib/*/{library}*", f"/lib/*/{library}*")
                for each in fitting or sorted(names):
                    if each not in fitting or each in self._packages:
                        self._whole.setdefault(each, by)
                        continue
                    for glob in globs:
                        self._take(each, glob, by)

    def _missing_libraries(self, package: str) -> Iterator[tuple[str, str]]:
        for path in self._contents[package].blobs:
            place = "/" + path.decode("utf-8", "surrogateescape")
            found = self._programs.file_at(place)
            if found:
                for library in self._programs.facts(found).libraries:
                    if not self._programs.has_library(library):
                        yield library, place


_OF_LIBC = tuple(f"{name}." for name in LIBC_LIBRARIES)
#: What Essential packages depend on for their maintainer scripts.
_NO_LIBRARIES = ("base-files", "debconf", "dpkg", "init-system-helpers", "install-info")


def _own_paths(recipe: Recipe, platform: Platform) -> Iterator[tuple[bytes, str]]:
    for link in recipe.links:
        if link.applies_to(platform):
            yield place_of(link.path), link.target
    for file in recipe.files:
        if isinstance(file, InlineFile | LocalFiles) and file.applies_to(platform):
            yield place_of(file.to), ""
