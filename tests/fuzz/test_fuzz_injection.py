"""A pod with any part of it replaced by anything: it has an outcome, and one that is injected has settled.

The seeds are the inputs of the golden files, among them pods that were injected before: their sidecars hold what
a second injection reads back.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cli.manifests import read_manifests
from tests.support import json_patch
from tests.support.fuzzing import examples
from tests.support.pods import settings as settings_of_platforms
from webhook.admission.ephemeral import admit_ephemeral
from webhook.admission.inject import inject, unshared
from webhook.admission.outcome import Injection, Namespace, Refusal, Skipped
from webhook.admission.shape import PodMalformed, as_pod
from webhook.admission.strip import uninject

GOLDEN = Path(__file__).parents[1] / "webhook" / "golden"
NAMESPACE = Namespace("agents", {"outrider.dev/injection": "required"})


def _pods() -> Iterator[dict[str, Any]]:
    for path in sorted(GOLDEN.glob("*.yaml")):
        for manifest in read_manifests(path.read_text(encoding="utf-8"), path.name):
            if manifest.value.get("kind") == "Pod":
                yield manifest.value


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield from _places(below, (*path, key))


PODS = list(_pods())
SPOTS = [list(_places(pod))[1:] for pod in PODS]
anything = st.sampled_from(
    [
        None,
        True,
        0,
        1774,
        -1,
        1.5,
        "",
        "x",
        "outrider-sidecar",
        "$(X)",
        "\ud800",
        [],
        {},
        [None],
        [{}],
        {"": None},
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    chosen = draw(st.integers(0, len(PODS) - 1))
    pod = copy.deepcopy(PODS[chosen])
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(SPOTS[chosen]))
        parent: Any = pod
        try:
            for key in path:
                parent = parent[key]
            parent[last]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took it away
        if isinstance(parent, dict | list):
            parent[last] = copy.deepcopy(draw(anything))
    return pod


@settings(max_examples=examples(400), deadline=None)
@given(mutated(), settings_of_platforms)
def test_a_pod_with_parts_replaced_has_an_outcome(pod, platform) -> None:
    became = inject(pod, NAMESPACE, platform)
    assert isinstance(became, Injection | Refusal | Skipped)
    if isinstance(became, Injection):
        assert json_patch.apply(became.patch, pod) == became.pod
        again = inject(became.pod, NAMESPACE, platform)
        assert isinstance(again, Injection)
        assert again.patch == []
        json.dumps(became.pod)


@settings(max_examples=examples(200), deadline=None)
@given(mutated(), settings_of_platforms)
def test_such_a_pod_can_be_taken_apart_and_added_to(pod, platform) -> None:
    container = {"name": "debug", "env": [{"name": "X"}], "volumeMounts": [{"name": "outrider-tmp"}]}
    after = copy.deepcopy(pod)
    if isinstance(after.get("spec"), dict):
        after["spec"]["ephemeralContainers"] = [container]
    assert isinstance(admit_ephemeral(after, pod, NAMESPACE, platform), Refusal | Skipped)
    try:
        whole = unshared(as_pod(pod))
    except PodMalformed:
        return
    uninject(whole, platform)
