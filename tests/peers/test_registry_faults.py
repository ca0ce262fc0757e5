"""Between client and a real registry everything breaks once: it ends well or with a clear error.

After every case the registry holds nothing under a name that it does not have, every fault
has really happened, and no credential has shown itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders.fault_proxy import Fault, Proxy, fault_proxy
from builders.net import FakeClock, quick_client
from builders.registry import Running, docker_registry, image
from homeport.content.digest import Digest
from homeport.content.store import Damage, Store
from homeport.errors import HomeportError, IntegrityError, TooLarge
from homeport.net import errors as net
from homeport.net.client import Client
from homeport.net.clock import Deadline
from homeport.oci.documents import Descriptor
from homeport.registry import errors
from homeport.registry.client import Registry
from homeport.registry.endpoint import endpoint_for
from homeport.registry.push import Pushed, PushRequest, push
from homeport.registry.repository import Repository

pytestmark = pytest.mark.peer("docker-registry")

LAYER = bytes(range(256)) * 1200  # 300 kB
WHOLE = r"/blobs/uploads/.*digest="  # the PUT that carries a blob or closes an upload
START = r"/blobs/uploads/$"
MOUNT = r"/blobs/uploads/\?mount=[^&]*$"  # from wherever the registry has it
MANIFEST = r"/manifests/"
BLOB = r"/blobs/sha256:"
HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@dataclass(frozen=True, kw_only=True)
class Case:
    """``expect``: ``None`` for success, else the error; ``says``: part of its message."""

    faults: list[Fault]
    expect: type[HomeportError] | tuple[type[HomeportError], ...] | None = None
    says: str = ""
    pieces: int | None = None
    tokens: bool = False
    uses_all: bool = True
    mounts: bool = False
    deadline: float | None = None


def status(code: int, **more: object) -> Fault:
    return Fault(method="PUT", path=WHOLE, status=code, **more)  # type: ignore[arg-type]


PUSH: dict[str, Case] = {
    # the body of a blob
    "a reset after 0 bytes of a blob": Case(
        faults=[Fault(method="PUT", path=WHOLE, cut_request_at=0)]
    ),
    "a reset after 100000 bytes of a blob": Case(
        faults=[Fault(method="PUT", path=WHOLE, cut_request_at=100_000)]
    ),
    "three resets in a row": Case(
        faults=[Fault(method="PUT", path=WHOLE, cut_request_at=n) for n in (1, 65_536, 299_000)]
    ),
    "a reset in the middle of the second piece": Case(
        faults=[Fault(method="PATCH", skip=1, cut_request_at=30_000)], pieces=100_000
    ),
    "every piece is cut once": Case(
        faults=[Fault(method="PATCH", cut_request_at=10_000 * n) for n in range(1, 5)],
        pieces=100_000,
    ),
    "the answer to the closing PUT is lost": Case(
        faults=[Fault(method="PUT", path=WHOLE, lose_answer=True)]
    ),
    "the answer to a piece is lost": Case(
        faults=[Fault(method="PATCH", lose_answer=True)], pieces=100_000
    ),
    "the answer to the start of an upload is lost": Case(
        faults=[Fault(method="POST", path=START, lose_answer=True)]
    ),
    "silence instead of an answer to a blob": Case(
        faults=[Fault(method="PUT", path=WHOLE, silent=True)]
    ),
    "a connection that is closed without an answer": Case(
        faults=[Fault(method="PUT", path=WHOLE, raw=b"")]
    ),
    "half an answer": Case(faults=[Fault(method="PUT", path=WHOLE, raw=b"HTTP/1.1 201 Cre")]),
    "garbage instead of an answer": Case(
        faults=[Fault(method="PUT", path=WHOLE, raw=b"\x00\xff\x00garbage\r\n\r\n")]
    ),
    "an interim answer before the final one": Case(
        faults=[
            Fault(
                method="POST",
                path=START,
                times=1,
                raw=b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
            )
        ]
    ),
    "one bit of a blob turns over on the way": Case(
        faults=[Fault(method="PUT", path=WHOLE, flip_request=True)]
    ),
    "a bit turns over every time": Case(
        faults=[Fault(method="PUT", path=WHOLE, flip_request=True, times=9)],
        expect=net.SourceChanged,
        says="other bytes than were sent",
        uses_all=False,
    ),
    # answers that mean not now
    **{
        f"{code} for a blob, once": Case(faults=[status(code)])
        for code in (408, 425, 429, 500, 502, 503, 504, 520, 522)
    },
    "500 for a blob, for ever": Case(
        faults=[status(500, times=99)], expect=errors.ServerFailed, says="500", uses_all=False
    ),
    "503 with a body and Retry-After in seconds": Case(
        faults=[status(503, headers={"Retry-After": "3"}, body=b"busy")]
    ),
    "429 with Retry-After as a date": Case(
        faults=[status(429, headers={"Retry-After": "Tue, 14 Nov 2023 22:13:29 GMT"})]
    ),
    "429 with Retry-After in the past": Case(
        faults=[status(429, headers={"Retry-After": "Tue, 14 Nov 2000 22:13:29 GMT"})]
    ),
    "429 with a Retry-After that is none": Case(
        faults=[status(429, headers={"Retry-After": "in a while"})]
    ),
    "429 with a Retry-After of days": Case(
        faults=[status(429, headers={"Retry-After": "999999"})],
        expect=errors.RateLimited,
        says="429",
    ),
    "429 for the start of an upload, five times": Case(
        faults=[Fault(method="POST", path=START, status=429, times=5)],
        expect=errors.RateLimited,
        uses_all=False,
    ),
    "429 for a manifest": Case(faults=[Fault(method="PUT", path=MANIFEST, status=429)]),
    "503 for the start of an upload": Case(
        faults=[Fault(method="POST", path=START, status=503, times=2)]
    ),
    # pieces
    "a piece is refused with 416": Case(
        faults=[Fault(method="PATCH", skip=1, status=416)], pieces=100_000
    ),
    "416 for ever": Case(
        faults=[Fault(method="PATCH", status=416, times=99)],
        pieces=100_000,
        expect=errors.RegistryError,
        says="416",
        uses_all=False,
    ),
    "a piece without Range in its answer": Case(
        faults=[Fault(method="PATCH", drop_headers=("Range",))], pieces=100_000
    ),
    "a Range written like that of a download": Case(
        faults=[Fault(method="PATCH", set_headers={"Range": "bytes=0-99999"})], pieces=100_000
    ),
    "a Range beyond what was sent": Case(
        faults=[Fault(method="PATCH", set_headers={"Range": "0-99999999"})], pieces=100_000
    ),
    "a Range that is no range": Case(
        faults=[Fault(method="PATCH", set_headers={"Range": "all of it"})], pieces=100_000
    ),
    "a piece answered with 201": Case(
        faults=[Fault(method="PATCH", set_status=201)], pieces=100_000
    ),
    "a piece that is not accepted at all": Case(
        faults=[Fault(method="PATCH", status=405, times=2)], pieces=100_000, uses_all=False
    ),
    "a piece refused as too large": Case(
        faults=[Fault(method="PATCH", status=413)], pieces=2 << 20, uses_all=False
    ),
    "the session is forgotten half-way": Case(
        faults=[
            Fault(
                method="PATCH",
                skip=1,
                status=404,
                body=b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}',
            )
        ],
        pieces=100_000,
    ),
    "the session is forgotten and its state too": Case(
        faults=[
            Fault(method="PATCH", skip=1, cut_request_at=10),
            Fault(method="GET", path="/blobs/uploads/", status=404),
        ],
        pieces=100_000,
    ),
    "the registry lies about the offset": Case(
        faults=[
            Fault(method="PATCH", skip=1, cut_request_at=10),
            Fault(
                method="GET", path="/blobs/uploads/", status=204, headers={"Range": "0-99999999"}
            ),
        ],
        pieces=100_000,
    ),
    "the registry names an offset that is too small": Case(
        faults=[
            Fault(method="PATCH", skip=1, cut_request_at=10),
            Fault(method="GET", path="/blobs/uploads/", set_headers={"Range": "0-9"}),
        ],
        pieces=100_000,
    ),
    "whole blobs are not accepted": Case(
        faults=[Fault(method="PUT", path=WHOLE, status=405)], uses_all=False
    ),
    "a blob refused as too large is sent in pieces": Case(
        faults=[Fault(method="PUT", path=WHOLE, status=413)], uses_all=False
    ),
    "the closing PUT is answered with 202": Case(
        faults=[Fault(method="PUT", path=WHOLE, set_status=202)]
    ),
    "the closing PUT is answered with 204": Case(
        faults=[Fault(method="PUT", path=WHOLE, set_status=204)]
    ),
    "the closing PUT is answered with 202 and nothing happened": Case(
        faults=[Fault(method="PUT", path=WHOLE, status=202)]
    ),
    "another digest in the answer": Case(
        faults=[
            Fault(
                method="PUT",
                path=WHOLE,
                set_headers={"Docker-Content-Digest": "sha256:" + "0" * 64},
            )
        ],
        expect=IntegrityError,
        says="stored",
    ),
    "no digest in the answer": Case(
        faults=[Fault(method="PUT", path=WHOLE, drop_headers=("Docker-Content-Digest",))]
    ),
    # a mount without from: whatever becomes of it, the blob is uploaded
    **{
        f"{status} for a mount without from": Case(
            faults=[Fault(method="POST", path=MOUNT, status=status)], mounts=True
        )
        for status in (400, 401, 403, 404, 405, 429, 500, 503)
    },
    "a redirect of a mount": Case(
        faults=[Fault(method="POST", path=MOUNT, status=301, headers={"Location": "/x"})],
        mounts=True,
    ),
    "the answer to a mount is lost": Case(
        faults=[Fault(method="POST", path=MOUNT, lose_answer=True)], mounts=True
    ),
    # where an upload goes
    "no Location": Case(
        faults=[Fault(method="POST", path=START, drop_headers=("Location",))],
        expect=errors.ProtocolBroken,
        says="no valid upload location",
    ),
    **{
        f"the Location {location!r}": Case(
            faults=[Fault(method="POST", path=START, set_headers={"Location": location})],
            expect=errors.ProtocolBroken,
            says="no valid upload location",
        )
        for location in ("javascript:alert(1)", "file:///etc/passwd", "http://[bad", " ")
    },
    "a Location in a private network": Case(
        faults=[
            Fault(
                method="POST", path=START, set_headers={"Location": "http://169.254.169.254/latest"}
            )
        ],
        expect=net.ForbiddenAddress,
        says="cloud metadata address",
    ),
    "a Location that answers 404": Case(
        faults=[
            Fault(method="POST", path=START, set_headers={"Location": "/v2/x/blobs/uploads/nope"})
        ]
    ),
    "a redirect of the start of an upload": Case(
        faults=[
            Fault(method="POST", path=START, status=301, headers={"Location": "/v2/elsewhere"})
        ],
        expect=net.RedirectRefused,
        says="would turn POST into GET",
    ),
    "a redirect of a blob to a metadata address": Case(
        faults=[status(307, headers={"Location": "http://169.254.169.254/x"})],
        expect=net.ForbiddenAddress,
    ),
    "redirects in a circle": Case(
        faults=[status(307, headers={"Location": "?again=1&digest=x"}, times=30)],
        expect=net.RedirectRefused,
        says="more than 10",
        uses_all=False,
    ),
    # what is there already
    "existence cannot be asked: 403": Case(faults=[Fault(method="HEAD", path=BLOB, status=403)]),
    "existence cannot be asked: 405": Case(faults=[Fault(method="HEAD", path=BLOB, status=405)]),
    "existence with another size": Case(
        faults=[
            Fault(method="HEAD", path=BLOB, status=200, headers={"Content-Length": "7"}, times=2)
        ]
    ),
    "a blob that is said to be there, and is not": Case(
        faults=[Fault(method="HEAD", path=BLOB, status=200, times=2)]
    ),
    "the manifest's existence is answered with 500": Case(
        faults=[Fault(method="HEAD", path=MANIFEST, status=500)]
    ),
    # manifests
    "a manifest is cut on its way": Case(
        faults=[Fault(method="PUT", path=MANIFEST, cut_request_at=20)]
    ),
    "the answer to a manifest is lost": Case(
        faults=[Fault(method="PUT", path=MANIFEST, lose_answer=True)]
    ),
    "500 for a manifest, twice": Case(
        faults=[Fault(method="PUT", path=MANIFEST, status=500, times=2)]
    ),
    "409 for a manifest": Case(
        faults=[Fault(method="PUT", path=MANIFEST, status=409)], expect=errors.RegistryError
    ),
    "parts not yet visible": Case(
        faults=[
            Fault(
                method="PUT",
                path=MANIFEST,
                status=404,
                times=2,
                body=b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","detail":null}]}',
            )
        ]
    ),
    "parts never visible": Case(
        faults=[
            Fault(
                method="PUT",
                path=MANIFEST,
                status=400,
                times=99,
                body=b'{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}',
            )
        ],
        expect=errors.PartsMissing,
        says="blob unknown",
        uses_all=False,
    ),
    "a manifest changed on its way": Case(
        faults=[
            Fault(
                method="PUT",
                path=MANIFEST,
                set_headers={"Docker-Content-Digest": "sha256:" + "1" * 64},
            )
        ],
        expect=IntegrityError,
        says="another manifest",
    ),
    "a manifest that is too large for the registry": Case(
        faults=[Fault(method="PUT", path=MANIFEST, status=413)],
        expect=errors.RegistryError,
        says="413",
    ),
    "a tag that may not move": Case(
        faults=[
            Fault(
                method="PUT",
                path="/manifests/latest",
                status=412,
                body=b'{"errors":[{"code":"PRECONDITION","message":"configured as immutable"}]}',
            )
        ],
        expect=errors.TagTaken,
        says="immutable",
    ),
    "no right to push": Case(
        faults=[
            Fault(
                method="POST",
                path=START,
                status=403,
                body=b'{"errors":[{"code":"DENIED","message":"requested access is denied"}]}',
            )
        ],
        expect=errors.Denied,
        says="requested access is denied",
    ),
    "errors that are null": Case(
        faults=[Fault(method="POST", path=START, status=400, body=b'{"errors":null}')],
        expect=errors.RegistryError,
    ),
    "errors that are a text with escape codes": Case(
        faults=[
            Fault(
                method="POST",
                path=START,
                status=400,
                body=b'{"errors":[{"code":"X","message":"\\u001b[31mred"}]}',
            )
        ],
        expect=errors.RegistryError,
        says="X \\x1b[31mred",
    ),
    "an error page of five megabytes": Case(
        faults=[Fault(method="POST", path=START, status=400, headers=HTML, body=b"x" * (5 << 20))],
        expect=errors.RegistryError,
        says="400",
    ),
    "an answer in HTTP/1.0 without a length": Case(
        faults=[Fault(method="POST", path=START, http_1_0=True)]
    ),
    # tokens
    "the token ends before the blob is sent": Case(
        faults=[Fault(method="PUT", path=WHOLE, forget_token=True)], tokens=True
    ),
    "the token ends at every piece": Case(
        faults=[Fault(method="PATCH", forget_token=True), Fault(method="PATCH")] * 15,
        pieces=20_000,
        tokens=True,
    ),
    "the token ends before the manifest": Case(
        faults=[Fault(method="PUT", path=MANIFEST, forget_token=True)], tokens=True
    ),
    "the token ends at every request": Case(
        faults=[Fault(path="/v2/.+", forget_token=True, times=12, skip=1)],
        tokens=True,
        uses_all=False,
        expect=errors.Unauthorized,
    ),
    "401 while the body is still being sent": Case(
        faults=[
            Fault(
                method="PUT",
                path=WHOLE,
                status=401,
                early=True,
                headers={"WWW-Authenticate": 'Bearer realm="http://HOST/token"'},
            )
        ],
        tokens=True,
    ),
    "401 for ever": Case(
        faults=[Fault(path="/v2/.+", forget_token=True, times=99)],
        tokens=True,
        expect=errors.Unauthorized,
        uses_all=False,
    ),
    "the token service is down for a moment": Case(
        faults=[Fault(path="/token", status=503, times=2)], tokens=True
    ),
    "the token service is down": Case(
        faults=[Fault(path="/token", status=503, times=99)],
        tokens=True,
        expect=errors.ServerFailed,
        says="token",
        uses_all=False,
    ),
    "the token service answers with a web page": Case(
        faults=[Fault(path="/token", status=200, headers=HTML, body=b"<html>", times=9)],
        tokens=True,
        expect=net.BadResponse,
        says="web page",
        uses_all=False,
    ),
    "the token service sends no token": Case(
        faults=[Fault(path="/token", status=200, body=b"{}", times=9)],
        tokens=True,
        expect=errors.ProtocolBroken,
        says="no token",
        uses_all=False,
    ),
    "a token with a line break": Case(
        faults=[Fault(path="/token", status=200, body=b'{"token":"a\\r\\nX: y"}', times=9)],
        tokens=True,
        expect=errors.ProtocolBroken,
        says="a token with invalid characters",
        uses_all=False,
    ),
    "a token of two megabytes": Case(
        faults=[Fault(path="/token", status=200, body=b'{"token":"' + b"a" * (2 << 20), times=9)],
        tokens=True,
        expect=TooLarge,
        uses_all=False,
    ),
    "a token realm in a private network": Case(
        faults=[
            Fault(
                path="/v2/$",
                status=401,
                headers={"WWW-Authenticate": 'Bearer realm="http://169.254.169.254/t"'},
            )
        ],
        expect=net.ForbiddenAddress,
    ),
    "a token realm that is no URL": Case(
        faults=[
            Fault(path="/v2/$", status=401, headers={"WWW-Authenticate": 'Bearer realm="nope"'})
        ],
        expect=errors.ProtocolBroken,
        says="invalid URL of its token service",
    ),
    "a login page with status 200": Case(
        faults=[Fault(path="/v2/$", status=200, headers=HTML, body=b"<html>log in</html>")],
        expect=errors.ProtocolBroken,
        says="web page",
    ),
    "a deadline that is too short for the retries": Case(
        faults=[status(503, times=99)],
        deadline=1.5,
        uses_all=False,
        expect=(net.DeadlinePassed, errors.ServerFailed),
    ),
}


def repository(
    client: Client, host: str, name: str, deadline: Deadline | None = None
) -> Repository:
    return Repository(
        Registry(client, endpoint_for(host, plain_http=True), deadline=deadline), name
    )


def send(repo: Repository, layer: bytes) -> tuple[PushRequest, Pushed]:
    manifest, blobs = image(layer)
    push_request = PushRequest(blobs=blobs, manifests=(manifest,), tags=("latest",))
    with ThreadPoolExecutor(1) as pool:
        return push_request, push(repo, push_request, pool)


def fit_to(proxy: Proxy, fault: Fault) -> Fault:
    headers = {name: value.replace("HOST", proxy.host) for name, value in fault.headers.items()}
    return Fault(**{**fault.__dict__, "headers": headers})


@pytest.mark.parametrize("name", PUSH)
def test_a_push_ends_with_every_byte_in_place_or_with_a_clear_error(
    name: str, registry: Running
) -> None:
    case = PUSH[name]
    clock = FakeClock()
    layer = LAYER + name.encode()
    repo_name = f"push/{list(PUSH).index(name)}"
    with (
        fault_proxy(registry.host, tokens=case.tokens) as proxy,
        quick_client(clock=clock) as client,
    ):
        proxy.faults += [fit_to(proxy, fault) for fault in case.faults]
        deadline = Deadline.after(case.deadline, clock) if case.deadline else None
        repo = repository(client, proxy.host, repo_name, deadline)
        repo.registry.quirks.largest_piece = case.pieces
        repo.registry.quirks.no_anonymous_mount = not case.mounts
        if case.expect is None:
            push_request, _ = send(repo, layer)
            check_arrived(registry, repo_name, push_request)
        else:
            with pytest.raises(case.expect) as caught:
                send(repo, layer)
            assert case.says in f"{caught.value.what} {caught.value.hint}"
            assert "Bearer" not in repr(caught.value.to_json())
        if case.uses_all:
            assert proxy.faults == [], "the fault did not happen"
        assert_framed(proxy)
    assert registry.damaged() == []
    with quick_client(stall=5) as client:  # and the next push goes through, whatever was left
        push_request, _ = send(repository(client, registry.host, repo_name), layer)
        check_arrived(registry, repo_name, push_request)


def check_arrived(registry: Running, name: str, push_request: PushRequest) -> None:
    with quick_client(stall=5) as client:
        repo = repository(client, registry.host, name)
        assert repo.manifest("latest").raw == push_request.manifests[-1].raw
        for digest, blob in push_request.blobs.items():
            assert repo.has_blob(digest, blob.size)
            assert registry.content(digest) == blob.open().read()


def assert_framed(proxy: Proxy) -> None:
    """Every body had a declared length and none was sent in chunks of HTTP."""
    for seen in proxy.seen:
        assert "transfer-encoding" not in seen.headers
        if seen.method in ("PUT", "PATCH", "POST"):
            assert "content-length" in seen.headers


def test_there_are_at_least_eighty_named_faults() -> None:
    assert len(PUSH) + len(PULL) >= 80


PULL: dict[str, Case] = {
    "a blob is cut": Case(faults=[Fault(method="GET", path=BLOB, cut_answer_at=1000)]),
    "a blob is cut again and again": Case(
        faults=[Fault(method="GET", path=BLOB, cut_answer_at=n) for n in (0, 10, 1000, 50_000)]
    ),
    "a blob ends early": Case(faults=[Fault(method="GET", path=BLOB, close_answer_at=100_000)]),
    "a blob stalls": Case(faults=[Fault(method="GET", path=BLOB, stall_answer_at=5000)]),
    "one bit of a blob is wrong": Case(faults=[Fault(method="GET", path=BLOB, flip_answer=True)]),
    "a blob is wrong every time": Case(
        faults=[Fault(method="GET", path=BLOB, flip_answer=True, times=9)],
        expect=IntegrityError,
        uses_all=False,
    ),
    "a blob that is longer than it should be": Case(
        faults=[Fault(method="GET", path=BLOB, replace_body=LAYER * 2, times=9)],
        expect=IntegrityError,
        uses_all=False,
    ),
    "a blob in pieces of HTTP that end early": Case(
        faults=[
            Fault(
                method="GET",
                path=BLOB,
                raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc",
            )
        ]
    ),
    "a range that is ignored": Case(
        faults=[
            Fault(method="GET", path=BLOB, close_answer_at=1000),
            Fault(method="GET", path=BLOB, status=200, body=LAYER),
        ]
    ),
    "another range than was asked for": Case(
        faults=[
            Fault(method="GET", path=BLOB, close_answer_at=1000),
            Fault(
                method="GET",
                path=BLOB,
                status=206,
                body=b"x" * 100,
                headers={"Content-Range": "bytes 5-104/307200"},
            ),
        ],
        expect=net.BadResponse,
        says="a different range",
    ),
    "no range any more": Case(
        faults=[
            Fault(method="GET", path=BLOB, close_answer_at=1000),
            Fault(method="GET", path=BLOB, status=416),
        ]
    ),
    "503 for a blob": Case(faults=[Fault(method="GET", path=BLOB, status=503, times=3)]),
    "a blob that is not there": Case(
        faults=[Fault(method="GET", path=BLOB, status=404)], expect=net.HttpFailure, says="404"
    ),
    "a web page instead of a blob": Case(
        faults=[Fault(method="GET", path=BLOB, status=200, headers=HTML, body=b"<html>")],
        expect=net.BadResponse,
        says="web page",
    ),
    "a blob behind a redirect to a metadata address": Case(
        faults=[
            Fault(
                method="GET", path=BLOB, status=307, headers={"Location": "http://169.254.169.254/"}
            )
        ],
        expect=net.ForbiddenAddress,
    ),
    "the token ends in the middle of a download": Case(
        faults=[
            Fault(method="GET", path=BLOB, close_answer_at=1000),
            Fault(method="GET", path=BLOB, forget_token=True),
        ],
        tokens=True,
    ),
    "a manifest is cut": Case(faults=[Fault(method="GET", path=MANIFEST, close_answer_at=10)]),
    "a manifest with a wrong bit": Case(
        faults=[Fault(method="GET", path=MANIFEST, flip_answer=True)],
        expect=IntegrityError,
        says="has digest",
    ),
    "a manifest without end": Case(
        faults=[Fault(method="GET", path=MANIFEST, replace_body=b" " * (5 << 20))],
        expect=TooLarge,
        says="4.19 MB",
    ),
    "a web page instead of a manifest": Case(
        faults=[Fault(method="GET", path=MANIFEST, status=200, headers=HTML, body=b"<html>")],
        expect=net.BadResponse,
        says="web page",
    ),
    "a manifest drips": Case(faults=[Fault(method="GET", path=MANIFEST, drip_answer=0.01)]),
    "500 for a manifest": Case(faults=[Fault(method="GET", path=MANIFEST, status=500, times=2)]),
    "no digest beside a manifest": Case(
        faults=[Fault(method="GET", path=MANIFEST, drop_headers=("Docker-Content-Digest",))]
    ),
}


@pytest.fixture(scope="module")
def stocked(registry: Running) -> PushRequest:
    with quick_client(stall=5) as client:
        return send(repository(client, registry.host, "pull/stock"), LAYER)[0]


@pytest.mark.parametrize("name", PULL)
def test_a_pull_ends_with_every_byte_in_place_or_with_a_clear_error(
    name: str, registry: Running, stocked: PushRequest, tmp_path: Path
) -> None:
    case = PULL[name]
    store = Store(tmp_path)
    with fault_proxy(registry.host, tokens=case.tokens) as proxy, quick_client() as client:
        proxy.faults += case.faults
        repo = repository(client, proxy.host, "pull/stock")

        def pull() -> None:
            assert repo.manifest("latest").raw == stocked.manifests[-1].raw
            digest = Digest.of(LAYER)
            descriptor = Descriptor(media_type="", digest=str(digest), size=len(LAYER))
            with repo.fetch_blob(descriptor, store).open() as stream:
                assert stream.read() == LAYER

        if case.expect is None:
            pull()
        else:
            with pytest.raises(case.expect) as caught:
                pull()
            assert case.says in f"{caught.value.what} {caught.value.hint}"
        if case.uses_all:
            assert proxy.faults == [], "the fault did not happen"
    assert store.verify() == Damage(blobs=(), answers=0)
