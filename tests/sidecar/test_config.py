"""The sidecar's file and environment."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from mesh.identity.ca import make_authority
from mesh.policy.errors import PolicyInvalid
from sidecar.config import Decisions, PrivateAddresses, Provider, load_config
from sidecar.limits import Limits
from sidecar.policies import load_files

MINIMAL = "policies: [p.yaml]\n"


def config_of(text: str, tmp_path: Path, **environment: str):  # type: ignore[no-untyped-def]
    path = tmp_path / "sidecar.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, {f"OUTRIDER_{name}": value for name, value in environment.items()})


def faults(text: str, tmp_path: Path) -> list[str]:
    with pytest.raises(PolicyInvalid) as caught:
        config_of(text, tmp_path)
    return [f"{error.line}: {error.path}: {error.message}" for error in caught.value.errors]


def test_the_smallest_file_names_its_policies_and_gets_safe_defaults(tmp_path: Path) -> None:
    config = config_of(MINIMAL, tmp_path)
    assert config.policies == (tmp_path / "p.yaml",)
    assert config.listen.forward == ("127.0.0.1", 15002)
    assert config.listen.inbound is None
    assert config.identity.provider is Provider.NONE
    assert config.limits == Limits()
    assert config.decisions is Decisions.ALL


def test_every_fault_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    text = 'listen: {forward: "nowhere"}\nlimits: {bodyBytes: -1, bodyByts: 2}\nlog: {decisions: some}\n'
    found = faults(text, tmp_path)
    assert len(found) == 5
    assert found[0].startswith("1: listen.forward")
    assert any("did you mean bodyBytes" in fault for fault in found)
    assert any("policies" in fault for fault in found)


def test_listeners_for_others_may_be_on_every_address_of_both_families(tmp_path: Path) -> None:
    listen = (
        'inbound: "*:15443", telemetry: "*:15020", redirectOutbound: "*:15001", redirectInbound: "*:15006"'
    )
    identity = (
        'identity: {provider: workload-api, socket: "unix:///agent.sock"}\napplication: {ports: [9000]}\n'
    )
    found = config_of(f"{identity}listen: {{{listen}}}\npolicies: [p.yaml]\n", tmp_path).listen
    assert (found.inbound, found.telemetry) == (("*", 15443), ("*", 15020))
    assert (found.redirect_outbound, found.redirect_inbound) == (("*", 15001), ("*", 15006))
    (fault,) = faults('listen: {forward: "*:15002"}\npolicies: [p.yaml]\n', tmp_path)
    assert "listen.forward" in fault


def test_an_inbound_listener_without_an_identity_is_a_fault(tmp_path: Path) -> None:
    text = MINIMAL + 'listen: {inbound: "0.0.0.0:15443"}\napplication: {ports: [9000]}\n'
    (fault,) = faults(text, tmp_path)
    assert "identity.provider" in fault


@pytest.mark.parametrize("text", ["", "[]", "a: [", "policies: [a]\n---\npolicies: [b]\n"])
def test_a_file_that_is_no_configuration_is_refused(text: str, tmp_path: Path) -> None:
    assert faults(text, tmp_path)


def test_environment_variables_win_over_the_file(tmp_path: Path) -> None:
    config = config_of(
        MINIMAL + 'agent: {name: file, namespace: agents}\nlisten: {forward: "127.0.0.1:1"}\n',
        tmp_path,
        AGENT_NAME="pod",
        AGENT_LABELS='{"app": "triage"}',
        LISTEN_FORWARD="off",
        LIMITS='{"idleSeconds": 0.5, "headers": 7}',
        APPLICATION_PORTS="9000, 9001",
        CONNECT='{"a:1": "b:2"}',
        IDENTITY_PROVIDER="workload-api",
        IDENTITY_SOCKET="unix:///x.sock",
        LISTEN_INBOUND="[::1]:15443",
        LOG_DECISIONS="refused",
        POLICIES="a.yaml,b",
    )
    assert (config.agent.name, config.agent.namespace, config.agent.labels) == (
        "pod",
        "agents",
        {"app": "triage"},
    )
    assert config.listen.forward is None
    assert config.listen.inbound == ("::1", 15443)
    assert (config.limits.idle_seconds, config.limits.headers) == (0.5, 7)
    assert config.application.ports == (9000, 9001)
    assert config.connect == {"a:1": "b:2"}
    assert config.identity.socket == "unix:///x.sock"
    assert config.decisions is Decisions.REFUSED
    assert config.policies == (tmp_path / "a.yaml", tmp_path / "b")


def test_the_environment_alone_is_enough(tmp_path: Path) -> None:
    config = load_config(None, {"OUTRIDER_POLICIES": "p.yaml"})
    assert config.policies == (Path("p.yaml"),)


def test_every_contradiction_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    text = """\
identity:
  provider: none
  socket: "unix:///run/agent.sock"
  spiffeId: "spiffe://test.mesh/a"
