"""The edge against a server over HTTP: pages, refusals, and every way in which there is no cluster."""

from __future__ import annotations

import argparse
import json
import ssl
import warnings
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization

from cli.cluster.answers import Denied
from cli.cluster.connect import Connection, asking, connect
from cli.cluster.failures import ClusterUnavailable
from cli.cluster.parts import read_list, read_one
from cli.cluster.resources import path_of
from tests.support.cluster_over_http import Cluster, kubeconfig, serving
from tests.support.outrider_cluster import certificate


def options(path: object = None, context: str | None = None) -> argparse.Namespace:
    return argparse.Namespace(kubeconfig=path, context=context, acting_as=None)


@pytest.fixture(autouse=True)
def _no_cluster_around(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


@pytest.fixture
def cluster():
    return Cluster(
        lists={"/things": [{"metadata": {"name": str(i), "labels": {"n": str(i % 2)}}} for i in range(5)]},
        objects={"/one": {"kind": "Thing"}},
        texts={"/log": "a\nb\n", "/nonsense": "<html>", "/list": "[1]"},
        status={"/forbidden": 403, "/broken": 500},
    )


@pytest.fixture
def api(cluster, tmp_path):
    with serving(cluster) as url:
        yield connect(options(kubeconfig(tmp_path, url))).api


def test_lists_are_read_over_all_their_pages(api, cluster) -> None:
    found = api.items("/things")
    assert [one["metadata"]["name"] for one in found] == list("01234")
    assert {(one["apiVersion"], one["kind"]) for one in found} == {("v1", "Thing")}
    assert len(cluster.requests) == 3


def test_queries_are_passed_on(api) -> None:
    assert len(api.items("/things", labelSelector="n=1")) == 2


def test_objects_and_texts_are_read(api) -> None:
    assert api.get("/one") == {"kind": "Thing"}
    assert api.text("/log") == "a\nb\n"


@pytest.mark.parametrize(("path", "status"), [("/forbidden", 403), ("/gone", 404), ("/broken", 500)])
def test_refusals_have_their_status_and_the_servers_words(api, path, status) -> None:
    with pytest.raises(Denied) as denied:
        api.get(path)
    assert denied.value.status == status
    assert path in str(denied.value)


@pytest.mark.parametrize("path", ["/nonsense", "/list"])
def test_what_is_no_api_server_is_said_to_be_none(api, path) -> None:
    with pytest.raises(ClusterUnavailable, match="no API server"):
        api.get(path)


def test_parts_tell_absent_from_forbidden(api) -> None:
    assert read_list(lambda: api.items("/gone")).absent
    assert "403" in read_list(lambda: api.items("/forbidden")).unread
    assert read_one(lambda: api.get("/gone")).absent
    assert "500" in read_one(lambda: api.get("/broken")).unread
    assert read_one(lambda: api.get("/one")).one == {"kind": "Thing"}


def failing(path, capsys, context: str | None = None) -> str:
    def command(connection: Connection) -> int:
        connection.api.get("/one")
        return 0

    assert asking(options(path, context), command) == 2
    return capsys.readouterr().err


def test_a_wrong_token_is_told(cluster, tmp_path, capsys) -> None:
    with serving(cluster) as url:
        assert "does not know who asks (401)" in failing(kubeconfig(tmp_path, url, token="wrong"), capsys)


def test_a_server_that_is_gone_is_told(cluster, tmp_path, capsys) -> None:
    with serving(cluster) as url:
        pass
    said = failing(kubeconfig(tmp_path, url), capsys)
    assert said.startswith(f"outrider: {url} refuses connections.\n  Look whether")


def test_a_name_that_nobody_has_is_told(tmp_path, capsys) -> None:
    assert "cannot be resolved" in failing(kubeconfig(tmp_path, "https://nowhere.invalid"), capsys)


def test_plain_text_where_tls_is_expected_is_told(cluster, tmp_path, capsys) -> None:
    with serving(cluster) as url:
        assert "does not speak TLS" in failing(kubeconfig(tmp_path, url.replace("http", "https")), capsys)


def tls_files(tmp_path, days: int, dns: str) -> tuple[ssl.SSLContext, str]:
    now = datetime.now(UTC)
    made, key = certificate("api", now - timedelta(days=30), now + timedelta(days=days), dns=dns)
    crt, pem = tmp_path / "tls.crt", tmp_path / "tls.key"
    crt.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, pem)
    return context, str(crt)


