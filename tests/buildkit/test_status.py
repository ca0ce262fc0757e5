"""Statuses become steps, whole lines, and an error that names the Dockerfile's line."""

from __future__ import annotations

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from homeport.buildkit.failures import Sources, build_failure, quote
from homeport.buildkit.progress_display import JsonWatcher, PlainWatcher
from homeport.buildkit.protocol.control import StatusResponse, Vertex, VertexLog
from homeport.buildkit.protocol.errors import BuildFailed
from homeport.buildkit.status import Steps

SECOND = 10**9


def test_the_last_record_of_a_step_wins() -> None:
    steps = Steps()
    steps.feed(StatusResponse(vertexes=(Vertex(digest="a", name="x", started=1),)))
    steps.feed(StatusResponse(vertexes=(Vertex(digest="a", name="x", started=1, completed=3),)))
    assert [step.vertex.completed for step in steps.by_digest.values()] == [3]


def test_lines_cut_in_mid_character_are_put_together() -> None:
    printed: list[str] = []
    steps = Steps(PlainWatcher(printed.append))
    steps.feed(StatusResponse(vertexes=(Vertex(digest="a", name="x", started=1),)))
    for piece in (b"gr\xc3", b"\xbcn\nbl", b"au"):
        steps.feed(StatusResponse(logs=(VertexLog(vertex="a", msg=piece),)))
    steps.finish()
    assert printed == ["#1 x", "#1 grün", "#1 blau"]


def test_plain_progress_is_what_buildx_users_know() -> None:
    printed: list[str] = []
    steps = Steps(PlainWatcher(printed.append))
    steps.feed(StatusResponse(vertexes=(Vertex(digest="a", name="[1/2] COPY x /"),)))
    for vertex in (
        Vertex(digest="a", name="[1/2] COPY x /", started=SECOND),
        Vertex(digest="a", name="[1/2] COPY x /", started=SECOND, completed=2 * SECOND),
        Vertex(digest="b", name="[2/2] RUN y", cached=True, started=SECOND, completed=SECOND),
    ):
        steps.feed(StatusResponse(vertexes=(vertex,)))
    assert printed == ["#1 [1/2] COPY x /", "#1 DONE 1.0s", "#2 [2/2] RUN y", "#2 CACHED"]


def test_a_step_that_is_silent_is_named_every_30_seconds() -> None:
    printed: list[str] = []
    now = 100.0
    steps = Steps(PlainWatcher(printed.append, clock=lambda: now))

    def at(seconds: float) -> list[str]:
        nonlocal now
        now = 100 + seconds
        printed.clear()
        steps.tick()
        return list(printed)

    running = Vertex(digest="a", name="[2/2] RUN make", started=SECOND)
    steps.feed(StatusResponse(vertexes=(Vertex(digest="b", name="waiting"), running)))
    assert at(29) == []
    assert at(30) == ["#2 [2/2] RUN make: running for 30 s"]
    assert at(31) == []
    steps.feed(StatusResponse(logs=(VertexLog(vertex="a", msg=b"half done\n"),)))
    assert at(60) == []
    assert at(61) == ["#2 [2/2] RUN make: running for 61 s"]
    done = Vertex(digest="a", name=running.name, started=SECOND, completed=90 * SECOND)
    steps.feed(StatusResponse(vertexes=(done,)))
    assert at(500) == []


def test_rawjson_has_buildxs_keys_and_times() -> None:
    printed: list[str] = []
    steps = Steps(JsonWatcher(printed.append))
    steps.feed(
        StatusResponse(
            vertexes=(Vertex(digest="a", name="x", started=1_500_000_000 * SECOND + 7),),
            logs=(VertexLog(vertex="a", msg=b"hi", stream=1),),
        )
    )
    assert printed == [
        '{"vertexes":[{"digest":"a","name":"x","started":"2017-07-14T02:40:00.000000007Z"}],'
        '"logs":[{"vertex":"a","stream":1,"data":"aGk=","timestamp":"0001-01-01T00:00:00Z"}]}'
    ]


DOCKERFILE = "FROM scratch\n\nCOPY a \\\n  b /x/\nRUN false\n"


def test_a_failed_step_is_found_in_the_dockerfile() -> None:
    error = failure("executor failed running [false]", "[2/2] RUN false", "RUN")
    assert error.where == {"file": "Dockerfile", "line": 5, "step": "RUN false"}
    assert error.quotation.splitlines()[-2:] == [">   5 | RUN false", "      | ^^^^^^^^^"]


def test_an_instruction_of_several_lines_is_quoted_whole() -> None:
    error = failure("not found", "[1/2] COPY a   b /x/", "COPY")
    assert error.where["line"] == 3
    assert [line for line in error.quotation.splitlines() if line.startswith(">")] == [
        ">   3 | COPY a \\",
        ">   4 |   b /x/",
    ]


def test_wrappings_of_old_engines_are_taken_off() -> None:
    error = failure(
        "failed to solve with frontend dockerfile.v0: failed to build LLB: executor failed", "", ""
    )
    assert error.what == "executor failed"


def test_a_parse_error_names_its_line() -> None:
    error = failure("dockerfile parse error line 4: unknown instruction: X", "", "")
    assert error.where == {"file": "Dockerfile", "line": 4}


def test_a_line_past_the_end_is_no_trouble() -> None:
    assert "FROM" in quote("FROM scratch\n", 1, 99)


def failure(text: str, step: str, _: str) -> BuildFailed:
    steps = Steps()
    if step:
        vertex = Vertex(digest="a", name=step, started=1, completed=2, error=text)
        steps.feed(StatusResponse(vertexes=(vertex,)))
    found = build_failure(
        GRPCError(Status.UNKNOWN, text), steps, Sources({"Dockerfile": DOCKERFILE})
    )
    assert isinstance(found, BuildFailed)
    return found
