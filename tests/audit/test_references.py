"""The reference grammar in context: what stands in a file is found as it is, at its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from homeport.audit.reading.context import Context
from homeport.audit.scan.scanning import read_source
from homeport.audit.source import Source
from homeport.oci.reference import BadReference, parse_reference

_PART = r"[a-z0-9]{1,5}(?:(?:\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}"
_HOST = r"(?:localhost|[a-z0-9]{1,6}\.[a-z]{2,4}|[A-Z][a-z]{0,3})(?::[1-9][0-9]{0,3})?"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,10}"
REFERENCES = st.from_regex(
    rf"\A(?:{_HOST}/)?{_PART}(?:/{_PART}){{0,2}}(?::{_TAG})?(?:@sha256:[0-9a-f]{{64}})?\Z"
)

CONTEXTS = {
    "Dockerfile": ["FROM {}\n", "from --platform=linux/arm64 {} AS x", "FROM \\\n # c\n {}\r\n",
                   "# syntax={}\nFROM scratch", "FROM scratch\nCOPY --chmod=1 --from={} a b",
                   "FROM scratch\nRUN --mount=target=/x,type=cache,from={} true",
                   "ARG X={}\nFROM $X", 'ARG X="{}"\nFROM ${{X:-y}}'],
    "compose.yaml": ["services:\n  a:\n    image: {}\n", "services: {{a: {{image: '{}'}}}}",
                     'services: {{"é": {{"image": "{}"}}}}', "services:\n  a: {{image: &i {}}}\n"],
    ".gitlab-ci.yml": ["image: {}\n", "a:\n  services: [{{name: '{}'}}]\n",
                       "variables: {{X: '{}'}}\na: {{image: $X, script: [a]}}\n"],
    ".github/workflows/a.yml": ["jobs: {{a: {{container: '{}'}}}}\n",
                                "jobs:\n  a:\n    steps:\n      - uses: docker://{}\n"],
    "k8s.json": ['{{"apiVersion": "v1", "kind": "Pod",\n'
                 '"spec": {{"containers": [{{"image": "{}"}}]}}}}'],
    "docker-bake.hcl": ['target "a" {{ contexts = {{ b = "docker-image://{}" }} }}\n'],
    "a.container": ["[Container]\nImage={}\n"],
    "Jenkinsfile": ["pipeline {{ agent {{ docker {{ image '{}' }} }} }}\n"],
}  # fmt: skip


@pytest.mark.parametrize("name", CONTEXTS)
@settings(deadline=None, max_examples=60)
@given(reference=REFERENCES, number=st.integers(0, 7))
def test_a_reference_is_found_as_it_is_at_its_place(name: str, reference: str, number: int) -> None:
    assume(reference not in ("null", "scratch"))  # no images: YAML's and Dockerfiles' nothing
    assume(not reference.isdigit())  # COPY --from=0 is a stage
    try:
        wanted = parse_reference(reference)
    except BadReference:
        reject()  # the pattern's first part looks like a host and is none
    forms = CONTEXTS[name]
    data = forms[number % len(forms)].format(reference).encode()
    collector = read_source(Source(name, data), Context(Path("/nonexistent")))
    assert collector is not None
    (use,) = collector.uses
    assert use.reference == wanted
    places = [use.place, *(feed.place for feed in use.feeds)]
    texts = [data[p.start : p.end].decode() for p in places if p is not None]
    assert reference in texts
