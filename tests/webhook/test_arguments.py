from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from webhook.arguments import parse

POD = {"OUTRIDER_NAMESPACE": "outrider-system", "OUTRIDER_POD_NAME": "outrider-webhook-1"}


def test_in_a_pod_nothing_need_be_said() -> None:
    given = parse([], POD)
    assert (given.certificates, given.namespace, given.identity) == (
        "self",
        "outrider-system",
        "outrider-webhook-1",
    )
    assert (given.service, given.secret, given.lease) == (
        "outrider-webhook",
        "outrider-webhook-tls",
        "outrider-webhook",
    )
    assert (given.mutating, given.validating) == ("outrider-injector", "outrider-validator")
    assert (given.port, given.telemetry_port) == (10250, 15020)
    assert given.leaf_lifetime == timedelta(days=7)


def test_a_certificate_by_name_means_files() -> None:
    given = parse(["--cert", "a", "--key", "b"], {})
    assert (given.certificates, given.cert, given.key) == ("files", Path("a"), Path("b"))


def test_flags_win_over_the_environment() -> None:
    given = parse(["--namespace", "x", "--identity", "y", "--announce", "5"], POD)
    assert (given.namespace, given.identity, given.announce) == ("x", "y", timedelta(seconds=5))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--certificates", "files"], "needs --cert and --key"),
        (["--certificates", "self", "--cert", "a"], "belong to --certificates files"),
        ([], "OUTRIDER_NAMESPACE and OUTRIDER_POD_NAME, are needed"),
        (["--announce", "soon"], "--announce"),
    ],
)
def test_what_does_not_fit_together_is_told(arguments, told, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments, {})
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_sidecars_are_served_where_a_port_is_given() -> None:
    assert (parse([], POD).control_port, parse([], POD).trust_domain) == (0, "cluster.local")
    given = parse(
        ["--control-port", "15012", "--trust-domain", "a.example", "--federation-port", "8443"], POD
    )
    assert (given.control_port, given.trust_domain, given.federation_port) == (15012, "a.example", 8443)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--cert", "a", "--key", "b", "--control-port", "1"], "--control-port needs --namespace"),
        (["--cert", "a", "--key", "b", "--federation-port", "1"], "--federation-port needs --control-port"),
        (["--trust-domain", "A_!"], "argument --trust-domain"),
        (["--cert", "a", "--key", "b", "--federation-cert", "c"], "--federation-key belong together"),
    ],
)
def test_a_control_port_needs_to_know_who_we_are(arguments, told, capsys) -> None:
    with pytest.raises(SystemExit):
        parse(arguments, {})
    assert told in capsys.readouterr().err