@pytest.mark.parametrize(
    ("days", "dns", "trusted", "words"),
    [
        (-1, "localhost", True, "has expired"),
        (30, "other", True, "is for another name"),
        (30, "localhost", False, "not vouched for"),
    ],
)
def test_certificates_that_cannot_be_are_told(cluster, tmp_path, capsys, days, dns, trusted, words) -> None:
    context, authority = tls_files(tmp_path, days, dns)
    with serving(cluster, context) as url:
        more = {"certificate-authority": authority} if trusted else {}
        path = kubeconfig(tmp_path, url.replace("127.0.0.1", "localhost"), **more)
        assert words in failing(path, capsys)


def test_a_server_that_nobody_verifies_is_told_once_and_other_warnings_stay(
    cluster, tmp_path, capsys
) -> None:
    context, _ = tls_files(tmp_path, 30, "other")
    with serving(cluster, context) as url:
        path = kubeconfig(tmp_path, url, **{"insecure-skip-tls-verify": True})
        api = connect(options(path)).api
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert api.get("/one") == api.get("/one") == {"kind": "Thing"}
            warnings.warn("another", stacklevel=1)
    said = capsys.readouterr().err
    assert said.count("insecure-skip-tls-verify: true") == 1
    assert url in said
    assert [str(one.message) for one in caught] == ["another"]


def test_nothing_is_said_of_servers_that_are_verified_or_speak_no_tls(cluster, tmp_path, capsys) -> None:
    context, authority = tls_files(tmp_path, 30, "localhost")
    with serving(cluster, context) as url:
        path = kubeconfig(
            tmp_path, url.replace("127.0.0.1", "localhost"), **{"certificate-authority": authority}
        )
        connect(options(path)).api.get("/one")
    with serving(cluster) as url:
        path = kubeconfig(tmp_path, url, **{"insecure-skip-tls-verify": True})
        connect(options(path)).api.get("/one")
    assert capsys.readouterr().err == ""


def test_without_a_kubeconfig_the_hint_says_how_to_name_one(tmp_path, capsys) -> None:
    assert "There is no kubeconfig: " in failing(None, capsys)
    said = failing(tmp_path / "none", capsys)
    assert f"{tmp_path / 'none'} does not exist.\n  Name one with --kubeconfig" in said


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"clusters": 1}', '{"current-context": "x", "contexts": [{}]}', "a: b"],
)
def test_a_kubeconfig_that_is_none_is_told(tmp_path, capsys, text) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    assert "cannot be used: " in failing(tmp_path / "kubeconfig", capsys)


def test_a_context_that_does_not_exist_is_told(cluster, tmp_path, capsys) -> None:
    path = kubeconfig(tmp_path, "https://x")
    assert "Expected object with name nope" in failing(path, capsys, context="nope")


def test_the_context_says_which_namespace(tmp_path) -> None:
    path = kubeconfig(tmp_path, "https://x")
    assert connect(options(path)).namespace == "agents"
    assert connect(options(path, "other")).namespace == "default"


def test_several_kubeconfigs_are_one(tmp_path, monkeypatch) -> None:
    path = kubeconfig(tmp_path, "https://x")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'none'}:{path}")
    assert connect(options()).api.server == "https://x"


@pytest.mark.parametrize(
    ("user", "acting_as", "sent"),
    [
        ({}, None, {}),
        ({"as": "dev"}, None, {"Impersonate-User": "dev"}),
        (
            {"as": "dev", "as-uid": 7, "as-groups": ["g"]},
            None,
            {"Impersonate-User": "dev", "Impersonate-Uid": "7", "Impersonate-Group": "g"},
        ),
        ({"as": "dev"}, "other", {"Impersonate-User": "other"}),
        ({"as": "dev", "as-groups": ["a", "b"]}, "other", {"Impersonate-User": "other"}),
    ],
)
def test_a_kubeconfig_that_acts_as_another_user_does(cluster, tmp_path, user, acting_as, sent) -> None:
    with serving(cluster) as url:
        path = kubeconfig(tmp_path, url)
        written = json.loads(path.read_text())
        written["users"][0]["user"].update(user)
        path.write_text(json.dumps(written))
        arguments = argparse.Namespace(kubeconfig=path, context=None, acting_as=acting_as)
        connect(arguments).api.get("/one")
    fields = cluster.headers[-1]
    assert {name: value for name, value in fields.items() if name.startswith("Impersonate")} == sent


