"""Which capture a pod gets, what transparent capture adds, and what is refused on its account."""

from __future__ import annotations

import copy
import json

import pytest

from mesh.reasons import Reason
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace, Refusal
from webhook.admission.permission import PERMISSIONS
from webhook.admission.settings import Identity, IdentityVolume, InjectionSettings, Ports, Redirection

ENABLED = {"outrider.dev/injection": "enabled"}
ENFORCED = "pod-security.kubernetes.io/enforce"
OPENSHIFT = {"openshift.io/sa.scc.uid-range": "1000/1000"}
NO_IDENTITY = InjectionSettings(identity=Identity(IdentityVolume.NONE))
TIGHT = {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}


def annotated(**values: str) -> dict[str, str]:
    return {f"outrider.dev/{name.replace('_', '-')}": value for name, value in values.items()}


def namespace(level: str | None = None, **annotations: str) -> Namespace:
    labels = {**ENABLED, **({ENFORCED: level} if level else {})}
    return Namespace("agents", labels, annotated(**annotations))


def init_of(outcome) -> list[str]:
    assert isinstance(outcome, Injection), outcome
    return [container["name"] for container in outcome.pod["spec"]["initContainers"]]


def captured(outcome) -> str:
    assert isinstance(outcome, Injection), outcome
    assert ("outrider-redirect" in init_of(outcome)) == (outcome.status["capture"] == "transparent")
    return outcome.status["capture"]


def reasons(outcome) -> list[Reason]:
    assert isinstance(outcome, Refusal), outcome
    return [problem.reason for problem in outcome.problems]


@pytest.mark.parametrize(
    ("wanted", "where", "settings", "expected"),
    [
        ("auto", namespace(), InjectionSettings(), "transparent"),
        ("auto", namespace("privileged"), InjectionSettings(), "transparent"),
        ("auto", namespace("baseline"), InjectionSettings(), "explicit"),
        ("auto", namespace("restricted"), InjectionSettings(), "explicit"),
        ("auto", namespace("no-such-level"), InjectionSettings(), "explicit"),
        ("auto", Namespace("agents", ENABLED, OPENSHIFT), InjectionSettings(), "explicit"),
        ("auto", namespace(), NO_IDENTITY, "explicit"),
        ("transparent", namespace(), InjectionSettings(), "transparent"),
        ("transparent", namespace("privileged"), InjectionSettings(), "transparent"),
        ("explicit", namespace(), InjectionSettings(), "explicit"),
        (None, namespace(), InjectionSettings(), "explicit"),
        (None, namespace(capture="auto"), InjectionSettings(), "transparent"),
        (None, namespace(), InjectionSettings(defaults=annotated(capture="auto")), "transparent"),
        (None, namespace("baseline"), InjectionSettings(defaults=annotated(capture="auto")), "explicit"),
    ],
)
def test_the_annotation_and_the_namespace_say_how_a_pod_is_captured(
    pod, wanted, where, settings, expected
) -> None:
    annotations = annotated(capture=wanted) if wanted else None
    assert captured(inject(pod(annotations=annotations), where, settings)) == expected


@pytest.mark.parametrize(
    ("where", "settings", "told"),
    [
        (namespace("baseline"), InjectionSettings(), "enforces PodSecurity baseline, which forbids"),
        (namespace("restricted"), InjectionSettings(), "pod-security.kubernetes.io/enforce=privileged"),
        (Namespace("agents", ENABLED, OPENSHIFT), InjectionSettings(), "gives all its containers one UID"),
        (namespace(), NO_IDENTITY, "identity.provider: none"),
    ],
)
def test_transparent_where_it_is_impossible_is_refused_with_why_and_what_to_write(
    pod, where, settings, told
) -> None:
    refusal = inject(pod(annotations=annotated(capture="transparent")), where, settings)
    assert reasons(refusal) == [Reason.CAPTURE_IMPOSSIBLE]
    assert told in refusal.sentence
    assert "write outrider.dev/capture: explicit, or auto" in refusal.sentence


def test_every_hindrance_is_told_at_once(pod) -> None:
    where = Namespace("agents", {**ENABLED, ENFORCED: "baseline"}, OPENSHIFT)
    refusal = inject(pod(annotations=annotated(capture="transparent")), where, NO_IDENTITY)
    for told in ("PodSecurity", "one UID", "no identity"):
        assert told in refusal.sentence


