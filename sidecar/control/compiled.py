"""A configuration as the policy that it means, or why it means none.

Backends that did not change stay the same objects: what is remembered about them, and streams that are open to
them, goes on under the new policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from mesh.distribution.digest import content_version
from mesh.distribution.messages import MAX_DETAIL, Configuration
from mesh.policy.decide import Policy
from mesh.policy.documents import Backend, Documents
from mesh.policy.errors import PolicyInvalid
from mesh.policy.load import load_objects
from mesh.reasons import Reason

Compile = Callable[[Documents, Mapping[str, str]], Policy]
"""Documents and the agent's labels to its policy; may raise PolicyInvalid."""


class ConfigurationRefused(Exception):
    """The configuration cannot be put in force; whoever wrote its documents, or the control plane, is at fault.

    `errors`: every fault, as sentences.
    """

    def __init__(self, reason: Reason, errors: tuple[str, ...]) -> None:
        super().__init__("\n".join(errors))
        self.reason = reason
        self.errors = errors

    @property
    def detail(self) -> str:
        """The faults in what the protocol carries of them."""
        text = "\n".join(self.errors)
        return text if len(text) <= MAX_DETAIL else text[: MAX_DETAIL - 1] + "…"


def policy_of(configuration: Configuration, compile_: Compile, before: Iterable[Backend]) -> Policy:
    """The policy of `configuration`, with the objects of `before` where nothing changed.

    Takes a while where there are many documents, so call it off the event loop. Raises ConfigurationRefused.
    """
    try:
        documents = load_objects(configuration.documents)
        kept = replace(documents, backends=_kept(documents.backends, before))
        return compile_(kept, configuration.labels)
    except PolicyInvalid as invalid:
        raise ConfigurationRefused(Reason.CONFIGURATION_INVALID, tuple(map(str, invalid.errors))) from invalid


def policy_of_sent(configuration: Configuration, compile_: Compile, before: Iterable[Backend]) -> Policy:
    """The same of one that has just come, whose version has to be that of its content."""
    found = content_version(configuration)
    if found != configuration.version:
        sentence = f"it is damaged: it says version {configuration.version}, and its content has {found}"
        raise ConfigurationRefused(Reason.CONFIGURATION_INVALID, (sentence,))
    return policy_of(configuration, compile_, before)


def _kept(backends: tuple[Backend, ...], before: Iterable[Backend]) -> tuple[Backend, ...]:
    known = {_value(backend): backend for backend in before}
    return tuple(known.get(_value(backend), backend) for backend in backends)


def _value(backend: Backend) -> tuple[Any, ...]:
    """All that a Backend says; it is compared by identity itself."""
    return tuple(getattr(backend, field.name) for field in fields(backend))
