"""Where data goes: services that show anybody what they were sent, and hosts that may be sent anything."""

from __future__ import annotations

from typing import Final

CATCHERS: Final = (
    "webhook.site",
    "webhookinbox.com",
    "webhook-test.com",
    "webhooks.cc",
    "webhook.cool",
    "typedwebhook.tools",
    "requestbin.com",
    "requestbin.net",
    "requestbin.cn",
    "requestb.in",
    "requestcatcher.com",
    "requestinspector.com",
    "requestrepo.com",
    "pipedream.net",
    "beeceptor.com",
    "mockbin.org",
    "mockbin.io",
    "hookbin.com",
    "hookb.in",
    "postb.in",
    "toptal.com/developers/postbin",
    "putsreq.com",
    "ptsv2.com",
    "ptsv3.com",
    "smee.io",
    "svix.com/play",
    "interact.sh",
    "interactsh.com",
    "oast.pro",
    "oast.live",
    "oast.site",
    "oast.online",
    "oast.fun",
    "oast.me",
    "oastify.com",
    "burpcollaborator.net",
    "canarytokens.com",
    "canarytokens.org",
    "dnslog.cn",
    "dnslog.pw",
    "dnslog.store",
    "ceye.io",
    "dnsbin.zhack.ca",
    "bxss.me",
    "bxss.in",
    "xss.ht",
    "xss.report",
    "r87.me",
    "eyes.sh",
    "callback.red",
    "ngrok.io",
    "ngrok.app",
    "ngrok.dev",
    "ngrok-free.app",
    "ngrok-free.dev",
    "loca.lt",
    "localtunnel.me",
    "localhost.run",
    "lhr.life",
    "serveo.net",
    "trycloudflare.com",
    "tunnelto.dev",
    "telebit.io",
    "bore.pub",
    "pagekite.me",
    "playit.gg",
    "pinggy.io",
    "pinggy.link",
    "zrok.io",
    "devtunnels.ms",
    "transfer.sh",
    "file.io",
    "0x0.st",
    "termbin.com",
    "ix.io",
    "sprunge.us",
    "bashupload.com",
    "temp.sh",
    "oshi.at",
    "catbox.moe",
    "grabify.link",
    "iplogger.org",
    "iplogger.com",
    "2no.co",
    "yip.su",
    "ipgrabber.ru",
)
"""Request catchers, out-of-band testers, tunnels, anonymous drops and loggers. A host of one of their subdomains
counts; a path says which part of a larger site it is."""


def host_of(url: str) -> str:
    """Host of a URL in lower case, without user, port and last dot; empty where there is none."""
    rest = url.partition("//")[2]
    for end in "/?#\\":
        rest = rest.partition(end)[0]
    host = rest.rpartition("@")[2].lower()
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0].rstrip(".")


def allowed(host: str, hosts: tuple[str, ...]) -> bool:
    """Whether a host is among `hosts`, exact or `*.suffix`."""
    for one in hosts:
        one = one.lower()
        if host == one or (one.startswith("*.") and host.endswith(one[1:])):
            return True
    return False