def transparent(pod, settings=None, **spec):
    outcome = inject(
        pod(annotations=annotated(capture="transparent"), **spec),
        namespace(),
        settings or InjectionSettings(),
    )
    assert isinstance(outcome, Injection), outcome
    return outcome.pod["spec"]


def test_the_init_step_stands_before_everything_else(pod) -> None:
    spec = transparent(pod, initContainers=[{"name": "seed"}])
    assert [one["name"] for one in spec["initContainers"]] == [
        "outrider-redirect",
        "outrider-sidecar",
        "seed",
    ]
    assert "restartPolicy" not in spec["initContainers"][0]
    assert spec["initContainers"][0]["command"] == ["python", "-m", "sidecar.redirect", "install"]


def test_the_init_step_has_two_capabilities_and_nothing_else(pod) -> None:
    assert transparent(pod)["initContainers"][0]["securityContext"] == {
        "runAsUser": 0,
        "runAsGroup": 0,
        "runAsNonRoot": False,
        "privileged": False,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_the_sidecar_itself_stays_without_privileges_and_has_user_and_group_of_its_own(pod) -> None:
    context = transparent(pod)["initContainers"][1]["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (1774, 1774)
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["runAsNonRoot"] is True


def test_the_init_step_asks_no_more_of_the_node_than_the_sidecar(pod) -> None:
    step, sidecar = transparent(pod)["initContainers"]
    assert step["resources"] == sidecar["resources"]
    assert "resources" not in transparent(pod, resources={"limits": {"cpu": "1"}})["initContainers"][0]


def variables(container) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in container["env"]}


def test_the_sidecar_listens_where_the_init_step_redirects_to(pod) -> None:
    settings = InjectionSettings(
        uid=2000, ports=Ports(16002, 16443, 16020, 16001, 16006), redirect=Redirection("closed", "on", "nft")
    )
    step, sidecar = transparent(pod, settings)["initContainers"]
    assert variables(step) == {
        "OUTRIDER_REDIRECT_UID": "2000",
        "OUTRIDER_REDIRECT_GID": "2000",
        "OUTRIDER_REDIRECT_OUTBOUND_PORT": "16001",
        "OUTRIDER_REDIRECT_INBOUND_PORT": "16006",
        "OUTRIDER_REDIRECT_MTLS_PORT": "16443",
        "OUTRIDER_REDIRECT_FORWARD_PORT": "16002",
        "OUTRIDER_REDIRECT_TELEMETRY_PORT": "16020",
        "OUTRIDER_REDIRECT_UDP": "closed",
        "OUTRIDER_REDIRECT_IPV6": "on",
        "OUTRIDER_REDIRECT_BACKEND": "nft",
    }
    assert variables(sidecar)["OUTRIDER_LISTEN_REDIRECT_OUTBOUND"] == "*:16001"
    assert variables(sidecar)["OUTRIDER_LISTEN_REDIRECT_INBOUND"] == "*:16006"


def test_applications_that_are_captured_by_the_kernel_get_no_proxy_variables(pod) -> None:
    own = [{"name": "HTTP_PROXY", "value": "http://corp:3128"}, {"name": "NO_PROXY", "value": "localhost"}]
    spec = transparent(pod, containers=[{"name": "agent", "env": own}, {"name": "other"}])
    assert spec["containers"] == [{"name": "agent", "env": own}, {"name": "other"}]


def test_proxy_variables_of_an_earlier_explicit_injection_go(pod) -> None:
    explicit = inject(pod(), namespace(), InjectionSettings()).pod
    explicit["metadata"]["annotations"].update(annotated(capture="transparent"))
    again = inject(explicit, namespace(), InjectionSettings())
    assert captured(again) == "transparent"
    assert "env" not in again.pod["spec"]["containers"][0]


def test_what_stood_there_of_an_earlier_transparent_injection_goes_under_explicit_capture(pod) -> None:
    first = inject(pod(annotations=annotated(capture="transparent")), namespace(), InjectionSettings()).pod
    del first["metadata"]["annotations"]["outrider.dev/capture"]
    again = inject(first, namespace(), InjectionSettings())
    assert captured(again) == "explicit"
    assert init_of(again) == ["outrider-sidecar"]


@pytest.mark.parametrize("capture", ["explicit", "transparent"])
def test_a_forged_init_step_is_replaced_or_removed(pod, capture) -> None:
    forged = [{"name": "outrider-redirect", "image": "mine", "command": ["true"]}]
    plain = inject(pod(annotations=annotated(capture=capture)), namespace(), InjectionSettings())
    with_forged = inject(
        pod(annotations=annotated(capture=capture), initContainers=forged), namespace(), InjectionSettings()
    )
    assert with_forged.pod == plain.pod


@pytest.mark.parametrize("kind", ["containers", "ephemeralContainers"])
@pytest.mark.parametrize("name", ["outrider-redirect", "outrider-sidecar"])
def test_reserved_names_elsewhere_are_refused(pod, kind, name) -> None:
    spec = {"containers": [{"name": "agent"}], kind: [{"name": name}]}
    assert reasons(inject(pod(**spec), namespace(), InjectionSettings())) == [Reason.RESERVED_NAME]


# Containers that could undo it.


@pytest.mark.parametrize(
    ("context", "reason"),
    [
        ({"privileged": True}, Reason.CAPTURE_UNDONE),
        ({"capabilities": {"add": ["NET_ADMIN"]}}, Reason.CAPTURE_UNDONE),
        ({"capabilities": {"add": ["cap_net_raw"]}}, Reason.CAPTURE_UNDONE),
        ({"capabilities": {"add": ["ALL"]}}, Reason.CAPTURE_UNDONE),
        ({"capabilities": {"add": ["SYS_ADMIN"]}}, Reason.CAPTURE_UNDONE),
        ({**TIGHT, "capabilities": {"drop": ["ALL"], "add": ["SETUID", "SETGID"]}}, Reason.CAPTURE_UNDONE),
        ({"capabilities": {"add": ["SETUID"]}}, Reason.CAPTURE_UNDONE),
        ({"capabilities": {"add": ["SETPCAP"]}}, Reason.CAPTURE_UNDONE),
        ({"capabilities": {"add": ["SETFCAP"]}}, Reason.CAPTURE_UNDONE),
        ({"capabilities": {"add": ["CAP_DAC_READ_SEARCH"]}}, Reason.CAPTURE_UNDONE),
        ({"capabilities": {"add": ["SYS_RAWIO"]}}, Reason.CAPTURE_UNDONE),
        ({"capabilities": {"add": [" NET_ADMIN "]}}, Reason.CAPTURE_UNDONE),
        ({"runAsGroup": 1774}, Reason.SIDECAR_GROUP),
        ({"runAsUser": 1774}, Reason.SIDECAR_UID),
    ],
)
@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_a_container_that_could_undo_capture_is_refused(pod, context, reason, kind) -> None:
    spec = {"containers": [{"name": "agent"}], kind: [{"name": "mine", "securityContext": context}]}
    refusal = inject(
        pod(annotations=annotated(capture="transparent"), **spec), namespace(), InjectionSettings()
    )
    assert [one for one in reasons(refusal) if one is not Reason.NODE_REACHED] == [reason]
    assert "container mine" in refusal.sentence


@pytest.mark.parametrize("name", ["CHOWN", "DAC_OVERRIDE", "SYS_PTRACE", "NET_BIND_SERVICE", "SYS_CHROOT"])
def test_capabilities_that_lead_nowhere_by_themselves_may_be_asked_for(pod, name) -> None:
    context = {**TIGHT, "capabilities": {"drop": ["ALL"], "add": [name]}}
    spec = transparent(pod, containers=[{"name": "agent", "securityContext": context}])
    assert spec["containers"][0]["securityContext"] == context


def test_under_explicit_capture_there_is_nothing_to_undo(pod) -> None:
    context = {"capabilities": {"add": ["NET_ADMIN"]}, "runAsGroup": 1774}
    plain = pod(containers=[{"name": "agent", "securityContext": context}])
    assert isinstance(inject(plain, namespace(), InjectionSettings()), Injection)


@pytest.mark.parametrize(
    "outer", [{"fsGroup": 1774}, {"supplementalGroups": [5, 1774]}, {"runAsGroup": 1774}]
)
def test_a_pod_whose_containers_would_have_the_sidecars_group_is_refused(pod, outer) -> None:
    spec = {"securityContext": outer}
    refusal = inject(
        pod(annotations=annotated(capture="transparent"), **spec), namespace(), InjectionSettings()
    )
    assert set(reasons(refusal)) == {Reason.SIDECAR_GROUP}


def test_a_container_may_choose_another_group_than_its_pod(pod) -> None:
    spec = transparent(
        pod,
        securityContext={"runAsGroup": 1774},
        containers=[{"name": "agent", "securityContext": {"runAsGroup": 1000}}],
    )
    assert spec["containers"][0]["securityContext"] == {"runAsGroup": 1000}


@pytest.mark.parametrize(
    ("context", "said"),
    [
        (TIGHT, []),
        ({**TIGHT, "runAsNonRoot": False}, []),
        ({**TIGHT, "capabilities": None}, []),
        (
            {**TIGHT, "runAsNonRoot": False, "capabilities": {"drop": ["NET_RAW"]}},
            ["capabilities.drop: [ALL]"],
        ),
        ({**TIGHT, "allowPrivilegeEscalation": None}, ["allowPrivilegeEscalation: false"]),
        (None, ["capabilities.drop: [ALL] and allowPrivilegeEscalation: false"]),
    ],
)
def test_what_a_container_does_not_give_up_is_warned_of(pod, context, said) -> None:
    containers = [{"name": "agent", "securityContext": context}]
    outcome = inject(
        pod(annotations=annotated(capture="transparent"), containers=containers),
        namespace(),
        InjectionSettings(),
    )
    assert list(outcome.warnings) == [f"container agent could undo capture; set {what}" for what in said]


# What pods may weaken.


@pytest.mark.parametrize(
    ("annotations", "word"),
    [
        (annotated(mtls="permissive"), "mtls=permissive"),
        (annotated(exclude_inbound_ports="9090"), "exclude-inbound-ports"),
        (annotated(exclude_outbound_ports="5432,3306"), "exclude-outbound-ports"),
        (annotated(exclude_outbound_cidrs="10.0.0.0/8"), "exclude-outbound-cidrs"),
    ],
)
@pytest.mark.parametrize("layer", ["pod", "namespace"])
def test_what_weakens_protection_needs_the_platforms_leave(pod, annotations, word, layer) -> None:
    mine = pod(annotations=annotations if layer == "pod" else None)
    where = Namespace("agents", ENABLED, annotations if layer == "namespace" else {})
    refusal = inject(mine, where, InjectionSettings())
    assert reasons(refusal) == [Reason.NOT_PERMITTED]
    assert f"of the {layer}" in refusal.sentence
    assert f"allow: [{word}]" in refusal.sentence
    assert isinstance(inject(mine, where, InjectionSettings(allow=frozenset({word}))), Injection)


def test_every_permission_that_is_lacking_is_told_at_once(pod) -> None:
    mine = pod(
        annotations=annotated(mtls="permissive", exclude_inbound_ports="1", exclude_outbound_ports="2")
    )
    assert len(reasons(inject(mine, namespace(), InjectionSettings()))) == 3


@pytest.mark.parametrize(
    ("default", "written", "permitted"),
    [
        (annotated(capture="transparent"), annotated(capture="explicit"), False),
        (annotated(capture="auto"), annotated(capture="explicit"), False),
        (annotated(capture="explicit"), annotated(capture="explicit"), True),
        (annotated(capture="transparent"), annotated(capture="auto"), True),
        (annotated(interception="on"), annotated(interception="off"), False),
        (annotated(interception="off"), annotated(interception="on"), True),
        (annotated(mtls="permissive"), annotated(mtls="permissive"), True),
        (annotated(mtls="permissive"), annotated(mtls="strict"), True),
        (annotated(exclude_outbound_ports="22,5432"), annotated(exclude_outbound_ports="5432"), True),
        (annotated(exclude_outbound_ports="22"), annotated(exclude_outbound_ports="23"), False),
        (
            annotated(exclude_outbound_cidrs="10.0.0.0/8"),
            annotated(exclude_outbound_cidrs="10.9.0.0/16"),
            True,
        ),
        (
            annotated(exclude_outbound_cidrs="10.0.0.0/8"),
            annotated(exclude_outbound_cidrs="10.0.0.0/7"),
            False,
        ),
    ],
)
def test_only_what_is_weaker_than_the_platforms_own_needs_leave(pod, default, written, permitted) -> None:
    outcome = inject(pod(annotations=written), namespace(), InjectionSettings(defaults=default))
    assert isinstance(outcome, Injection) is permitted
    if not permitted:
        assert reasons(outcome) == [Reason.NOT_PERMITTED]


def test_where_transparent_is_impossible_explicit_weakens_nothing(pod) -> None:
    settings = InjectionSettings(defaults=annotated(capture="auto"))
    assert captured(inject(pod(annotations=annotated(capture="explicit")), namespace("baseline"), settings))


def test_auto_in_place_of_transparent_needs_leave_where_it_comes_to_less(pod) -> None:
    settings = InjectionSettings(defaults=annotated(capture="transparent"))
    refusal = inject(pod(annotations=annotated(capture="auto")), namespace("baseline"), settings)
    assert reasons(refusal) == [Reason.NOT_PERMITTED]
    assert "is weaker than transparent" in refusal.sentence


def test_a_pod_may_not_undo_what_its_namespace_tightens(pod) -> None:
    settings = InjectionSettings(defaults=annotated(mtls="permissive"))
    refusal = inject(pod(annotations=annotated(mtls="permissive")), namespace(mtls="strict"), settings)
    assert reasons(refusal) == [Reason.NOT_PERMITTED]


def test_a_namespace_cannot_pass_on_what_it_may_not_do_itself(pod) -> None:
    where = namespace(mtls="permissive")
    refusal = inject(pod(annotations=annotated(mtls="permissive")), where, InjectionSettings())
    assert reasons(refusal) == [Reason.NOT_PERMITTED]


def test_what_may_be_allowed_is_what_weakens() -> None:
    assert sorted(PERMISSIONS) == [
        "capture=explicit",
        "exclude-inbound-ports",
        "exclude-outbound-cidrs",
        "exclude-outbound-ports",
        "host-aliases",
        "host-paths",
        "interception=off",
        "mode=observe",
        "mtls=permissive",
        "nameservers",
        "privileged-containers",
    ]


CHOSEN = {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["203.0.113.66", "203.0.113.67"]}}


