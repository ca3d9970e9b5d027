"""Bad input over real TLS, to the real server: a valid AdmissionReview or a clear 4xx, never a hang or a 5xx."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from webhook.admission.namespaces import fixed_lookup
from webhook.admission.outcome import Namespace
from webhook.admission.run import Serving, serve
from webhook.admission.server import MAX_BODY, AdmissionServer
from webhook.admission.serving_tls import ServingCertificate

POD: dict[str, Any] = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}]}}
JSON = "application/json"


def review(_drop: str = "", **request: Any) -> dict[str, Any]:
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    whole = {"uid": "u", "kind": kind, "operation": "CREATE", "namespace": "agents", "object": POD, **request}
    whole.pop(_drop, None)
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": whole}


def document(kind: str, **fields: Any) -> dict[str, Any]:
    group, version = ("", "v1") if kind == "ConfigMap" else ("outrider.dev", "v1alpha1")
    return review(kind={"group": group, "version": version, "kind": kind}, object=fields)


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def spec(**fields: Any) -> bytes:
    return dumped(
        review(object={"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}], **fields}})
    )


def metadata(**fields: Any) -> bytes:
    return dumped(review(object={**POD, "metadata": fields}))


def container(**fields: Any) -> bytes:
    return spec(containers=[{"name": "a", **fields}])


WHOLE = dumped(review())
DEEP = b'{"a":' * 5000 + b"1" + b"}" * 5000
LABELLED = {"name": "c", "labels": {"outrider.dev/policies": "true"}}

# What is no AdmissionReview v1.
NO_REVIEW = {
    "nothing": b"",
    "white space": b" \n",
    "no json": b"hello",
    "truncated": WHOLE[:-3],
    "truncated in a string": WHOLE[: WHOLE.index(b"agents") + 3],
    "two documents": WHOLE + WHOLE,
    "trailing comma": WHOLE[:-1] + b",}",
    "single quotes": WHOLE.replace(b'"', b"'"),
    "yaml": b"apiVersion: admission.k8s.io/v1\nkind: AdmissionReview\n",
    "an array": b"[" + WHOLE + b"]",
    "a string": b'"AdmissionReview"',
    "a number": b"7",
    "null": b"null",
    "an empty object": b"{}",
    "byte order mark": b"\xef\xbb\xbf" + WHOLE,
    "utf-16": WHOLE.decode().encode("utf-16"),
    "invalid utf-8": WHOLE.replace(b"agents", b"ag\xff\xfe"),
    "nul bytes": b"\0" * 64,
    "half a surrogate pair": WHOLE.replace(b"agents", b"\\ud800"),
    "NaN": WHOLE.replace(b'"u"', b"NaN"),
    "infinity in the object": WHOLE.replace(b'{"name": "p"}', b'{"generation": Infinity}'),
    "a number beyond a double": WHOLE.replace(b'{"name": "p"}', b'{"generation": 1e999}'),
    "a key twice": WHOLE.replace(b'"uid": "u"', b'"uid": "u", "uid": "v"'),
    "a key twice in the pod": WHOLE.replace(b'"name": "a"', b'"name": "a", "name": "b"'),
    "deep": DEEP,
    "deep arrays": b"[" * 100_000,
    "deep in the object": WHOLE.replace(b'{"name": "p"}', DEEP),
    "v1beta1": dumped({**review(), "apiVersion": "admission.k8s.io/v1beta1"}),
    "no version": dumped({key: value for key, value in review().items() if key != "apiVersion"}),
    "another kind": dumped({**review(), "kind": "Pod"}),
    "a response": dumped(
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": "u"}}
    ),
    "request is null": dumped({**review(), "request": None}),
    "request is an array": dumped({**review(), "request": []}),
    "no uid": dumped(review("uid")),
    "uid is empty": dumped(review(uid="")),
    "uid is a number": dumped(review(uid=1)),
    "object is base64": dumped(review(object="eyJtZXRhZGF0YSI6e319")),
    "object is invalid base64": dumped(review(object="%%%")),
    "object is an array": dumped(review(object=[POD])),
    "oldObject is a string": dumped(review(oldObject="x")),
    "kind is a string": dumped(review(kind="Pod")),
    "operation is a number": dumped(review(operation=1)),
    "namespace is an object": dumped(review(namespace={})),
    "dryRun is a string": dumped(review(dryRun="true")),
    "longer than allowed": b" " * (MAX_BODY + 1),
}

# AdmissionReviews whose contents nobody should send.
ODD_REVIEW = {
    "object is null": dumped(review(object=None)),
    "no object": dumped(review("object")),
    "no namespace": dumped(review("namespace")),
    "a namespace that nobody knows": dumped(review(namespace="../kube-system")),
    "a unicode namespace": dumped(review(namespace="агенты\u202e")),
    "no kind": dumped(review("kind")),
    "no operation": dumped(review("operation")),
    "a long uid": dumped(review(uid="u" * 100_000)),
    "a unicode uid": dumped(review(uid="\u0000\u2028😀")),
    "the spec is a string": dumped(review(object={"metadata": {}, "spec": "x"})),
    "no spec": dumped(review(object={"metadata": {}})),
    "no metadata": dumped(review(object={"spec": POD["spec"]})),
    "metadata is null": dumped(review(object={**POD, "metadata": None})),
    "an object of another version": dumped(
        review(object={"apiVersion": "v0", "kind": "Pod", "id": "p", "desiredState": {}})
    ),
    "an object of another kind": dumped(
        review(object={"apiVersion": "apps/v1", "kind": "Deployment", **POD})
    ),
    "old object of another kind": dumped(review(oldObject={"kind": "Service", "spec": 3})),
    "containers is null": spec(containers=None),
    "containers is an object": spec(containers={"name": "a"}),
    "no containers": spec(containers=[]),
    "a container is null": spec(containers=[None]),
    "a container without a name": spec(containers=[{}]),
    "a container's name is a number": spec(containers=[{"name": 1}]),
    "two containers of one name": spec(containers=[{"name": "a"}, {"name": "a"}]),
    "ten thousand containers": spec(containers=[{"name": f"c{n}"} for n in range(10_000)]),
    "a container with a unicode name": spec(containers=[{"name": "агент\ud83d\ude00"}]),
    "env is a string": container(env="A=B"),
    "env with a name only": container(env=[{"name": "HTTP_PROXY"}]),
    "env value is a number": container(env=[{"name": "A", "value": 1}]),
    "a port out of range": container(ports=[{"containerPort": 10**30}]),
    "a negative port": container(ports=[{"containerPort": -1}]),
    "uid is a float": container(securityContext={"runAsUser": 1.5}),
    "uid is huge": container(securityContext={"runAsUser": 10**4000}),
    "a probe is an array": container(readinessProbe=[]),
    "volumes is a string": spec(volumes="x"),
    "labels is an array": metadata(labels=["a"]),
    "a label is a number": metadata(labels={"outrider.dev/inject": True}),
    "a label that is no word": metadata(labels={"outrider.dev/inject": "maybe\n"}),
    "annotations hold an object": metadata(annotations={"outrider.dev/cpu": {}}),
    "an annotation of a megabyte": metadata(annotations={"outrider.dev/cpu": "9" * 1_000_000}),
    "every annotation wrong": metadata(annotations={f"outrider.dev/x{n}": "y" for n in range(500)}),
    "a status that is forged": metadata(annotations={"outrider.dev/status": '{"settings":"x"}'}),
    "a forged sidecar": spec(initContainers=[{"name": "outrider-sidecar", "env": 3}]),
    "a million small numbers": metadata(finalizers=[1] * 1_000_000),
    "ephemeral containers that are none": dumped(
        review(operation="UPDATE", subResource="ephemeralcontainers", oldObject=None)
    ),
    "a policy without anything": dumped(document("AgentPolicy")),
    "a policy that is null": dumped(
        {**document("AgentPolicy"), "request": {**document("AgentPolicy")["request"], "object": None}}
    ),
    "a policy of wrong types": dumped(document("AgentPolicy", metadata=[], spec=3, status="x")),
    "a deep policy": dumped(
        document("AgentPolicy", metadata={"name": "p"}, spec=json.loads(b'{"a":' * 50 + b"1" + b"}" * 50))
    ),
    "a backend with control characters": dumped(
        document("Backend", metadata={"name": "\x7f\u0085"}, spec={"host": "\u2028"})
    ),
    "a config map without data": dumped(document("ConfigMap", metadata=LABELLED)),
    "a config map of wrong types": dumped(document("ConfigMap", metadata=LABELLED, data=["a"], binaryData=3)),
    "a config map of no text": dumped(
        document("ConfigMap", metadata=LABELLED, data={"a.yaml": 1, "b.yml": None})
    ),
    "a config map that is no yaml": dumped(
        document("ConfigMap", metadata=LABELLED, data={"a.yaml": "{[\t&a *a"})
    ),
    "a config map of aliases": dumped(
        document("ConfigMap", metadata=LABELLED, data={"a.yaml": "a: &a [1]\nb: [*a,*a]"})
    ),
    "a config map whose labels are no object": dumped(
        document("ConfigMap", metadata={"labels": "outrider.dev/policies"})
    ),
}


def head(
    body: bytes, *fields: str, method: str = "POST", path: str = "/mutate?timeout=5s", mime: str = JSON
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *fields]
    lines += [f"content-type: {mime}"] if mime else []
    return "\r\n".join([*lines, "connection: close", "", ""]).encode()


def requests() -> Iterator[tuple[str, bytes]]:
    """What is odd about the HTTP around a body."""
    for mime in (
        "",
        "text/plain",
        "application/yaml",
        "application/vnd.kubernetes.protobuf",
        "multipart/form-data",
        "x",
    ):
        yield f"content type {mime or 'absent'}", head(WHOLE, mime=mime) + WHOLE
    for coding, body in (("gzip", gzip.compress(WHOLE)), ("deflate", zlib.compress(WHOLE)), ("br", WHOLE)):
        yield f"compressed by {coding}", head(body, f"content-encoding: {coding}") + body
    bomb = gzip.compress(b" " * 50_000_000)
    yield "a bomb", head(bomb, "content-encoding: gzip") + bomb
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"):
        yield f"method {method}", head(b"", method=method)
    for path in (
        "/",
        "/mutate/",
        "/MUTATE",
        "/mutate/../validate",
        "/healthz",
        "/metrics",
        "//mutate",
        "/%6dutate%00",
    ):
        yield f"path {path}", head(WHOLE, path=path) + WHOLE
    yield "expects something", head(WHOLE, "expect: miracles") + WHOLE
    yield "a long line", head(WHOLE, f"x: {'y' * 100_000}") + WHOLE
    yield "many fields", head(WHOLE, *[f"x-{n}: y" for n in range(20_000)]) + WHOLE
    yield "two lengths", head(WHOLE, "content-length: 3") + WHOLE
    yield "length and chunks", head(WHOLE, "transfer-encoding: chunked") + WHOLE
    yield "a negative length", head(b"").replace(b"length: 0", b"length: -1")
    yield "a length of a terabyte", head(b"").replace(b"length: 0", b"length: 1099511627776")
    yield "no http", b"\x16\x03\x01\x02\x00\r\n\r\n"
    yield "http/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield "http/0.9", b"POST /mutate\r\n\r\n"


@dataclass
class Server:
    address: tuple[str, int]
    tls: ssl.SSLContext
    lines: list[dict[str, object]] = field(default_factory=list)


@asynccontextmanager
async def running(tmp_path, certificate, settings) -> AsyncIterator[Server]:
    cert, key = certificate(tmp_path, "x")
    lines: list[dict[str, object]] = []
    stop, ready = asyncio.Event(), asyncio.Event()

    def log(entry: dict[str, object]) -> None:
        lines.append(entry)
        ready.set()

    namespaces = {"agents": Namespace("agents", {"outrider.dev/injection": "required"})}
    server = AdmissionServer(settings, fixed_lookup(namespaces), log, body_seconds=0.3)
    serving = Serving("127.0.0.1", 0, None, drain=0.0, grace=0.1, head=0.3)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(serve(server, serving, ServingCertificate(cert, key), stop))
        await ready.wait()
        host, _, port = str(lines[0]["addresses"][0]).rpartition(":")
        yield Server((host, int(port)), ssl.create_default_context(cafile=str(cert)), lines)
        stop.set()


async def send(server: Server, request: bytes) -> tuple[int, bytes]:
    """What comes back for these bytes: status and body; (0, b"") where the connection just ends."""
    reader, writer = await asyncio.open_connection(*server.address, ssl=server.tls)
    answer = b""
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            while piece := await reader.read(65536):
                answer += piece
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.transport.abort()
    if not answer:
        return 0, b""
    first, _, body = answer.partition(b"\r\n\r\n")
    return int(first.split()[1]), body


def check_review(body: bytes) -> dict[str, Any]:
    reply = json.loads(body)
    assert (reply["apiVersion"], reply["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response: dict[str, Any] = reply["response"]
    assert response["uid"]
    assert isinstance(response["allowed"], bool)
    assert response["allowed"] or response["status"]["message"].startswith("outrider refuses this ")
    assert all(len(warning) <= 120 for warning in response.get("warnings", ()))
    return response


@pytest.mark.parametrize("path", ["/mutate", "/validate"])
async def test_what_is_no_review_is_a_400_that_says_why(tmp_path, certificate, settings, path) -> None:
    async with running(tmp_path, certificate, settings) as server:
        for name, body in NO_REVIEW.items():
            status, said = await send(server, head(body, path=path) + body)
            assert status in (400, 413), (name, status, said)
            assert said.startswith(b"The "), (name, said)


@pytest.mark.parametrize("path", ["/mutate", "/validate"])
async def test_an_odd_review_is_answered_by_a_review(tmp_path, certificate, settings, path) -> None:
    async with running(tmp_path, certificate, settings) as server:
        for name, body in ODD_REVIEW.items():
            status, said = await send(server, head(body, path=path) + body)
            if status == 400:
                assert said.startswith(b"The "), (name, said)
            else:
                assert status == 200, (name, status, said)
                check_review(said)


async def test_odd_http_is_a_4xx_or_an_end_of_the_connection(tmp_path, certificate, settings) -> None:
    async with running(tmp_path, certificate, settings) as server:
        for name, request in requests():
            status, said = await send(server, request)
            assert status == 0 or 400 <= status < 500, (name, status, said)


async def test_a_chunked_review_is_a_review(tmp_path, certificate, settings) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (WHOLE[:10], WHOLE[10:])) + b"0\r\n\r\n"
    request = head(b"", "transfer-encoding: chunked").replace(b"content-length: 0\r\n", b"")
    async with running(tmp_path, certificate, settings) as server:
        status, said = await send(server, request + chunks)
        assert status == 200
        assert check_review(said)["allowed"]
        endless = request + b"%x\r\n" % (MAX_BODY + 9) + b" " * (MAX_BODY + 9) + b"\r\n"
        assert (await send(server, endless))[0] == 413


async def test_a_body_or_a_handshake_that_stops_is_given_up(tmp_path, certificate, settings) -> None:
    async with running(tmp_path, certificate, settings) as server:
        status, said = await send(server, head(WHOLE) + WHOLE[:50])
        assert (status, said) == (408, b"The body did not arrive within 0.3 s.\n")
        assert await send(server, b"POST /mut") == (0, b"")
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(b"\x16\x03\x01")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()


def test_there_are_at_least_fifty() -> None:
    assert len(NO_REVIEW) + len(ODD_REVIEW) + len(list(requests())) >= 100
