"""Charts of a stranger: what evaluating their templates may cost. Steps and memory, no clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.growth import lines_run, peak_memory
from homeport.audit.auditing import AuditRequest, audit

LETTERS = "x" * 10
DEPTH = 9
CALLS = range(DEPTH)


def calls(arguments: str) -> str:
    """Templates that call each other, each with more than it was given."""
    return (
        "".join(
            f'{{{{ define "a{i}" }}}}{{{{ include "a{i + 1}" ({arguments}) }}}}{{{{ end }}}}'
            for i in CALLS
        )
        + f'{{{{ define "a{DEPTH}" }}}}{{{{ . }}}}{{{{ end }}}}'
    )


DOUBLED = "".join(f"{{{{ $a{i + 1} := print $a{i} $a{i} }}}}" for i in range(60))
FIRST = f'{{{{ include "a0" "{LETTERS}" }}}}'
TREE = (
    "".join(
        f'{{{{ define "a{i}" }}}}' + f'{{{{ include "a{i + 1}" . }}}}' * 9 + "{{ end }}"
        for i in CALLS
    )
    + f'{{{{ define "a{DEPTH}" }}}}x{{{{ end }}}}'
)

#: The chart's named templates, what stands before, and the image.
CHARTS = {
    "print": (calls(f"print{' .' * 10}"), "", FIRST),
    "printf": (calls(f'printf "{"%s" * 10}"{" ." * 10}'), "", FIRST),
    "lists": (calls(f"list{' .' * 10}"), "", FIRST),
    "a value that doubles": ("", f'{{{{ $a0 := "{LETTERS}" }}}}{DOUBLED}', "{{ $a60 }}"),
    "a tree of calls": (TREE, "", FIRST),
    "a template that calls itself":
        ('{{ define "a0" }}{{ include "a0" . }}{{ end }}', "", FIRST),
    "ranges": ("", "", "{{ range until 999999999 }}{{ range until 999999999 }}x{{ end }}{{ end }}"),
    "widths": ("", "", '{{ printf "%999999999s" .Values.tag }}'),
    "repeat": ("", "", '{{ repeat 999999999 "x" }}'),
    "parentheses": ("", "", "{{ " + "(" * 20_000 + ".Values.tag" + ")" * 20_000 + " }}"),
}  # fmt: skip


@pytest.fixture
def chart(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    named, before, image = request.param
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: c\nversion: 1.0.0\n")
    (tmp_path / "values.yaml").write_text("tag: '1'\n")
    (tmp_path / "templates/_helpers.tpl").write_text(named)
    (tmp_path / "templates/pod.yaml").write_text(
        f"{before}\napiVersion: v1\nkind: Pod\nspec:\n  containers:\n    - image: {image}\n"
    )
    return tmp_path


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS, indirect=True)
def test_a_chart_takes_little_memory(chart: Path) -> None:
    assert peak_memory(lambda: audit(AuditRequest(paths=(str(chart),)))) < 32 << 20


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS, indirect=True)
def test_a_chart_takes_few_steps(chart: Path) -> None:
    assert lines_run(lambda: audit(AuditRequest(paths=(str(chart),)))) < 8_000_000
