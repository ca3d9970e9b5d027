from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.selecting.cel import NotEvaluable, evaluate
from tests.support.outrider_cluster import NOT_A_MIRROR

OPTED_OUT = (
    "!has(object.metadata.labels) || 'outrider.dev/inject' in object.metadata.labels || "
    "!['rossoctl.io/inject', 'kagenti.io/inject'].exists(key, key in object.metadata.labels && "
    "object.metadata.labels[key] == 'disabled')"
)
SIDECAR = (
    "(has(object.spec.initContainers) && object.spec.initContainers.exists(c, c.name == 'outrider-sidecar')) || "
    "object.spec.containers.exists(c, c.name == 'outrider-sidecar')"
)


def pod(**metadata: object) -> dict:
    return {"metadata": metadata, "spec": {"containers": [{"name": "a"}]}}


MIRROR = pod(annotations={"kubernetes.io/config.mirror": "x"})
INJECTED = {
    **pod(),
    "spec": {"initContainers": [{"name": "outrider-sidecar"}], "containers": [{"name": "a"}]},
}


@pytest.mark.parametrize(
    ("expression", "object_", "expected"),
    [
        (NOT_A_MIRROR, pod(), True),
        (NOT_A_MIRROR, pod(annotations={"other": "x"}), True),
        (NOT_A_MIRROR, MIRROR, False),
        (OPTED_OUT, pod(), True),
        (OPTED_OUT, pod(labels={"rossoctl.io/inject": "disabled"}), False),
        (OPTED_OUT, pod(labels={"kagenti.io/inject": "enabled"}), True),
        (OPTED_OUT, pod(labels={"kagenti.io/inject": "disabled", "outrider.dev/inject": "true"}), True),
        (SIDECAR, pod(), False),
        (SIDECAR, INJECTED, True),
        ("object.metadata.?annotations.orValue({}).size() == 0", pod(), True),
        ("object.metadata.?annotations.?a.hasValue()", pod(annotations={"a": "b"}), True),
        ("object.metadata.?annotations.?a.hasValue()", pod(), False),
        ("object.spec.containers.all(c, c.name.startsWith('a'))", pod(), True),
        ("object.spec.containers[0].name.endsWith('b') || size(object.spec.containers) >= 1", pod(), True),
        ("object.spec.containers[0]['name'].contains(\"a\") && !(1 > 2) && 1 <= 1 && 1 < 2", pod(), True),
        ("request.namespace != 'kube-system'", pod(), True),
        ("oldObject == null", pod(), True),
        ("'it\\'s' == 'it\\'s' && true && !false", pod(), True),
        # An error of one side does not count where the other decides.
        ("object.nothing == 1 || true", pod(), True),
        ("true || object.nothing == 1", pod(), True),
        ("object.nothing == 1 && false", pod(), False),
        ("'a' + 'b' == 'ab' && 'ab'.matches('^a')", pod(), True),
    ],
)
def test_expressions_have_the_value_that_cel_gives_them(expression, object_, expected) -> None:
    known = {"object": object_, "request": {"namespace": "agents"}, "oldObject": None}
    assert evaluate(expression, known) is expected


@pytest.mark.parametrize(
    "expression",
    [
        "object.metadata.labels.app == 'x'",
        "object.nothing == 1 || false",
        "authorizer.group('').resource('pods').check('get').allowed()",
        "object.spec.containers.map(c, c.name)",
        "'text'",
        "!'text'",
        "size()",
        "object.metadata.name.find('[0-9]+') == '1'",
        "isURL(object.metadata.name)",
        "object.spec.containers.exists('a', true)",
        "object.spec.containers.exists(c true)",
        "'a'.size(1) == 1",
        "(true",
        "[1, 2",
        "[1 2]",
        "{'a': 1}",
        "true true",
        "",
        "&",
        ")",
        "object.",
        "object.spec.containers[7]",
        "1 in 2",
        "(" * 5000 + "true" + ")" * 5000,
    ],
)
def test_what_goes_beyond_is_said_to_and_never_guessed(expression) -> None:
    with pytest.raises(NotEvaluable):
        evaluate(expression, {"object": pod()})


@given(st.text(alphabet="object.()[]{}'\"!&|=<>, in1?a\\", max_size=40))
def test_any_text_is_true_false_or_not_evaluable(text) -> None:
    try:
        assert evaluate(text, {"object": {"a": {"b": [1]}}}) in (True, False)
    except NotEvaluable:
        pass
