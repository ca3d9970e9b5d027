from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import sys
from pathlib import Path

import aiohttp
import pytest

from webhook.__main__ import main
from webhook.admission.metrics import CERTIFICATE_ERRORS, CERTIFICATE_EXPIRY
from webhook.admission.namespaces import fixed_lookup
from webhook.admission.run import Beside, Serving, follow, follow_files, serve, stop_on_signal
from webhook.admission.server import AdmissionServer
from webhook.admission.serving_tls import ServingCertificate, SwitchedCertificate

SETTINGS = 'namespaces: {agents: {labels: {"outrider.dev/injection": required}}}\n'


class Lines:
    """A log that tells when a line of a kind has come."""

    def __init__(self) -> None:
        self.all: list[dict[str, object]] = []
        self.changed = asyncio.Event()

    def __call__(self, entry: dict[str, object]) -> None:
        self.all.append(entry)
        self.changed.set()

    async def wait_for(self, event: str) -> dict[str, object]:
        while True:
            self.changed.clear()
            for entry in self.all:
                if entry["event"] == event:
                    return entry
            await asyncio.wait_for(self.changed.wait(), 5)


def trusting(cert: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(cert))


async def test_it_serves_over_tls_follows_the_certificate_and_drains(tmp_path, certificate, settings) -> None:
    cert, key = certificate(tmp_path, "first")
    lines, stop, left = Lines(), asyncio.Event(), []
    server = AdmissionServer(settings, fixed_lookup({}), lines)
    serving = Serving("127.0.0.1", 0, 0, drain=0.0, grace=1.0)
    files = ServingCertificate(cert, key)

    async def leave() -> None:
        left.append(server.draining)

    beside = Beside([lambda: follow_files(files, server, 0.01)], leave)
    async with asyncio.TaskGroup() as group:
        group.create_task(serve(server, serving, files, stop, beside))
        ready = await lines.wait_for("ready")
        (address,) = ready["addresses"]
        for name in ("first", "second"):
            if name == "second":
                certificate(tmp_path, name)
                await lines.wait_for("certificate")
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"https://{address}/mutate", ssl=trusting(cert)) as answer,
            ):
                assert answer.status == 415
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{ready['telemetry'][0]}/metrics") as answer,
        ):
            assert "outrider_webhook_ready 1" in await answer.text()
        assert server.metrics.get(CERTIFICATE_EXPIRY) > 0
        stop.set()
    assert [entry["event"] for entry in lines.all][-2:] == ["draining", "stopped"]
    assert left == [True]


async def test_a_certificate_that_cannot_be_used_is_told_and_the_old_one_stays(
    tmp_path, certificate, settings
) -> None:
    cert, key = certificate(tmp_path, "first")
    lines = Lines()
    server = AdmissionServer(settings, fixed_lookup({}), lines)
    serving = ServingCertificate(cert, key)
    follow(serving, server)
    assert lines.all == []
    cert.write_text("broken")
    follow(serving, server)
    assert "cannot be used" in str(lines.all[-1]["error"])
    assert server.metrics.get(CERTIFICATE_ERRORS) == 1


async def test_a_task_beside_that_fails_ends_the_server(settings) -> None:
    async def broken() -> None:
        raise LookupError

    server = AdmissionServer(settings, fixed_lookup({}), Lines())
    serving = Serving("127.0.0.1", 0, None, drain=0.0)
    with pytest.raises(ExceptionGroup):
        await serve(server, serving, SwitchedCertificate(), asyncio.Event(), Beside([broken]))


async def test_sigterm_stops() -> None:
    async with stop_on_signal() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(stop.wait(), 5)


async def test_the_process_answers_and_exits_with_zero_after_sigterm(tmp_path, certificate) -> None:
    cert, key = certificate(tmp_path, "process")
    settings = tmp_path / "settings.yaml"
    settings.write_text(SETTINGS)
    command = ["-m", "webhook", "--cert", cert, "--key", key, "--host", "127.0.0.1", "--port", "0"]
    command += ["--telemetry-port", "0"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        *("--settings", settings, "--drain", "0"),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        ready = json.loads(await asyncio.wait_for(process.stderr.readline(), 20))
        body = {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "u",
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "operation": "CREATE",
                "namespace": "agents",
                "object": {"metadata": {}, "spec": {"containers": [{"name": "agent"}]}},
            },
        }
        url = f"https://{ready['addresses'][0]}/mutate?timeout=5s"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json=body, ssl=trusting(cert)) as answer,
        ):
            assert (await answer.json())["response"]["allowed"] is True
        process.terminate()
        _, rest = await asyncio.wait_for(process.communicate(), 20)
    finally:
        if process.returncode is None:
            process.kill()
    events = [json.loads(line)["event"] for line in rest.splitlines()]
    assert events == ["admission", "draining", "stopped"]
    assert process.returncode == 0


