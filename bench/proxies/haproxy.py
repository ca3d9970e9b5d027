"""haproxy as a reverse proxy without any policy."""

from __future__ import annotations

from bench import cache
from bench.process import Command
from bench.proxies.base import Site, origin_form


class Haproxy:
    """One thread, upstream connections reused across clients."""

    name = "haproxy"
    title = "haproxy"
    decides = False
    filters_lists = False

    def available(self) -> None:
        """Raise Missing when haproxy is not installed."""
        cache.binary("haproxy")

    def command(self, site: Site) -> Command:
        """Write haproxy.cfg."""
        file = site.folder / "haproxy.cfg"
        file.write_text(configuration(site), encoding="ascii")
        return Command([cache.binary("haproxy"), "-q", "-db", "-f", str(file)])

    def target(self, site: Site, path: str) -> str:
        """A reverse proxy is addressed by path."""
        return origin_form(path)


def configuration(site: Site) -> str:
    """The whole haproxy.cfg for a site."""
    mutual = f"ca-file {site.trust.authority} verify required crt {site.trust.agent.both} ssl-min-ver TLSv1.3"
    inbound = f" ssl {mutual} no-tls-tickets" if site.tls_in else ""
    outbound = f" ssl {mutual}" if site.tls_out else ""
    return (
        "global\n  nbthread 1\n  maxconn 8000\n"
        "defaults\n  mode http\n  option http-keep-alive\n  option http-no-delay\n  http-reuse always\n"
        "  timeout connect 5s\n"
        "  timeout client 600s\n  timeout server 600s\n"
        f"frontend in\n  bind 127.0.0.1:{site.listen} backlog 4096{inbound}\n  default_backend out\n"
        f"backend out\n  server upstream 127.0.0.1:{site.upstream} pool-purge-delay 600s{outbound}\n"
    )
