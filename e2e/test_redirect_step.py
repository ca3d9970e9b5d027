"""The init step in real namespaces: who may run it, what it leaves behind, when it keeps a pod from starting."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from e2e.conftest import skip
from e2e.frames import tcp_flows
from e2e.namespaces import Network, Pod, missing, network
from e2e.plugs import SIDECAR, bound, dialled, listening
from e2e.test_redirect import BACKENDS, redirect, usable
from sidecar.capture.original_destination import original_destination
from sidecar.redirect import iptables

NOBODY = 65534
CAPABLE = {"uid": NOBODY, "capabilities": ("net_admin", "net_raw")}
FOREIGN = """\
*nat
:SOMEBODY - [0:0]
-A OUTPUT -p tcp --dport 5999 -m comment --comment "not ours: OUTRIDER_ in words" -j SOMEBODY
-A SOMEBODY -j RETURN
COMMIT
*filter
-A INPUT -p udp --dport 5998 -j ACCEPT
COMMIT
"""
FOREIGN_NFT = """\
table ip nat {
  chain output {
    type nat hook output priority 0;
    tcp dport 1 accept comment "outrider: not ours"
  }
}
table inet outrider_of_somebody {
}
"""


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def net(backend: str) -> Iterator[Network]:
    if reason := missing():
        skip("redirection in network namespaces", reason)
    with network("agent", "peer") as built:
        try:
            usable(backend, built["peer"])
        except FileNotFoundError as error:
            skip(f"the backend {backend}", error)
        yield built


def nft(pod: Pod, *words: str, text: str | None = None) -> str:
    return _tool(pod, "nft", *words, text=text)


def _tool(pod: Pod, *command: str, text: str | None = None) -> str:
    done = subprocess.run(pod.command(command), input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tables(pod: Pod, backend: str) -> str:
    """Every rule of the pod in both IP versions, without counters; empty chains of the kernel do not count."""
    if backend == "nft":
        return nft(pod, "list", "ruleset")
    saved = "".join(
        _tool(pod, f"{tool}-{backend.removeprefix('iptables-')}-save", "-t", table)
        for tool in ("iptables", "ip6tables")
        for table in ("filter", "nat")
    )
    return "\n".join(line for line in saved.splitlines() if not re.match(r"#|:[A-Z]+ ACCEPT", line))


def put_foreign_rules(pod: Pod, backend: str) -> None:
    if backend == "nft":
        nft(pod, "-f", "-", text=FOREIGN_NFT)
        return
    for tool in ("iptables", "ip6tables"):
        _tool(pod, f"{tool}-{backend.removeprefix('iptables-')}-restore", "--noflush", text=FOREIGN)


def test_installing_twice_leaves_the_same_rules_once(net, backend) -> None:
    agent = net["agent"]
    put_foreign_rules(agent, backend)
    assert redirect(agent, "install", "--backend", backend).returncode == 0
    first = tables(agent, backend)
    again = redirect(agent, "install", "--backend", backend)
    assert again.returncode == 0, again.stderr
    assert tables(agent, backend) == first


def test_undo_takes_all_and_only_ours_away(net, backend) -> None:
    agent = net["agent"]
    put_foreign_rules(agent, backend)
    before = tables(agent, backend)
    assert redirect(agent, "install", "--backend", backend).returncode == 0
    assert tables(agent, backend) != before
    assert redirect(agent, "undo").returncode == 0
    assert tables(agent, backend) == before
    done = redirect(agent, "undo")
    assert (done.returncode, done.stderr) == (0, "there was nothing to remove\n")


def test_other_settings_replace_the_rules_of_the_first_ones(net, backend) -> None:
    agent, peer = net["agent"], net["peer"]
    assert redirect(agent, "install", "--backend", backend).returncode == 0
    more = redirect(
        agent, "install", "--backend", backend, "--exclude-outbound-ports", "8080", "--udp", "closed"
    )
    assert more.returncode == 0, more.stderr
    with listening(peer, "0.0.0.0", 8080) as listener, dialled(agent, peer.ipv4, 8080):
        listener.accept().close()
    assert redirect(agent, "verify").returncode == 126


def test_another_backend_takes_over_and_the_first_ones_rules_go(net, backend) -> None:
    agent = net["agent"]
    assert redirect(agent, "install", "--backend", backend).returncode == 0
    other = next(name for name in BACKENDS if name != backend)
    done = redirect(agent, "install", "--backend", other)
    assert done.returncode == 0, done.stderr
    assert f"rules that {backend} held were removed" in done.stderr
    if backend != "nft":
        assert iptables.removal(tables(agent, backend)) == ""


def test_a_user_other_than_root_installs_with_two_capabilities_and_a_read_only_run(net, backend) -> None:
    agent = net["agent"]
    done = redirect(agent, "install", "--backend", backend, **CAPABLE)
    assert done.returncode == 0, done.stderr
    assert "verified: IPv4" in done.stderr
    assert "verified: IPv6" in done.stderr
    assert redirect(agent, "verify", **CAPABLE).returncode == 0
    assert redirect(agent, "undo", **CAPABLE).returncode == 0


def test_root_needs_no_other_capability_than_these_two(net, backend) -> None:
    held = "-all,+net_admin,+net_raw,+dac_read_search"  # the last only to find the interpreter
    step = [sys.executable, "-m", "sidecar.redirect", "install", "--backend", backend]
    done = net["agent"].run(["setpriv", "--inh-caps=-all", f"--bounding-set={held}", *step])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("no_new_privileges", [False, True])
def test_capabilities_on_the_tools_files_serve_as_well(net, backend, tmp_path, no_new_privileges) -> None:
    if shutil.which("setcap") is None:
        skip("file capabilities", "no setcap: install libcap2-bin")
    mounts = []
    for tool in map(shutil.which, ("nft", "xtables-nft-multi", "xtables-legacy-multi")):
        if tool is not None:
            copy = shutil.copy(tool, tmp_path)
            subprocess.run(["setcap", "cap_net_admin,cap_net_raw+ep", copy], check=True)
            mounts.append(f"mount --bind {copy} {os.path.realpath(tool)}")
    read, held = "-all,+dac_read_search", "-all,+net_admin,+net_raw,+dac_read_search"
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", f"--inh-caps={read}"]
    become += [f"--ambient-caps={read}", f"--bounding-set={held}"]
    become += ["--no-new-privs"] if no_new_privileges else []
    step = [*become, sys.executable, "-m", "sidecar.redirect", "install", "--backend", backend]
    done = net["agent"].run(["unshare", "-m", "sh", "-c", " && ".join([*mounts, f"exec {' '.join(step)}"])])
    assert done.returncode == (1 if no_new_privileges else 0), done.stderr


def test_without_capabilities_it_says_which_are_missing(net, backend) -> None:
    done = redirect(net["agent"], "install", "--backend", backend, uid=NOBODY)
    assert done.returncode == 1
    assert "NET_ADMIN and NET_RAW" in done.stderr
    assert "the pod must not start" in done.stderr


def test_a_lock_that_cannot_be_written_is_named(net, backend) -> None:
    if backend != "iptables-legacy":
        pytest.skip("only this backend has a lock")
    command = [sys.executable, "-m", "sidecar.redirect", "install", "--backend", backend]
    done = net["agent"].run(command, env={"XTABLES_LOCKFILE": "/proc/lock"}, **CAPABLE)
    assert done.returncode == 1
    assert "XTABLES_LOCKFILE" in done.stderr


def test_the_automatic_choice_works(net, backend) -> None:
    done = redirect(net["agent"], "install")
    assert done.returncode == 0, done.stderr
    assert "installed with nft: IPv4 and IPv6" in done.stderr


def test_verification_fails_the_pod_when_rules_are_absent(net, backend) -> None:
    done = redirect(net["agent"], "verify", "--backend", backend)
    assert done.returncode == 126
    assert "IPv4: none of the rules is there; IPv6: none of the rules is there" in done.stderr
    assert "the pod must not start" in done.stderr


def flush(pod: Pod, backend: str, chain: str, version: str) -> None:
    if backend == "nft":
        nft(pod, "flush", "chain", {"ipv4": "ip", "ipv6": "ip6"}[version], "outrider", chain)
        return
    table = "filter" if chain.startswith("guard") else "nat"
    tool = {"ipv4": "iptables", "ipv6": "ip6tables"}[version]
    _tool(pod, f"{tool}-{backend.removeprefix('iptables-')}", "-t", table, "-F", f"OUTRIDER_{chain.upper()}")


@pytest.mark.parametrize("version", ["ipv4", "ipv6"])
@pytest.mark.parametrize("chain", ["guard_in", "guard_out", "inbound", "outbound"])
def test_verification_fails_the_pod_when_one_chain_is_empty(net, backend, chain, version) -> None:
    agent = net["agent"]
    assert redirect(agent, "install", "--backend", backend).returncode == 0
    flush(agent, backend, chain, version)
    done = redirect(agent, "verify", "--backend", backend)
    assert done.returncode == 126
    assert re.search(rf"chain (outrider_)?{chain} is not as installed", done.stderr.lower())


@pytest.mark.parametrize("version", ["ipv4", "ipv6"])
def test_the_guards_hold_by_themselves_when_redirection_is_lost(net, backend, version) -> None:
    agent, peer = net["agent"], net["peer"]
    assert redirect(agent, "install", "--backend", backend).returncode == 0
    flush(agent, backend, "inbound", version)
    flush(agent, backend, "outbound", version)
    with net.capture(agent) as wire, listening(peer, "::", 8080), listening(agent, "::", 9000):
        with pytest.raises(ConnectionRefusedError):
            with dialled(agent, getattr(peer, version), 8080):
                pass
        assert not {flow for flow in tcp_flows(wire.frames()) if flow[3] == 8080}
        with pytest.raises(ConnectionRefusedError):
            with dialled(peer, getattr(agent, version), 9000):
                pass
    with listening(peer, "::", 8080) as listener:
        with dialled(agent, getattr(peer, version), 8080, uid=SIDECAR, gid=SIDECAR):
            listener.accept().close()


@pytest.mark.parametrize("version", ["ipv4", "ipv6"])
def test_a_rule_that_somebody_put_among_ours_fails_verification(net, backend, version) -> None:
    agent = net["agent"]
    for chain, hook in (
        ("guard_in", "INPUT"),
        ("guard_out", "OUTPUT"),
        ("inbound", ""),
        ("outbound", "OUTPUT"),
    ):
        assert redirect(agent, "install", "--backend", backend).returncode == 0
        table = "filter" if chain.startswith("guard") else "nat"
        tool = {"ipv4": "iptables", "ipv6": "ip6tables"}[version] + f"-{backend.removeprefix('iptables-')}"
        if backend == "nft":
            nft(agent, "insert", "rule", {"ipv4": "ip", "ipv6": "ip6"}[version], "outrider", chain, "accept")
        else:
            _tool(agent, tool, "-t", table, "-I", f"OUTRIDER_{chain.upper()}", "1", "-j", "ACCEPT")
        done = redirect(agent, "verify", "--backend", backend)
        assert (done.returncode, "is not as installed" in done.stderr) == (126, True)
        if hook and backend != "nft":
            assert redirect(agent, "install", "--backend", backend).returncode == 0
            _tool(agent, tool, "-t", table, "-I", hook, "1", "-j", "ACCEPT")
            done = redirect(agent, "verify", "--backend", backend)
            assert done.returncode == 126
            assert f"chain {table} {hook} is not as installed" in done.stderr


def test_a_rule_of_somebody_else_in_front_is_found_by_the_probe(net, backend) -> None:
    agent = net["agent"]
    assert redirect(agent, "install", "--backend", backend).returncode == 0
    rule = "type nat hook output priority -150;\ntcp dport 80 redirect to :9"
    nft(agent, "-f", "-", text=f"table ip somebody {{\nchain c {{\n{rule}\n}}\n}}")
    done = redirect(agent, "verify", "--backend", backend)
    assert done.returncode == 126
    assert "IPv4 TCP to 192.0.2.1 port 80 did not reach the redirect port" in done.stderr


@pytest.mark.parametrize("version", ["ipv4", "ipv6"])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_translation_by_somebody_else_in_front_opens_nothing(net, backend, version, protocol) -> None:
    agent, peer = net["agent"], net["peer"]
    assert redirect(agent, "install", "--backend", backend).returncode == 0
    table = f"table {'ip' if version == 'ipv4' else 'ip6'} somebody"
    hook = "type nat hook prerouting priority -150;"
    nft(
        agent,
        "-f",
        "-",
        text=f"{table} {{\nchain c {{\n{hook}\n{protocol} dport 8080 redirect to :9000\n}}\n}}",
    )
    host = getattr(agent, version)
    if protocol == "udp":
        with bound(agent, "::", 9000) as application:
            with dialled(peer, host, 8080, kind=socket.SOCK_DGRAM) as client:
                client.send(b"hello")
                with pytest.raises(ConnectionRefusedError):
                    client.recv(100)
            application.setblocking(False)
            with pytest.raises(BlockingIOError):
                application.recv(100)
        return
    with listening(agent, "::", 9000), pytest.raises(ConnectionRefusedError):
        with dialled(peer, host, 8080):
            pass


def test_the_sidecar_itself_can_prove_nothing(net, backend) -> None:
    agent = net["agent"]
    assert redirect(agent, "install", "--backend", backend).returncode == 0
    done = redirect(agent, "verify", uid=SIDECAR, capabilities=("net_admin", "net_raw"))
    assert done.returncode == 126
    assert "is exempt, and can prove nothing" in done.stderr


def test_verification_works_beside_a_running_sidecar(net, backend) -> None:
    agent = net["agent"]
    assert redirect(agent, "install", "--backend", backend).returncode == 0
    with listening(agent, "::", 15001, uid=SIDECAR), listening(agent, "::", 15006, uid=SIDECAR):
        done = redirect(agent, "verify")
    assert done.returncode == 0, done.stderr
    assert "was accepted on the redirect port by what listens there" in done.stderr


def test_verification_uses_another_address_where_the_first_is_excluded(net, backend) -> None:
    flags = ("--exclude-outbound-cidrs", "192.0.2.0/24,2001:db8::/32", "--nameservers", "198.51.100.1")
    done = redirect(net["agent"], "install", "--backend", backend, *flags)
    assert done.returncode == 0, done.stderr
    assert "IPv4 TCP to 203.0.113.1 port 80 reached the redirect port" in done.stderr
    assert "IPv6 TCP to 3fff::1 port 80 reached the redirect port" in done.stderr


def test_closed_udp_leaves_only_dns_to_the_resolvers(net, backend) -> None:
    agent, peer = net["agent"], net["peer"]
    flags = ("--udp", "closed", "--exclude-outbound-ports", "4501")
    done = redirect(agent, "install", "--backend", backend, *flags)
    assert done.returncode == 0, done.stderr
    for version in ("ipv4", "ipv6"):
        any_address = "::" if version == "ipv6" else "0.0.0.0"
        for port in (53, 4501):
            with bound(peer, any_address, port) as server:
                with dialled(agent, getattr(peer, version), port, kind=socket.SOCK_DGRAM) as client:
                    client.send(b"question")
                    assert server.recv(100) == b"question"
        with dialled(agent, getattr(peer, version), 4500, kind=socket.SOCK_DGRAM) as client:
            with contextlib.suppress(PermissionError):  # the second word of a refusal; the first is ICMP's
                client.send(b"way out")
            with pytest.raises(ConnectionRefusedError):
                client.recv(100)


def test_a_pod_without_ipv6_addresses_is_captured_in_ipv6_all_the_same(net, backend) -> None:
    agent, peer = net["agent"], net["peer"]
    _tool(agent, "ip", "-6", "route", "delete", "default")
    _tool(agent, "ip", "-6", "addr", "flush", "dev", "eth0")
    done = redirect(agent, "install", "--backend", backend)
    assert done.returncode == 0, done.stderr
    assert "NOTE: IPv6: rules are in place; there is no route out" in done.stderr
    _tool(agent, "ip", "addr", "add", f"{agent.ipv6}/64", "dev", "eth0", "nodad")
    with listening(peer, "::", 8080), pytest.raises(ConnectionRefusedError):
        with dialled(agent, peer.ipv6, 8080):
            pass


def test_ipv6_cannot_be_switched_off_where_the_pod_has_an_address(net, backend) -> None:
    agent = net["agent"]
    done = redirect(agent, "install", "--backend", backend, "--ipv6", "off")
    assert done.returncode == 1
    assert f"the pod has the address {agent.ipv6}" in done.stderr
    _tool(agent, "ip", "addr", "del", f"{agent.ipv6}/64", "dev", "eth0")
    done = redirect(agent, "install", "--backend", backend, "--ipv6", "off")
    assert done.returncode == 0, done.stderr
    assert "WARNING: IPv6 is `off`" in done.stderr


def test_a_dry_run_prints_what_would_be_installed_and_changes_nothing(net, backend) -> None:
    agent = net["agent"]
    done = redirect(agent, "dry-run", "--backend", backend, uid=NOBODY)
    assert done.returncode == 0, done.stderr
    assert "redirect to :15001" in done.stdout or "REDIRECT --to-ports 15001" in done.stdout
    assert not re.search("outrider", tables(agent, backend), re.IGNORECASE)


def test_invalid_settings_are_all_named(net, backend) -> None:
    done = redirect(
        net["agent"], "install", "--uid", "0", "--exclude-outbound-cidrs", "0.0.0.0/0", "--mtls-port", "x"
    )
    assert done.returncode == 2
    assert all(name in done.stderr for name in ("_UID", "_EXCLUDE_OUTBOUND_CIDRS", "_MTLS_PORT"))


def test_connections_live_through_another_installation(net, backend) -> None:
    agent, peer = net["agent"], net["peer"]
    assert redirect(agent, "install", "--backend", backend).returncode == 0
    with (
        listening(agent, "::", 15001, uid=SIDECAR) as outbound,
        listening(agent, "::", 15006, uid=SIDECAR) as inbound,
    ):
        with (
            dialled(agent, peer.ipv4, 80) as out,
            outbound.accept() as taken,
            dialled(peer, agent.ipv6, 9000) as caller,
            inbound.accept() as served,
        ):
            assert redirect(agent, "install", "--backend", backend).returncode == 0
            for near, far in ((out, taken), (taken, out), (caller, served), (served, caller)):
                near.sendall(b"still here")
                assert far.recv(100) == b"still here"


@pytest.mark.parametrize("version", ["ipv4", "ipv6"])
def test_without_the_guard_a_direct_hit_still_has_no_destination(net, backend, version) -> None:
    agent, peer = net["agent"], net["peer"]
    assert redirect(agent, "install", "--backend", backend).returncode == 0
    flush(agent, backend, "guard_in", version)
    with listening(agent, "::", 15006, uid=SIDECAR) as inbound:
        for port, destination in ((15006, None), (9000, (getattr(agent, version), 9000))):
            with dialled(peer, getattr(agent, version), port), inbound.accept() as connection:
                assert original_destination(connection) == destination
