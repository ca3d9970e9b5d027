"""Reads whole conversations through the readers and notes what came out, so that outcomes can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import RequestHead, ResponseHead
from mesh.protocol.http1.limits import HttpLimits
from mesh.protocol.http1.reader import RequestReader, ResponseReader
from mesh.reasons import Reason

DEFAULTS = HttpLimits()


@dataclass
class Outcome:
    """Events in order (adjacent pieces of a body joined) and the refusal that ended them, if one did."""

    events: list[object] = field(default_factory=list)
    refused: Reason | None = None
    status: int | None = None

    def on_request(self, head: RequestHead) -> None:
        self.events.append(replace(head))

    def on_interim(self, head: ResponseHead) -> None:
        self.events.append(("interim", replace(head)))

    def on_response(self, head: ResponseHead) -> None:
        self.events.append(replace(head))

    def on_body(self, data: bytes) -> None:
        assert data
        if isinstance(self.events[-1], bytes):
            self.events[-1] += data
        else:
            self.events.append(data)

    def on_request_end(self) -> None:
        self.events.append("end")

    def on_response_end(self) -> None:
        self.events.append("end")

    def take(self, refused: HttpRefused) -> None:
        assert refused.detail
        self.refused = refused.reason
        self.status = refused.status


ReadRequests = Callable[..., Outcome]
ReadResponses = Callable[..., Outcome]


@pytest.fixture(scope="session")
def read_requests() -> ReadRequests:
    def read(pieces: Iterable[bytes], limits: HttpLimits = DEFAULTS) -> Outcome:
        outcome = Outcome()
        reader = RequestReader(outcome, limits)
        try:
            for piece in pieces:
                reader.feed(piece)
            reader.eof()
        except HttpRefused as refused:
            outcome.take(refused)
        return outcome

    return read


@pytest.fixture(scope="session")
def read_responses() -> ReadResponses:
    def read(pieces: Iterable[bytes], *methods: str, limits: HttpLimits = DEFAULTS) -> Outcome:
        outcome = Outcome()
        reader = ResponseReader(outcome, limits)
        for method in methods:
            reader.expect(method)
        try:
            for piece in pieces:
                reader.feed(piece)
            reader.eof()
        except HttpRefused as refused:
            outcome.take(refused)
        return outcome

    return read
