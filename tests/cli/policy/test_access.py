"""Access policies of the SIG: as the control plane compiles them, told like everything else."""

from __future__ import annotations

import json

import pytest

from tests.cli.policy.test_explaining import explained
from tests.cli.policy.test_testing import rows

ACCESS = """\
apiVersion: agentic.networking.x-k8s.io/v0alpha0
kind: XBackend
metadata: {name: search, namespace: tools}
spec: {mcp: {serviceName: search, port: 9000, path: /mcp}}
---
apiVersion: v1
kind: Service
metadata: {name: search, namespace: tools}
spec: {selector: {app: search}, ports: [{port: 9000}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: search, namespace: tools}
spec:
  template:
    metadata: {labels: {app: search}}
    spec: {serviceAccountName: search, containers: [{name: server, image: server}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: triage, namespace: agents}
spec:
  template:
    metadata: {labels: {app: triage}}
    spec: {serviceAccountName: triage, containers: [{name: agent, image: agent}]}
---
apiVersion: agentic.networking.x-k8s.io/v1alpha1
kind: XAccessPolicy
metadata: {name: readers, namespace: tools}
spec:
  targetRefs: [{group: agentic.networking.x-k8s.io, kind: XBackend, name: search}]
  action: Allow
  rules:
  - name: triage
    source: {type: ServiceAccount, serviceAccount: {name: triage, namespace: agents}}
    authorization:
      type: Inline
      mcp:
        mcpBaseProtocolMethodsOption: MATCH_BASE_PROTOCOL_METHODS
        methods: [{name: tools/call, params: [find, get]}]
  - name: tenant
    authorization:
      type: CEL
      cel: {expression: "request.mcp.tool_name.startsWith('x') && request.headers['x-tenant'] == 'a'"}
"""
EXTERNAL = """---
apiVersion: agentic.networking.x-k8s.io/v1alpha1
kind: XAccessPolicy
metadata: {name: gate, namespace: tools}
spec:
  targetRefs: [{group: agentic.networking.x-k8s.io, kind: XBackend, name: search}]
  action: ExternalAuth
  externalAuth:
    protocol: HTTP
    backendRef: {name: gate, port: 8080}
    http: {path: /check}
"""


@pytest.fixture
def access(write) -> str:
    return write("access.yaml", ACCESS)


def test_a_backend_of_another_namespace_is_granted_by_its_access_policies(outrider, access) -> None:
    _, out, err = outrider("test", access, "--agent", "agents/triage", "-o", "json")
    assert err == ""
    assert {tool: verdict for tool, (verdict, _) in rows(out).items()} == {
        "find": "allowed",
        "get": "allowed",
        "x*": "conditional",
        "*": "hidden",
    }
    (conditional,) = [row for row in json.loads(out) if row["verdict"] == "conditional"]
    assert "request.headers['x-tenant'] == 'a'" in conditional["needs"][0]


def test_the_server_says_the_same_of_its_callers(outrider, access) -> None:
    _, out, _ = outrider("test", access, "--inbound", "--agent", "tools/search", "-o", "json")
    found = {(row["caller"].rpartition("/")[2], row["tool"]): row["verdict"] for row in json.loads(out)}
    assert found["triage", "find"] == "allowed"
    assert found["triage", "*"] == "hidden"


def test_what_somebody_else_decides_is_told(outrider, write) -> None:
    path = write("access.yaml", ACCESS + EXTERNAL)
    _, out, _ = outrider("test", path, "--agent", "agents/triage", "-o", "json")
    assert rows(out)["find"][0] == "external"
    assert {"XAccessPolicy/tools/gate says yes"} <= {need for row in json.loads(out) for need in row["needs"]}
    found = explained(outrider, "agents/triage", "tools/search", "find", path)
    assert found["checks"] == ["XAccessPolicy/tools/gate"]
    assert "asks" in {vote["vote"] for vote in found["votes"]}


@pytest.mark.parametrize(
    ("tool", "header", "allowed", "votes"),
    [
        ("find", "x-tenant=b", True, {"triage": "grant", "tenant": "silent"}),
        ("x1", "X-Tenant=a", True, {"triage": "silent", "tenant": "grant"}),
        ("x1", "x-tenant=b", False, {"triage": "silent", "tenant": "silent"}),
        ("x1", "other=b", False, {"triage": "silent", "tenant": "silent"}),
    ],
)
def test_each_rule_and_expression_is_explained(outrider, access, tool, header, allowed, votes) -> None:
    found = explained(outrider, "agents/triage", "tools/search", tool, access, "--header", header)
    assert found["allowed"] is allowed
    assert {vote["rule"].rpartition(" ")[2]: vote["vote"] for vote in found["votes"]} == votes
    (condition,) = found["conditions"]
    assert condition["values"]["request.mcp.tool_name"] == json.dumps(tool)
    assert condition["result"] == (
        "error" if header.startswith("other") and tool == "x1" else str(votes["tenant"] == "grant").lower()
    )


def test_an_expression_that_is_none_is_an_error_and_closes(outrider, write) -> None:
    path = write("bad.yaml", ACCESS.replace("startsWith", "beginsWith"))
    code, out, _ = outrider("validate", path)
    assert code == 1
    assert "InvalidCEL" in out
    code, _, err = outrider("explain", "agents/triage", "tools/search", "find", path)
    assert code == 2
    assert "InvalidCEL" in err
    assert "sees no Backend tools/search" in err


