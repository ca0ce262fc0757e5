"""Methods of ``App`` about signatures, attestations, their policies and rebuilding."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeport.app.resources import Resources

if TYPE_CHECKING:
    from homeport.attest.keys.sources import KeyPair
    from homeport.attest.operations.signing import SignOptions, SignResult
    from homeport.attest.operations.verifying import VerifyOptions
    from homeport.attest.policy.emitted import EmittedPolicy
    from homeport.attest.verification.image import ImageResult
    from homeport.building.rebuild import RebuildResult
    from homeport.images.image import Image
    from homeport.registry.access import RegistryAccess


class AttestationCommands(Resources):
    """What commands do to prove what an image is made of."""

    def generate_key(self, prefix: str, ask_password: Callable[[], bytes]) -> KeyPair:
        """Make a key pair for signing; the password is ``COSIGN_PASSWORD`` or asked for."""
        # 60 ms that other commands save
        from homeport.attest.keys.sources import password, write_key_pair

        return write_key_pair(prefix, password(os.environ, ask_password, f"{prefix}.key"))

    def sign(
        self, image: str, options: SignOptions, *, access: RegistryAccess | None = None,
        ask_password: Callable[[], bytes] | None = None,
    ) -> SignResult:  # fmt: skip
        """Sign an image in a registry or layout: index and platforms, in both forms."""
        # 230 ms that other commands save
        from homeport.attest.operations.signing import sign

        return sign(image, options, self._attest_access(image, access), ask_password)

    def attest(
        self, image: str, predicate_type: str, predicate: Path, options: SignOptions, *,
        access: RegistryAccess | None = None, ask_password: Callable[[], bytes] | None = None,
    ) -> SignResult:  # fmt: skip
        """Attest the predicate in a file about an image in a registry or layout.

        predicate_type: spdx, cyclonedx, slsa, vex, or a URI
        """
        # 230 ms that other commands save
        from homeport.attest.operations.signing import attest

        return attest(
            image, predicate_type, predicate, options, access=self._attest_access(image, access),
            ask_password=ask_password,
        )  # fmt: skip

    def verify(
        self, image: str, options: VerifyOptions, *, access: RegistryAccess | None = None
    ) -> ImageResult:
        """Verify the signatures of an image; a verdict of no is part of the result."""
        # 230 ms that other commands save
        from homeport.attest.operations.verifying import verify

        return verify(image, options, self._attest_access(image, access))

    def rebuild(
        self, image: str, *, trust_kit: bool = False, mirrors: Sequence[str] = (),
        access: RegistryAccess | None = None, sign: SignOptions | None = None,
        ask_password: Callable[[], bytes] | None = None,
    ) -> RebuildResult:  # fmt: skip
        """Build an image again from its rebuild kit; a different result is part of the answer.

        sign: sign that it was built again, if it was, from packages that archives signed
        """
        # 300 ms that other commands save
        from homeport.attest.attached.select import open_attached
        from homeport.attest.operations.signing import attest_built, open_signer
        from homeport.building.rebuild import rebuild
        from homeport.images.address import parse_source

        reach = self._attest_access(image, access)
        # Before the build: a wrong password is found at once.
        method = open_signer(sign, reach, ask_password) if sign is not None else None
        with open_attached(parse_source(image), reach.registry, self.runtime) as (value, attached):

            def signing(about: Image, predicate: Any) -> None:
                assert method is not None
                attest_built(about, predicate, attached, method, reach)

            return rebuild(
                image, value, attached, self.runtime, self._connections(),
                trust_kit=trust_kit, mirrors=tuple(mirrors),
                sign=signing if method is not None else None,
            )  # fmt: skip

    def emit_policy(
        self, target: str, policy: Path | None = None, images: Sequence[str] = (), *,
        access: RegistryAccess | None = None,
    ) -> EmittedPolicy:  # fmt: skip
        """A policy in another tool's form; ``images`` are verified, and pinned where it can."""
        # 230 ms that other commands save
        from homeport.attest.operations.policies import emit_policy

        about = self._attest_access(images[0] if images else "none", access)
        return emit_policy(target, policy, images, about)
