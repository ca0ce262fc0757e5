"""A recipe proposed from a Dockerfile: the image's own stage, and every line that is left."""

from __future__ import annotations

import pytest
import yaml

from homeport.dockerpkg.conversion import propose_recipe

STAGES = """\
ARG VERSION=1
FROM debian:13 AS build
RUN apt-get install -y gcc
COPY . /src
FROM debian:13 AS image
RUN apt-get install -y curl
COPY --from=build /src/tool /usr/bin/tool
COPY run.sh /usr/bin/run
FROM scratch AS tests
COPY tests /tests
"""


@pytest.mark.parametrize(
    ("target", "packages", "files", "left"),
    [
        ("image", ["curl"], ["./run.sh"], [2, 3, 4, 5, 7, 9, 10]),
        ("build", ["gcc"], ["./."], [2, 5, 6, 7, 8, 9, 10]),
        ("", [], ["./tests"], [2, 3, 4, 5, 6, 7, 8]),
    ],
)
def test_what_other_stages_need_is_not_in_the_image(
    target: str, packages: list[str], files: list[str], left: list[int]
) -> None:
    text, lines = propose_recipe("tool", STAGES, ["linux/amd64"], target)
    recipe = yaml.safe_load(text)
    assert recipe["packages"] == packages
    assert [each["from"] for each in recipe["files"]] == files
    assert [each.line for each in lines] == left
