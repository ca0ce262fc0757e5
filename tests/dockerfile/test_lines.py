"""Reading Dockerfiles: lines, continuation, comments, directives, here-documents, places."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.dockerfile.lines import BadDockerfile, parse_dockerfile


def instructions(text: str) -> list[str]:
    return [f"{i.keyword} {i.arguments}" for i in parse_dockerfile(text).instructions]


def test_an_instruction_is_keyword_flags_and_arguments() -> None:
    (instruction,) = parse_dockerfile("COPY --from=a --chown='x y' b  c").instructions
    assert instruction.keyword == "copy"
    assert [flag.text for flag in instruction.flags] == ["--from=a", "--chown=x y"]
    assert instruction.arguments == "b  c"


def test_continued_lines_are_joined_and_comments_inside_vanish() -> None:
    assert instructions("RUN a \\\n# no\n  b\\  \n c\nUSER x") == ["run a   b c", "user x"]


def test_a_doubled_escape_does_not_continue() -> None:
    assert instructions("RUN a \\\\\nUSER x") == ["run a \\\\", "user x"]


def test_an_empty_continuation_line_is_a_warning() -> None:
    parsed = parse_dockerfile("RUN a \\\n\n b\n")
    assert [(f.weight, f.line) for f in parsed.faults] == [("warning", 2)]
    parsed.check()


def test_the_escape_directive_counts_only_before_everything_else() -> None:
    assert instructions("# escape=`\nRUN a `\n b") == ["run a  b"]
    assert instructions("# x\n# escape=`\nRUN a `\nUSER b") == ["run a `", "user b"]


def test_line_ends_and_a_byte_order_mark_do_not_matter() -> None:
    text = "\ufeffFROM a \\\r\n  AS b\r\nUSER x"
    assert instructions(text) == ["from a   AS b", "user x"]


def test_places_survive_continuation_lines() -> None:
    text = "FROM \\\n # c\n  alpine:3 \\\n AS x"
    (instruction,) = parse_dockerfile(text).instructions
    word = instruction.fields()[0]
    span = instruction.span(word.start, word.end)
    assert text[span.start : span.end] == "alpine:3"


def test_a_heredoc_is_read_up_to_its_name() -> None:
    parsed = parse_dockerfile("RUN <<-E cat\n\tx\n\tE\nUSER a\n")
    run, user = parsed.instructions
    (heredoc,) = run.heredocs
    assert (heredoc.content, heredoc.expand, heredoc.chomp) == ("x\n", True, True)
    assert run.lines == (1, 3)
    assert user.keyword == "user"


def test_a_quoted_name_means_no_expansion() -> None:
    (run,) = parse_dockerfile("RUN <<'E' cat\n$x\nE\n").instructions
    assert [h.expand for h in run.heredocs] == [False]


def test_a_json_list_has_no_heredoc() -> None:
    assert instructions('RUN ["a", "<<E"]\nUSER x') == ['run ["a", "<<E"]', "user x"]


def test_an_unfinished_heredoc_is_a_fault_that_check_raises() -> None:
    with pytest.raises(BadDockerfile, match="has no end"):
        parse_dockerfile("RUN <<E\nx\n").check()


def test_onbuild_has_an_instruction_inside() -> None:
    (instruction,) = parse_dockerfile("ONBUILD COPY --from=a b c").instructions
    inner = instruction.inner()
    assert inner is not None
    assert (inner.keyword, [f.text for f in inner.flags], inner.arguments) == (
        "copy",
        ["--from=a"],
        "b c",
    )


@given(st.text(alphabet="RUNFOM \\\n\r\t`#<E-'\"$x=[]", max_size=120))
def test_any_text_is_read_and_every_place_lies_inside(text: str) -> None:
    for instruction in parse_dockerfile(text).instructions:
        for word in instruction.fields():
            span = instruction.span(word.start, word.end)
            assert 0 <= span.start <= span.end <= len(text)
            assert text[span.start] == word.text[0]
