"""Every file of the corpus: exactly what is found in it, no more and no less."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.audit import CORPUS, every_case, findings_of, read_case


@pytest.mark.parametrize("path", every_case(), ids=lambda p: str(p.relative_to(CORPUS))[:-4])
def test_exactly_what_is_expected_is_found(path: Path) -> None:
    case = read_case(path)
    assert findings_of(case) == case.expected, case.sentence


def test_the_corpus_has_a_sentence_for_each_of_at_least_150_cases() -> None:
    cases = [read_case(path) for path in every_case()]
    assert len(cases) >= 150
    assert all(case.sentence.endswith((".", "…")) for case in cases)