listen:
  forward: "0.0.0.0:15002"
  inbound: "127.0.0.1:15002"
  telemetry: "127.0.0.1:15020"
application:
  ports:
  - 9000
  - 15020
connect:
  "GitHub.svc:8080": "127.0.0.1:0"
authorities: roots.pem
policies: [p.yaml]
"""
    starts = [fault.rpartition(": ")[0] for fault in faults(text, tmp_path)]
    told = [tuple(fault.split(": ")[:2]) for fault in faults(text, tmp_path)]
    assert told == [
        ("3", "identity.socket"),
        ("4", "identity.spiffeId"),
        ("6", "listen.forward"),
        ("7", "listen.inbound"),
        ("7", "listen.inbound"),
        ("12", "application.ports[1]"),
        ("14", 'connect["GitHub.svc:8080"]'),
        ("14", 'connect["GitHub.svc:8080"]'),
        ("15", "authorities"),
    ], starts


@pytest.mark.parametrize("broken", ["", "policies: [p.yaml]\nlimits: {headers: many}\n", "policies: 7\n"])
def test_a_fault_elsewhere_hides_no_contradiction(broken: str, tmp_path: Path) -> None:
    told = faults(broken + 'listen: {forward: "0.0.0.0:1"}\n', tmp_path)
    assert any("listen.forward" in fault for fault in told)
    assert len(told) == 2


def test_a_contradiction_with_a_default_stands_where_its_section_does(tmp_path: Path) -> None:
    (fault,) = faults(MINIMAL + 'listen:\n  forward: "127.0.0.1:15020"\n', tmp_path)
    assert fault.startswith("2: listen.telemetry: 127.0.0.1:15020 overlaps listen.forward")


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("GitHub.svc:8080", 'write it as "github.svc:8080"'),
        ("github.svc.:8080", 'write it as "github.svc:8080"'),
        ("github.svc:08080", "between 1 and 65535"),
        ("github.svc:0", "between 1 and 65535"),
        ("github.svc", "is not host:port"),
        ("[2001:DB8::0]:80", 'write it as "[2001:db8::]:80"'),
        ("127.1:80", "is not host:port"),
        ("-a:80", "can never match"),
    ],
)
def test_a_name_that_no_request_can_ask_for_is_refused(key: str, meant: str, tmp_path: Path) -> None:
    (fault,) = faults(MINIMAL + f'connect:\n  "{key}": "127.0.0.1:1"\n', tmp_path)
    assert fault.startswith("3: connect[")
    assert meant in fault


@pytest.mark.parametrize("key", ["github.svc:8080", "10.0.0.1:80", "[2001:db8::1]:80", "my_service:80"])
def test_a_name_in_the_spelling_of_requests_is_taken(key: str, tmp_path: Path) -> None:
    assert config_of(MINIMAL + f'connect: {{"{key}": "[::1]:1"}}\n', tmp_path).connect == {key: "[::1]:1"}


@pytest.mark.parametrize("address", ["127.0.0.1:0", "nowhere", "127.0.0.1", "7"])
def test_an_address_that_cannot_be_dialled_is_refused(address: str, tmp_path: Path) -> None:
    (fault,) = faults(MINIMAL + f'connect:\n  "a:1": "{address}"\n', tmp_path)
    assert fault.startswith('3: connect["a:1"]')


WORKLOAD_API = MINIMAL + "identity: {provider: workload-api}\n"


def test_the_endpoint_variable_stands_in_for_the_socket_and_is_checked_like_it(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.yaml"
    path.write_text(WORKLOAD_API, encoding="utf-8")
    config = load_config(path, {"SPIFFE_ENDPOINT_SOCKET": "unix:///a.sock"})
    assert config.identity.socket == "unix:///a.sock"
    with pytest.raises(
        PolicyInvalid, match=r"sidecar.yaml:2: identity.socket: .*SPIFFE_ENDPOINT_SOCKET in its place: .*tcp"
    ):
        load_config(path, {"SPIFFE_ENDPOINT_SOCKET": "tcp://127.0.0.1:8000"})
    (fault,) = faults(WORKLOAD_API, tmp_path)
    assert fault.startswith("2: identity.socket: missing")


def test_without_an_identity_the_endpoint_variable_says_nothing(tmp_path: Path) -> None:
    config = load_config(None, {"OUTRIDER_POLICIES": "p", "SPIFFE_ENDPOINT_SOCKET": "tcp://127.0.0.1:8000"})
    assert config.identity.socket is None


def test_a_socket_that_is_no_endpoint_is_refused_with_its_line(tmp_path: Path) -> None:
    text = MINIMAL + "identity:\n  provider: workload-api\n  socket: /run/agent.sock\n"
    (fault,) = faults(text, tmp_path)
    assert fault == (
        '4: identity.socket: "/run/agent.sock" is a path, and a URI is needed; write "unix:///run/agent.sock"'
    )


def test_authorities_must_be_certificates(tmp_path: Path) -> None:
    text = MINIMAL + "authorities: roots.pem\n"
    (missing,) = faults(text, tmp_path)
    assert missing.startswith(f"2: authorities: {tmp_path}/roots.pem: no PEM certificates")
    assert "no such file" in missing
    roots = tmp_path / "roots.pem"
    for wrong in ("", "nothing", "-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n"):
        roots.write_text(wrong, encoding="ascii")
        (fault,) = faults(text, tmp_path)
        assert "no PEM certificates" in fault
    authority = make_authority("test.mesh", datetime.now(UTC), timedelta(days=1))
    roots.write_text(ssl.DER_cert_to_PEM_cert(authority.der), encoding="ascii")
    assert config_of(text, tmp_path).authorities == roots
    (folder,) = faults(MINIMAL + "authorities: .\n", tmp_path)
    assert "no PEM certificates" in folder


def test_a_revocation_list_holds_no_certificate(tmp_path: Path) -> None:
    authority = make_authority("test.mesh", datetime.now(UTC), timedelta(days=1))
    builder = x509.CertificateRevocationListBuilder(issuer_name=authority.certificate.subject)
    now = datetime.now(UTC)
    builder = builder.last_update(now).next_update(now + timedelta(days=1))
    signed = builder.sign(authority.key, hashes.SHA256())
    (tmp_path / "roots.pem").write_bytes(signed.public_bytes(Encoding.PEM))
    (fault,) = faults(MINIMAL + "authorities: roots.pem\n", tmp_path)
    assert fault.endswith("it holds none")


def test_a_contradiction_that_a_variable_made_names_the_variable(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.yaml"
    path.write_text(MINIMAL, encoding="utf-8")
    variables = {"OUTRIDER_LISTEN_FORWARD": "0.0.0.0:15002", "OUTRIDER_LISTEN_FORWRD": "off"}
    with pytest.raises(PolicyInvalid) as caught:
        load_config(path, variables)
    first, second = map(str, caught.value.errors)
    assert first.startswith("environment:1: OUTRIDER_LISTEN_FORWRD: no setting has this name, did you mean")
    assert second.startswith("environment:1: listen.forward: 0.0.0.0:15002 is reached from other machines")
    assert second.endswith("(set by OUTRIDER_LISTEN_FORWARD)")


def test_policy_files_and_folders_are_read_and_faults_of_all_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "a.yaml").write_text("kind: Nothing\n", encoding="utf-8")
    (folder / "notes.txt").write_text("not yaml", encoding="utf-8")
    (tmp_path / "latin.yaml").write_bytes(b"kind: \xff\n")
    with pytest.raises(PolicyInvalid) as caught:
        load_files([folder, tmp_path / "latin.yaml", tmp_path / "missing.yaml"])
    told = str(caught.value)
    assert "a.yaml" in told
    assert "no UTF-8" in told
    assert "missing.yaml:1: cannot be read" in told
    assert "notes.txt" not in told


def test_private_addresses_are_refused_unless_the_configuration_allows_them(tmp_path: Path) -> None:
    assert config_of(MINIMAL, tmp_path).egress.private_addresses is PrivateAddresses.REFUSE
    opened = config_of(MINIMAL + "egress: {privateAddresses: allow}\n", tmp_path)
    assert opened.egress.private_addresses is PrivateAddresses.ALLOW
    (fault,) = faults(MINIMAL + "egress: {privateAddresses: some}\n", tmp_path)
    assert "egress.privateAddresses" in fault
    assert "refuse, allow" in fault


def test_private_addresses_can_be_allowed_by_a_variable(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.yaml"
    path.write_text(MINIMAL, encoding="utf-8")
    config = load_config(path, {"OUTRIDER_EGRESS_PRIVATE_ADDRESSES": "allow"})
    assert config.egress.private_addresses is PrivateAddresses.ALLOW


@pytest.mark.parametrize("host", ["", "127.0.0.1:80", "http://app", "[::1]", "300.1.1.1", "a b"])
def test_the_applications_host_is_a_host_without_a_port(host: str, tmp_path: Path) -> None:
    (fault,) = faults(f'{MINIMAL}application: {{host: "{host}"}}\n', tmp_path)
    assert fault.startswith("2: application.host")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "10.1.2.3", "app", "app.tools.svc"])
def test_the_applications_host_is_a_name_or_an_address(host: str, tmp_path: Path) -> None:
    assert config_of(f'{MINIMAL}application: {{host: "{host}"}}\n', tmp_path).application.host == host
