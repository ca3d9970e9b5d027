"""Checks of what credentials need: each kind of finding, and what is no finding."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from cli.check.catalogue import RUNS
from cli.check.granted import secrets_named
from cli.check.read import read_data_plane
from cli.check.result import Result, State
from cli.check.snapshot import Snapshot
from cli.cluster.answers import Denied, Obj
from cli.cluster.parts import Part
from tests.support import outrider_cluster as cluster
from tests.support.outrider_cluster import changed, part
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection

OK, WARNING, FAILED, SKIPPED = State
HEALTHY = cluster.healthy()
NONE = Part()
CLIENT = "client: {method: secret-basic, id: triage, secret: {name: idp, key: password}}"
EXCHANGE = f"exchange: {{issuer: https://idp.example, {CLIENT}}}"
USERS = "{issuers: [{issuer: https://idp.example, audiences: [triage]}]}"


def pod(name: str = "triage", env: tuple[dict, ...] = (), **annotations: str) -> dict:
    """One with a sidecar, and these annotations of ours."""
    bare = cluster.bare_pod(
        name,
        annotations={f"outrider.dev/{key.replace('_', '-')}": value for key, value in annotations.items()},
    )
    bare["spec"]["containers"][0]["env"] = list(env)
    made = inject(bare, cluster.AGENTS, cluster.controlled())
    assert isinstance(made, Injection)
    return dict(made.pod)


def secret(name: str = "idp", *keys: str, place: str = "f:data") -> dict:
    fields = {place: {".": {}, **{f"f:{key}": {} for key in keys}}}
    return {"metadata": cluster.meta(name, "agents", managedFields=[{"fieldsV1": fields}] if keys else [])}


def snapshot(credential: str, *pods: dict, users: str = "", secrets: Part = NONE, **parts: Part) -> Snapshot:
    text = cluster.POLICIES.replace("  path: /mcp\n", f"  path: /mcp\n  credential: {{{credential}}}\n")
    if users:
        text = text.replace("  outbound:\n", f"  users: {users}\n  outbound:\n")
    objects = cluster.policy_objects(text)
    data = HEALTHY.data
    assert data is not None
    found = {
        "pods": part(*(pods or (pod(),))),
        "agent_policies": part(*cluster.of_kind("AgentPolicy", objects)),
        "backends": part(*cluster.of_kind("Backend", objects)),
        "secrets": secrets,
    }
    return replace(HEALTHY, data=replace(data, **(found | parts)))


def run(check: str, of: Snapshot) -> Result:
    return RUNS[check](of, cluster.NOW)


MOUNTING = pod(credential_secrets="idp, other")


def test_a_secret_that_is_mounted_and_has_the_key_is_well() -> None:
    for place in ("f:data", "f:stringData"):
        there = part(secret("idp", "password", place=place))
        found = run("credential-secrets", snapshot(EXCHANGE, MOUNTING, secrets=there))
        assert (found.state, found.seen) == (OK, ("1 Secret, mounted and there",))


@pytest.mark.parametrize(
    ("pods", "secrets", "state", "seen"),
    [
        (
            (pod(),),
            part(secret("idp", "password")),
            FAILED,
            ("pod triage does not mount Secret idp, which Backend github names",),
        ),
        ((MOUNTING,), NONE, FAILED, ("there is no Secret idp, which Backend github names",)),
        (
            (MOUNTING,),
            part(secret("idp", "token")),
            FAILED,
            ("Secret idp has no key password, which Backend github names",),
        ),
        ((MOUNTING,), part(secret("idp")), OK, ("1 Secret, mounted and there",)),
        (
            (MOUNTING,),
            Part(unread="forbidden (403)"),
            SKIPPED,
            ("Secrets cannot be looked at, of which only names would be: forbidden (403)",),
        ),
        (
            (pod(),),
            Part(unread="forbidden (403)"),
            FAILED,
            (
                "pod triage does not mount Secret idp, which Backend github names",
                "Secrets cannot be looked at, of which only names would be: forbidden (403)",
            ),
        ),
    ],
)
def test_what_is_said_of_secrets(pods, secrets, state, seen) -> None:
    found = run("credential-secrets", snapshot(EXCHANGE, *pods, secrets=secrets))
    assert (found.state, found.seen) == (state, seen)


@pytest.mark.parametrize(
    ("credential", "name"),
    [
        ("githubApp: {appId: '1', installationId: '2', privateKey: {name: app, key: k}}", "app"),
        ("secret: {name: pager, key: token}", "pager"),
        (f"clientCredentials: {{tokenEndpoint: https://idp.example/t, {CLIENT}}}", "idp"),
        (f"jwtBearer: {{issuer: https://idp.example, {CLIENT}}}", "idp"),
        (
            "jwtBearer: {issuer: https://idp.example, client: {method: none}, assertion: {name: wif, key: k}}",
            "wif",
        ),
        (
            f"idJag: {{idp: {{issuer: https://idp.example, {CLIENT}}}, server: {{issuer: https://as.example}}, "
            "resource: https://mcp.example/}",
            "idp",
        ),
    ],
)
def test_secrets_of_every_kind_of_credential_are_looked_for(credential: str, name: str) -> None:
    (seen, _) = run("credential-secrets", snapshot(credential)).seen
    assert f"does not mount Secret {name}," in seen


def test_secrets_with_which_issuers_are_asked_about_tokens_count_too() -> None:
    users = USERS.replace("]}]", f"], introspection: {{{CLIENT}}}}}]")
    found = run("credential-secrets", snapshot("svid: {audience: x}", users=users))
    assert found.seen[0] == "pod triage does not mount Secret idp, which users.introspection names"


def test_pods_that_no_policy_selects_need_nothing() -> None:
    other = changed(pod(), "metadata/labels/app", "other")
    for check in ("credential-secrets", "credential-users", "credential-urls", "hidden-variables"):
        assert run(check, snapshot(EXCHANGE, other)).state is OK


@pytest.mark.parametrize(
    ("credential", "users", "state"),
    [
        (EXCHANGE, "", WARNING),
        (EXCHANGE, USERS, OK),
        (EXCHANGE.replace("{issuer", "{withoutUser: client-credentials, issuer", 1), "", OK),
        (
            "idJag: {idp: {issuer: https://idp.example}, server: {issuer: https://as.example}, "
            "resource: https://mcp.example/}",
            "",
            WARNING,
        ),
        ("svid: {audience: x}", "", OK),
    ],
)
def test_an_exchange_needs_users(credential: str, users: str, state: State) -> None:
    assert run("credential-users", snapshot(credential, users=users)).state is state


@pytest.mark.parametrize(
    ("url", "state"),
    [
        ("https://idp.example", OK),
        ("http://idp.example", WARNING),
        ("http://127.0.0.1:8080", OK),
        ("http://localhost:8080", OK),
        ("http://github.tools.svc:8080", OK),  # the Backend itself
        ("http://github.tools.svc:8081", WARNING),
    ],
)
def test_plain_text_is_for_this_machine_and_for_what_is_declared(url: str, state: State) -> None:
    assert run("credential-urls", snapshot(f"jwtBearer: {{issuer: '{url}'}}")).state is state
    users = USERS.replace("https://idp.example", f"'{url}'")
    assert run("credential-urls", snapshot("svid: {audience: x}", users=users)).state is state
    asked = USERS.replace("]}]", f"], introspection: {{endpoint: '{url}'}}}}]")
    assert run("credential-urls", snapshot("svid: {audience: x}", users=asked)).state is state


def test_urls_of_interfaces_count_too() -> None:
    vault = "vault: {url: 'http://vault.example', role: r, path: secret/data/x, field: f}"
    (seen,) = run("credential-urls", snapshot(vault)).seen
    assert seen == "Backend github: http://vault.example is asked in plain text, and refused for that"


REF = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "gh", "key": "token"}}}


def test_a_variable_that_one_pod_hides_is_well() -> None:
    hiding = pod("one", env=(REF,), hide_secrets="TOKEN")
    assert run("hidden-variables", snapshot("hidden: {variables: [TOKEN]}", hiding, pod("two"))).state is OK
    found = run("hidden-variables", snapshot("hidden: {variables: [TOKEN, TOKENS]}", hiding))
    told = "Backend github is to get the secret of TOKENS, and no pod that may call it hides that variable"
    assert (found.state, found.seen) == (WARNING, (told,))


@pytest.mark.parametrize("value", ["{", "[]"])
def test_a_sidecar_that_says_nothing_readable_hides_nothing(value: str) -> None:
    hiding = pod(env=(REF,), hide_secrets="TOKEN")
    (sidecar,) = (one for one in hiding["spec"]["initContainers"] if one["name"] == "outrider-sidecar")
    for variable in sidecar["env"]:
        if variable["name"] == "OUTRIDER_HIDDEN_SECRETS":
            variable["value"] = value
    assert run("hidden-variables", snapshot("hidden: {variables: [TOKEN]}", hiding)).state is WARNING


@pytest.mark.parametrize(
    ("parts", "seen"),
    [
        ({"agent_policies": Part(unread="no")}, "AgentPolicies cannot be listed: no"),
        ({"backends": Part(unread="no")}, "Backends cannot be listed: no"),
    ],
)
def test_what_cannot_be_read_is_not_judged(parts: dict[str, Part], seen: str) -> None:
    found = run("credential-secrets", snapshot(EXCHANGE, **parts))
    assert (found.state, found.seen) == (SKIPPED, (seen,))


def test_what_is_written_wrongly_is_left_to_another_check() -> None:
    wrong = {"apiVersion": "outrider.dev/v1alpha1", "kind": "Backend", "metadata": {"name": "x"}}
    assert run("credential-secrets", snapshot(EXCHANGE, backends=part(wrong))).state is OK


def test_a_backend_of_another_namespace_comes_without_its_credential() -> None:
    text = cluster.POLICIES.replace("backend: github", "backend: tools/crm")
    there = yaml.safe_load(cluster.POLICIES.split("---")[0])
    there["metadata"] = {"name": "crm", "namespace": "tools"}
    there["spec"]["credential"] = {"secret": {"name": "pager", "key": "token"}}
    policies = part(*cluster.of_kind("AgentPolicy", cluster.policy_objects(text)))
    found = run("credential-secrets", snapshot(EXCHANGE, agent_policies=policies, backends=part(there)))
    assert (found.state, found.seen) == (OK, ("no credential names a Secret",))


def older(text: str) -> Snapshot:
    """Where sidecars read ConfigMaps."""
    before = cluster.without_control()
    assert before.data is not None
    return replace(before, data=replace(before.data, policies=part(cluster.policies(text)), secrets=NONE))


def test_policies_of_a_config_map_are_looked_at_too() -> None:
    text = cluster.POLICIES.replace("  path: /mcp\n", f"  path: /mcp\n  credential: {{{EXCHANGE}}}\n")
    assert run("credential-secrets", older(text)).state is FAILED
    assert run("credential-secrets", older("kind: x")).seen == ("the policies cannot be loaded",)


class Reading:
    """A namespace; `asked` are the Secrets that were asked for, by name alone."""

    def __init__(self, objects: list[Obj], status: int = 200) -> None:
        self._objects = objects
        self._status = status
        self.asked: list[str] = []

    def items(self, path: str, **query: str) -> tuple[Obj, ...]:
        kinds = {"agentpolicies": "AgentPolicy", "backends": "Backend"}
        kind = kinds.get(path.rpartition("/")[2])
        return tuple(one for one in self._objects if one["kind"] == kind)

    def get(self, path: str, **query: str) -> Obj:
        raise Denied(404, "no")

    def metadata(self, path: str) -> Obj:
        self.asked.append(path)
        if self._status != 200:
            raise Denied(self._status, "no")
        return secret(path.rpartition("/")[2])

    def text(self, path: str, **query: str) -> str:
        raise Denied(404, "no")

    create = through = get


def objects_with(credential: str) -> list[Obj]:
    text = cluster.POLICIES.replace("  path: /mcp\n", f"  path: /mcp\n  credential: {{{credential}}}\n")
    return cluster.policy_objects(text)


def test_of_secrets_no_more_than_names_and_keys_is_asked_for() -> None:
    api = Reading(objects_with(EXCHANGE))
    data = read_data_plane(api, "agents", Snapshot())  # type: ignore[arg-type]
    assert api.asked == ["/api/v1/namespaces/agents/secrets/idp"]
    assert [one["metadata"]["name"] for one in data.secrets.items] == ["idp"]


@pytest.mark.parametrize(("status", "unread"), [(404, ""), (403, "no (403)")])
def test_a_secret_may_be_missing_or_not_be_seen(status: int, unread: str) -> None:
    api = Reading(objects_with(EXCHANGE), status)
    data = read_data_plane(api, "agents", Snapshot())  # type: ignore[arg-type]
    assert (data.secrets.items, data.secrets.unread) == ((), unread)


def test_secrets_that_a_config_map_names_are_asked_for_too() -> None:
    users = USERS.replace("]}]", f"], introspection: {{{CLIENT}}}}}]")
    text = cluster.POLICIES.replace(
        "  path: /mcp\n", "  path: /mcp\n  credential: {secret: {name: a, key: b}}\n"
    )
    text = text.replace("  outbound:\n", f"  users: {users}\n  outbound:\n")
    assert secrets_named([], cluster.policies(text)) == ["a", "idp"]
    assert secrets_named([], cluster.policies("kind: x")) == []
