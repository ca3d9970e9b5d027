"""Which ports of Services lead nowhere."""

from __future__ import annotations

import pytest

from cli.selecting.service_ports import mutual_tls_port, unanswered
from tests.support import outrider_cluster as cluster
from tests.support.outrider_cluster import agent_service, changed
from webhook.admission.settings import InjectionSettings, Ports

POD = cluster.injected_pod()
MOVED = cluster.injected_pod("moved", InjectionSettings(ports=Ports(inbound=16443)))
SILENT = changed(POD, "spec/containers/0/ports", ...)


@pytest.mark.parametrize(
    ("target", "pods", "found"),
    [
        (15443, [POD], None),
        (9000, [POD], None),
        ("outrider-mtls", [POD], None),
        (15443, [MOVED], True),
        (15443, [MOVED, POD], None),  # during a rollout
        ("web", [POD], True),
        (8080, [POD], False),
        (8080, [SILENT], None),  # nobody says what it listens on
        (15443, [changed(SILENT, "spec/initContainers/0/ports", [])], True),
        (8080, [], None),
    ],
)
def test_a_port_that_no_container_has_is_found(target, pods, found) -> None:
    assert [one.certain for one in unanswered(agent_service(target), pods)] == (
        [] if found is None else [found]
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec/selector", {"app": "other"}),
        ("spec/selector", {}),
        ("spec/ports", None),
        ("spec/ports", ["x"]),
        ("spec/ports/0/protocol", "UDP"),
        ("spec/clusterIP", "None"),
    ],
)
def test_what_leads_to_no_tcp_port_of_these_pods_does_not_count(path, value) -> None:
    assert list(unanswered(changed(agent_service(8080), path, value), [POD])) == []


def test_where_a_sidecar_takes_mutual_tls_stands_in_its_ports() -> None:
    assert (mutual_tls_port(POD), mutual_tls_port(MOVED)) == (15443, 16443)
    assert mutual_tls_port(cluster.bare_pod()) is None
