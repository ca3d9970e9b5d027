"""The CA as a process, and a sidecar as another that gets its identity from it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mesh.identity.bundle_document import BundleDocument, bundle_to_object, jwk_of
from mesh.identity.ca import make_authority
from tests.support.ca import AUDIENCE, ISSUER, TokenIssuer, WallClock
from webhook.distribution.__main__ import main as distribution
from webhook.identity.ca import main

SECONDS = 20


@pytest.fixture
def tokens(tmp_path: Path) -> TokenIssuer:
    issuer = TokenIssuer(WallClock())
    keys = {"keys": [jwk_of(issuer.key.public_key(), kid="k1")]}
    (tmp_path / "issuer.json").write_bytes(msgspec.json.encode(keys))
    (tmp_path / "token").write_text(issuer.token())
    return issuer


def arguments(folder: Path, *more: str) -> list[str]:
    return [
        "--trust-domain=a.example",
        "--listen=127.0.0.1:0",
        f"--issuer={ISSUER}",
        f"--audience={AUDIENCE}",
        f"--issuer-keys={folder / 'issuer.json'}",
        f"--serving={folder / 'serving'}",
        *more,
    ]


@contextmanager
def process(*command: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen(
        [sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )
    try:
        yield running
    finally:
        if running.poll() is None:
            running.kill()
        running.communicate()


def line_of(stream: Any, event: str) -> dict[str, Any]:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        line = stream.readline()
        assert line, f"ended without {event}"
        value: dict[str, Any] = json.loads(line)
        if value["event"] == event:
            return value
    raise AssertionError(f"no {event}")


def test_a_sidecar_gets_its_identity_from_a_ca_process(tmp_path: Path, tokens: TokenIssuer) -> None:
    foreign = make_authority("b.example", tokens.clock(), timedelta(hours=1))
    (tmp_path / "b.json").write_bytes(msgspec.json.encode(bundle_to_object(BundleDocument(foreign.bundle))))
    with process(
        "webhook.identity.ca", *arguments(tmp_path, f"--federate=b.example={tmp_path / 'b.json'}")
    ) as ca:
        url = line_of(ca.stdout, "ready")["url"]
        roots = (tmp_path / "serving" / "root.pem").read_text()
        config = {
            "agent": {"namespace": "agents", "name": "triage-1", "uid": "2"},
            "listen": {"forward": "127.0.0.1:0", "telemetry": None},
            "identity": {"provider": "builtin"},
            "control": {"url": url, "roots": roots, "token": "token", "state": "state"},
        }
        (tmp_path / "sidecar.yaml").write_text(json.dumps(config))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
        with process("sidecar", "--config", str(tmp_path / "sidecar.yaml"), env=environment) as sidecar:
            identity = line_of(sidecar.stderr, "identity")
            assert identity["spiffe_id"] == "spiffe://a.example/ns/agents/sa/triage"
            assert identity["trust_domains"] == ["a.example", "b.example"]
            sidecar.send_signal(signal.SIGTERM)
            assert sidecar.wait(SECONDS) == 0
        issued = line_of(ca.stderr, "svid_issued")
        assert issued["serviceAccount"] == "triage"
        ca.send_signal(signal.SIGHUP)
        ca.send_signal(signal.SIGUSR1)
        ca.send_signal(signal.SIGTERM)
        assert ca.wait(SECONDS) == 0


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda folder: (folder / "issuer.json").unlink(), "No such file"),
        (lambda folder: (folder / "issuer.json").write_text("{}"), "no keys of an issuer"),
        (lambda folder: (folder / "issuer.json").write_text("{"), "json"),
        (
            lambda folder: (folder / "issuer.json").write_text('{"keys":[{"kid":"x","kty":"RSA"}]}'),
            "cannot be read",
        ),
        (lambda folder: spoiled_certificate(folder), "cannot be used"),
        (lambda folder: (folder / "serving").write_text(""), "serving"),
    ],
)
def test_what_it_needs_and_cannot_have_ends_it(
    tmp_path: Path, tokens: TokenIssuer, capsys: pytest.CaptureFixture[str], spoil: Any, complaint: str
) -> None:
    spoil(tmp_path)
    assert main(arguments(tmp_path)) == 1
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, "{}", "{"])
def test_whose_keys_are_missing_is_told_with_the_option_and_where_to_get_them(
    tmp_path: Path, tokens: TokenIssuer, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    keys = tmp_path / "issuer.json"
    keys.unlink() if content is None else keys.write_text(content)
    (tmp_path / "documents").mkdir()
    assert distribution(arguments(tmp_path, f"--documents={tmp_path / 'documents'}")) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"python -m webhook.distribution: --issuer-keys: {keys} ")
    assert "kubectl get --raw /openid/v1/jwks" in err


@pytest.mark.parametrize("listen", ["127.0.0.1:http", "203.0.113.1:1"])
def test_where_it_cannot_listen_is_told_with_the_option(
    tmp_path: Path, tokens: TokenIssuer, capsys: pytest.CaptureFixture[str], listen: str
) -> None:
    assert main(arguments(tmp_path, f"--listen={listen}")) == 1
    assert f"python -m webhook.identity.ca: --listen {listen}: " in capsys.readouterr().err


def spoiled_certificate(folder: Path) -> None:
    (folder / "serving").mkdir()
    (folder / "serving" / "tls.crt").write_text("x")
    (folder / "serving" / "tls.key").write_text("x")


def test_times_that_do_not_fit_end_it(
    tmp_path: Path, tokens: TokenIssuer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(tmp_path, "--authority-seconds=3600")) == 1
    assert "eight times" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", ["--trust-domain=A", "--federate=x", "--federate=b.example=/nowhere", "--federate=B=x"]
)
def test_arguments_that_are_wrong_are_refused(
    tmp_path: Path, tokens: TokenIssuer, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments(tmp_path, wrong))
    assert ended.value.code == 2
