from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench import payloads, upstream
from bench.proxies import envoy, haproxy, nginx, outrider
from bench.proxies.base import Site
from bench.trust import PEER, SERVER, Trust, issue
from mesh.policy import compile_policy
from mesh.policy.load import load_texts
from mesh.policy.principal import Principal
from mesh.settings.trust import CA_FILE
from sidecar.config import load_config


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return issue(tmp_path).with_socket("unix:///agent.sock")


def site(tmp_path: Path, trust: Trust, *, tls_in: bool = False, tls_out: bool = False) -> Site:
    return Site(tmp_path, 15002, 9000, trust, tls_in=tls_in, tls_out=tls_out)


def test_the_policy_of_the_bench_grants_half_of_the_tools(tmp_path: Path, trust: Trust) -> None:
    proxy = outrider.Outrider()
    proxy.command(site(tmp_path, trust, tls_out=True))
    documents = load_texts([("policies.yaml", (tmp_path / "policies.yaml").read_text(encoding="ascii"))])
    policy = compile_policy(documents, labels={"app": "triage"}, namespace="agents")
    backend = policy.route("github.tools.svc", 8080, payloads.CALL_PATH).backend
    assert backend is not None
    agent, peer = Principal("spiffe://bench.test/ns/agents/sa/triage"), Principal(PEER)
    entrance = policy.inbound(payloads.CALL_PATH)
    for name in payloads.GRANTED:
        assert policy.decide(agent, backend, "tools/call", name).allowed
        assert policy.decide(peer, entrance, "tools/call", name).allowed
    for name in payloads.HIDDEN:
        assert not policy.decide(agent, backend, "tools/call", name).allowed
        assert not policy.decide(peer, entrance, "tools/call", name).allowed


@pytest.mark.parametrize(("tls_in", "form"), [(False, "http://github.tools.svc:8080/mcp"), (True, "/mcp")])
def test_an_agent_names_the_whole_target_and_a_peer_the_path(
    tmp_path: Path, trust: Trust, tls_in: bool, form: str
) -> None:
    assert outrider.Outrider().target(site(tmp_path, trust, tls_in=tls_in), "/mcp") == form


def test_a_sidecar_that_intercepts_is_spoken_to_as_the_server_itself(tmp_path: Path, trust: Trust) -> None:
    proxy = outrider.Outrider()
    stands = replace(site(tmp_path, trust, tls_out=True), intercepted=True)
    proxy.command(stands)
    config = load_config(tmp_path / "sidecar.yaml", {})
    assert config.interception == stands.trust_folder
    assert stands.interception_root == stands.trust_folder / CA_FILE
    assert stands.trust_folder.is_dir()
    assert proxy.target(stands, "/mcp") == "/mcp"


def test_envoy_checks_the_identity_of_its_upstream(tmp_path: Path, trust: Trust) -> None:
    plain = str(envoy.configuration(site(tmp_path, trust), filters=True))
    mutual = str(envoy.configuration(site(tmp_path, trust, tls_out=True), filters=True))
    assert "UpstreamTlsContext" not in plain
    assert "UpstreamTlsContext" in mutual
    assert SERVER in mutual


def test_envoy_without_filters_only_forwards(tmp_path: Path, trust: Trust) -> None:
    assert "rbac" not in str(envoy.configuration(site(tmp_path, trust), filters=False))


@pytest.mark.parametrize("module", [nginx, haproxy])
def test_lean_proxies_verify_both_sides(tmp_path: Path, trust: Trust, module: object) -> None:
    configuration = getattr(module, "configuration")  # noqa: B009
    plain = configuration(site(tmp_path, trust))
    both = configuration(site(tmp_path, trust, tls_in=True, tls_out=True))
    assert "ssl_verify" not in plain
    assert "verify required" not in plain
    assert both.count(str(trust.authority)) == 2


def test_a_long_answer_is_given_to_nginx_in_pieces() -> None:
    directives = upstream.nginx_answer(b"x" * 5000)
    assert max(map(len, directives.splitlines())) < 4096
    assert directives.count("x") == 5000
    assert directives.endswith("return 200 $piece0$piece1$piece2;\n")
