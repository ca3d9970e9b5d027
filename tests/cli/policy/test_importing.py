from __future__ import annotations

import pytest
import yaml

from mesh.policy import load_texts

ROUTES = """\
- host: github-tool.tools.svc.cluster.local
  target_audience: github-tool
  token_scopes: openid github
- host: "*.acme.example"
  action: passthrough
- host: "target-*-service**"
  target_audience: x
- host: "{a,b}.svc"
"""
TOOLHIVE = """\
apiVersion: toolhive.stacklok.dev/v1beta1
kind: MCPServer
metadata: {name: github, namespace: tools}
spec: {image: x, transport: streamable-http, proxyPort: 8081, toolConfigRef: {name: reading}}
---
apiVersion: toolhive.stacklok.dev/v1beta1
kind: MCPToolConfig
metadata: {name: reading, namespace: tools}
spec:
  toolsFilter: [get_issue, find]
  toolsOverride: {search_issues: {name: find}}
"""


def documents(out: str) -> dict[tuple[str, str], dict]:
    load_texts([("out", out)])
    return {(one["kind"], one["metadata"]["name"]): one["spec"] for one in yaml.safe_load_all(out)}


@pytest.mark.parametrize("source", ["rossoctl-routes", "kagenti-routes"])
def test_routes_become_backends_and_what_has_no_counterpart_is_told(outrider, write, source) -> None:
    code, out, err = outrider(
        "import", "--from", source, write("routes.yaml", ROUTES), "--port", "8080", "-n", "a"
    )
    assert code == 1
    found = documents(out)
    assert found["Backend", "github-tool.tools.svc.cluster.local"] == {
        "protocol": "HTTP",
        "host": "github-tool.tools.svc.cluster.local",
        "port": 8080,
        "tls": {"mode": "None"},
    }
    assert found["Backend", "any.acme.example"]["host"] == "*.acme.example"
    assert len(found) == 2
    assert "target_audience github-tool, token_scopes openid github" in err
    assert "passthrough forwards the caller's own token" in err
    assert err.count("this pattern has no counterpart") == 2


@pytest.mark.parametrize(
    "wrap",
    [
        "routes:\n{0}",
        "kind: ConfigMap\napiVersion: v1\nmetadata: {{name: authproxy-routes}}\ndata:\n  routes.yaml: |\n{0}",
        "routes:\n  rules:\n{0}",
    ],
)
def test_routes_are_found_where_they_are_kept(outrider, write, wrap) -> None:
    text = wrap.format("    - host: a.svc\n      target_audience: a\n")
    _, out, _ = outrider("import", "--from", "rossoctl-routes", write("r.yaml", text), "--port", "80")
    assert documents(out)["Backend", "a.svc"]["port"] == 80


def test_a_route_that_another_takes_everything_from_is_left_out(outrider, write) -> None:
    text = '- {host: "**"}\n- {host: a.svc}\n'
    code, out, err = outrider("import", "--from", "rossoctl-routes", write("r.yaml", text), "--port", "80")
    assert code == 2
    assert out == ""
    assert "an earlier route, **, takes every request for it" in err


def test_a_port_is_never_guessed(outrider, write) -> None:
    code, _, err = outrider("import", "--from", "rossoctl-routes", write("r.yaml", "- {host: a.svc}\n"))
    assert code == 2
    assert "give --port" in err


@pytest.mark.parametrize("text", ["3", "a: 1", "- text"])
def test_what_are_no_routes_is_refused(outrider, write, text) -> None:
    assert outrider("import", "--from", "rossoctl-routes", write("r.yaml", text))[0] == 2


def toolhive(outrider, write, text: str, *more: str) -> tuple[int, dict, str]:
    code, out, err = outrider("import", "--from", "toolhive", write("t.yaml", text), *more)
    return code, documents(out) if out else {}, err