@pytest.mark.parametrize(
    "spec", [CHOSEN, {"dnsConfig": CHOSEN["dnsConfig"]}, {"dnsPolicy": "ClusterFirst", **CHOSEN}]
)
def test_resolvers_that_the_pod_chooses_need_the_platforms_leave(pod, spec) -> None:
    mine = pod(annotations=annotated(capture="transparent"), **spec)
    refusal = inject(mine, namespace(), InjectionSettings())
    assert reasons(refusal) == [Reason.NOT_PERMITTED]
    assert "spec.dnsConfig.nameservers opens port 53 of 203.0.113.66, 203.0.113.67" in refusal.sentence
    assert "allow: [nameservers]" in refusal.sentence
    permitting = InjectionSettings(allow=frozenset({"nameservers"}))
    assert inject(mine, namespace(), permitting).pod["spec"]["dnsConfig"] == spec["dnsConfig"]


ALIASES = {"hostAliases": [{"ip": "10.0.0.5", "hostnames": ["api.partner.example", "b"]}, {"ip": "10.0.0.6"}]}
SEARCHES = {"dnsConfig": {"searches": ["evil.example"], "options": [{"name": "ndots", "value": "5"}]}}


@pytest.mark.parametrize(
    ("spec", "word", "told"),
    [
        (ALIASES, "host-aliases", "spec.hostAliases decides where api.partner.example, b lead"),
        (SEARCHES, "nameservers", "spec.dnsConfig.searches decides by evil.example where names lead"),
    ],
)
def test_where_names_lead_that_policies_go_by_needs_the_platforms_leave(pod, spec, word, told) -> None:
    mine = pod(annotations=annotated(capture="transparent"), **spec)
    refusal = inject(mine, namespace(), InjectionSettings(allow=PERMISSIONS - {word}))
    assert reasons(refusal) == [Reason.NOT_PERMITTED]
    assert told in refusal.sentence
    assert f"allow: [{word}]" in refusal.sentence
    assert isinstance(inject(mine, namespace(), InjectionSettings(allow=frozenset({word}))), Injection)
    assert isinstance(inject(pod(**spec), namespace(), InjectionSettings()), Injection), (
        "under explicit capture"
    )


