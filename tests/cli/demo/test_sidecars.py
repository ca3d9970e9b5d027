"""The sidecars' files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import yaml

from cli.demo.cast import HELPDESK, NOTES, TRIAGE, WORKLOADS
from cli.demo.certificates import make_public, public_root, trust_folder
from cli.demo.control import make_control, pod_uid, token_file
from cli.demo.desk import hidden, make_secret
from cli.demo.sidecars import Role, Sources, configuration, has, http_get
from cli.demo.stage import Ports, roles
from sidecar.config import SidecarConfig, load_config


def read(role: Role, folder: Path) -> SidecarConfig:
    make_control(folder, WORKLOADS)
    file = folder / "sidecar.yaml"
    sources = Sources("https://127.0.0.1:7", folder)
    file.write_text(yaml.safe_dump(configuration(role, folder, sources)), encoding="utf-8")
    return load_config(file, {})


def test_every_role_makes_a_file_that_the_sidecar_accepts(tmp_path: Path) -> None:
    make_public(tmp_path)
    for role in roles(Ports(*range(1, 15)), tmp_path):
        config = read(role, tmp_path)
        assert config.agent.name == role.workload.name
        assert config.identity.socket == f"unix://{tmp_path}/{role.workload.name}.sock"
        assert config.control is not None
        assert config.control.token == token_file(tmp_path, role.workload)
        assert config.agent.uid == pod_uid(role.workload)
        assert not config.policies


def test_a_sidecar_beside_an_agent_is_a_proxy_that_knows_where_names_lead(tmp_path: Path) -> None:
    config = read(Role(TRIAGE, forward=4, connect={"notes.tools.svc:8080": 2}), tmp_path)
    assert config.listen.forward == ("127.0.0.1", 4)
    assert config.listen.inbound is None
    assert config.connect == {"notes.tools.svc:8080": "127.0.0.1:2"}


def test_a_sidecar_beside_a_server_listens_for_peers_only(tmp_path: Path) -> None:
    config = read(Role(NOTES, inbound=2, application=1), tmp_path)
    assert config.listen.forward is None
    assert config.listen.inbound == ("127.0.0.1", 2)
    assert config.application.ports == (1,)


def test_one_that_looks_into_https_knows_whom_to_trust_and_whom_to_tell(tmp_path: Path) -> None:
    make_public(tmp_path)
    config = read(Role(TRIAGE, forward=4, looks_into_https=True), tmp_path)
    assert config.authorities == public_root(tmp_path)
    assert config.interception == trust_folder(tmp_path, TRIAGE)


def test_one_whose_agent_holds_placeholders_knows_where_their_secrets_lie(tmp_path: Path) -> None:
    secret = make_secret(tmp_path)
    config = read(Role(HELPDESK, forward=4, hidden=hidden(tmp_path)), tmp_path)
    (variable,) = config.hidden_secrets.values()
    assert (variable.container, variable.variable) == ("helpdesk", "CODE_TOKEN")
    assert variable.files[0].read_text(encoding="ascii") == secret


def test_free_ports_are_different_ones() -> None:
    ports = Ports.free()
    assert len({getattr(ports, name) for name in Ports.__dataclass_fields__}) == 14


def test_a_log_line_has_the_fields_or_it_has_not() -> None:
    assert has({"event": "decision", "allowed": False}, {"allowed": False})
    assert not has({"event": "decision"}, {"allowed": False})


async def test_status_and_body_of_an_answer_are_read() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nno\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await http_get(f"127.0.0.1:{port}", "/readyz") == (503, "no\n")
