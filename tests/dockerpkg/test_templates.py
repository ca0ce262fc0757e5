"""Templates: docker-pkg's filters with their traps mended, strictness, and the sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dockerpkg.trees import add_image, tree_at
from homeport.dockerpkg.templates import BadTemplate, Rendered, Renderer


def rendered(tmp_path: Path, template: str, **configuration: Any) -> Rendered:
    root = tmp_path / "images"
    add_image(root, "foo", version="0.1-2")
    add_image(root, "app", template)
    tree = tree_at(root, **configuration)
    return Renderer(tree).render(tree.images["app"])


@pytest.mark.parametrize("registry", ["r.example", "localhost:5000"])
def test_image_tag_gives_the_newest_changelog_also_behind_a_port(
    tmp_path: Path, registry: str
) -> None:
    found = rendered(tmp_path, 'FROM {{ "foo" | image_tag }}', registry=registry, namespace="n")
    assert found.text == f"FROM {registry}/n/foo:0.1-2"
    assert found.named == ("foo",)


def test_image_tag_knows_base_images(tmp_path: Path) -> None:
    found = rendered(
        tmp_path, 'FROM {{ "trixie" | image_tag }}', registry="r.example:5000",
        base_images=["r.example:5000/trixie:20261101"],
    )  # fmt: skip
    assert (found.text, found.named) == ("FROM r.example:5000/trixie:20261101", ())


@pytest.mark.parametrize(
    ("template", "line", "what"),
    [
        ('FROM x\n\n{{ "bar" | image_tag }}', 3, "no image 'bar'; known are app, foo"),
        ("FROM x\nRUN {{ nothing }}", 2, "'nothing' is undefined"),
        ("FROM x\n{{ 'a' | shout }}", 2, "No filter named 'shout'"),
        ("FROM x\n{% if %}", 2, "Expected an expression"),
        ("FROM x\nRUN {{ 'x' | add_user }}", 2, "no number for user 'x'"),
        ("FROM x\n{% include '../foo/Dockerfile.template' %}", 2, "lies outside the tree"),
        ("FROM x\n{{ ''.__class__.__mro__ }}", 2, "unsafe"),
        ("FROM x\n{{ 1 / 0 }}", 2, "division by zero"),
    ],
)
def test_a_template_that_cannot_be_rendered_is_named_by_line(
    tmp_path: Path, template: str, line: int, what: str
) -> None:
    with pytest.raises(BadTemplate) as raised:
        rendered(tmp_path, template)
    assert what in raised.value.what
    assert raised.value.where["line"] == line
    assert str(raised.value.where["file"]).endswith("app/Dockerfile.template")


def test_a_template_cannot_write_without_end(tmp_path: Path) -> None:
    with pytest.raises(BadTemplate, match="larger than"):
        rendered(tmp_path, "{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}")


def test_a_link_out_of_the_tree_is_not_included(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "images"
    folder = add_image(root, "app", "{% include 'link' %}")
    (folder / "link").symlink_to(tmp_path / "secret")
    tree = tree_at(root)
    with pytest.raises(BadTemplate, match="outside the tree"):
        Renderer(tree).render(tree.images["app"])


def test_a_list_over_lines_is_installed_in_one_command(tmp_path: Path) -> None:
    template = "RUN {% set p|replace('\\n', ' ') -%}\na\nb\n{%- endset -%}{{ p | apt_install }}"
    words = rendered(tmp_path, template).text.replace("\\\n", "").split()
    assert " ".join(words) == (
        "RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes a b"
        " --no-install-recommends && apt-get clean && rm -rf /var/lib/apt/lists/*"
    )


@pytest.mark.parametrize("command", ["apt_install", "apt_remove"])
def test_the_proxy_of_apt_is_there_for_the_command_alone(tmp_path: Path, command: str) -> None:
    text = rendered(tmp_path, f"RUN {{{{ 'a\\nb' | {command} }}}}", http_proxy="http://p:8").text
    steps = [step.strip(" \\\n") for step in text.removeprefix("RUN ").split("&&")]
    assert steps[0] == (
        "echo 'Acquire::http::Proxy \"http://p:8\";' > /etc/apt/apt.conf.d/80_proxy"
    )
    assert steps.index("rm -f /etc/apt/apt.conf.d/80_proxy") < steps.index("apt-get clean")
    assert all("\n" not in step.replace("\\\n", "") for step in steps)


def test_users_become_numbers_where_one_is_known(tmp_path: Path) -> None:
    found = rendered(tmp_path, "USER {{ 'nobody' | uid }}\nUSER {{ 'x' | uid }}")
    assert found.text == "USER 65534\nUSER x"
    assert found.warnings == ("no number for user 'x' in known_uid_mappings",)


@pytest.mark.parametrize("user", ["USER 0", "USER 33:33", "RUN true", "USER www-data\nUSER 33"])
def test_numeric_users_pass(tmp_path: Path, user: str) -> None:
    rendered(tmp_path, f"FROM x\n{user}\n", force_numeric_user=True)


@pytest.mark.parametrize("user", ["USER www-data", "USER 33:www-data", "USER $X", "user x"])
def test_other_users_do_not_also_in_lower_case(tmp_path: Path, user: str) -> None:
    with pytest.raises(BadTemplate, match="not a number"):
        rendered(tmp_path, f"FROM x\n{user}\n", force_numeric_user=True)
