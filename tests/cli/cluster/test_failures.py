from __future__ import annotations

import pytest

from cli.cluster.failures import refused, unavailable


@pytest.mark.parametrize(
    ("said", "cause", "hint"),
    [
        ("certificate verify failed: certificate has expired (_ssl.c:1006)", "has expired", "Renew it"),
        (
            "[SSL: SSLV3_ALERT_CERTIFICATE_EXPIRED] sslv3 alert certificate expired",
            "client certificate, which",
            "kubeconfig",
        ),
        ("tlsv1 alert unknown ca", "refuses this machine's client certificate", "kubeconfig"),
        ("Hostname mismatch, certificate is not valid for 'x'", "for another name", "tls-server-name"),
        (
            "certificate verify failed: unable to get local issuer certificate",
            "not vouched for",
            "belongs to",
        ),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "does not speak TLS", "address"),
        ("[Errno -2] Name or service not known", "cannot be resolved", "VPN"),
        ("[Errno 111] Connection refused", "refuses connections", "cluster runs"),
        ("Connection to x timed out.", "did not answer in time", "firewall"),
        ("[Errno 101] Network is unreachable", "no route", "VPN"),
        ("something new", "cannot be asked: something new.", "kubectl version"),
    ],
)
def test_each_cause_has_its_sentence_and_its_next_step(said, cause, hint) -> None:
    error = unavailable("https://x:6443", OSError(said))
    assert cause in error.cause
    assert hint in error.hint
    assert "https://x:6443" in error.cause
    assert error.cause.endswith(".")
    assert error.hint.endswith(".")


def test_the_cause_is_found_however_deep_it_is() -> None:
    inner = OSError("[Errno 111] Connection refused")
    outer = ValueError("pool", inner)
    outer.__context__ = outer  # also where errors refer to themselves
    assert "refuses connections" in unavailable("https://x", outer).cause


def test_an_error_without_words_is_named() -> None:
    assert "OSError" in unavailable("https://x", OSError()).cause


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "who asks (401)"), (403, "let this user ask (403): no"), (500, "answers 500: no")],
)
def test_answers_that_stop_everything_have_a_sentence(status, words) -> None:
    assert words in refused("https://x", status, "no.").cause
