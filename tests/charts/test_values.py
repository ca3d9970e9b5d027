"""Values: documented, in the schema, and refused with a sentence where they contradict one another."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from charts import build_schema

CHART = Path(__file__).parents[2] / "charts" / "outrider"
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

BAD = [
    ({"replicas": 0}, "/replicas"),
    ({"replicas": "2"}, "/replicas"),
    ({"replica": 2}, "replica"),
    ({"image": {"repository": ""}}, "/image/repository"),
    ({"image": {"repository": "outrider/webhook:1"}}, "/image/repository"),
    ({"image": {"digest": "sha256:12"}}, "/image/digest"),
    ({"sidecarImage": {"tag": "a b"}}, "/sidecarImage/tag"),
    ({"sidecarImage": {"pullPolicy": "Sometimes"}}, "/sidecarImage/pullPolicy"),
    ({"imagePullSecrets": [{"name": "registry"}]}, "/imagePullSecrets/0"),
    ({"port": 443}, "/port"),
    ({"timeoutSeconds": 31}, "/timeoutSeconds"),
    ({"certificates": {"mode": "helm"}}, "/certificates/mode"),
    ({"certificates": {"certManager": {"duration": "a week"}}}, "/certificates/certManager/duration"),
    ({"resourceQuota": {"enabled": "yes"}}, "/resourceQuota/enabled"),
    ({"podLabels": {"tier": 1}}, "/podLabels/tier"),
    ({"podDisruptionBudget": {"minAvailable": 1}}, "/podDisruptionBudget"),
    ({"env": [{"value": "x"}]}, "/env/0"),
    ({"finalState": {"mode": "maybe"}}, "/finalState/mode"),
    ({"finalState": {"images": ["a'b"]}}, "/finalState/images/0"),
    ({"authorities": ["ca.crt"]}, "/authorities"),
    ({"settings": {"image": "x"}}, "image"),
    ({"settings": {"namespaces": {}}}, "namespaces"),
    ({"settings": {"uid": 0}}, "/settings/uid"),
    ({"settings": {"nativeSidecars": "sometimes"}}, "/settings/nativeSidecars"),
    ({"settings": {"identity": {"provider": "spire"}}}, "identity"),
    ({"identity": {"provider": "vault"}}, "/identity/provider"),
    ({"identity": {"trustDomain": "Mesh"}}, "/identity/trustDomain"),
    ({"identity": {"spire": {"socket": "a/b"}}}, "/identity/spire/socket"),
    ({"identity": {"spire": {"volume": "none"}}}, "/identity/spire/volume"),
    ({"identity": {"files": {"certificate": "tls.crt"}}}, "identity/files"),
    ({"identity": {"files": {"secret": "a", "csi": {"driver": "b"}}}}, "identity/files"),
    ({"control": {"url": "http://control"}}, "/control/url"),
    ({"control": {"tokenSeconds": 1}}, "/control/tokenSeconds"),
    ({"federation": {"trustDomains": [{"trustDomain": "a"}]}}, "/federation/trustDomains/0"),
    ({"federation": {"port": "443"}}, "/federation/port"),
    ({"settings": {"ports": {"inbound": 80}}}, "/settings/ports/inbound"),
    ({"settings": {"noProxy": ["*"]}}, "/settings/noProxy/0"),
    ({"settings": {"limits": {"headBytes": -1}}}, "/settings/limits/headBytes"),
    ({"settings": {"limits": {"head_bytes": 1}}}, "head_bytes"),
    ({"settings": {"defaults": {"outrider.dev/capture": "auto"}}}, "outrider.dev/capture"),
    ({"settings": {"defaults": {"capture": "always"}}}, "/settings/defaults/capture"),
    ({"settings": {"allow": ["everything"]}}, "/settings/allow/0"),
    ({"settings": {"redirect": {"udp": "open"}}}, "/settings/redirect/udp"),
    ({"settings": {"ignoredNamespaces": ["agents"]}}, "/settings/ignoredNamespaces"),
]

CONTRADICTING = [
    (
        {"certificates": {"certManager": {"issuerRef": {"name": "ca"}}}},
        "certificates.certManager.issuerRef is set, but certificates.mode is self",
    ),
    (
        {"image": {"registry": "https://registry.example/mesh/"}},
        "image.registry is https://registry.example/mesh/, but references of images have no scheme, and no "
        "container could start; write registry.example/mesh",
    ),
    ({"sidecarImage": {"registry": "oci://registry.example"}}, "write registry.example"),
    ({"finalState": {"images": ["a/b", "https://a/b"]}}, "finalState.images[1] is https://a/b, but"),
    ({"terminationGracePeriodSeconds": 5}, "terminationGracePeriodSeconds must be more than drainSeconds"),
    ({"port": 15020}, "port, telemetryPort, control.port and federation.port must differ"),
    ({"control": {"port": 10250}}, "port, telemetryPort, control.port and federation.port must differ"),
    ({"hostNetwork": True}, "port 10250 of every node is the kubelet's"),
    ({"resourceQuota": {"enabled": True}}, "but priorityClassName is empty"),
    (
        {"replicas": 11, "priorityClassName": "a", "resourceQuota": {"enabled": True}},
        "resourceQuota.pods is less than replicas",
    ),
    ({"control": {"enabled": False}}, "identity.provider is builtin, but control.enabled is false"),
    ({"identity": {"provider": "files"}}, "identity.files does not say where"),
    (
        {"identity": {"provider": "spire", "ownAuthority": True}, "control": {"enabled": False}},
        "identity.ownAuthority is true, but control.enabled is false",
    ),
    (
        {"identity": {"provider": "spire"}, "federation": {"enabled": True}},
        "federation.enabled is true, but identity.provider is not builtin",
    ),
    ({"authorities": "ca.crt"}, "authorities holds no certificate as PEM text"),
    ({"authorities": "-----BEGIN EC PRIVATE KEY-----"}, "authorities holds a private key, and everybody"),
    ({"authorities": "-----BEGIN CERTIFICATE-----" + "x" * 65536}, "authorities is larger than 65536 bytes"),
    ({"settings": {"ports": {"inbound": 15002}}}, "settings.ports must differ"),
]


def test_the_chart_has_no_fault_that_lint_finds(helm) -> None:
    report = helm.chart.lint(CHART, {}, strict=True, namespace="outrider-system")
    assert [one for one in report["messages"] if one["severity"] > 1] == []
    assert report["errors"] == []


def test_kubernetes_1_29_gets_no_kind_that_it_does_not_have(helm, capfd) -> None:
    """Lint is what can be told a version; it does not fail where a template does, but says so on stderr."""
    for values, said in (({}, False), ({"finalState": {"mode": "always"}}, True)):
        assert helm.chart.lint(CHART, values, kube_version="v1.29.0")["errors"] == []
        message = "Kubernetes v1.29.0 has no ValidatingAdmissionPolicy of version v1"
        assert (message in capfd.readouterr().err) is said


def test_every_value_is_used() -> None:
    templates = "".join(
        path.read_text(encoding="utf-8") for path in (CHART / "templates").rglob("*") if path.is_file()
    )
    used = set(re.findall(r"Values\.(\w+)", templates))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert used == set(values) == set(SCHEMA["properties"]) - {"global"}


@pytest.mark.parametrize(("values", "place"), BAD, ids=str)
def test_bad_values_are_refused_with_their_place(values, place, render, helm) -> None:
    with pytest.raises(helm.HelmError) as caught:
        render(values)
    assert place in str(caught.value)


@pytest.mark.parametrize(("values", "sentence"), CONTRADICTING, ids=str)
def test_values_that_contradict_one_another_are_refused_with_a_sentence(
    values, sentence, render, helm
) -> None:
    with pytest.raises(helm.HelmError) as caught:
        render(values)
    assert sentence in str(caught.value)


def test_every_value_has_a_comment() -> None:
    lines = (CHART / "values.yaml").read_text(encoding="utf-8").splitlines()
    pairs = zip(["", *lines], lines, strict=False)
    assert [line for before, line in pairs if re.match(r" *\w+:", line) and "#" not in before] == []


def test_the_schema_knows_what_the_tables_of_the_code_know() -> None:
    text = build_schema.TARGET.read_text(encoding="utf-8")
    assert text == build_schema.updated(text), "run python -m charts.build_schema"


def test_the_schema_takes_nothing_that_it_does_not_know() -> None:
    open_objects = []

    def look(schema: object, place: str) -> None:
        if isinstance(schema, dict):
            if "properties" in schema and schema.get("additionalProperties") is not False:
                open_objects.append(place)
            for key, below in schema.items():
                look(below, f"{place}/{key}")

    look(SCHEMA, "")
    assert open_objects == []
