"""The annotation `credential-secrets`: Secrets that the sidecar mounts, and nobody else in the pod."""

from __future__ import annotations

import pytest

from mesh.reasons import Reason
from mesh.settings.table import CREDENTIAL_VOLUMES
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Refusal
from webhook.admission.settings import InjectionSettings
from webhook.admission.strip import uninject

CREDENTIALS = "outrider.dev/credential-secrets"


def injected(pod, enabled, named="idp, github-app", **spec):
    became = inject(pod(annotations={CREDENTIALS: named}, **spec), enabled, InjectionSettings())
    assert isinstance(became, Injection), became
    return became


def sidecar(became):
    return next(one for one in became.pod["spec"]["initContainers"] if one["name"] == "outrider-sidecar")


def mounts(became):
    return {one["name"]: one for one in sidecar(became)["volumeMounts"] if one["name"] in CREDENTIAL_VOLUMES}


def volumes(became):
    return {one["name"]: one for one in became.pod["spec"]["volumes"] if one["name"] in CREDENTIAL_VOLUMES}


def directory(became):
    env = {one["name"]: one.get("value") for one in sidecar(became)["env"]}
    return env.get("OUTRIDER_CREDENTIALS")


def test_each_secret_is_a_folder_that_the_sidecar_alone_reads(pod, enabled) -> None:
    became = injected(pod, enabled)
    assert volumes(became) == {
        "outrider-credentials-0": {
            "name": "outrider-credentials-0",
            "secret": {"secretName": "idp", "optional": True},
        },
        "outrider-credentials-1": {
            "name": "outrider-credentials-1",
            "secret": {"secretName": "github-app", "optional": True},
        },
    }
    assert mounts(became) == {
        f"outrider-credentials-{place}": {
            "name": f"outrider-credentials-{place}",
            "mountPath": f"/run/outrider/credentials/{name}",
            "readOnly": True,
        }
        for place, name in enumerate(["idp", "github-app"])
    }
    assert directory(became) == "/run/outrider/credentials"
    (agent,) = became.pod["spec"]["containers"]
    assert not agent.get("volumeMounts")
    assert not became.warnings


def test_without_the_annotation_there_is_no_volume_and_no_variable(pod, enabled) -> None:
    became = inject(pod(), enabled, InjectionSettings())
    assert isinstance(became, Injection)
    assert not volumes(became)
    assert directory(became) is None


def test_a_secret_that_is_named_twice_is_mounted_once(pod, enabled) -> None:
    assert len(volumes(injected(pod, enabled, "idp, idp,,idp"))) == 1


def test_a_second_call_builds_the_volumes_anew(pod, enabled) -> None:
    first = injected(pod, enabled)
    first.pod["metadata"]["annotations"][CREDENTIALS] = "other"
    again = inject(first.pod, enabled, InjectionSettings())
    assert isinstance(again, Injection)
    assert [one["secret"]["secretName"] for one in volumes(again).values()] == ["other"]
    assert [one["mountPath"] for one in mounts(again).values()] == ["/run/outrider/credentials/other"]


def test_uninject_takes_them_out(pod, enabled) -> None:
    became = injected(pod, enabled)
    uninject(became.pod, InjectionSettings())
    assert "volumes" not in became.pod["spec"]


def test_a_volume_that_somebody_forged_under_the_name_is_replaced(pod, enabled) -> None:
    forged = [{"name": "outrider-credentials-0", "hostPath": {"path": "/"}}]
    became = injected(pod, enabled, "idp", volumes=forged)
    assert volumes(became)["outrider-credentials-0"]["secret"]["secretName"] == "idp"


def test_no_other_container_may_mount_the_volumes(pod, enabled) -> None:
    mounting = {
        "name": "agent",
        "image": "agent:1",
        "volumeMounts": [{"name": "outrider-credentials-15", "mountPath": "/x"}],
    }
    became = inject(
        pod(annotations={CREDENTIALS: "idp"}, containers=[mounting]), enabled, InjectionSettings()
    )
    assert isinstance(became, Refusal)
    assert became.reason is Reason.RESERVED_VOLUME


@pytest.mark.parametrize(
    "named",
    ["../etc", "a/b", "..", ".", "a..b", "-a", "Upper", "a b", "a" * 254, "$(X)", "idp, /"],
)
def test_what_is_no_name_of_a_secret_is_refused(pod, enabled, named) -> None:
    became = inject(pod(annotations={CREDENTIALS: named}), enabled, InjectionSettings())
    assert isinstance(became, Refusal)
    assert became.reason is Reason.ANNOTATION_INVALID
    assert "no name of a Secret" in became.sentence


@pytest.mark.parametrize(("count", "fits"), [(16, True), (17, False)])
def test_there_may_be_sixteen(pod, enabled, count, fits) -> None:
    named = ", ".join(f"secret-{place}" for place in range(count))
    became = inject(pod(annotations={CREDENTIALS: named}), enabled, InjectionSettings())
    assert isinstance(became, Injection) is fits


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (
            {"env": [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "idp", "key": "secret"}}}]},
            "variable K is key secret of Secret idp",
        ),
        ({"envFrom": [{"secretRef": {"name": "idp"}}]}, "envFrom of Secret idp"),
        ({"volumeMounts": [{"name": "own", "mountPath": "/own"}]}, "volume own holds Secret idp"),
    ],
)
def test_an_agent_that_holds_the_same_secret_is_warned_of(pod, enabled, more, told) -> None:
    own = [{"name": "own", "secret": {"secretName": "idp"}}]
    became = injected(pod, enabled, containers=[{"name": "agent", "image": "agent:1", **more}], volumes=own)
    assert any(told in warning for warning in became.warnings)