def test_bad_settings_end_with_two_and_every_fault(tmp_path, capsys) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("uid: 0\nimag: x\n")
    assert main(["--cert", "c", "--key", "k", "--settings", str(settings)]) == 2
    error = capsys.readouterr().err
    assert ":1: uid" in error
    assert ":2: imag" in error


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_settings_that_cannot_be_read_end_with_two(tmp_path, capsys, content) -> None:
    path = tmp_path / "settings.yaml"
    if content is not None:
        path.write_bytes(content)
    assert main(["--cert", "c", "--key", "k", "--settings", str(path)]) == 2
    assert capsys.readouterr().err


def test_without_cluster_and_namespaces_it_says_what_is_missing(monkeypatch, capsys) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert main(["--cert", "c", "--key", "k"]) == 2
    assert "namespaces in the settings file are needed" in capsys.readouterr().err


def test_in_a_cluster_the_service_account_is_used(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    assert main(["--cert", "c", "--key", "k"]) == 2
    assert "No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "part", [b"", b"POST /mutate HTTP/1.1\r\n", b"GET /mutate HTTP/1.1\r\nhost: x\r\n\r\nGET /"]
)
async def test_a_head_that_does_not_come_is_given_up(tmp_path, certificate, settings, part: bytes) -> None:
    cert, key = certificate(tmp_path, "x")
    lines, stop = Lines(), asyncio.Event()
    serving = Serving("127.0.0.1", 0, None, drain=0.0, grace=1.0, head=0.2)
    files = ServingCertificate(cert, key)
    async with asyncio.TaskGroup() as group, asyncio.timeout(10):
        group.create_task(serve(AdmissionServer(settings, fixed_lookup({}), lines), serving, files, stop))
        host, _, port = str((await lines.wait_for("ready"))["addresses"][0]).partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=trusting(cert))
        whole, ended, half = part.partition(b"\r\n\r\n")
        writer.write(whole + ended)
        if ended:
            assert b" 405 " in await reader.readuntil(b"POST only.\n")
            writer.write(half)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.transport.abort()
        stop.set()


HEAD = b"POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
REVIEW = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": "u",
        "kind": {"version": "v1", "kind": "Pod"},
        "operation": "DELETE",
        "namespace": "n",
    },
}


@pytest.mark.parametrize(
    ("connections", "announced", "sent"),
    [(20, 3 * 1024 * 1024, 1), (280, 100, 1), (20, 3 * 1024 * 1024, 3 * 1024 * 1024 - 1)],
    ids=["announced", "many", "large"],
)
async def test_bodies_that_do_not_come_keep_no_review_out(
    tmp_path, certificate, settings, connections: int, announced: int, sent: int
) -> None:
    cert, key = certificate(tmp_path, "x")
    lines, stop = Lines(), asyncio.Event()
    server = AdmissionServer(settings, fixed_lookup({}), lines, body_seconds=60)
    serving = Serving("127.0.0.1", 0, None, drain=0.0, grace=0.0)
    writers: list[asyncio.StreamWriter] = []
    async with asyncio.TaskGroup() as group, asyncio.timeout(60):
        serving_task = group.create_task(serve(server, serving, ServingCertificate(cert, key), stop))
        host, _, port = str((await lines.wait_for("ready"))["addresses"][0]).partition(":")
        for _ in range(connections):
            _, writer = await asyncio.open_connection(
                host, int(port), ssl=trusting(cert), local_addr=("127.0.0.2", 0), server_hostname=host
            )
            writer.write(HEAD % announced + b"{" * sent)
            writers.append(writer)
        async with aiohttp.ClientSession() as session:
            for _ in range(10):
                url = f"https://{host}:{port}/mutate"
                async with session.post(url, json=REVIEW, ssl=trusting(cert)) as answer:
                    assert (answer.status, (await answer.json())["response"]["allowed"]) == (200, True)
        for writer in writers:
            writer.transport.abort()
        stop.set()
    assert serving_task.done()
    assert server.room.taken == 0