def test_resolvers_that_the_platform_names_are_not_those_of_the_sidecar(pod) -> None:
    settings = InjectionSettings(redirect=Redirection(nameservers=("10.96.0.10", "fd00::10")))
    mine = pod(annotations=annotated(capture="transparent"), **CHOSEN)
    refusal = inject(mine, namespace(), settings)
    assert reasons(refusal) == [Reason.NOT_PERMITTED]
    assert "spec.dnsConfig.nameservers decides where names lead" in refusal.sentence
    settings = InjectionSettings(redirect=settings.redirect, allow=frozenset({"nameservers"}))
    for spec in (CHOSEN, {}):
        step = transparent(pod, settings, **spec)["initContainers"][0]
        assert variables(step)["OUTRIDER_REDIRECT_NAMESERVERS"] == "10.96.0.10,fd00::10"


@pytest.mark.parametrize(
    "chosen",
    [None, {}, {"nameservers": None}, {"nameservers": []}, {"searches": []}, {"options": [{"name": "x"}]}],
)
def test_what_a_pod_says_of_dns_without_naming_resolvers_needs_no_leave(pod, chosen) -> None:
    assert transparent(pod, dnsConfig=chosen)["dnsConfig"] == chosen


def test_under_explicit_capture_a_pod_chooses_its_resolvers(pod) -> None:
    assert captured(inject(pod(**CHOSEN), namespace(), InjectionSettings())) == "explicit"


