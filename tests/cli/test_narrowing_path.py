"""From the annotation of a pod to the decision of its sidecar, through everything in between."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.policy import Policy, Principal, compile_policy, load_texts
from mesh.settings.lists import items
from sidecar.config import load_config
from tests.support.loopback import Client, answering, call, client_of, json_answer, result, serving
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace, Outcome
from webhook.admission.settings import Identity, IdentityVolume, InjectionSettings

ME = Principal("spiffe://cluster.local/ns/agents/sa/triage")
FIELDS = {
    "metadata.namespace": "agents",
    "metadata.name": "triage-7",
    "spec.serviceAccountName": "triage",
    "status.podIP": "10.0.0.7",
}
TOOLS = ["get_issue", "list_all", "create_issue", "$(HOME)", "$$(HOME)", "é😀", "a,b", '"quoted"', "drop"]
DOCUMENTS = """
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: github, namespace: agents}
spec: {protocol: MCP, host: github.tools.svc, port: 8080, path: /mcp, tls: {mode: None}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: reads, namespace: agents}
spec:
  selector: {matchLabels: {app: triage}}
  outbound:
  - backend: github
    tools: {allow: ["get_*", "list_*", "$(HOME)", "$$(HOME)", "é😀", '"quoted"']}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: writes, namespace: agents}
spec:
  mode: observe
  outbound:
  - backend: github
    tools: {allow: [create_issue, "a,b"]}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: everything, namespace: agents}
spec:
  selector: {matchLabels: {app: admin}}
  outbound:
  - backend: github
    tools: {allow: ["*"]}
