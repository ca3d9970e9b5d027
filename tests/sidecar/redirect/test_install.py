from __future__ import annotations

import ipaddress
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.redirect.backends import installer
from sidecar.redirect.commands import Result
from sidecar.redirect.install import (
    NotInstalled,
    families,
    install,
    planned,
    undo,
    with_resolvers,
)
from sidecar.redirect.rules import Family
from sidecar.redirect.settings import Backend, Ipv6, RedirectSettings, read_settings

SETTINGS = read_settings({})
BOTH = (Family.IPV4, Family.IPV6)
PLANS = planned(SETTINGS, BOTH)
REFUSED = Result(1, "", "netlink: Error: cache initialization failed: Operation not permitted")
NO_MODULE = Result(
    3, "", "iptables v1.8.9 (legacy): can't initialize iptables table `nat': Table does not exist"
)
# /proc/net/if_inet6: address, index, prefix length, scope, flags, device.
LO = "00000000000000000000000000000001 01 80 10 80       lo\n"
LINK = "fe800000000000000000000000000005 02 40 20 80     eth0\n"
GLOBAL = "20010db8000000000000000000000005 02 40 00 80     eth0\n"


def chosen(backend: Backend) -> RedirectSettings:
    return replace(SETTINGS, backend=backend)


@pytest.mark.parametrize("backend", [backend for backend in Backend if backend is not Backend.AUTO])
def test_each_backend_installs_and_reads_back_what_it_installed(tools, say, backend) -> None:
    assert install(chosen(backend), PLANS, tools, say).backend is backend


def test_a_read_back_leaves_no_copy_behind(tools, say) -> None:
    install(chosen(Backend.NFT), PLANS, tools, say)
    assert "copy" not in tools.held["nft"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\tchain guard_in {\n", "\tchain guard_in {\n\t\taccept\n"),
        ("meta l4proto udp reject", "meta l4proto udp return"),
        ("hook input priority -5", "hook input priority -4"),
        ("\tchain guard_in {\n", "\tflags dormant\n\tchain guard_in {\n"),
        ("\tchain guard_in {\n", "\tchain more {\n\t\taccept\n\t}\n\tchain guard_in {\n"),
    ],
)
def test_native_rules_that_were_changed_under_their_comments_are_differences(tools, say, old, new) -> None:
    install(chosen(Backend.NFT), PLANS, tools, say)
    assert old in tools.held["nft"]
    tools.held["nft"] = tools.held["nft"].replace(old, new, 1)
    assert installer(Backend.NFT, tools).missing(PLANS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("-A OUTRIDER_GUARD_IN", "-A OUTRIDER_GUARD_IN -j ACCEPT\n-A OUTRIDER_GUARD_IN"),
        ("-j DROP", "-j ACCEPT"),
        ("-A INPUT", "-A INPUT -s 10.0.0.1 -j ACCEPT\n-A INPUT"),
        ("-A OUTRIDER_GUARD_OUT", "-A OUTRIDER_MORE -j ACCEPT\n-A OUTRIDER_GUARD_OUT"),
    ],
)
def test_rules_of_iptables_that_were_changed_under_their_comments_are_differences(
    tools, say, old, new
) -> None:
    install(chosen(Backend.IPTABLES_NFT), PLANS, tools, say)
    tools.held["ip6tables-nft"] = tools.held["ip6tables-nft"].replace(old, new, 1)
    (found, *_) = installer(Backend.IPTABLES_NFT, tools).missing(PLANS)
    assert found.startswith("IPv6: chain ")


def test_the_first_backend_that_works_is_taken(tools, say, said, missing) -> None:
    tools.broken["nft"] = missing
    assert install(SETTINGS, PLANS, tools, say).backend is Backend.IPTABLES_NFT
    tools.broken["iptables-nft-restore"] = tools.broken["iptables-nft-save"] = NO_MODULE
    assert install(SETTINGS, PLANS, tools, say).backend is Backend.IPTABLES_LEGACY


def test_a_chosen_backend_is_not_replaced_by_another(tools, say, missing) -> None:
    tools.broken["nft"] = missing
    with pytest.raises(NotInstalled, match=r"nft: there is no such binary; install it in the image"):
        install(chosen(Backend.NFT), PLANS, tools, say)
    assert {command[0] for command in tools.ran} == {"nft"}


def test_a_lack_of_privileges_is_not_tried_again_with_other_tools(tools, say) -> None:
    tools.broken["nft"] = REFUSED
    with pytest.raises(NotInstalled, match="NET_ADMIN and NET_RAW"):
        install(SETTINGS, PLANS, tools, say)
    assert {command[0] for command in tools.ran} == {"nft"}