def test_more_policies_than_a_target_takes_are_errors(outrider, write) -> None:
    one = ACCESS.rpartition("---\n")[2]
    text = ACCESS + "".join("---\n" + one.replace("readers", f"more{n}") for n in range(5))
    code, out, _ = outrider("validate", write("many.yaml", text))
    assert code == 1
    assert "LimitPerTargetExceeded" in out


def test_another_expression_counts_as_widening(outrider, access, write) -> None:
    changed = write("new.yaml", ACCESS.replace("startsWith('x')", "matches('^y.*')"))
    code, out, _ = outrider(
        "diff", access, changed, "--agent", "agents/triage", "--fail-on-widening", "-o", "json"
    )
    assert code == 1
    assert "(names by expressions)" in {one["name"] for one in json.loads(out) if one["widens"]}


def test_a_rule_that_goes_away_only_narrows(outrider, access, write) -> None:
    changed = write("new.yaml", ACCESS.partition("  - name: tenant")[0])
    code, out, _ = outrider("diff", access, changed, "--agent", "agents/triage", "--fail-on-widening")
    assert code == 0
    assert "none of which widens" in out


ARGUMENTS = """\
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: github, namespace: agents}
spec: {protocol: MCP, host: mcp-github.tools.svc, port: 8080, path: /mcp, tls: {mode: None}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage, namespace: agents}
spec:
  outbound:
  - backend: github
    tools: {allow: ["get_*"]}
    arguments:
    - {tool: get_issue, require: "args.owner == 'acme' && args.number > 0", message: only issues of acme}
"""


def test_rules_about_arguments_are_told_in_lists_and_asked_in_calls(outrider, write) -> None:
    path = write("arguments.yaml", ARGUMENTS)
    _, out, _ = outrider("test", path, "-o", "json")
    assert rows(out)["get_issue"][0] == "arguments"
    assert rows(out)["get_*"][0] == "allowed"
    asked = ("agents/any", "github", "get_issue", path, "--arguments")
    assert explained(outrider, *asked, '{"owner": "acme", "number": 3}')["allowed"]
    found = explained(outrider, *asked, '{"owner": "other", "number": 3}')
    assert (found["reason"], found["message"]) == ("arguments_refused", "only issues of acme")
    (condition,) = found["conditions"]
    assert condition["result"] == "false"
    assert condition["values"] == {
        "args.owner": '"other"',
        "args.number": "3",
        "args.owner == 'acme'": "false",
        "args.number > 0": "true",
    }
    missing = explained(outrider, *asked, "{}")["conditions"][0]
    assert missing["result"] == "error"
    assert missing["values"]["args.owner"] == "(absent)"


def test_another_rule_about_arguments_may_widen(outrider, write) -> None:
    old, new = write("a.yaml", ARGUMENTS), write("b.yaml", ARGUMENTS.replace(" && args.number > 0", ""))
    code, out, _ = outrider("diff", old, new, "--fail-on-widening", "-o", "json")
    assert code == 1
    assert [one["effect"] for one in json.loads(out)] == ["changed"]
    gone = write("c.yaml", ARGUMENTS.partition("    arguments:")[0])
    code, out, _ = outrider("diff", old, gone, "-o", "json")
    assert [(one["name"], one["effect"]) for one in json.loads(out)] == [("get_issue", "wider")]
    code, out, _ = outrider("diff", gone, old, "--fail-on-widening", "-o", "json")
    assert code == 0


BAD = """\
---
apiVersion: agentic.networking.x-k8s.io/v1alpha1
kind: XAccessPolicy
metadata: {name: bad, namespace: agents}
spec:
  targetRefs: [{group: outrider.dev, kind: Backend, name: github}]
  action: Allow
  rules: [{name: none, authorization: {type: CEL, cel: {expression: "request.mcp.tool_name.beginsWith('x')"}}}]
"""


@pytest.mark.parametrize(("option", "shown"), [(None, "github"), ("--expect", "1 of 1 expectations hold")])
def test_what_is_not_accepted_is_wrong_input_and_the_rest_is_shown(
    outrider, manifests, write, option, shown
) -> None:
    expected = "[{agent: agents/triage, backend: github, tool: get_issue, allowed: false}]"
    options = (option, write("expect.yaml", expected)) if option else ()
    code, out, err = outrider("test", manifests, write("bad.yaml", BAD), *options)
    assert code == 2
    assert "InvalidCEL" in err
    assert shown in out


def test_what_is_not_accepted_is_told_with_file_and_line(outrider, write) -> None:
    path = write("bad.yaml", ACCESS.replace("startsWith", "beginsWith"))
    _, out, _ = outrider("validate", path, "-o", "json")
    (error,) = [one for one in json.loads(out)["errors"] if "InvalidCEL" in one["message"]]
    assert (error["file"], error["line"]) == (path, ACCESS[: ACCESS.index("  rules:")].count("\n") + 1)
    assert error["message"].startswith("XAccessPolicy tools/readers: not accepted")


def test_a_target_that_is_nowhere_is_a_warning(outrider, write) -> None:
    path = write("lost.yaml", ACCESS.replace("kind: XBackend, name: search", "kind: XBackend, name: serach"))
    code, out, _ = outrider("validate", path, "-o", "json")
    assert code == 0
    line = ACCESS[: ACCESS.index("  targetRefs:")].count("\n") + 1
    assert json.loads(out)["warnings"] == [
        {
            "where": f"{path}:{line}",
            "message": "XAccessPolicy tools/readers spec.targetRefs[0]: there is no XBackend serach in namespace "
            "tools of these files",
        }
    ]
    assert outrider("validate", path, "--strict")[0] == 1
    assert outrider("validate", write("access.yaml", ACCESS), "--strict")[0] == 0
