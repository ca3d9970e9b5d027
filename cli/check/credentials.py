"""Can the sidecars of a namespace have the credentials that its Backends name? Told by names: no secret is read.

Which keys a Secret has stands in its managed fields, which come without what the Secret holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import wraps

from cli.check.credential_needs import introspection_keys, needs_user, secret_keys, urls, user_urls
from cli.check.data_plane import Agents, agents, settled
from cli.check.granted import Grants, grants
from cli.check.objects import counted, inner, name_of, sidecar_of
from cli.check.result import Result, State, failed, judged, ok, skipped
from cli.cluster.answers import Obj
from mesh.policy.credentials import Hidden, SecretKey
from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.target import absolute_form
from mesh.settings.table import CREDENTIAL_VOLUMES, ENV_HIDDEN_SECRETS
from sidecar.credentials.fetch import destination_for

_OURS = frozenset(CREDENTIAL_VOLUMES)
Check = Callable[[Agents, tuple[Grants, ...]], Result]


def _of_grants(check: Check) -> Callable[[Agents], Result]:
    """A check of what pods may call; skipped where that is not known."""

    @wraps(check)
    def run(agents: Agents) -> Result:
        found = grants(agents)
        return skipped(found) if isinstance(found, str) else check(agents, found)

    return run


@settled
@agents
@_of_grants
def secrets(agents: Agents, found: tuple[Grants, ...]) -> Result:
    """Sidecars mount the Secrets that credentials name, and these have the keys."""
    needed = [(one.pod, what, key) for one in found for what, key in keys_needed(one)]
    if not needed:
        return ok("no credential names a Secret")
    unmounted = dict.fromkeys(
        f"pod {name_of(pod)} does not mount Secret {key.name}, which {what} names"
        for pod, what, key in needed
        if key.name not in mounted(pod)
    )
    part = agents.data.secrets
    if part.unread:
        unread = f"Secrets cannot be looked at, of which only names would be: {part.unread}"
        return failed(*unmounted, unread) if unmounted else skipped(unread)
    wrong = dict.fromkeys(
        fault for _, what, key in needed if (fault := _fault(part.named(key.name), what, key))
    )
    names = {key.name for _, _, key in needed}
    return judged([*unmounted, *wrong], f"{counted(len(names), 'Secret', 'Secrets')}, mounted and there")


@settled
@agents
@_of_grants
def users(agents: Agents, found: tuple[Grants, ...]) -> Result:
    """Whoever may call a Backend whose credential is a user's has users."""
    concerned = [
        (one, backend) for one in found for backend in one.backends if needs_user(backend.credential)
    ]
    if not concerned:
        return ok("no credential is exchanged for a user's token alone")
    problems = [
        f"pod {name_of(one.pod)} may call Backend {backend.name}, whose credential is exchanged for a user's "
        "token, and its policies have no users: every request is refused (subject_missing)"
        for one, backend in concerned
        if one.policy.users is None
    ]
    return judged(problems, "pods that need users have them", State.WARNING)


@settled
@agents
@_of_grants
def plain_text(agents: Agents, found: tuple[Grants, ...]) -> Result:
    """Nobody is asked for keys or credentials at http, but a Backend that is declared."""
    problems = dict.fromkeys(
        f"{what}: {url} is asked in plain text, and refused for that"
        for one in found
        for what, url in asked_plainly(one)
    )
    return judged([*problems], "those who are asked are asked by https, or declared", State.WARNING)


@settled
@agents
@_of_grants
def hidden(agents: Agents, found: tuple[Grants, ...]) -> Result:
    """What a Backend is to get for a placeholder, a pod that may call it hides."""
    variables: dict[tuple[str, str], bool] = {}
    for one in found:
        has = hidden_variables(one.pod)
        for backend in one.backends:
            if isinstance(backend.credential, Hidden):
                for name in backend.credential.variables:
                    key = (backend.name, name)
                    variables[key] = variables.get(key, False) or name in has
    problems = [
        f"Backend {backend} is to get the secret of {name}, and no pod that may call it hides that variable"
        for (backend, name), is_hidden in variables.items()
        if not is_hidden
    ]
    fine = f"{counted(len(variables), 'variable', 'variables')}, hidden by pods"
    return judged(problems, fine if variables else "no Backend gets hidden secrets", State.WARNING)


def mounted(pod: Obj) -> frozenset[str]:
    """The Secrets of credentials that its sidecar mounts."""
    return frozenset(
        str(inner(volume, "secret", "secretName"))
        for volume in inner(pod, "spec", "volumes") or ()
        if volume.get("name") in _OURS
    )


def hidden_variables(pod: Obj) -> frozenset[str]:
    """The variables that hold placeholders in some container of it."""
    for variable in (sidecar_of(pod) or {}).get("env") or ():
        if variable.get("name") == ENV_HIDDEN_SECRETS.name:
            try:
                told = json.loads(variable.get("value") or "{}")
            except ValueError:
                return frozenset()
            kept = told.values() if isinstance(told, dict) else ()
            return frozenset(str(inner(one, "variable")) for one in kept)
    return frozenset()


def keys_needed(one: Grants) -> Iterator[tuple[str, SecretKey]]:
    """Who names which key of a Secret, in words."""
    if one.policy.users is not None:
        yield from (("users.introspection", key) for key in introspection_keys(one.policy.users))
    for backend in one.backends:
        if backend.credential is not None:
            yield from ((f"Backend {backend.name}", key) for key in secret_keys(backend.credential))


def _fault(secret: Obj | None, what: str, key: SecretKey) -> str:
    if secret is None:
        return f"there is no Secret {key.name}, which {what} names"
    has = _has(secret)
    if not has or key.key in has:
        return ""
    return f"Secret {key.name} has no key {key.key}, which {what} names"


def _has(secret: Obj) -> set[str]:
    """The keys of a Secret by its managed fields; none where these do not say."""
    fields = [entry.get("fieldsV1") or {} for entry in inner(secret, "metadata", "managedFields") or ()]
    keys = [key for one in fields for place in ("f:data", "f:stringData") for key in one.get(place) or ()]
    return {key.removeprefix("f:") for key in keys if key.startswith("f:")}


def asked_plainly(one: Grants) -> Iterator[tuple[str, str]]:
    """Who names which URL that would be refused, in words."""
    reach = destination_for(lambda: one.policy)
    asked = [("users", url) for url in user_urls(one.policy.users)] if one.policy.users is not None else []
    for backend in one.backends:
        if backend.credential is not None:
            asked += [(f"Backend {backend.name}", url) for url in urls(backend.credential)]
    for what, url in asked:
        try:
            if reach(absolute_form(url.encode())) is None:
                yield what, url
        except HttpRefused:
            continue  # the schema takes URLs only
