"""What a plan's edits may not do: each is made in memory, read again, and refused if wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.audit import TODAY, lay_out
from homeport.audit.auditing import AuditRequest, audit, plan
from homeport.audit.plan.applying import prepare, write
from homeport.audit.plan.planfile import Plan

HOME = "registry.example/mirror"
DIGEST = "sha256:" + "0123456789abcdef" * 4


def bring_home(root: Path, files: dict[str, str]) -> Plan:
    """Plan and apply; the plan."""
    lay_out(files, root)
    request = AuditRequest(paths=["."], root=root, home=HOME, today=TODAY)
    made = plan(audit(request), request)
    write(prepare(made, root), root)
    return made


#: A sentence, files, and the lines that a file has afterwards.
CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "a tag with its digest gets no second one": (
        {"r.yaml": "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\n"
                   "spec: {values: {image: "
                   f"{{repository: ghcr.io/a/b, tag: '1@{DIGEST}'}}}}}}\n"},
        {"r.yaml": f"{{repository: {HOME}/ghcr.io/a/b, tag: '1@{DIGEST}'}}"},
    ),
    "a repository of Concourse gets no tag": (
        {"t.yml": "image_resource:\n  type: registry-image\n"
                  "  source: {repository: a/b, tag: '1'}\n"},
        {"t.yml": f"source: {{repository: {HOME}/docker.io/a/b, tag: '1'}}"},
    ),
    "registry and repository of Bazel are split as they want it": (
        {"MODULE.bazel": 'oci.pull(registry = "gcr.io", repository = "a/b", tag = "1")\n'},
        {"MODULE.bazel": 'registry = "registry.example", repository = "mirror/gcr.io/a/b", tag'},
    ),
    "a registry in a variable is edited where it is set": (
        {".gitlab-ci.yml": "variables: {M: docker.io}\na: {image: $M/library/a:1, script: [x]}\n"
                           "b: {image: $M/library/b:1, script: [x]}\n"},
        {".gitlab-ci.yml": f"variables: {{M: {HOME}/docker.io}}\na: {{image: $M/library/a:1,"},
    ),
    "a registry that several images of a chart share is edited once": (
        {"Chart.yaml": "name: c\n", "values.yaml": "r: quay.io\ni: a/b\nt: v1\n",
         "templates/d.yaml": "x:\n  image: {{ .Values.r }}/{{ .Values.i }}:{{ .Values.t }}\n"
                             "  image: {{ .Values.r }}/c/d:1\n"},
        {"values.yaml": f"r: {HOME}/quay.io\ni: a/b\n",
         "templates/d.yaml": "{{ .Values.r }}/c/d:1"},
    ),
    "an entry of a kustomization looks for the name that manifests get": (
        {"kustomization.yaml": "images: [{name: quay.io/a/b, newTag: '2'}]\n",
         "d.yaml": "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: 'quay.io/a/b:1'}]}\n"},
        {"kustomization.yaml": f"{{name: {HOME}/quay.io/a/b, newTag: '2'}}",
         "d.yaml": f"image: '{HOME}/quay.io/a/b:1'"},
    ),
    "an entry for manifests that lie elsewhere keeps the name it looks for": (
        {"kustomization.yaml": "images:\n  - name: quay.io/a/b # why\n    newTag: '2'\n"},
        {"kustomization.yaml": f"  - name: quay.io/a/b\n    newName: {HOME}/quay.io/a/b # why\n"},
    ),
    "a service of GitLab keeps its host name": (
        {".gitlab-ci.yml": "a:\n  services:\n    - postgres:16\n    - name: 'a/b:1'  # c\n"
                           "    - {name: redis:7, alias: r}\n  script: [x]\n"},
        {".gitlab-ci.yml": f'{{name: "{HOME}/docker.io/library/postgres:16", alias: "postgres"}}\n'
                           f"    - name: '{HOME}/docker.io/a/b:1'\n      alias: \"a__b,a-b\"  # c\n"
                           f"    - {{name: {HOME}/docker.io/library/redis:7, alias: r}}\n"},
    ),
    "an image that a command of an Earthfile runs by name is not edited": (
        {"Earthfile": "a:\n  FROM scratch\n  WITH DOCKER --pull a/b:1\n    RUN docker run a/b:1\n"
                      "  END\n"},
        {"Earthfile": "--pull a/b:1\n    RUN docker run a/b:1"},
    ),
    "a variable of a Nomad pack is edited where it is set, a literal name before its tag": (
        {"p/variables.hcl": 'variable "i" { default = "quay.io/a/b:1" }\n'
                            'variable "t" { default = "2" }\n',
         "p/templates/j.nomad.tpl": 'image = [[ var "i" . | quote ]]\n'
                                    'image = "some/rather-long-name:[[ var "t" . ]]"\n'},
        {"p/variables.hcl": f'default = "{HOME}/quay.io/a/b:1"',
         "p/templates/j.nomad.tpl": 'image = [[ var "i" . | quote ]]\n'
                                    f'image = "{HOME}/docker.io/some/rather-long-name:[[ var'},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_edit_keeps_what_the_file_means(tmp_path: Path, case: str) -> None:
    files, expected = CASES[case]
    bring_home(tmp_path, files)
    for name, text in expected.items():
        assert text in (tmp_path / name).read_text()


def test_an_edit_that_gives_another_reference_becomes_a_setting(tmp_path: Path) -> None:
    """The template puts a registry before the value: a whole reference there breaks the chart."""
    files = {
        "c/Chart.yaml": "name: c\n",
        "c/values.yaml": "registry: quay.io\nimage: a/b:1\n",
        "c/templates/d.yaml": 'x:\n  image: "{{ .Values.registry | lower }}/{{ .Values.image }}"\n',
    }
    made = bring_home(tmp_path, files)
    assert {name: (tmp_path / name).read_text() for name in files} == files
    assert [place.every_edit for image in made.images for place in image.places] == [()]


def test_an_edit_that_changes_another_place_becomes_a_setting(tmp_path: Path) -> None:
    text = "x: &i nginx:1\nservices:\n  a: {image: *i}\n  b: {image: 'my-${V:-x}', build: .}\n"
    bring_home(tmp_path, {"compose.yaml": text})
    assert f"x: &i {HOME}/docker.io/library/nginx:1" in (tmp_path / "compose.yaml").read_text()
