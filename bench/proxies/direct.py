"""No proxy at all: what load generator and upstream need by themselves, contained in every latency."""

from __future__ import annotations

from bench.process import Command
from bench.proxies.base import Site, origin_form


class Direct:
    """The client goes straight to the upstream."""

    name = "direct"
    title = "no proxy"
    decides = False
    filters_lists = False

    def available(self) -> None:
        """There is nothing to be missing."""

    def command(self, site: Site) -> Command | None:
        """Nothing is started."""
        return None

    def target(self, site: Site, path: str) -> str:
        """The upstream is addressed by path."""
        return origin_form(path)
