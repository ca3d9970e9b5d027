"""Settings that cannot hold together."""

from __future__ import annotations

import pytest

from sidecar.addresses import Address, parse_address
from sidecar.contradictions import in_identity, in_listeners, with_application, with_identity
from sidecar.settings import ApplicationSettings, IdentitySettings, ListenSettings, Provider


def listening(
    forward: str | None = None, inbound: str | None = None, telemetry: str | None = None
) -> ListenSettings:
    def address(text: str | None) -> Address | None:
        return None if text is None else parse_address(text)

    return ListenSettings(address(forward), address(inbound), address(telemetry))


def test_the_defaults_contradict_nothing() -> None:
    listen, application, identity = ListenSettings(), ApplicationSettings(), IdentitySettings()
    assert not [*in_listeners(listen), *with_application(listen, application)]
    assert not [*with_identity(listen, identity), *in_identity(identity, None)]


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "10.0.0.1", "agent.svc"])
def test_a_forward_proxy_that_others_reach_is_refused(host: str) -> None:
    (found,) = in_listeners(listening(forward=f"{host}:15002"))
    assert found.path == "listen.forward"
    assert "127.0.0.1, [::1] or localhost" in found.message


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "[::1]", "localhost"])
def test_a_forward_proxy_on_loopback_is_taken(host: str) -> None:
    assert not list(in_listeners(listening(forward=f"{host}:15002")))


def test_a_sidecar_that_serves_neither_direction_is_refused() -> None:
    (found,) = in_listeners(listening(telemetry="127.0.0.1:1"))
    assert found.path == "listen"
    assert not list(in_listeners(listening(inbound="0.0.0.0:1")))


@pytest.mark.parametrize(
    ("listen", "path"),
    [
        (listening("127.0.0.1:1", "127.0.0.1:1"), "listen.inbound"),
        (listening("127.0.0.1:1", "0.0.0.0:1"), "listen.inbound"),
        (listening("[::1]:1", "[::]:1"), "listen.inbound"),
        (listening("localhost:1", None, "127.0.0.1:1"), "listen.telemetry"),
        (listening(None, "10.0.0.1:1", "0.0.0.0:1"), "listen.telemetry"),
    ],
)
def test_two_listeners_on_one_address_are_refused(listen: ListenSettings, path: str) -> None:
    (found,) = in_listeners(listen)
    assert found.path == path
    assert "overlaps" in found.message


def test_three_listeners_on_one_address_are_three_contradictions() -> None:
    same = "127.0.0.1:1"
    assert len(list(in_listeners(listening(same, same, same)))) == 3


@pytest.mark.parametrize(
    "listen",
    [
        listening("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"),
        listening("127.0.0.1:1", "127.0.0.2:1"),
        listening("127.0.0.1:0", "127.0.0.1:0", "0.0.0.0:0"),
    ],
)
def test_listeners_on_addresses_or_ports_of_their_own_are_taken(listen: ListenSettings) -> None:
    assert not list(in_listeners(listen))


def test_an_inbound_listener_needs_an_application() -> None:
    listen = listening(inbound="0.0.0.0:15443")
    (found,) = with_application(listen, ApplicationSettings())
    assert found.path == "listen.inbound"
    assert "application.ports" in found.message
    assert not list(with_application(listen, ApplicationSettings(ports=(9000,))))


@pytest.mark.parametrize(
    ("listener", "host", "clash"),
    [
        ("0.0.0.0:9000", "127.0.0.1", True),
        ("[::]:9000", "127.0.0.1", True),
        ("127.0.0.1:9000", "localhost", True),
        ("127.0.0.1:9000", "0.0.0.0", True),
        ("127.0.0.1:9000", "127.0.0.2", False),
        ("127.0.0.1:9001", "127.0.0.1", False),
        ("127.0.0.1:0", "127.0.0.1", False),
    ],
)
def test_an_application_on_an_address_of_ours_would_be_a_loop(listener: str, host: str, clash: bool) -> None:
    application = ApplicationSettings(host, (8000, 9000))
    for listen in (
        listening(forward=listener),
        listening(inbound=listener),
        listening(telemetry=listener),
    ):
        found = [path for path, _ in with_application(listen, application)]
        assert found == (["application.ports[1]"] if clash else [])


def test_an_inbound_listener_needs_an_identity() -> None:
    listen = listening(inbound="0.0.0.0:15443")
    (found,) = with_identity(listen, IdentitySettings())
    assert "identity.provider" in found.message
    assert not list(with_identity(listen, IdentitySettings(Provider.WORKLOAD_API, "unix:///a")))


@pytest.mark.parametrize(
    ("identity", "paths"),
    [
        (IdentitySettings(Provider.NONE), []),
        (IdentitySettings(Provider.NONE, "unix:///a"), ["identity.socket"]),
        (IdentitySettings(Provider.NONE, None, "spiffe://a/b"), ["identity.spiffeId"]),
        (
            IdentitySettings(Provider.NONE, "unix:///a", "spiffe://a/b"),
            ["identity.socket", "identity.spiffeId"],
        ),
        (IdentitySettings(Provider.WORKLOAD_API, "unix:///a", "spiffe://a/b"), []),
        (IdentitySettings(Provider.WORKLOAD_API), ["identity.socket"]),
    ],
)
def test_settings_of_an_identity_that_is_not_wanted_are_refused(
    identity: IdentitySettings, paths: list[str]
) -> None:
    assert [path for path, _ in in_identity(identity, None)] == paths


def test_the_environment_may_name_the_socket() -> None:
    identity = IdentitySettings(Provider.WORKLOAD_API)
    assert not list(in_identity(identity, "unix:///a"))
    (found,) = in_identity(identity, "tcp://127.0.0.1:8000")
    assert found.path == "identity.socket"
    assert "SPIFFE_ENDPOINT_SOCKET" in found.message
