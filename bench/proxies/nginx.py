"""nginx as a reverse proxy without any policy: the yardstick of a lean proxy in C."""

from __future__ import annotations

from bench import cache
from bench.process import Command
from bench.proxies.base import HOST, Site, origin_form
from bench.upstream import FOREVER, nginx_frame


class Nginx:
    """One worker, pooled upstream connections, no buffering of answers."""

    name = "nginx"
    title = "nginx"
    decides = False
    filters_lists = False

    def available(self) -> None:
        """Raise Missing when nginx is not installed."""
        cache.binary("nginx")

    def command(self, site: Site) -> Command:
        """Write nginx.conf."""
        file = site.folder / "nginx.conf"
        file.write_text(configuration(site), encoding="ascii")
        return Command([cache.binary("nginx"), "-p", str(site.folder), "-c", str(file)])

    def target(self, site: Site, path: str) -> str:
        """A reverse proxy is addressed by path."""
        return origin_form(path)


def configuration(site: Site) -> str:
    """The whole nginx.conf for a site."""
    main, http = nginx_frame(site.folder)
    listen = f"listen 127.0.0.1:{site.listen} {'ssl ' if site.tls_in else ''}backlog=4096;\n"
    agent, authority = site.trust.agent, site.trust.authority
    if site.tls_in:
        listen += (
            f"ssl_certificate {agent.certificate};\nssl_certificate_key {agent.key};\n"
            f"ssl_client_certificate {authority};\nssl_verify_client on;\n"
        )
    upstream = f"proxy_pass {'https' if site.tls_out else 'http'}://upstream;\n"
    if site.tls_out:
        upstream += (
            f"proxy_ssl_certificate {agent.certificate};\nproxy_ssl_certificate_key {agent.key};\n"
            f"proxy_ssl_trusted_certificate {authority};\nproxy_ssl_verify on;\nproxy_ssl_name {HOST};\n"
            "proxy_ssl_protocols TLSv1.3;\n"
        )
    return (
        f"{main}http {{\n{http}\n"
        f"upstream upstream {{\nserver 127.0.0.1:{site.upstream};\nkeepalive 64;\n"
        f"keepalive_requests {FOREVER};\n}}\n"
        f"server {{\n{listen}location / {{\n{upstream}proxy_http_version 1.1;\n"
        'proxy_set_header Connection "";\nproxy_buffering off;\nproxy_read_timeout 600s;\n}\n}\n}\n'
    )
