"""What answers behind the proxies: nginx with static JSON, plain and by mutual TLS, and the event source."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bench import cache, payloads
from bench.process import Command, Process, ProcessFailed, free_port
from bench.trust import Trust

FOREVER = 1_000_000_000  # requests on one connection: it must not be the upstream that closes one


@dataclass(frozen=True, slots=True)
class Upstream:
    """The running upstreams and their ports."""

    plain: int
    mtls: int
    events: int
    processes: tuple[Process, ...]

    def stop(self) -> None:
        """End them."""
        for process in self.processes:
            process.stop()


def start(folder: Path, trust: Trust, *, core: int) -> Upstream:
    """Start both upstreams on a core; raises Missing or ProcessFailed."""
    folder.mkdir(parents=True, exist_ok=True)
    plain, mtls, events = free_port(), free_port(), free_port()
    configuration = folder / "upstream.conf"
    configuration.write_text(nginx_configuration(folder, plain, mtls, trust), encoding="ascii")
    server = Process(
        Command([cache.binary("nginx"), "-p", str(folder), "-c", str(configuration)]),
        core=core,
        log=folder / "upstream.log",
    )
    source = Process(Command([cache.event_source(), str(events)]), core=core, log=folder / "events.log")
    running = Upstream(plain, mtls, events, (server, source))
    try:
        for process, port in ((server, plain), (server, mtls), (source, events)):
            process.wait_for_port(port)
    except ProcessFailed:
        running.stop()
        raise
    return running


def nginx_frame(folder: Path) -> tuple[str, str]:
    """What every nginx of the bench has in common: the main context, and the settings of `http`."""
    user = "user root;\n" if os.geteuid() == 0 else ""
    main = (
        f"{user}daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log stderr error;\n"
        "worker_rlimit_nofile 16384;\nevents { worker_connections 8192; }\n"
    )
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    http = (
        f"access_log off;\nkeepalive_requests {FOREVER};\nkeepalive_timeout 600s;\ntcp_nodelay on;\n"
        f"client_max_body_size 8m;\nclient_body_buffer_size 64k;\nssl_protocols TLSv1.3;\n"
        f"ssl_session_tickets off;\nssl_session_cache off;\n{temporary}"
    )
    return main, http


def nginx_answer(body: bytes) -> str:
    """Directives that answer with a fixed body; in pieces, because nginx takes no parameter above 4 KB."""
    text = body.decode("ascii")
    pieces = [text[start : start + 2048] for start in range(0, len(text), 2048)]
    names = [f"$piece{number}" for number in range(len(pieces))]
    assignments = "".join(f"set {name} '{piece}';\n" for name, piece in zip(names, pieces, strict=True))
    return f"{assignments}return 200 {''.join(names)};\n"


def nginx_configuration(folder: Path, plain: int, mtls: int, trust: Trust) -> str:
    """nginx as the upstream MCP server: fixed answers by path, on a plain and a mutual TLS listener."""
    main, http = nginx_frame(folder)
    answers = "".join(
        f"location = {path} {{\ndefault_type application/json;\n{extra}{nginx_answer(answer)}}}\n"
        for path, answer, extra in (
            (payloads.CALL_PATH, payloads.call_answer(), ""),
            (payloads.LAST_CALL_PATH, payloads.call_answer(), "keepalive_timeout 0;\n"),
            (payloads.LIST_PATH, payloads.list_answer(), ""),
        )
    )
    return (
        f"{main}http {{\n{http}\n"
        f"server {{\nlisten 127.0.0.1:{plain} backlog=4096;\n{answers}}}\n"
        f"server {{\nlisten 127.0.0.1:{mtls} ssl backlog=4096;\nssl_certificate {trust.server.certificate};\n"
        f"ssl_certificate_key {trust.server.key};\nssl_client_certificate {trust.authority};\n"
        f"ssl_verify_client on;\n{answers}}}\n}}\n"
    )
