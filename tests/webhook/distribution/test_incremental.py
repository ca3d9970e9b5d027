"""What a change costs is what it changes, and what comes out is what comes out of working out everything anew."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.control_world import (
    access_policy,
    agent_policy,
    agentic_backend,
    backend,
    empty_world,
    gateway_backend,
    pod,
    resource,
    service,
)
from webhook.distribution.cohorts import Cohort
from webhook.distribution.compile import compile_cohort
from webhook.distribution.kinds import (
    ACCESS_POLICY,
    AGENT_POLICY,
    AGENTIC_BACKEND,
    BACKEND,
    GATEWAY,
    GATEWAY_BACKEND,
)
from webhook.distribution.world import World

NAMESPACES = st.sampled_from(["agents", "tools"])
NAMES = st.sampled_from(["a", "b"])
APPS = st.sampled_from(["a", "b"])
CREATED = st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"])
SOURCES = st.sampled_from(["*", "agents/a", "tools/b", "spiffe://mesh.example/ns/agents/sa/a"])
OF_GATEWAY = {"kind": "Gateway", "group": "gateway.networking.k8s.io"}
OF_SERVICE = {"kind": "Service", "group": ""}
INVALID = {"outbound": 3, "host": 4, "targetRefs": 5}


def gateways_policy(*sources: str) -> dict[str, Any]:
    """About several Gateways at once."""
    made = access_policy("a", *sources, **OF_GATEWAY)
    return {**made, "targetRefs": [{**OF_GATEWAY, "name": name} for name in ("a", "b")]}


SPECS: dict[Any, st.SearchStrategy[Any]] = {
    AGENT_POLICY: st.one_of(
        st.builds(
            lambda app, names: agent_policy({"app": app}, *names),
            APPS,
            st.lists(st.sampled_from(["a", "tools/a", "agents/b", "*"]), max_size=2, unique=True),
        ),
        st.just(agent_policy()),
        st.just(INVALID),
    ),
    BACKEND: st.one_of(
        st.builds(
            lambda host, port: backend(host, port),
            st.sampled_from(["x.example", "a.agents.svc"]),
            st.sampled_from([1, 2]),
        ),
        st.builds(lambda: {**backend("x.example", 1), "protocol": "HTTP"}),
        st.just(INVALID),
    ),
    AGENTIC_BACKEND: st.builds(agentic_backend, NAMES, st.sampled_from([1, 2])),
    GATEWAY_BACKEND: st.builds(
        lambda port, tls: gateway_backend("x.example", port, **tls),
        st.sampled_from([1, 443]),
        st.sampled_from([{}, {"tls": {"mode": "ServerOnly"}}]),
    ),
    ACCESS_POLICY: st.one_of(
        st.builds(lambda name, source: access_policy(name, source), NAMES, SOURCES),
        st.builds(lambda name, source: access_policy(name, source, **OF_GATEWAY), NAMES, SOURCES),
        st.builds(lambda name, source: access_policy(name, source, **OF_SERVICE), NAMES, SOURCES),
        st.builds(lambda *sources: gateways_policy(*sources), SOURCES, SOURCES),
        st.just(INVALID),
    ),
    GATEWAY: st.builds(lambda ours: {"gatewayClassName": ours}, st.sampled_from(["outrider", "other"])),
}
PUTS = st.one_of(
    *(
        st.tuples(st.just("put"), st.just(kind), NAMESPACES, NAMES, spec, CREATED)
        for kind, spec in SPECS.items()
    ),
    st.tuples(st.just("remove"), st.sampled_from(list(SPECS)), NAMESPACES, NAMES, st.none(), CREATED),
    st.tuples(
        st.sampled_from(["pod", "over", "no pod", "service", "no service"]),
        st.none(),
        NAMESPACES,
        NAMES,
        APPS,
        CREATED,
    ),
)


def apply(world: World, event: tuple[Any, ...], generation: int) -> None:
    what, kind, namespace, name, spec, created = event
    if what == "put":
        made = resource(name, spec, namespace, generation, created, uid=f"{kind}{namespace}{name}")
        world.put(kind, made)
    elif what == "remove":
        world.remove(kind, namespace, name)
    elif what in ("pod", "over"):
        world.put_pod(pod(name, namespace, spec, running=what == "pod", app=spec))
    elif what == "no pod":
        world.remove_pod(namespace, name)
    elif what == "service":
        world.put_service(service(name, namespace, app=spec))
    else:
        world.remove_service(namespace, name)


def result(world: World) -> dict[tuple[Any, ...], tuple[str, ...]]:
    """Everything that every cohort is given."""
    world.settle()
    return {
        (cohort.namespace, cohort.account, cohort.labels): tuple(
            sorted(one.body.decode() for one in compile_cohort(cohort, world)[0].documents)
        )
        for cohort in world.cohorts
    }


def flush(world: World, held: dict[Cohort, Any]) -> None:
    """What the hub does: only what is dirty is worked out."""
    world.settle()
    for cohort in world.cohorts:
        if cohort not in held:
            cohort.streams = 1
            world.dirty.add(cohort)
    there = set(world.cohorts)
    for cohort in [one for one in held if one not in there]:
        world.forget(cohort)
        del held[cohort]
    dirty, world.dirty = world.dirty, set()
    for cohort in dirty & there:
        compiled, topics = compile_cohort(cohort, world)
        world.remember(cohort, topics)
        held[cohort] = compiled


@settings(max_examples=200, deadline=None)
@given(st.lists(PUTS, max_size=25), st.integers(1, 4))
def test_what_changed_is_all_that_has_to_be_worked_out(events, every) -> None:
    world = empty_world()
    held: dict[Cohort, Any] = {}
    for place, event in enumerate(events):
        apply(world, event, place + 1)
        if place % every == 0:
            flush(world, held)
            for cohort, compiled in held.items():
                assert compiled.version == compile_cohort(cohort, world)[0].version


@settings(max_examples=200, deadline=None)
@given(st.lists(PUTS, max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(events, chance: random.Random) -> None:
    last = {(one[0] in ("put", "remove"), one[1], one[2], one[3], "pod" in one[0]): one for one in events}
    final = [one for one in last.values() if one[0] != "over"]
    valid = [one for one in final if one[4] is not INVALID]
    one, other = empty_world(), empty_world()
    for event in valid:
        apply(one, event, 1)
    chance.shuffle(valid)
    for event in valid:
        other.settle()
        apply(other, event, 1)
    assert result(one) == result(other)
