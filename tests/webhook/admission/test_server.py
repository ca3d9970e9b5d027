from __future__ import annotations

import asyncio
import io
import json
from dataclasses import replace

import pytest
from aiohttp import StreamReader
from aiohttp.test_utils import TestClient, TestServer

from mesh.settings.table import VERSION
from webhook.admission.namespaces import Known, NamespaceUnknown, fixed_lookup
from webhook.admission.outcome import Namespace
from webhook.admission.server import MAX_BODY, AdmissionServer, json_line

JSON = {"Content-Type": "application/json"}
POD = {"metadata": {"generateName": "triage-"}, "spec": {"containers": [{"name": "agent"}]}}


def review(**request):
    request = {
        "uid": "u-1",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "operation": "CREATE",
        "namespace": "agents",
        "object": POD,
        **request,
    }
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})


@pytest.fixture
def lines():
    return []


@pytest.fixture
def server(settings, lines):
    namespaces = {"agents": Namespace("agents", {"outrider.dev/injection": "required"})}
    return AdmissionServer(settings, fixed_lookup(namespaces), lines.append, clock=lambda: 0.0)


@pytest.fixture
async def client(server):
    async with TestClient(TestServer(server.application())) as client:
        yield client


@pytest.fixture
async def telemetry(server):
    async with TestClient(TestServer(server.telemetry())) as client:
        yield client


async def test_a_pod_is_patched_whatever_query_the_api_server_adds(client, lines) -> None:
    answer = await client.post("/mutate?timeout=5s", data=review(), headers=JSON)
    assert answer.status == 200
    assert answer.content_type == "application/json"
    response = (await answer.json())["response"]
    assert (response["uid"], response["allowed"], response["patchType"]) == ("u-1", True, "JSONPatch")
    assert lines[-1]["result"] == "injected"


async def test_a_charset_behind_the_media_type_is_no_matter(client) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert (await client.post("/mutate", data=review(), headers=headers)).status == 200


async def test_outcomes_are_counted_and_logged(client, telemetry, lines) -> None:
    await client.post("/mutate", data=review(), headers=JSON)
    refused = {**POD, "metadata": {"labels": {"outrider.dev/inject": "false"}}}
    await client.post("/mutate", data=review(object=refused), headers=JSON)
    await client.post("/mutate", data=review(dryRun=True), headers=JSON)
    await client.post("/mutate", data=review(operation="UPDATE"), headers=JSON)
    await client.post("/mutate", data="{", headers=JSON)
    metrics = await telemetry.get("/metrics")
    assert metrics.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    text = await metrics.text()
    for result, reason in [
        ("injected", "injected"),
        ("refused", "opt_out_refused"),
        ("dry_run", "injected"),
        ("skipped", "not_a_pod_creation"),
        ("malformed", "review_malformed"),
    ]:
        assert f'outrider_admissions_total{{result="{result}",reason="{reason}"}} 1' in text
    assert lines[1]["message"].startswith("outrider refuses this pod (opt_out_refused)")
    assert all(json.loads(json_line(line)) for line in lines)


async def test_an_unknown_namespace_closes(client) -> None:
    answer = await client.post("/mutate", data=review(namespace="elsewhere"), headers=JSON)
    response = (await answer.json())["response"]
    assert response["allowed"] is False
    assert "namespace elsewhere is not in the settings file" in response["status"]["message"]
    answer = await client.post("/mutate", data=review(namespace=""), headers=JSON)
    assert (await answer.json())["response"]["auditAnnotations"]["reason"] == "namespace_unknown"


async def test_a_lookup_that_fails_closes(settings, lines) -> None:
    async def failing(_name: str) -> Namespace:
        raise NamespaceUnknown("the API server is away")

    async with TestClient(
        TestServer(AdmissionServer(settings, failing, lines.append).application())
    ) as client:
        answer = await client.post("/mutate", data=review(), headers=JSON)
        assert (await answer.json())["response"]["allowed"] is False


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "told"),
    [
        ("POST", "/mutate", b"{}", {"Content-Type": "text/plain"}, 415, "must be application/json"),
        ("POST", "/mutate", b"{}", {}, 415, "must be application/json"),
        ("POST", "/mutate", b"{", JSON, 400, "is not JSON"),
        ("POST", "/mutate", b"{}", JSON, 400, "must be AdmissionReview"),
        ("POST", "/mutate", b" " * (MAX_BODY + 1), JSON, 413, "exceeds 3145728 bytes"),
        ("GET", "/mutate", None, {}, 405, "takes POST only"),
        ("GET", "/", None, {}, 404, "There are /mutate, /validate."),
        ("POST", "/mutate", b"x", {**JSON, "Content-Encoding": "gzip"}, 415, "are not compressed"),
        ("POST", "/validate", b"{", JSON, 400, "is not JSON"),
    ],
)
async def test_every_error_has_a_body_that_says_what_would_be_right(
    client, method, path, body, headers, status, told
) -> None:
    data = None if body is None else io.BytesIO(body)
    answer = await client.request(method, path, data=data, headers=headers)
    assert answer.status == status
    assert told in await answer.text()


async def test_while_draining_readiness_fails_and_connections_end_with_their_answer(
    client, telemetry, server
) -> None:
    assert (await telemetry.get("/readyz")).status == 200
    server.draining = True
    health = await telemetry.get("/readyz")
    assert (health.status, await health.text()) == (503, "draining\n")
    assert (await telemetry.get("/healthz")).status == 200
    answer = await client.post("/mutate", data=review(), headers=JSON)
    assert answer.status == 200
    assert answer.headers["Connection"] == "close"