@pytest.mark.parametrize("variant", ["nft", "legacy"])
def test_when_ipv6_fails_ipv4_is_taken_away_again_and_the_step_fails(tools, say, variant) -> None:
    tools.broken[f"ip6tables-{variant}-restore"] = NO_MODULE
    with pytest.raises(NotInstalled, match=f"ip6tables-{variant}-restore: the kernel lacks what it needs"):
        install(chosen(Backend(f"iptables-{variant}")), PLANS, tools, say)
    assert tools.held[f"iptables-{variant}"] == ""


def test_when_nothing_works_each_reason_is_given(tools, say, missing) -> None:
    for tool in ("nft", "iptables-nft-save", "iptables-legacy-save"):
        tools.broken[tool] = missing
    with pytest.raises(NotInstalled) as caught:
        install(SETTINGS, PLANS, tools, say)
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "nft",
        "iptables-nft",
        "iptables-legacy",
    ]


def test_success_that_left_no_rules_is_a_failure(tools, say) -> None:
    class Forgetful(type(tools)):
        def _nft(self, command, text):
            return Result(0, "", "")

    with pytest.raises(NotInstalled, match="reported success, but IPv4: none of the rules is there"):
        install(chosen(Backend.NFT), PLANS, Forgetful(), say)


def test_rules_that_another_backend_held_are_removed(tools, say, said) -> None:
    install(chosen(Backend.IPTABLES_LEGACY), PLANS, tools, say)
    install(chosen(Backend.NFT), PLANS, tools, say)
    assert said == ["NOTE: rules that iptables-legacy held were removed"]
    assert tools.held["iptables-legacy"] == tools.held["ip6tables-legacy"] == ""


def test_undo_names_what_it_removed_and_is_content_with_nothing(tools, say) -> None:
    install(chosen(Backend.NFT), PLANS, tools, say)
    assert undo(tools) == [Backend.NFT]
    assert undo(tools) == []


def test_undo_tries_every_backend_before_it_fails(tools, say) -> None:
    install(chosen(Backend.IPTABLES_NFT), PLANS, tools, say)
    tools.broken["nft"] = REFUSED
    with pytest.raises(NotInstalled, match="nft: nft: the kernel refused it"):
        undo(tools)
    assert tools.held["iptables-nft"] == ""


def test_undo_without_privileges_is_a_failure_and_not_nothing(tools) -> None:
    tools.broken["iptables-legacy-save"] = Result(
        4, "", "iptables-save: Permission denied (you must be root)"
    )
    with pytest.raises(NotInstalled, match="iptables-legacy"):
        undo(tools)


@pytest.mark.parametrize(
    ("ipv6", "addresses", "captured", "said_word"),
    [
        (Ipv6.AUTO, LO, BOTH, None),
        (Ipv6.AUTO, "", BOTH, None),
        (Ipv6.AUTO, LO + LINK + GLOBAL, BOTH, None),
        (Ipv6.ON, LO, BOTH, None),
        (Ipv6.AUTO, None, (Family.IPV4,), "NOTE"),
        (Ipv6.OFF, None, (Family.IPV4,), "NOTE"),
        (Ipv6.OFF, LO + LINK, (Family.IPV4,), "WARNING"),
        (Ipv6.OFF, LO + LINK + GLOBAL, None, None),
        (Ipv6.ON, None, None, None),
    ],
)
def test_ipv6_is_captured_wherever_it_could_be_used(
    tmp_path, say, said, ipv6, addresses, captured, said_word
) -> None:
    proc = tmp_path / "if_inet6"
    if addresses is not None:
        proc.write_text(addresses)
    settings = replace(SETTINGS, ipv6=ipv6)
    if captured is None:
        with pytest.raises(NotInstalled, match="use `auto`"):
            families(settings, say, proc)
    else:
        assert families(settings, say, proc) == captured
    assert [line.split(":")[0] for line in said] == ([said_word] if said_word else [])


def test_resolvers_are_those_of_the_pod_unless_named(tmp_path, say, said) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(
        "# c\nsearch a b\nnameserver 10.96.0.10\nnameserver\t fe80::1%eth0\nnameserver x\nnameserver\n"
    )
    addresses = tuple(map(ipaddress.ip_address, ("10.96.0.10", "fe80::1")))
    assert with_resolvers(SETTINGS, say, file).nameservers == addresses
    named = replace(SETTINGS, nameservers=addresses[:1])
    assert with_resolvers(named, say, file) is named
    assert said == []


def test_without_a_list_of_resolvers_it_says_what_that_means(tmp_path, say, said) -> None:
    assert with_resolvers(SETTINGS, say, Path(tmp_path / "none")).nameservers == ()
    assert "DNS over TCP goes to the sidecar" in said[0]