def test_exclusions_reach_the_init_step(pod) -> None:
    annotations = annotated(
        capture="transparent",
        exclude_inbound_ports="9090",
        exclude_outbound_ports="5432, 3306",
        exclude_outbound_cidrs="10.0.0.0/8,fd00::/8",
    )
    settings = InjectionSettings(allow=PERMISSIONS)
    outcome = inject(pod(annotations=annotations), namespace(), settings)
    env = variables(outcome.pod["spec"]["initContainers"][0])
    assert env["OUTRIDER_REDIRECT_EXCLUDE_INBOUND_PORTS"] == "9090"
    assert env["OUTRIDER_REDIRECT_EXCLUDE_OUTBOUND_PORTS"] == "5432, 3306"
    assert env["OUTRIDER_REDIRECT_EXCLUDE_OUTBOUND_CIDRS"] == "10.0.0.0/8,fd00::/8"


@pytest.mark.parametrize("port", [15001, 15002, 15006, 15020, 15443])
def test_the_sidecars_own_ports_cannot_be_excluded(pod, port) -> None:
    settings = InjectionSettings(allow=PERMISSIONS)
    refusal = inject(pod(annotations=annotated(exclude_inbound_ports=f"80,{port}")), namespace(), settings)
    assert reasons(refusal) == [Reason.ANNOTATION_INVALID]
    assert f"ports of the sidecar itself: {port}" in refusal.sentence


