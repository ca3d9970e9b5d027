"""`python -m webhook.identity` as a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from spiffe._proto import workload_pb2 as messages
from spiffe._proto import workload_pb2_grpc as service

from webhook.identity.__main__ import main

Process = asyncio.subprocess.Process


async def start(*arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "webhook.identity",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[tuple[Process, dict[str, Any]]]:
    sockets = [f"spiffe://a.example/{name}={tmp_path / name}.sock" for name in ("one", "two")]
    process = await start("--trust-domain", "a.example", *(f"--workload={each}" for each in sockets))
    assert process.stdout is not None
    yield process, json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
    if process.returncode is None:
        process.kill()
    await process.communicate()


async def test_it_serves_each_workload_rotates_on_signals_and_ends_in_order(
    process: tuple[Process, dict[str, Any]], tmp_path: Path
) -> None:
    running, ready = process
    assert ready["event"] == "ready"
    assert ready["trustDomain"] == "a.example"
    assert ready["workloads"]["spiffe://a.example/two"] == f"unix://{tmp_path / 'two.sock'}"
    async with grpc.aio.insecure_channel(f"unix:{tmp_path / 'two.sock'}") as channel:
        stream = service.SpiffeWorkloadAPIStub(channel).FetchX509SVID(
            messages.X509SVIDRequest(), metadata=(("workload.spiffe.io", "true"),)
        )
        first = (await stream.read()).svids[0]
        assert first.spiffe_id == "spiffe://a.example/two"
        running.send_signal(signal.SIGHUP)
        second = (await stream.read()).svids[0]
        assert second.x509_svid != first.x509_svid
        assert second.bundle == first.bundle
        running.send_signal(signal.SIGUSR1)
        third = (await stream.read()).svids[0]
        assert len(third.bundle) > len(first.bundle)
        running.send_signal(signal.SIGUSR2)
        fourth = (await stream.read()).svids[0]
        assert third.bundle.startswith(fourth.bundle)
        running.send_signal(signal.SIGTERM)
    _, errors = await asyncio.wait_for(running.communicate(), 20)
    assert running.returncode == 0, errors
    assert b"Traceback" not in errors
    assert not (tmp_path / "two.sock").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--trust-domain", "a.example"], "--workload"),
        (["--trust-domain", "A b", "--workload", "spiffe://a/x=s"], "only a-z"),
        (["--trust-domain", "a", "--workload", "spiffe://a/x"], "is not ID=SOCKET"),
        (["--trust-domain", "a", "--workload", "spiffe://a/x="], "is not ID=SOCKET"),
        (["--trust-domain", "a", "--workload", "spiffe://A/x=s"], "only a-z"),
    ],
)
def test_bad_arguments_are_told(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_a_socket_that_cannot_be_had_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "missing" / "a.sock"
    assert main(["--trust-domain", "a", "--workload", f"spiffe://a/x={place}"]) == 1
    assert "cannot listen" in capsys.readouterr().err


def test_an_identity_of_another_domain_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--trust-domain", "a", "--workload", f"spiffe://b/x={tmp_path / 'a.sock'}"]) == 1
    assert "does not issue spiffe://b/x" in capsys.readouterr().err