@pytest.mark.parametrize("more", [{"as-groups": ["a", "b"]}, {"as-user-extra": {"x": ["y"]}}])
def test_what_cannot_be_acted_as_is_refused(cluster, tmp_path, more) -> None:
    with serving(cluster) as url:
        path = kubeconfig(tmp_path, url)
        written = json.loads(path.read_text())
        written["users"][0]["user"].update({"as": "dev", **more})
        path.write_text(json.dumps(written))
        with pytest.raises(ClusterUnavailable, match="which cannot be sent"):
            connect(options(path))


def test_the_kubeconfig_is_left_as_it_is(tmp_path) -> None:
    path = kubeconfig(tmp_path, "https://x")
    before = path.read_text()
    connect(options(path))
    assert json.loads(path.read_text()) == json.loads(before)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("triage", "/api/v1/namespaces/a/pods/triage"),
        ("pod/triage", "/api/v1/namespaces/a/pods/triage"),
        ("deploy/triage", "/apis/apps/v1/namespaces/a/deployments/triage"),
        ("Deployment.apps/triage", "/apis/apps/v1/namespaces/a/deployments/triage"),
        ("cj/x", "/apis/batch/v1/namespaces/a/cronjobs/x"),
        ("service/x", None),
        ("deploy/", None),
        ("", None),
    ],
)
def test_objects_are_named_as_people_name_them(text, path) -> None:
    assert path_of(text, "a") == path


def test_inside_a_pod_its_service_account_is_used(monkeypatch, tmp_path, capsys) -> None:
    from kubernetes.config import incluster_config

    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    for name, file in (("SERVICE_TOKEN_FILENAME", "token"), ("SERVICE_CERT_FILENAME", "ca.crt")):
        monkeypatch.setattr(incluster_config, name, str(tmp_path / file))
    assert "The pod's ServiceAccount cannot be used: " in failing(None, capsys)
    _, authority = tls_files(tmp_path, 30, "x")
    (tmp_path / "token").write_text("sesame")
    (tmp_path / "ca.crt").write_bytes((tmp_path / authority).read_bytes())
    connection = connect(options())
    assert (connection.api.server, connection.namespace) == ("https://10.0.0.1:443", "default")


def test_a_named_kubeconfig_counts_inside_a_pod_too(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert "There is no kubeconfig" in failing(tmp_path / "none", capsys)


def test_metadata_is_without_what_an_object_holds(api, cluster) -> None:
    cluster.objects["/secret"] = {
        "metadata": {"name": "s"},
        "data": {"key": "a2V5"},
        "stringData": {"a": "b"},
    }
    assert api.metadata("/secret") == {"metadata": {"name": "s"}}
    assert "PartialObjectMetadata" in cluster.headers[-1]["Accept"]


def test_what_a_pod_answers_counts_with_any_status(api, cluster) -> None:
    cluster.objects["/pods/a:15020/proxy/readyz"] = {"ready": True}
    assert json.loads(api.through("/pods/a:15020/proxy/readyz")) == {"ready": True}
    cluster.answers["/pods/b:15020/proxy/readyz"] = (503, '{"ready": false}')
    assert json.loads(api.through("/pods/b:15020/proxy/readyz")) == {"ready": False}
    cluster.answers["/pods/c:15020/proxy/readyz"] = (502, "not JSON")
    assert api.through("/pods/c:15020/proxy/readyz") == "not JSON"


@pytest.mark.parametrize(("path", "status"), [("/forbidden", 403), ("/broken", 500), ("/nowhere", 404)])
def test_what_the_api_server_answers_in_place_of_a_pod_is_a_refusal(api, path, status) -> None:
    with pytest.raises(Denied) as raised:
        api.through(path)
    assert raised.value.status == status
