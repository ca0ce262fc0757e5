"""Charts against ``helm template``: what it renders is what we read, before and after.

Debian has no helm: .ci/run builds one. Without one on the PATH these tests are skipped.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.audit import CORPUS, TODAY, lay_out, read_case
from homeport.audit.auditing import AuditRequest, audit, plan
from homeport.audit.plan.applying import prepare, write
from homeport.audit.plan.deciding import home_of
from homeport.audit.plan.planfile import Plan
from homeport.audit.scan.scanning import scan
from homeport.oci.reference import parse_reference

pytestmark = pytest.mark.skipif(shutil.which("helm") is None, reason="no helm on the PATH")

HOME = "registry.example:5000/mirror"
IMAGE = re.compile(r"^[ -]*image: *[\"']?([^\s\"']+)[\"']?\s*$", re.MULTILINE)
CHART = "apiVersion: v2\nname: x\nversion: 0.1.0\nappVersion: '3.1'\n"


def rendered(chart: Path, *values: Path) -> list[str]:
    """Every image that helm puts out, as references are understood, sorted."""
    done = subprocess.run(
        ["helm", "template", "--skip-schema-validation", str(chart),
         *(word for path in values for word in ("-f", str(path)))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return sorted(str(parse_reference(text)) for text in IMAGE.findall(done.stdout))


def read(root: Path) -> list[str]:
    """Every image that we read in templates, sorted."""
    uses = scan(["."], root=root).uses
    return sorted(use.image for use in uses if "/templates/" in use.place.file)


def way_home(root: Path) -> Plan:
    request = AuditRequest(paths=["."], root=root, home=HOME, today=TODAY)
    made = plan(audit(request), request)
    write(prepare(made, root), root)
    return made


def own_values(made: Plan) -> dict[str, object]:
    """All values that the plan offers instead of edits, put together."""
    found: dict[str, object] = {}

    def merge(into: dict[str, object], more: dict[str, object]) -> None:
        for key, value in more.items():
            inner = into.get(key)
            if isinstance(value, dict) and isinstance(inner, dict):
                merge(inner, value)
            else:
                into[key] = value

    for image in made.images:
        for way in image.config_files:
            if way.engine == "helm":
                merge(found, yaml.safe_load(way.text))
    return found


def at_home(images: list[str]) -> list[str]:
    return sorted(str(home_of(parse_reference(image), HOME)) for image in images)


def test_a_chart_of_the_corpus_renders_to_what_is_read(tmp_path: Path) -> None:
    case = read_case(CORPUS / "helm" / "template-values.txt")
    lay_out({**case.files, "chart/Chart.yaml": CHART}, tmp_path)
    # As it stands there it is no object; helm takes any map.
    body = tmp_path / "chart/templates/web/d.yaml"
    body.write_text("images:\n" + re.sub(r"(?m)^ +(- )?image:", "- image:", body.read_text()))
    assert read(tmp_path) == rendered(tmp_path / "chart")


PARTS = st.fixed_dictionaries(
    {"repository": st.sampled_from(["redis", "quay.io/a/b", "a/b"])},
    optional={
        "registry": st.sampled_from(["ghcr.io", "reg.example:5000"]),
        "tag": st.sampled_from(["1", "v1.2.3", "", 3, 1.5, 1.0, "1.10"]),
    },
)
REGISTRY = "{{ .Values.N.registry }}/"
REPOSITORY = "{{ .Values.N.repository }}"
TAGS = [
    "{{ .Values.N.tag | default .Chart.AppVersion }}",
    '{{ default "7" .Values.N.tag }}',
    "{{ coalesce .Values.N.tag .Values.none .Chart.AppVersion }}",
]
FORMS = ['"W"', "W", '{{ printf "%s:%s" .Values.N.repository (.Values.fixed | toString) }}']


@st.composite
def charts(draw: st.DrawFn) -> dict[str, str]:
    values: dict[str, object] = {"fixed": "v9"}
    lines = []
    for number in range(draw(st.integers(1, 3))):
        parts = draw(PARTS)
        if "." in parts["repository"]:
            parts.pop("registry", None)
        name = draw(st.sampled_from(["", "web"])) + f"{number}Image"
        name = f"w{name}"
        values[name] = parts
        whole = REPOSITORY + ":" + draw(st.sampled_from(TAGS))
        if "registry" in parts:
            whole = REGISTRY + whole
        form = draw(st.sampled_from(FORMS[:2] if "registry" in parts else FORMS))
        lines.append("- image: " + form.replace("W", whole).replace(".N.", f".{name}."))
    return {
        "c/Chart.yaml": CHART,
        "c/values.yaml": yaml.safe_dump(values, default_flow_style=draw(st.booleans())),
        "c/templates/a.yaml": "images:\n" + "\n".join(lines) + "\n",
    }


@settings(max_examples=30, deadline=None)
@given(charts())
def test_random_charts_render_to_what_is_read_and_then_to_home(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, str]
) -> None:
    root, again = tmp_path_factory.mktemp("chart"), tmp_path_factory.mktemp("again")
    lay_out(files, root)
    lay_out(files, again)
    before = rendered(root / "c")
    assert read(root) == before
    made = way_home(root)
    assert rendered(root / "c") == at_home(before)
    own = again / "own.yaml"
    own.write_text(yaml.safe_dump(own_values(made)))
    assert rendered(again / "c", own) == at_home(before)
