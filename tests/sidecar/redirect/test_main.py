from __future__ import annotations

import pytest

from sidecar.redirect import __main__ as step
from sidecar.redirect.commands import Result
from sidecar.redirect.rules import Family
from sidecar.redirect.verify import NotRedirected, Proof

BOTH = (Family.IPV4, Family.IPV6)


@pytest.fixture
def machine(tools, monkeypatch):
    """A pod with both IP versions in which redirection works."""
    monkeypatch.setattr(step, "run_tool", tools)
    monkeypatch.setattr(step, "families", lambda settings, say: BOTH)
    monkeypatch.setattr(step, "with_resolvers", lambda settings, say: settings)
    monkeypatch.setattr(
        step, "verify", lambda settings, captured: [Proof(f, True, "proved") for f in captured]
    )
    return tools


def test_install_verifies_and_says_what_it_did(machine, capsys) -> None:
    assert step.main(["install"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "installed with nft: IPv4 and IPv6",
        "verified: IPv4: proved",
        "verified: IPv6: proved",
    ]
    assert step.main(["verify"]) == 0


def test_what_does_not_redirect_ends_with_126_and_leaves_the_guards(machine, monkeypatch, capsys) -> None:
    def fails(settings, captured):
        raise NotRedirected("IPv4 TCP did not arrive")

    monkeypatch.setattr(step, "verify", fails)
    assert step.main(["install"]) == 126
    assert "the pod must not start: IPv4 TCP did not arrive" in capsys.readouterr().err
    assert machine.held["nft"]


def test_verify_without_rules_ends_with_126(machine, capsys) -> None:
    assert step.main(["verify"]) == 126
    assert step.main(["verify", "--backend", "iptables-legacy"]) == 126


def test_verify_without_tools_ends_with_126_and_says_which(machine, missing, capsys) -> None:
    machine.broken["nft"] = missing
    assert step.main(["verify", "--backend", "nft"]) == 126
    assert "nft: there is no such binary" in capsys.readouterr().err


def test_a_failed_installation_ends_with_1(machine, capsys) -> None:
    machine.broken["nft"] = Result(1, "", "Operation not permitted")
    assert step.main(["install"]) == 1
    assert "install failed; the pod must not start:" in capsys.readouterr().err


def test_undo_ends_with_1_where_it_cannot_know(machine, capsys) -> None:
    machine.broken["nft"] = Result(1, "", "Operation not permitted")
    assert step.main(["undo"]) == 1
    assert capsys.readouterr().err.startswith("undo failed:\n")


def test_undo_says_what_was_removed(machine, capsys) -> None:
    assert step.main(["install"]) == 0
    capsys.readouterr()
    assert step.main(["undo"]) == 0
    assert step.main(["undo"]) == 0
    assert capsys.readouterr().err.splitlines() == ["removed what nft held", "there was nothing to remove"]


@pytest.mark.parametrize(
    ("backend", "has"),
    [
        ("auto", "table ip6 outrider {"),
        ("nft", "table ip6 outrider {"),
        ("iptables-nft", "# ip6tables-nft-restore"),
        ("iptables-legacy", "# iptables-legacy-restore"),
    ],
)
def test_a_dry_run_prints_the_rules_and_touches_nothing(machine, capsys, backend, has) -> None:
    assert step.main(["dry-run", "--backend", backend]) == 0
    assert has in capsys.readouterr().out.splitlines()
    assert machine.ran == []


def test_a_flag_wins_over_the_environment(machine, monkeypatch, capsys) -> None:
    monkeypatch.setenv("OUTRIDER_REDIRECT_OUTBOUND_PORT", "16001")
    monkeypatch.setenv("OUTRIDER_REDIRECT_INBOUND_PORT", "16006")
    assert step.main(["dry-run", "--outbound-port", "17001"]) == 0
    text = capsys.readouterr().out
    assert "redirect to :17001" in text
    assert "redirect to :16006" in text
    assert "16001" not in text


def test_invalid_settings_end_with_2_and_every_error(machine, capsys) -> None:
    assert step.main(["install", "--uid", "0", "--udp", "x"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert machine.ran == []
