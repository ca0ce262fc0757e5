"""The world of docs/prove.md: two registries, keys, a recipe, and the commands of the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from builders.deb import deb
from builders.images import image
from builders.locking import World
from builders.recipe import recipe_file
from builders.signed_images import Workshop, seven_platforms
from homeport.attest.keys.private_key import encrypt_key, generate_key
from homeport.images.address import parse_destination

PAGE = Path(__file__).parents[2] / "docs/prove.md"
POLICY = """
schema: homeport-policy/v1
identities:
  upstream: {keys: [upstream.pub]}
  us: {keys: [cosign.pub]}
  other: {keys: [other.pub]}
images:
  - {match: ["UPSTREAM/tools/*"], identity: [upstream]}
  - {match: [HOME/team/built], identity: [us], rebuilders: [other]}
  - {match: ["HOME/m/*"], identity: [upstream], signed_as: [UPSTREAM/tools/helper]}
"""
RECIPE = """
archives: [{{name: test, suites: [trixie], mirrors: ["{url}"], keys: [key.asc]}}]
steps: {{os_release: false}}
platforms: [linux/amd64]
packages: [app]
"""


def commands() -> Iterator[tuple[str, int]]:
    """Each command line of the page and its exit code."""
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.M | re.S):
        for line in block.splitlines():
            text, _, comment = line.partition("   # exit code ")
            yield text, int(comment or 0)


def prepare(shop: Workshop, home: str) -> None:
    """Images in both registries, the upstream key, files that the page names."""
    write = shop.app.destination
    write(parse_destination(f"{home}/team/tool:1.0")).write(seven_platforms(), shop.app.runtime)
    write(parse_destination(f"{home}/team/unsigned:1.0")).write(image(), shop.app.runtime)
    upstream = shop.registry.host
    for name in ("tools/helper", "tools/fake", "other/thing"):
        write(parse_destination(f"{upstream}/{name}:1")).write(shop.value, shop.app.runtime)
    shop.name = "tools/helper"
    payload = shop.statement()
    shop.bundle(shop.key_bundle(payload))
    shop.legacy(shop.payload())
    folder = shop.folder
    (folder / "cosign.pub").rename(folder / "upstream.pub")
    text = POLICY.replace("UPSTREAM", upstream).replace("HOME", home)
    (folder / "policy.yaml").write_text(text)
    other = generate_key()
    (folder / "other.key").write_bytes(encrypt_key(other, b"secret"))
    (folder / "other.pub").write_bytes(other.public.pem)
    world = World(folder, [deb("app", files={"usr/bin/app": b"x"})], valid_for=None)
    recipe_file(world.home, RECIPE.format(url=world.archive.url))
    world.home.rename(folder / "tool")
    (folder / "tool.vex.json").write_text('{"@context":"https://openvex.dev/ns/v0.2.0"}')
    (folder / "review.json").write_text('{"by":"me"}')