async def test_a_body_that_does_not_come_is_given_up(server) -> None:
    server.body_seconds = 0.05
    async with TestServer(server.application()) as running, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(running.host, running.port)
        writer.write(b"POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
        writer.write(b"content-length: 9\r\n\r\n{")
        assert await reader.readline() == b"HTTP/1.1 408 Request Timeout\r\n"
        assert b"The body did not arrive within 0.05 s." in await reader.readuntil(b"s.\n")
        writer.close()


async def test_who_leaves_in_the_middle_of_a_body_fills_no_log(client, caplog, monkeypatch) -> None:
    async def gone(_request):
        raise ConnectionResetError("Connection lost")

    monkeypatch.setattr(StreamReader, "readany", gone)
    answer = await client.post("/mutate", data=review(), headers=JSON)
    assert answer.status == 400
    assert caplog.text == ""


async def test_a_log_line_does_not_grow_with_what_is_asked(client, lines) -> None:
    await client.post("/mutate", data=review(uid="u" * 100_000, namespace="n" * 100_000), headers=JSON)
    assert len(lines) == 1
    assert len(str(lines[0])) < 20_000


@pytest.mark.parametrize("full", ["requests", "bytes"])
async def test_what_does_not_fit_is_turned_away_at_once(client, telemetry, server, full) -> None:
    server.room.requests = 0 if full == "requests" else 1
    server.room.size = 10
    answer = await client.post("/mutate", data=review(), headers=JSON)
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
    assert "try again" in await answer.text()
    metrics = await (await telemetry.get("/metrics")).text()
    assert f'outrider_admission_turned_away_total{{reason="{full}"}} 1' in metrics


async def test_room_is_given_back_however_a_request_ends(client, server) -> None:
    for body in ("{", review(), review(namespace="elsewhere")):
        await client.post("/mutate", data=body, headers=JSON)
    assert (len(server.room), server.room.taken) == (0, 0)


async def test_who_waits_for_a_namespace_makes_room_as_well(settings) -> None:
    asked, answered = asyncio.Event(), asyncio.Event()

    async def look_up(_name: str) -> Known:
        asked.set()
        await answered.wait()
        return Known(Namespace("agents", {}))

    server = AdmissionServer(settings, look_up, lambda _entry: None)
    async with TestClient(TestServer(server.application())) as client, asyncio.TaskGroup() as group:
        waiting = group.create_task(client.post("/mutate", data=review(), headers=JSON))
        await asked.wait()
        for guest in list(server.room._guests):
            guest.end()
        assert (await waiting).status == 503


async def test_a_namespace_that_is_only_remembered_gives_sidecars_and_lets_nothing_pass_without(
    settings,
) -> None:
    labels = {"inject": {"outrider.dev/injection": "enabled"}, "skip": {}}

    async def look_up(name: str) -> Known:
        return Known(Namespace(name, labels[name]), confirmed=False)

    server = AdmissionServer(settings, look_up, lambda _entry: None)
    async with TestClient(TestServer(server.application())) as client:
        for namespace, allowed in (("inject", True), ("skip", False)):
            answer = await client.post("/mutate", data=review(namespace=namespace), headers=JSON)
            response = (await answer.json())["response"]
            assert response["allowed"] is allowed
        assert "did not confirm" in response["status"]["message"]


async def test_provenance_is_in_the_audit_log(client, server) -> None:
    pod = {**POD, "metadata": {"annotations": {"outrider.dev/memory": "128Mi"}}}
    answer = await client.post("/mutate", data=review(object=pod), headers=JSON)
    said = (await answer.json())["response"]["auditAnnotations"]
    assert said == {
        "decision": "injected",
        "reason": "injected",
        "version": VERSION,
        "config-hash": server.config,
        "layers": "memory=pod",
    }
    before = server.config
    server.use(replace(server.settings, uid=4711))
    assert len(before) == 12
    assert server.config != before


async def test_documents_are_validated_and_counted_apart(client, telemetry) -> None:
    kind = {"group": "outrider.dev", "version": "v1alpha1", "kind": "Backend"}
    answer = await client.post("/validate", data=review(kind=kind, object={"kind": "Backend"}), headers=JSON)
    response = (await answer.json())["response"]
    assert response["allowed"] is False
    assert response["status"]["message"].startswith("outrider refuses this Backend (documents_invalid): ")
    await client.post("/validate", data=review(), headers=JSON)
    metrics = await (await telemetry.get("/metrics")).text()
    assert (
        'outrider_validations_total{kind="Backend",result="refused",reason="documents_invalid"} 1' in metrics
    )
    assert 'outrider_validations_total{kind="other",result="skipped",reason="not_validated"} 1' in metrics
    assert "outrider_admissions_total{" not in metrics


async def test_the_image_of_a_running_sidecar_is_validated(client) -> None:
    def pod(image):
        return {**POD, "spec": {"containers": [{"name": "outrider-sidecar", "image": image}]}}

    for image, allowed in (("evil", False), ("outrider/sidecar:2", True)):
        asked = review(operation="UPDATE", object=pod(image), oldObject=pod("outrider/sidecar:1"))
        answer = await client.post("/validate", data=asked, headers=JSON)
        assert (await answer.json())["response"]["allowed"] is allowed
