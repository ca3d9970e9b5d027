"""Environment variables laid over the sidecar's file.

In a pod the injector sets variables and no file has to exist; each variable stands for one key of the file
(`mesh.settings`), is written as text, and wins over the file. The result is one tree that is checked as one.
A variable of our prefix that no setting has is a fault: misspelt, it would leave a default in force.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping as Environment
from dataclasses import replace
from difflib import get_close_matches

from mesh.policy import yaml_tree
from mesh.policy.errors import ErrorLog, PolicyError, shown
from mesh.policy.yaml_tree import Entry, Mapping, Node, Scalar, Sequence
from mesh.settings.table import ENV_CONFIG, SIDECAR_ENV

CONFIG_VARIABLE = ENV_CONFIG.name
ENVIRONMENT = "environment"
"""What faults of variables give in place of a file's name."""

PREFIX = "OUTRIDER_"

_JSON_KEYS = frozenset(
    {
        "agent.labels",
        "connect",
        "limits",
        "application.probes",
        "inbound.ports",
        "identity.files.federated",
        "identity.files.jwtSvids",
        "hiddenSecrets",
        "narrow.policies",
        "narrow.toolsAllow",
        "narrow.toolsDeny",
        "narrow.guardrails",
        "narrow.rates",
    }
)
_LIST_KEYS = frozenset({"policies", "application.ports"})
_OFF = "off"

# For a Service named `outrider` or `outrider-…` the kubelet sets these in every pod of its namespace.
_SERVICE_HOST = "_SERVICE_HOST"
_SERVICE_LINK = re.compile(
    r"_SERVICE_HOST|_SERVICE_PORT(_[A-Z0-9_]+)?|_PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?"
)


def overlay(node: Node | None, environment: Environment[str, str], log: ErrorLog) -> Node | None:
    """`node` with every variable of the settings table that is set laid over it."""
    tree = node
    for name, setting in SIDECAR_ENV.items():
        value = environment.get(name, "")
        if not setting.key or not value:
            continue
        tree = _put(tree, setting.key.split("."), _node(setting.key, value, log))
    return tree


def _node(key: str, value: str, log: ErrorLog) -> Node:
    """The value as the tree that its key has in a file."""
    if key in _JSON_KEYS:
        found = yaml_tree.read_documents(value, log)
        return found[0] if found else Mapping(1, ())
    if key in _LIST_KEYS:
        plain = key == "application.ports"
        items = [item.strip() for item in value.split(",") if item.strip()]
        return Sequence(1, tuple(Scalar(1, item, plain) for item in items))
    if key.startswith("listen.") and value == _OFF:
        return Scalar(1, "null", plain=True)
    return Scalar(1, value, plain=False)


def _put(tree: Node | None, path: list[str], value: Node) -> Node:
    """`tree` with `value` at `path`; what is no mapping on the way is replaced."""
    entries = tree.entries if isinstance(tree, Mapping) else ()
    key, *rest = path
    if rest:
        below = next((entry.value for entry in entries if entry.key == key), None)
        value = _put(below, rest, value)
    kept = tuple(entry for entry in entries if entry.key != key)
    line = tree.line if tree is not None else 1
    return Mapping(line, (*kept, Entry(value.line, key, value)))


def environment_faults(environment: Environment[str, str]) -> list[PolicyError]:
    """One fault for each variable of our prefix that is no setting; an empty one says nothing either way."""
    services = [name.removesuffix(_SERVICE_HOST) for name in environment if name.endswith(_SERVICE_HOST)]
    return [
        PolicyError(ENVIRONMENT, 1, shown(name)[1:-1], _unknown(name))
        for name in sorted(environment)
        if name.startswith(PREFIX)
        and environment[name]
        and name not in SIDECAR_ENV
        and not _is_service_link(name, services)
    ]


def _is_service_link(name: str, services: list[str]) -> bool:
    return any(
        name.startswith(service) and _SERVICE_LINK.fullmatch(name, len(service)) for service in services
    )


def _unknown(name: str) -> str:
    known = {setting.removeprefix(PREFIX): setting for setting in SIDECAR_ENV}
    close = get_close_matches(name.removeprefix(PREFIX)[:64], known, n=1, cutoff=0.6)
    meant = f", did you mean {known[close[0]]}?" if close else "."
    return f"no setting has this name{meant} It has no effect; correct or unset it"


def blamed(errors: Iterable[PolicyError], environment: Environment[str, str]) -> list[PolicyError]:
    """`errors`, with those of keys that a variable gave blamed on the variable."""
    given = {
        setting.key: name for name, setting in SIDECAR_ENV.items() if setting.key and environment.get(name)
    }
    return [_blame(error, given) for error in errors]


def _blame(error: PolicyError, given: Environment[str, str]) -> PolicyError:
    for key, name in given.items():
        if error.path == key or error.path.startswith((f"{key}.", f"{key}[")):
            return replace(error, file=ENVIRONMENT, message=f"{error.message} (set by {name})")
    return error
