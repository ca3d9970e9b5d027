"""Values that may hold a secret have no text that shows it: in no log, traceback or fault, nor over telemetry."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
import urllib.request
from pathlib import Path

import pytest

from mesh.identity.issuance import JwtSvidAnswer
from mesh.policy.decision import RequestContext
from mesh.policy.errors import PolicyInvalid
from mesh.policy.principal import User
from mesh.protocol.ext_authz_grpc import CheckAttributes
from mesh.protocol.http1.heads import RequestHead, ResponseHead
from mesh.reasons import Reason
from sidecar.config import load_config
from sidecar.credentials.issued import CredentialRefused, Issued
from sidecar.credentials.verified import Verified
from sidecar.hidden.secrets import Grants, HiddenSecrets
from sidecar.hidden.swap import Stopped, swap_body, swap_headers
from sidecar.hidden.variables import HiddenVariable
from sidecar.identity.https_call import HttpsAnswer, HttpsCall
from sidecar.proxy.redact import Redactor

SECRET = "hunter2-hunter2"
RAW = SECRET.encode()
FAKE = "outrider-hidden-0123456789abcdef0123456789abcdef"
FIELDS = [(b"authorization", b"Bearer " + RAW)]
TARGET = b"/a?key=" + RAW

HOLDING = [
    RequestHead("GET", TARGET, FIELDS, 0, True, False, False, fields=dict(FIELDS), memo={"x": RAW}),
    ResponseHead(200, b"OK", [(b"set-cookie", RAW)], 0, True, fields=dict(FIELDS), memo={"x": RAW}),
    Issued(FIELDS, (RAW,)),
    Verified(User("https://idp.example", "alice"), SECRET, 0.0, RAW),
    HttpsCall("GET", b"/", FIELDS, RAW),
    HttpsAnswer(200, FIELDS, RAW),
    Grants(frozenset({FAKE.encode()}), {FAKE.encode(): RAW}),
    Redactor({RAW: b"[x]"}),
    RequestContext(path=TARGET.decode(), headers={"authorization": SECRET}),
    CheckAttributes(
        "", "", 0, "GET", "/", "", "http", {"authorization": SECRET}, 0, body=RAW, mcp={"a": SECRET}
    ),
]


@pytest.mark.parametrize("value", HOLDING, ids=lambda value: type(value).__name__)
def test_no_text_of_a_value_shows_the_secret(value) -> None:
    assert SECRET not in f"{value} {value!r} {[value]}"


def test_no_text_of_a_token_from_the_ca_shows_it() -> None:
    answer = JwtSvidAnswer(SECRET, None)  # type: ignore[arg-type]
    assert SECRET not in f"{answer} {answer!r}"


def test_heads_still_tell_what_they_are() -> None:
    assert repr(HOLDING[0]) == "RequestHead(GET b'/a', fields authorization, body 0)"
    assert repr(HOLDING[1]) == "ResponseHead(200, fields set-cookie, body 0)"
    assert repr(ResponseHead(204, b"", [], 0, True)) == "ResponseHead(204, no fields, body 0)"


@pytest.mark.parametrize(
    "act",
    [
        lambda: swap_headers(
            [(b"a", FAKE.encode())], Grants(frozenset({FAKE.encode()}), {FAKE.encode(): RAW + b"\n"})
        ),
        lambda: swap_body(b'"%b"' % FAKE.encode(), b"application/json", Grants(frozenset({FAKE.encode()}))),
    ],
)
def test_what_is_raised_shows_no_secret(act) -> None:
    with pytest.raises((Stopped, CredentialRefused)) as raised:
        act()
    assert SECRET not in "".join(traceback.format_exception(raised.value))
    assert SECRET not in repr(raised.value)
    assert SECRET not in str(CredentialRefused(Reason.CREDENTIAL_SECRET_MISSING, "detail"))


def test_hidden_secrets_show_variables_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "f").write_text(SECRET, encoding="ascii")
    told: list[str] = []
    hidden = HiddenSecrets({FAKE: HiddenVariable("c", "V", (tmp_path / "f",))}, on_problem=told.append)
    assert hidden.grants(("V",)).secrets[FAKE.encode()] == RAW
    assert SECRET not in f"{hidden!r} {hidden.named([FAKE.encode()])} {told}"


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        f'{{"{FAKE}": "{SECRET}"}}',
        f'{{"{FAKE}": {{"container": "c", "variable": "V", "files": "{SECRET}"}}}}',
        f'{{"{FAKE}": {{"container": "c", "variable": "V", "files": [["{SECRET}"]]}}}}',
        f'{{"{FAKE}": {{"container": ["{SECRET}"], "variable": {{"a": "{SECRET}"}}, "files": ["f"]}}}}',
        f'["{SECRET}"]',
    ],
)
def test_a_secret_in_the_place_of_its_file_is_not_quoted(written: str) -> None:
    with pytest.raises(PolicyInvalid) as invalid:
        load_config(None, {"OUTRIDER_POLICIES": "p.yaml", "OUTRIDER_HIDDEN_SECRETS": written})
    assert SECRET not in str(invalid.value)
    assert "OUTRIDER_HIDDEN_SECRETS" in str(invalid.value)


def test_an_unknown_variable_is_told_without_its_value() -> None:
    with pytest.raises(PolicyInvalid) as invalid:
        load_config(None, {"OUTRIDER_POLICIES": "p.yaml", "OUTRIDER_CREDENTIAL": SECRET})
    assert SECRET not in str(invalid.value)


POLICY = """
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: a}
spec: {egress: deny}
"""


def test_a_running_sidecar_tells_nobody_what_its_files_hold(tmp_path: Path) -> None:
    (tmp_path / "policies.yaml").write_text(POLICY, encoding="ascii")
    (tmp_path / "idp").mkdir()
    for file in ("token", "idp/secret"):
        (tmp_path / file).write_text(SECRET, encoding="ascii")
    hidden = {FAKE: {"container": "agent", "variable": "TOKEN", "files": ["token"], "originals": []}}
    config = {
        "identity": {"provider": "none"},
        "listen": {"forward": "127.0.0.1:0", "telemetry": "127.0.0.1:0"},
        "policies": ["policies.yaml"],
        "credentials": {"directory": "."},
        "hiddenSecrets": hidden,
    }
    (tmp_path / "sidecar.yaml").write_text(json.dumps(config), encoding="ascii")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
    command = [sys.executable, "-m", "sidecar", "--config", str(tmp_path / "sidecar.yaml")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if json.loads(line)["event"] == "ready":
                break
        ready = json.loads(lines[-1])
        proxy = urllib.request.build_opener(
            urllib.request.ProxyHandler({"http": f"http://{ready['forward']}"})
        )
        request = urllib.request.Request(
            f"http://nowhere.example/{FAKE}?q={FAKE}", headers={"Authorization": f"Bearer {FAKE}"}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            proxy.open(request)
        pages = [
            urllib.request.urlopen(f"http://{ready['telemetry']}{path}").read().decode()
            for path in ("/metrics", "/readyz", "/healthz")
        ]
        process.send_signal(signal.SIGTERM)
        lines += process.stderr.readlines()
        assert process.wait() == 0
    told = "".join((*lines, *pages, refused.value.read().decode(), str(refused.value.headers)))
    assert SECRET not in told
    assert "not_hardened" not in told
