"""Probes of the application, as the sidecar's configuration gives them."""

from __future__ import annotations

import json

import pytest

from mesh.policy.errors import PolicyInvalid
from sidecar.app_probes import GrpcProbe, HttpProbe, TcpProbe
from sidecar.config import load_config

BASE = {"OUTRIDER_POLICIES": "policies.yaml", "OUTRIDER_IDENTITY_PROVIDER": "none"}


def read(probes: object):
    config = load_config(None, {**BASE, "OUTRIDER_APPLICATION_PROBES": json.dumps(probes)})
    return dict(config.application.probes)


def test_every_kind_is_read() -> None:
    headers = [{"name": "X-Token", "value": "é"}, {"name": "empty"}]
    assert read(
        {
            "agent/readiness": {
                "httpGet": {"path": "/health", "port": "web", "scheme": "HTTPS", "httpHeaders": headers},
                "port": 8080,
                "timeoutSeconds": 3,
            },
            "agent/liveness": {"tcpSocket": {"port": 9000}, "port": 9000},
            "side-car/startup": {"grpc": {"port": 50051, "service": "mcp"}, "port": 50051},
            "agent/post-start": {"grpc": {"port": 50051, "service": ""}, "port": 50051},
            "agent/pre-stop": {"httpGet": {"port": 80, "host": ""}, "port": 80},
        }
    ) == {
        "agent/readiness": HttpProbe(
            8080, 3.0, "/health", True, ((b"x-token", "é".encode()), (b"empty", b""))
        ),
        "agent/liveness": TcpProbe(9000, 1.0),
        "side-car/startup": GrpcProbe(50051, 1.0, "mcp"),
        "agent/post-start": GrpcProbe(50051, 1.0, ""),
        "agent/pre-stop": HttpProbe(80, 1.0, "/", False, ()),
    }


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("healthz", "/healthz"),
        ("/a b?q=%20é#part", "/a%20b?q=%20%C3%A9"),
        ("/x\r\ny: z", "/x%0D%0Ay:%20z"),
        ("", "/"),
    ],
)
def test_a_path_is_written_as_it_goes_over_the_wire(path, target) -> None:
    probe = read({"a/readiness": {"httpGet": {"path": path, "port": 1}, "port": 1}})["a/readiness"]
    assert probe.path == target


@pytest.mark.parametrize(
    ("probes", "told"),
    [
        ([], "expected a mapping"),
        ({"agent": {"tcpSocket": {}, "port": 1}}, "is not container/probe"),
        ({"a/b": {"port": 1}}, "one of httpGet, tcpSocket, grpc expected, found 0"),
        ({"a/b": {"tcpSocket": {}, "grpc": {}, "port": 1}}, "found 2"),
        ({"a/b": {"tcpSocket": {}}}, ".port: missing; the number of the port"),
        ({"a/b": {"tcpSocket": {}, "port": 0}}, "out of range"),
        ({"a/b": {"tcpSocket": {}, "port": 1, "timeoutSeconds": 0}}, "out of range"),
        ({"a/b": {"exec": {}, "port": 1}}, "unknown field"),
        ({"a/b": {"httpGet": {"scheme": "FTP"}, "port": 1}}, "allowed: HTTP, HTTPS"),
        ({"a/b": {"httpGet": {"host": "example.org"}, "port": 1}}, "the kubelet's own to ask"),
        ({"a/b": {"httpGet": {"httpHeaders": [{"name": "a b"}]}, "port": 1}}, "is no name of a header"),
        (
            {"a/b": {"httpGet": {"httpHeaders": [{"name": "a", "value": "b\n"}]}, "port": 1}},
            "is no value of a",
        ),
        ({"a/b": 3}, "expected a mapping"),
    ],
)
def test_a_probe_that_cannot_be_asked_is_refused(probes, told) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        read(probes)
    assert told in str(caught.value)