def test_permissive_reaches_the_sidecar(pod) -> None:
    settings = InjectionSettings(allow=PERMISSIONS)
    for value in ("strict", "permissive"):
        outcome = inject(pod(annotations=annotated(mtls=value)), namespace(), settings)
        assert variables(outcome.pod["spec"]["initContainers"][0])["OUTRIDER_INBOUND_MODE"] == value


def test_the_status_tells_what_auto_came_to(pod) -> None:
    outcome = inject(pod(annotations=annotated(capture="auto")), namespace("baseline"), InjectionSettings())
    status = json.loads(outcome.pod["metadata"]["annotations"]["outrider.dev/status"])
    assert status["capture"] == "explicit"
    assert status["settings"]["capture"] == {"value": "auto", "layer": "pod"}


def test_all_kinds_of_problems_come_at_once(pod) -> None:
    mine = pod(
        annotations=annotated(capture="transparent", mtls="permissive", cpu="many"),
        containers=[
            {
                "name": "agent",
                "securityContext": {"privileged": True, "runAsGroup": 1774},
                "ports": [{"containerPort": 15006}],
                "livenessProbe": {"tcpSocket": {"port": "nothing"}},
            }
        ],
        securityContext={"fsGroup": 1774},
    )
    before = copy.deepcopy(mine)
    assert set(reasons(inject(mine, namespace("baseline"), InjectionSettings()))) == {
        Reason.SIDECAR_PORT,
        Reason.ANNOTATION_INVALID,
        Reason.NOT_PERMITTED,
        Reason.CAPTURE_IMPOSSIBLE,
        Reason.CAPTURE_UNDONE,
        Reason.NODE_REACHED,
        Reason.SIDECAR_GROUP,
        Reason.PROBE_REFUSED,
    }
    assert mine == before
