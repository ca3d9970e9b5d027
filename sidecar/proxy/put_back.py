"""What an agent writes for values of its server's that it was shown masked, and what it means by it.

The agent writes `<EMAIL_1>`, and the server gets the address. Between the two a request is three things:

- as the agent wrote it: it is examined and masked so, since its surrogates stand for what is the server's own;
- what it means, a copy with the values put back: a policy decides about that, and about nothing else;
- what leaves: masked, then with the values put back in exactly the surrogates that stood in it at first.

Which those are is noted before anything is decided and never looked up again, so that what is decided is what
leaves even if other answers come meanwhile, and so that a surrogate which masking itself sets stays one.
Detectors that are asked over HTTP see the request before the values are in it. Names, ids, methods and cursors
are what they are: nothing is put back there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec.structs import replace

from mesh.policy.guardrails import Direction
from mesh.protocol.jsonrpc import Message
from mesh.protocol.mcp.places import Root, places_of_request
from sidecar.guardrails.restoring import restore_message
from sidecar.guardrails.surrogates import NUMBERS, PLAIN, TOKENS
from sidecar.guardrails.vault import Value, Vault

_KIND = "WRITTEN"


class Written(Vault):
    """Of the values of another vault those that one message names: it learns them from texts until `settle`."""

    __slots__ = ("_known",)

    def __init__(self, known: Vault) -> None:
        super().__init__()
        self._known: Vault | None = known

    def settle(self) -> None:
        """What it has not met by now it will never know."""
        self._known = None

    def __len__(self) -> int:
        return super().__len__() if self._known is None else len(self._known)

    @property
    def odd(self) -> bool:
        return super().odd if self._known is None else self._known.odd

    def restore(self, text: str, way: Direction = Direction.BOTH, room: list[int] | None = None) -> str:
        known = self._known
        if known is not None and known.restore(text, way) != text:
            for form, family in _forms(text):
                self._learn(form, known.restore(form, way), family, way)
            if known.issued(text):
                self._learn(text, known.restore(text, way), "shaped", way)
            for found in NUMBERS.finditer(text):
                self._learn_number(known, float(found[0]) if "." in found[0] else int(found[0]), way)
        return super().restore(text, way, room)

    def restore_number(self, number: int | float, way: Direction = Direction.BOTH) -> int | float:
        if self._known is not None:
            self._learn_number(self._known, number, way)
        return super().restore_number(number, way)

    def _learn_number(self, known: Vault, number: int | float, way: Direction) -> None:
        self._learn(number, known.restore_number(number, way), "number", way)

    def _learn(self, form: Value, value: Value, family: str, way: Direction) -> None:
        if value != form:
            self.claim(self.stand(_KIND, value, way), form, family)


def _forms(text: str) -> Iterator[tuple[str, str]]:
    """Everything in a text that may be a surrogate wherever it stands, and its family."""
    for family in (TOKENS, *PLAIN):
        if family.needle in text:
            for found in family.pattern.finditer(text):
                yield found[0], family.name


class PutBack(NamedTuple):
    """One message in which the agent wrote surrogates: their values, and the message with these."""

    values: Written
    meaning: Message


def put_back(message: Message, vault: Vault) -> PutBack | None:
    """What a message means; None where it holds no surrogate of the server's values. It stays as it is.

    None as well where not all of them can be put back, for what leaves must be what is decided.
    """
    value = copied(message.value)
    values = Written(vault)
    if not restore_message(value, values, _changeable(value), Direction.REQUEST):
        return None
    values.settle()
    if restore_message(value, values, _changeable(value), Direction.REQUEST):
        return None
    meaning = replace(
        message,
        value=value,
        params=value.get("params"),
        result=value.get("result"),
        error=value.get("error"),
    )
    return PutBack(values, meaning)


def put_in(message: Message, values: Written) -> bool:
    """Change a message that leaves: whether there was something to put back."""
    return restore_message(message.value, values, _changeable(message.value), Direction.REQUEST)


def _changeable(value: dict[str, Any]) -> list[Root]:
    return [root for root in places_of_request(value) if root.maskable]


def copied(value: Any) -> Any:
    """Containers anew, so that what is changed in place does not show."""
    if type(value) is dict:
        return {key: copied(one) for key, one in value.items()}
    return [copied(one) for one in value] if type(value) is list else value
