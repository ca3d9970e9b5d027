"""What is right as a document and hardly meant, of users and credentials: what would be refused at run time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cli.check.credential_needs import urls, user_urls
from cli.policy.suspicion import Suspicion
from mesh.policy import AgentPolicy, Backend, Documents, compile_policy
from mesh.policy.credentials import Exchange, Preset
from mesh.policy.globs import EntryList


def credential_suspicions(documents: Documents) -> Iterator[Suspicion]:
    """About valid documents."""
    for policy in documents.policies:
        yield from _foreign(policy, documents.backends)
        yield from _unknown_issuers(policy, documents.policies)
        asked = () if policy.users is None else user_urls(policy.users)
        yield from asked_in_plain(f"AgentPolicy/{policy.name} users", asked, documents, policy.namespace)
    for backend in documents.backends:
        where = f"Backend/{backend.name} credential"
        if isinstance(backend.credential, Exchange) and _lacks_audience(backend.credential):
            message = (
                "preset keycloak without audience: the token is for no client; write audience: CLIENT-ID"
            )
            yield Suspicion(f"{where}.exchange", message)
        if backend.credential is not None:
            yield from asked_in_plain(where, urls(backend.credential), documents, backend.namespace)


def _lacks_audience(exchange: Exchange) -> bool:
    return exchange.preset is Preset.KEYCLOAK and exchange.audience is None


def _foreign(policy: AgentPolicy, backends: Iterable[Backend]) -> Iterator[Suspicion]:
    """Credentials of Backends that are named in full, and are of another namespace."""
    bearing = {f"{one.namespace}/{one.name}": one for one in backends if one.credential is not None}
    for index, rule in enumerate(policy.outbound):
        backend = bearing.get(rule.backend)
        if (
            backend is None
            or backend.namespace == policy.namespace
            or None in (backend.namespace, policy.namespace)
        ):
            continue
        message = "is of another namespace, and its credential does not count here: requests leave without it"
        yield Suspicion(f"AgentPolicy/{policy.name} outbound[{index}]", f"Backend {rule.backend} {message}")


def _unknown_issuers(policy: AgentPolicy, policies: Iterable[AgentPolicy]) -> Iterator[Suspicion]:
    """Users in rules whose issuer no policy of the same agents has."""
    accepted = {
        issuer.issuer
        for other in policies
        if other.users is not None and _meet(policy, other)
        for issuer in other.users.issuers
    }
    for where, users in _users_in_rules(policy):
        for index, entry in enumerate(users):
            issuers = EntryList((entry.partition("#")[0],))
            if not any(issuers.find(one) is not None for one in accepted):
                known = f"; accepted: {', '.join(sorted(accepted))}" if accepted else " (users.issuers)"
                message = f"no policy that can select the same agents accepts tokens of such users{known}"
                yield Suspicion(f"AgentPolicy/{policy.name} {where} users[{index}]", f"{entry}: {message}")


def _users_in_rules(policy: AgentPolicy) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield from ((f"outbound[{index}]", rule.users) for index, rule in enumerate(policy.outbound))
    yield from ((f"inbound[{index}]", rule.users) for index, rule in enumerate(policy.inbound or ()))


def _meet(one: AgentPolicy, other: AgentPolicy) -> bool:
    """Can some agent be selected by both?"""
    mine = dict(one.match_labels)
    together = all(mine.get(key, value) == value for key, value in other.match_labels)
    return together and (None in (one.namespace, other.namespace) or one.namespace == other.namespace)


def asked_in_plain(
    where: str, asked: Iterable[str], documents: Documents, namespace: str | None
) -> Iterator[Suspicion]:
    """Of URLs that a sidecar will ask: those that it refuses to, since it would be in plain text."""
    plain = [url for url in asked if url.startswith("http://")]
    if not plain:
        return
    from mesh.protocol.http1.target import absolute_form  # what plain policies need not wait for
    from sidecar.credentials.fetch import destination_for

    policy = compile_policy(documents, labels={}, namespace=namespace)
    reach = destination_for(lambda: policy)
    message = (
        "would be asked in plain text, which is refused; write https, or declare host and port as a Backend"
    )
    for url in plain:
        if reach(absolute_form(url.encode())) is None:
            yield Suspicion(where, f"{url} {message}")
