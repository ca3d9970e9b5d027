"""A call and its answer with the real detectors: the server sees surrogates, the agent what it sent."""

from __future__ import annotations

import copy
import json

from mesh.policy.guardrails import Action, DetectorKind, Direction, Guardrails, PiiOptions, Processor
from mesh.protocol.mcp.places import places_of_answer, places_of_request
from sidecar.guardrails.engine import Engine
from sidecar.guardrails.mask_message import mask_message
from sidecar.guardrails.restoring import restore_message
from sidecar.guardrails.vault import Vault

GUARDRAILS = Guardrails((Processor("pii", DetectorKind.PII, Action.MASK, PiiOptions()),), reversible=True)
SENT = {"to": "ann.smith@example.com", "card": 4111111111111111, "note": "card 4111 1111 1111 1111"}


def test_the_server_gets_surrogates_and_the_agent_its_own_values_but_not_the_servers():
    engine, vault = Engine(GUARDRAILS), Vault()
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "t", "arguments": copy.deepcopy(SENT)},
    }
    verdict = engine.examine(places_of_request(call), Direction.REQUEST, "t")
    mask_message(call, verdict, vault, direction=Direction.REQUEST, reversible=True)
    seen = call["params"]["arguments"]

    assert seen["to"] == "<EMAIL_1>"
    assert type(seen["card"]) is int
    assert not any(part in json.dumps(seen) for part in ("ann", "4111"))

    echo = {"sent": seen, "owner": "bob.jones@example.org"}
    answer = {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": json.dumps(echo)}]}}
    answer["result"]["structuredContent"] = echo
    verdict = engine.examine(places_of_answer(answer, "tools/call"), Direction.RESPONSE, "t")
    mask_message(answer, verdict, vault, direction=Direction.RESPONSE, reversible=True)
    restore_message(answer, vault, places_of_answer(answer, "tools/call"), Direction.RESPONSE)

    assert answer["result"]["structuredContent"] == {"sent": SENT, "owner": "<EMAIL_2>"}
    assert json.loads(answer["result"]["content"][0]["text"]) == answer["result"]["structuredContent"]

    reply = {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {"name": "t", "arguments": {"to": "<EMAIL_2>"}},
    }
    restore_message(reply, vault, places_of_request(reply), Direction.REQUEST)
    assert reply["params"]["arguments"] == {"to": "bob.jones@example.org"}