def test_a_filter_becomes_a_policy_in_the_names_that_clients_use(outrider, write) -> None:
    code, found, err = toolhive(outrider, write, TOOLHIVE, "-n", "agents", "--labels", "app=triage")
    assert (code, err) == (0, "")
    assert found["Backend", "github"] == {
        "protocol": "MCP",
        "host": "mcp-github-proxy.tools.svc.cluster.local",
        "port": 8081,
        "path": "/mcp",
        "tls": {"mode": "None"},
    }
    (rule,) = found["AgentPolicy", "toolhive-github"]["outbound"]
    assert rule["tools"] == {"allow": ["find", "get_issue"]}
    assert found["AgentPolicy", "toolhive-github"]["selector"] == {"matchLabels": {"app": "triage"}}


@pytest.mark.parametrize(
    ("spec", "tools", "path"),
    [
        ("{image: x}", {"allow": ["*"]}, "/mcp"),
        ("{image: x, tools: [fetch], transport: sse}", {"allow": ["fetch"]}, "/sse"),
        ("{image: x, transport: stdio, proxyMode: sse}", {"allow": ["*"]}, "/sse"),
    ],
)
def test_the_server_itself_may_have_a_list(outrider, write, spec, tools, path) -> None:
    text = (
        f"apiVersion: toolhive.stacklok.dev/v1alpha1\nkind: MCPServer\nmetadata: {{name: f}}\nspec: {spec}\n"
    )
    _, found, _ = toolhive(outrider, write, text)
    assert found["AgentPolicy", "toolhive-f"]["outbound"][0]["tools"] == tools
    assert found["Backend", "f"]["path"] == path


def cedar(*policies: str, **spec: object) -> str:
    authz = {"type": "inline", "inline": {"policies": list(policies)}}
    server = {
        "apiVersion": "toolhive.stacklok.dev/v1beta1",
        "kind": "MCPServer",
        "metadata": {"name": "f", "namespace": "tools"},
        "spec": {"image": "x", "authzConfig": authz, **spec},
    }
    return yaml.safe_dump(server)


PERMIT = 'permit(principal, action == Action::"call_tool", resource == Tool::"{0}");'
FORBID = 'forbid(principal, action == Action::"call_tool", resource == Tool::"{0}");'
EVERYTHING = "permit(principal, action, resource);"


@pytest.mark.parametrize(
    ("text", "tools"),
    [
        (cedar(PERMIT.format("a"), PERMIT.format("b")), {"allow": ["a", "b"]}),
        (cedar(PERMIT.format("a"), tools=["b"]), {"allow": []}),
        (cedar(EVERYTHING, tools=["b"]), {"allow": ["b"]}),
        (cedar(EVERYTHING, FORBID.format("rm")), {"allow": ["*"], "deny": ["rm"]}),
        (cedar(PERMIT.format("a"), FORBID.format("a")), {"allow": []}),
        (cedar(PERMIT.format("a*")), {"allow": []}),
    ],
)
def test_cedar_and_filter_are_taken_together(outrider, write, text, tools) -> None:
    _, found, _ = toolhive(outrider, write, text)
    rule = found["AgentPolicy", "toolhive-f"]["outbound"][0]
    assert rule["tools"] == tools


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (cedar('forbid(principal, action, resource in Group::"x");', EVERYTHING), "may not be dropped"),
        (cedar("permit"), "ends with ;"),
        (cedar(EVERYTHING, authzConfig={"type": "configMap"}), "write its policies inline"),
        (TOOLHIVE.partition("---")[0], "MCPToolConfig reading is not among the files"),
        (TOOLHIVE.replace("[get_issue, find]", '["*"]'), 'has the name "*"'),
    ],
)
def test_what_would_widen_is_not_written(outrider, write, text, words) -> None:
    code, found, err = toolhive(outrider, write, text)
    assert (code, found) == (2, {})
    assert words in err


def test_what_stays_with_toolhive_is_told(outrider, write) -> None:
    text = TOOLHIVE.replace("proxyPort: 8081", "proxyPort: 8081, oidcConfigRef: {name: k}")
    text += "---\napiVersion: toolhive.stacklok.dev/v1beta1\nkind: VirtualMCPServer\nmetadata: {name: v}\n"
    code, found, err = toolhive(outrider, write, text)
    assert code == 1
    assert len(found) == 2
    assert "oidcConfigRef stay with ToolHive's proxy" in err
    assert "VirtualMCPServer default/v: this kind has no counterpart" in err