"""

PREFIX = "outrider.dev/"
REFERENCE = re.compile(r"\$(?:\$|\(([^()]*)\))")


def kubelet(env: list[dict[str, Any]], services: dict[str, str]) -> dict[str, str]:
    """The environment that a container starts with: `$$` is a dollar, `$(NAME)` what was set before."""
    known = dict(services)
    for one in env:
        if "valueFrom" in one:
            known[one["name"]] = FIELDS[one["valueFrom"]["fieldRef"]["fieldPath"]]
            continue

        def said(found: re.Match[str]) -> str:
            return "$" if found[0] == "$$" else known.get(found[1], found[0])

        known[one["name"]] = REFERENCE.sub(said, one.get("value", ""))
    return known


def injected(
    annotations: dict[str, str], around: dict[str, str] | None = None, platform: dict[str, str] | None = None
) -> Outcome:
    pod = {
        "metadata": {"labels": {"app": "triage"}, "annotations": annotations},
        "spec": {"containers": [{"name": "agent"}]},
    }
    settings = InjectionSettings(identity=Identity(volume=IdentityVolume.NONE), defaults=platform or {})
    return inject(pod, Namespace("agents", {f"{PREFIX}injection": "required"}, around or {}), settings)


def environment(outcome: Outcome) -> dict[str, str]:
    assert isinstance(outcome, Injection), outcome
    sidecar = next(one for one in outcome.pod["spec"]["initContainers"] or () if "sidecar" in one["name"])
    env: Any = sidecar["env"]
    return kubelet(env, {"HOME": "create_issue", "HTTP_PROXY": "*"})


def policy_of(outcome: Outcome) -> Policy:
    """What the sidecar of an injected pod decides by."""
    config = load_config(None, environment(outcome))
    return compile_policy(
        load_texts([("p.yaml", DOCUMENTS)]),
        labels=config.agent.labels,
        namespace=config.agent.namespace,
        narrowing=config.narrowing,
    )


def left(outcome: Outcome) -> list[str]:
    policy = policy_of(outcome)
    return [tool for tool in TOOLS if policy.decide(ME, policy.backends[0], "tools/call", tool).allowed]


GRANTED = ["get_issue", "list_all", "create_issue", "$(HOME)", "$$(HOME)", "é😀", "a,b", '"quoted"']


@pytest.mark.parametrize(
    ("annotations", "tools"),
    [
        ({}, GRANTED),
        ({"policy": "reads"}, [tool for tool in GRANTED if tool not in ("create_issue", "a,b")]),
        ({"policy": "everything"}, []),
        ({"policy": "everything, writes"}, ["create_issue", "a,b"]),
        ({"tools-allow": "github/$(HOME)"}, ["$(HOME)"]),
        ({"tools-allow": "github/$$(HOME)"}, ["$$(HOME)"]),
        ({"tools-allow": "github/é😀,\n  *hub/list_*"}, ["list_all", "é😀"]),
        ({"tools-allow": 'github/"quoted"'}, ['"quoted"']),
        ({"tools-allow": "$(HTTP_PROXY)/create_issue"}, None),
        ({"tools-deny": "github/$(HOME)"}, [tool for tool in GRANTED if tool != "$(HOME)"]),
        ({"tools-deny": "*/*_*", "mode": "enforce"}, ["$(HOME)", "$$(HOME)", "é😀", "a,b", '"quoted"']),
        ({"tools-deny": "*/*"}, []),
    ],
)
def test_what_an_annotation_says_is_what_the_sidecar_decides_by(
    annotations: dict[str, str], tools: list[str] | None
) -> None:
    outcome = injected({PREFIX + name: value for name, value in annotations.items()})
    if tools is None:
        assert not isinstance(outcome, Injection)
    else:
        assert left(outcome) == tools


names = st.lists(
    st.sampled_from(["reads", "writes", "everything", "nobody"]), min_size=1, max_size=3, unique=True
).map(",".join)
globs = st.lists(
    st.sampled_from(
        ["github/*", "*/get_*", "github/$(HOME)", "g*/é😀", "*/a", "jira/*", "*/*_issue", 'github/"quoted"']
    ),
    min_size=1,
    max_size=3,
).map(",".join)
layers = st.fixed_dictionaries(
    {},
    optional={
        f"{PREFIX}policy": names,
        f"{PREFIX}tools-allow": globs,
        f"{PREFIX}tools-deny": globs,
        f"{PREFIX}mode": st.just("enforce"),
    },
)


@given(mine=layers, around=layers, platform=layers)
def test_no_annotation_of_a_pod_gives_back_what_its_namespace_takes_away(
    mine: dict[str, str], around: dict[str, str], platform: dict[str, str]
) -> None:
    outcome, before = injected(mine, around, platform), injected({}, around, platform)
    if isinstance(outcome, Injection) and isinstance(before, Injection):
        assert set(left(outcome)) <= set(left(before)) <= set(left(injected({}, platform=platform)))
        assert set(left(outcome)) <= set(left(injected(mine))) <= set(GRANTED)
        again = inject(
            outcome.pod,
            Namespace("agents", {f"{PREFIX}injection": "required"}, around),
            settings_of(platform),
        )
        assert isinstance(again, Injection)
        assert again.pod == outcome.pod
    else:
        assert f"{PREFIX}policy" in {**mine, **around, **platform}


TEXT = st.text(st.one_of(st.sampled_from("*?/,$()[]{}:#'\"\\ \t\n-.ab"), st.characters()), max_size=12)
ENTRIES = st.lists(st.one_of(TEXT, TEXT.map(lambda tool: f"github/{tool}")), min_size=1, max_size=3).map(
    ",".join
)


@given(named=ENTRIES, allowed=ENTRIES, denied=ENTRIES)
def test_whatever_an_annotation_holds_the_sidecar_reads_it_or_admission_refuses(
    named: str, allowed: str, denied: str
) -> None:
    for name, text in (("policy", named), ("tools-allow", allowed), ("tools-deny", denied)):
        outcome = injected({PREFIX + name: text})
        if not isinstance(outcome, Injection):
            continue
        narrowing = load_config(None, environment(outcome)).narrowing
        read = {
            "policy": narrowing.policies,
            "tools-allow": narrowing.tools_allow,
            "tools-deny": narrowing.tools_deny,
        }
        entries = tuple(dict.fromkeys(items(text)))
        meant = {"policy": frozenset(entries), "tools-allow": (tuple(items(text)),), "tools-deny": entries}
        assert read[name] == meant[name]
        assert len(environment(outcome)) == len(environment(injected({}))) + 1


def settings_of(platform: dict[str, str]) -> InjectionSettings:
    return InjectionSettings(identity=Identity(volume=IdentityVolume.NONE), defaults=platform)


@asynccontextmanager
async def running(
    folder: Path, variables: dict[str, str], port: int
) -> AsyncIterator[tuple[dict[str, Any], int]]:
    """The sidecar as a process with the environment of its pod, but for addresses; its line `ready`, its port."""
    (folder / "policies.yaml").write_text(DOCUMENTS, encoding="utf-8")
    own = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
    ours = {name: value for name, value in variables.items() if name.startswith("OUTRIDER_")}
    here = {
        "OUTRIDER_LISTEN_FORWARD": "127.0.0.1:0",
        "OUTRIDER_LISTEN_TELEMETRY": "127.0.0.1:0",
        "OUTRIDER_POLICIES": str(folder),
        "OUTRIDER_CONNECT": json.dumps({"github.tools.svc:8080": f"127.0.0.1:{port}"}),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidecar", stderr=asyncio.subprocess.PIPE, env={**own, **ours, **here}
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(20):
            while (ready := json.loads(await process.stderr.readline()))["event"] != "ready":
                pass
        yield ready, int(ready["forward"].rpartition(":")[2])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


async def listed(client: Client) -> list[str]:
    _, answer = await client.rpc({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    return [tool["name"] for tool in answer["result"]["tools"]]


async def test_a_sidecar_in_the_environment_of_its_pod_shows_and_passes_what_is_left(tmp_path: Path) -> None:
    annotations = {
        f"{PREFIX}policy": "reads",
        f"{PREFIX}tools-allow": "github/*_*, github/$(HOME)",
        f"{PREFIX}tools-deny": "*/list_*, gihub/*",
    }
    tools = [{"name": tool, "inputSchema": {"type": "object"}} for tool in TOOLS]
    script, seen = answering(json_answer(result({"tools": tools})), json_answer(result({"content": []})))
    variables = environment(injected(annotations))
    async with serving(script) as server, running(tmp_path, variables, server.port) as (ready, port):
        async with client_of(port) as client:
            assert await listed(client) == ["get_issue", "$(HOME)"]
            for tool in TOOLS:
                _, answer = await client.rpc(call(tool))
                passed = tool in ("get_issue", "$(HOME)")
                assert ("result" in answer) is passed
                assert passed or answer["error"]["message"] == f"Unknown tool: {tool}"
    assert len(seen) == 3
    assert ready["policies"] == ["AgentPolicy/reads", "AgentPolicy/writes"]
    assert ready["narrowed"] == {
        "policies": ["reads"],
        "toolsAllow": [["github/*_*", "github/$(HOME)"]],
        "toolsDeny": ["*/list_*", "gihub/*"],
    }
    assert ready["idle"] == {"toolsDeny": ["gihub/*"]}
