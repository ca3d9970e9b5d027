"""An XAccessPolicy as one sidecar gets it: without what does not concern it.

Targets: a Gateway is one where it stands for its namespace, which sidecars do not see, so those that do not are
left out. Rules: who else may use a target is nobody's business who only calls it. What stays has to come to the
same in the sidecar, which judges acceptance itself: a policy that had rules keeps one that matches nobody, because
none would match everything; one whose expression is none still is; an external authorization stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from mesh.distribution.digest import canonical, digest_of
from mesh.policy.access.accept import AcceptedReason
from mesh.policy.access.documents import AccessPolicy, AccessRule
from webhook.distribution.access import AccessPolicies
from webhook.distribution.entries import Entry, nobody
from webhook.distribution.kinds import GATEWAY
from webhook.distribution.objects import Document
from webhook.distribution.offers import Domains

MOST_VARIANTS = 128
_NO_EXPRESSION = {"type": "CEL", "cel": {"expression": "("}}
_OF_ACCOUNT = re.compile(r"/ns/[^/]+/sa/[^/]+")


def tailored(
    entry: Entry, gateways: Iterable[str], caller: str | None, access: AccessPolicies, domains: Domains
) -> Document | None:
    """The policy for a sidecar; None where it has no target left.

    `gateways`: those that stand for the policy's namespace. `caller`: the SPIFFE ID of a pod that only calls; None
    for one that stands behind a target, which gets all rules. Equal content is one Document.
    """
    policy: AccessPolicy | None = entry.value
    if policy is None or entry.document is None:
        return None
    ours = frozenset(gateways)
    targets = tuple(one.kind != GATEWAY.name or one.name in ours for one in policy.targets)
    if not any(targets):
        return None
    rules: tuple[bool, ...] = (True,) * len(policy.rules)
    if caller is not None:
        rules = tuple(_may_be(rule, caller, domains) for rule in policy.rules)
    if all(targets) and all(rules):
        return entry.document
    invalid = any(one.reason == AcceptedReason.INVALID_CEL for one in access.verdicts(entry.key).values())
    wanted = (targets, rules, invalid)
    made = entry.variants.get(wanted)
    if made is None:
        if len(entry.variants) >= MOST_VARIANTS:
            entry.variants.clear()
        made = entry.variants[wanted] = _made(entry, entry.document, rules, ours, invalid, domains)
    return made


def _may_be(rule: AccessRule, caller: str, domains: Domains) -> bool:
    """Could the rule's source be the caller? A name of our trust domain without an account might be anybody's."""
    source = rule.source
    if source is None:
        return True
    if not isinstance(source, str):
        return domains.spiffe_id(source.namespace, source.name) == caller
    own = f"spiffe://{domains.trust_domain}"
    named = source.startswith(f"{own}/") and not _OF_ACCOUNT.fullmatch(source.removeprefix(own))
    return named or source == caller


def _made(
    entry: Entry,
    document: Document,
    kept: tuple[bool, ...],
    gateways: frozenset[str],
    invalid: bool,
    domains: Domains,
) -> Document:
    value = msgspec.json.decode(document.body)
    spec = value["spec"]
    spec["targetRefs"] = [
        one for one in spec["targetRefs"] if one["kind"] != GATEWAY.name or one["name"] in gateways
    ]
    if not all(kept):
        source = {"type": "SPIFFE", "spiffe": nobody(domains.trust_domain, entry.key.namespace)}
        spec["rules"] = _rules(spec["rules"], kept, invalid, source)
    body = canonical(value)
    return Document(entry.key, document.generation, body, digest_of(body))


def _rules(
    given: list[dict[str, Any]], kept: tuple[bool, ...], invalid: bool, source: dict[str, str]
) -> list[dict[str, Any]]:
    if invalid:  # it grants nothing, so nothing of it has to be told but that it is not accepted
        return [{"name": "nobody", "source": source, "authorization": _NO_EXPRESSION}]
    found = []
    for rule, mine in zip(given, kept, strict=True):
        if mine:
            found.append(rule)
        elif (rule.get("authorization") or {}).get("type") == "ExternalAuth":
            found.append({**rule, "source": source})
    return found or [{"name": "nobody", "source": source}]
