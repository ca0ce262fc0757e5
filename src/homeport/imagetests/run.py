"""``homeport test``: the tests of a recipe or a file, on every platform of an image."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import msgspec

from homeport.building.request import BuildRequest, Connections
from homeport.building.run import run_build
from homeport.errors import HomeportError, UsageError
from homeport.images.address import LayoutAddress
from homeport.images.image import Image, Index
from homeport.images.platforms import choose_image, platforms_of
from homeport.imagetests.checking import check, text_difference
from homeport.imagetests.results import CheckedImage, ImageTestResult, State
from homeport.imagetests.running import NotRun, Root, unpacked
from homeport.imagetests.structure_tests import (
    LoadedTests,
    is_structure_test,
    read_structure_tests,
)
from homeport.inspection.image.opened_image import OpenedImage, open_layers
from homeport.oci.platform import Platform, native_platform
from homeport.recipe.catalog import (
    UnknownRecipe,
    current_catalog,
    find_recipe,
    is_name,
    is_recipe,
)
from homeport.recipe.image_tests import ImageTest
from homeport.recipe.loading import find_and_load
from homeport.recipe.model import Recipe
from homeport.runtime import Runtime

OpenImage = Callable[[str], AbstractContextManager[Image | Index]]


class ImageTestRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to test.

    subject:   a recipe, which is built first, or the address of an image
    tests:     recipes and container-structure-test files; of a recipe its own besides
    platforms: only these; empty: all that there are
    run:       whether commands are run
    """

    subject: str
    tests: tuple[str, ...] = ()
    platforms: tuple[Platform, ...] = ()
    run: bool = True
    mirrors: tuple[str, ...] = ()
    allow_outside: tuple[Path, ...] = ()


def run_tests(
    request: ImageTestRequest, runtime: Runtime, connections: Connections, open_image: OpenImage
) -> CheckedImage:
    """Test an image. Raises ``UsageError`` if there is no test at all."""
    own: Recipe | None = None
    if is_recipe(request.subject):
        own = find_and_load(request.subject, request.allow_outside)
    elif not request.tests:
        raise _nothing_to_run(request.subject)
    loaded = [LoadedTests(tests=own.tests)] if own else []
    loaded += [_load(name, request) for name in request.tests]
    tests = [test for each in loaded for test in each.tests]
    not_run = [each for one in loaded for each in one.not_run]
    if not tests and not not_run:
        raise UsageError(
            f"{', '.join(dict.fromkeys((request.subject, *request.tests)))} has no tests",
            hint="write tests: in the recipe, or name a file: --tests FILE",
        )
    with ExitStack() as stack:
        address = request.subject
        if own is not None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="homeport-test-"))
            layout = LayoutAddress(path=Path(folder) / "image")
            run_build(
                BuildRequest(
                    recipe=request.subject, outputs=(layout,), mirrors=request.mirrors,
                    platforms=tuple(map(str, request.platforms)) or ("all",), attest=(),
                    allow_outside=request.allow_outside,
                ),
                runtime, connections, recipe=own,
            )  # fmt: skip
            address = str(layout)
        value = stack.enter_context(open_image(address))
        platforms = request.platforms or tuple(platforms_of(value)) or (native_platform(),)
        results = [
            result
            for platform in platforms
            for opened in [open_layers(choose_image(value, platform), runtime, address)]
            for result in _test(opened, platform, tests, not_run, request)
        ]
        return CheckedImage(image=request.subject, digest=str(value.digest), results=tuple(results))


def _nothing_to_run(subject: str) -> HomeportError:
    """What was looked for under a name that is no recipe's, where no tests were named."""
    image = "an image is tested by tests that you name: --tests FILE"
    bare = is_name(subject) and ":" not in subject and "@" not in subject
    path = subject.startswith((".", "/")) or subject.endswith((".yaml", ".yml", "/"))
    if bare or path or Path(subject).is_dir():
        try:
            find_recipe(subject, current_catalog())
        except UnknownRecipe as error:
            error.hint = f"{error.hint}; {image}"
            return error
    return UsageError(
        f"there is no recipe {subject}, and for the image of that name no tests were named",
        hint="name a recipe, or a file of container-structure-test: --tests FILE",
    )


def _load(name: str, request: ImageTestRequest) -> LoadedTests:
    path = Path(name)
    named = path.is_file() and is_structure_test(path)
    if is_recipe(name) and not named:
        return LoadedTests(tests=find_and_load(name, request.allow_outside).tests)
    return read_structure_tests(path)


def _test(
    opened: OpenedImage,
    platform: Platform,
    tests: Sequence[ImageTest],
    not_run: Sequence[tuple[str, str]],
    request: ImageTestRequest,
) -> Iterator[ImageTestResult]:
    progress = opened.runtime.progress
    progress.begin(f"test {platform}", label=f"test {platform}")
    asked = [test for test in tests if test.applies_to(platform)]
    for test in asked:
        if test.kind != "run":
            why = check(test, opened, platform)
            yield _result(test, platform, "failed" if why else "passed", why)
    yield from _run([test for test in asked if test.kind == "run"], opened, platform, request)
    for name, why in not_run:
        yield ImageTestResult(
            name=name, kind="other", platform=str(platform), state="not-run", why=why
        )
    progress.end(f"test {platform}")


def _run(
    tests: Sequence[ImageTest], opened: OpenedImage, platform: Platform, request: ImageTestRequest
) -> Iterator[ImageTestResult]:
    if not tests:
        return
    if not request.run:
        yield from (_result(test, platform, "not-run", "--no-run was given") for test in tests)
        return
    try:
        with unpacked(opened, platform) as root:
            for test in tests:
                yield _ran(test, platform, root)
    except NotRun as error:
        yield from (_result(test, platform, "not-run", error.what) for test in tests)


def _ran(test: ImageTest, platform: Platform, root: Root) -> ImageTestResult:
    try:
        ended = root.run(test.command, test.env)
    except NotRun as error:
        return _result(test, platform, "failed", error.what)
    why = text_difference(test, ended.output, "the output")
    if ended.code != test.exit:
        last = ended.output.strip().splitlines()[-1:]
        why = f"exit code {ended.code}" + (f": {last[0][:120]}" if last else "")
    return _result(test, platform, "failed" if why else "passed", why)


def _result(test: ImageTest, platform: Platform, state: State, why: str = "") -> ImageTestResult:
    return ImageTestResult(
        name=test.name, kind=test.kind, platform=str(platform),
        state=state, why=why,
    )  # fmt: skip
