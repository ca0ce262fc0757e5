"""Methods of ``App`` that look into images: layers, files, differences, SBOM and VEX."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from homeport.app.resources import Resources
from homeport.content.files import read_input
from homeport.errors import UsageError

if TYPE_CHECKING:
    from homeport.attest.attached_sbom import AttachedSbom
    from homeport.building.request import BuildRequest
    from homeport.images.address import LayoutAddress, RegistryAddress
    from homeport.images.image import Image, Index
    from homeport.inspection.image.extraction import Extracted
    from homeport.inspection.image.image_platforms import ImagePlatforms
    from homeport.inspection.image.opened_image import OpenedImage
    from homeport.inspection.model import InspectReport
    from homeport.inspection.report.compare_images import Comparison
    from homeport.inspection.report.page import HtmlPage
    from homeport.oci.platform import Platform
    from homeport.sbom.model import Bill, Subject
    from homeport.sbom.vex import VexStatement


_NEEDS_TRACKER = "homeport vex IMAGE --tracker FILE|URL"


class InspectionCommands(Resources):
    """What commands do to look into images."""

    @contextmanager
    def open_layers(
        self, address: str, *, platform: Platform | None = None
    ) -> Iterator[OpenedImage]:
        """An image with its layers listed and stacked, for the functions of ``inspection``.

        platform: by default this machine's, else the first of the index
        """
        with self.open_platforms(address) as found:
            yield found.open(platform)

    @contextmanager
    def open_platforms(self, address: str) -> Iterator[ImagePlatforms]:
        """An image whose platforms can be opened one after the other."""
        # 110 ms that other commands save
        from homeport.inspection.image.image_platforms import ImagePlatforms

        with self.open_image(address) as value:
            yield ImagePlatforms(address=address, value=value, runtime=self.runtime)

    def inspect(
        self, address: str, *, platform: Platform | None = None, bases: Sequence[str] = ()
    ) -> InspectReport:
        """Base, layers, packages, waste and anomalies of an image.

        bases: addresses of images that it may be based on, recognised by their layers
        """
        with self.open_image(address) as value:
            return self._inspect(address, value, platform, bases)

    def inspect_to_html(
        self,
        address: str,
        file: Path,
        *,
        platform: Platform | None = None,
        bases: Sequence[str] = (),
    ) -> tuple[InspectReport, HtmlPage]:
        """The report of ``inspect``, and an HTML page of it with all files."""
        # 140 ms that other commands save
        from homeport.images.platforms import choose_image
        from homeport.inspection.image.opened_image import open_layers
        from homeport.inspection.report.page import write_page

        with self.open_image(address) as value:
            report = self._inspect(address, value, platform, bases)
            opened = open_layers(choose_image(value, platform), self.runtime, address)
            return report, write_page(report, opened, file)

    def _inspect(
        self, address: str, value: Image | Index, platform: Platform | None, bases: Sequence[str]
    ) -> InspectReport:
        # 20 ms that other commands save
        from homeport.images.address import LayoutAddress, RegistryAddress, parse_source
        from homeport.inspection.report.inspect_image import inspect

        referrers, more = None, {}
        parsed = parse_source(address)
        if isinstance(parsed, RegistryAddress):
            # 130 ms that other commands save
            from homeport.inspection.image.registry_referrers import referrers_in

            referrers = referrers_in(self._registries.sources(parsed.reference))
            more["verdicts"] = self._signature_verdicts(parsed)
        elif isinstance(parsed, LayoutAddress):
            # 60 ms that archives save
            from homeport.attest.attached.layout import LayoutAttached
            from homeport.attest.attached.listing import ListedAttachments
            from homeport.inspection.image.registry_referrers import referrers_in

            referrers = referrers_in(ListedAttachments(LayoutAttached(parsed, self.runtime)))
            more["verdicts"] = self._signature_verdicts(parsed)
        with ExitStack() as stack:
            known = {each: stack.enter_context(self.open_image(each)) for each in bases}
            return inspect(
                value, address, self.runtime, platform=platform, referrers=referrers,
                bases=known, **more,
            )  # fmt: skip

    def _signature_verdicts(
        self, address: RegistryAddress | LayoutAddress
    ) -> Callable[[str], Mapping[str, str]]:
        """Verdicts on what is attached to a digest; signing code is loaded if there is any."""

        def verdicts(subject: str) -> Mapping[str, str]:
            # 60 ms that images without attachments save
            from homeport.attest.operations.policies import describe_signatures

            return describe_signatures(address, subject, self._attest_access(str(address), None))

        return verdicts

    def diff(
        self,
        before: str,
        after: str | None = None,
        *,
        platforms: Sequence[Platform] | None = None,
        times: bool = False,
        text: bool = True,
        html: Path | None = None,
    ) -> Comparison:
        """Compare two images platform by platform, or two platforms of one image.

        times: differences in time alone count
        text:  small text files are compared line by line
        html:  file for an HTML page of the comparison
        """
        found = self._diff(before, after, platforms, times=times, text=text)
        if html is not None:
            # 60 ms that other comparisons save
            from homeport.inspection.report.page_diff import write_diff_page

            write_diff_page(found, html)
        return found

    def _diff(
        self,
        before: str,
        after: str | None,
        platforms: Sequence[Platform] | None,
        *,
        times: bool,
        text: bool,
    ) -> Comparison:
        # 120 ms that other commands save
        from homeport.inspection.report.compare_images import compare, compare_platforms

        if after is None and (platforms is None or len(platforms) != 2):
            raise UsageError(
                "diff requires two images, or two platforms of one image",
                hint=f"homeport diff {shlex.quote(before)} --platform linux/amd64,linux/arm64",
            )
        with self.open_image(before) as one, ExitStack() as stack:
            find = self._sboms(before, one, stack)
            if after is not None:
                other = stack.enter_context(self.open_image(after))
                return compare(
                    (one, other), (before, after), platforms, self.runtime,
                    times=times, text=text,
                    find_sboms=(find, self._sboms(after, other, stack)),
                )  # fmt: skip
            assert platforms is not None
            pair = (platforms[0], platforms[1])
            return compare_platforms(
                one, before, pair, self.runtime, times=times, text=text, find_sbom=find
            )

    def _sboms(
        self, address: str, value: Image | Index, stack: ExitStack
    ) -> Callable[[Image], AttachedSbom | None]:
        """Finds what is attached to images at an address; opens archives for ``stack``."""
        # 60 ms that other commands save
        from homeport.attest.attached.select import NoPlaceForSignatures, open_attached
        from homeport.attest.attached_sbom import find_sbom
        from homeport.images.address import parse_source

        try:
            opened = open_attached(
                parse_source(address), self.registry_transport, self.runtime, archives=True
            )
            _, attached = stack.enter_context(opened)
        except NoPlaceForSignatures:
            attached = None
        return lambda image: find_sbom(value, image, attached)

    def extract(
        self,
        address: str,
        paths: Sequence[str],
        directory: Path,
        *,
        platform: Platform | None = None,
    ) -> Extracted:
        """Write files of an image below ``directory``; ``paths`` may be globs."""
        # 80 ms that other commands save
        from homeport.inspection.image.extraction import extract, select_paths

        with self.open_layers(address, platform=platform) as opened:
            return extract(opened, select_paths(opened, paths), directory)

    def extract_file(
        self, address: str, path: str, out: BinaryIO, *, platform: Platform | None = None
    ) -> int:
        """Write the content of one file of an image to a stream; returns its size."""
        # 110 ms that other commands save
        from homeport.inspection.image.extraction import write_file

        with self.open_layers(address, platform=platform) as opened:
            return write_file(opened, path, out)

    def sbom(
        self, image: str, form: str, *, platform: Platform | None = None,
        allow_outside: Sequence[Path] = (),
    ) -> str:  # fmt: skip
        """The bill of materials of a recipe or an image, as a document.

        image: an address; or a recipe: a name of the catalog, a file or its directory
        form:  ``spdx``, ``cyclonedx``, ``csv`` or ``text``
        """
        # 30 ms that other commands save
        from homeport.sbom.documents import write_document

        return write_document(*self._bill(image, platform, allow_outside), form)

    def bill(self, request: BuildRequest) -> tuple[Bill, Subject]:
        """The bill of materials of one platform of a recipe, and what it is of."""
        # 130 ms that other commands save
        from homeport.building.run import run_bill

        return run_bill(request, self.runtime, self._connections())

    def _bill(
        self, image: str, platform: Platform | None, allow_outside: Sequence[Path]
    ) -> tuple[Bill, Subject]:
        # 60 ms that other commands save
        from homeport.recipe.catalog import is_recipe

        if is_recipe(image):
            # 130 ms that other commands save
            from homeport.building.request import BuildRequest

            platforms = (str(platform),) if platform is not None else ("native",)
            request = BuildRequest(
                recipe=image, platforms=platforms, allow_outside=tuple(allow_outside),
                command="homeport sbom",
            )  # fmt: skip
            return self.bill(request)
        # 110 ms that other commands save
        from homeport.inspection.report.image_bill import image_bill, image_subject

        with self.open_layers(image, platform=platform) as opened:
            return image_bill(opened), image_subject(opened)

    def vex(
        self, image: str, tracker: str = "", *, moment: int, platform: Platform | None = None,
        recipe: str = "", allow_outside: Sequence[Path] = (),
    ) -> dict[str, Any]:  # fmt: skip
        """OpenVEX statements about a recipe or an image.

        tracker: JSON of Debian's security tracker: a file or a URL; empty: only what the recipe
                 says itself
        moment:  seconds since 1970 at which it was taken
        recipe:  whose statements count; by default ``image``, if that is one
        """
        # 40 ms that other commands save
        from homeport.images.address import folder_hint, parse_source
        from homeport.recipe.catalog import is_recipe
        from homeport.sbom.tracker import LONGEST, read_tracker
        from homeport.sbom.vex import document

        given = self._vex_of_recipe(recipe or image, allow_outside)
        if not given and not is_recipe(image):
            parse_source(image)  # a folder without an image is told so
        if not tracker and not given:
            raise UsageError(
                "no statements: no --tracker, and no recipe with statements in vex",
                where={"image": image}, hint=folder_hint(Path(image)) or _NEEDS_TRACKER,
            )  # fmt: skip
        data = b""
        if tracker.startswith(("https://", "http://")):
            data = self._fetch_tracker(tracker)
        elif tracker:
            # 10 ms that other commands save

            data = read_input(Path(tracker), LONGEST, "the tracker's data")
        bill, subject = self._bill(image, platform, allow_outside)
        known = read_tracker(data) if tracker else None
        return document(bill, subject, known, moment, given)

    def _vex_of_recipe(self, image: str, allow_outside: Sequence[Path]) -> Sequence[VexStatement]:
        """What a recipe says of vulnerabilities."""
        # 60 ms that other commands save
        from homeport.recipe.catalog import is_recipe
        from homeport.sbom.vex import VexStatement

        if not is_recipe(image):
            return ()
        # 90 ms that images save
        from homeport.recipe.loading import find_and_load

        recipe = find_and_load(image, allow_outside)
        return [VexStatement(**msgspec.structs.asdict(one)) for one in recipe.vex]
