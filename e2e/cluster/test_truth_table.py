"""Who gets a sidecar, by the answers of a real API server: each row of the truth table, and which entry is asked.

Rows that nobody is asked about are those where nothing of Outrider's may stand in the way, whatever state it
is in: the audit log has to say so.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from e2e.cluster.api import ApiError
from e2e.cluster.conftest import remove_namespace
from e2e.cluster.control_plane import ControlPlane
from e2e.cluster.installation import Installation
from e2e.cluster.kube import Kube, pod
from mesh.settings import installation as names
from mesh.settings.table import SIDECAR_CONTAINER, VERSION

Labels = dict[str, str]
NAMESPACES = {
    "unset": None,
    "enabled": "enabled",
    "required": "required",
    "disabled": "disabled",
    "odd": "Enabled",
    "empty": "",
}
UNSET: Labels = {}
TRUE = {"outrider.dev/inject": "true"}
FALSE = {"outrider.dev/inject": "false"}
YES = {"outrider.dev/inject": "yes"}
EMPTY = {"outrider.dev/inject": ""}
ROSSOCTL = {"rossoctl.io/inject": "disabled"}
KAGENTI = {"kagenti.io/inject": "disabled"}
FOREIGN_YES = {"kagenti.io/inject": "enabled", "rossoctl.io/inject": "true"}
OURS_WINS = {**ROSSOCTL, **TRUE}
ENABLED, REQUIRED = names.ENABLED_ENTRY, names.REQUIRED_ENTRY
BY_POD, DISABLED = names.POD_ENTRY, names.DISABLED_ENTRY
NOBODY = ""

_numbers = itertools.count()


@dataclass(frozen=True)
class Row:
    """A pod in a namespace: what comes of it, why, and which entry of the configuration is asked."""

    namespace: str
    labels: Labels
    outcome: str
    reason: str = ""
    entry: str = NOBODY


def rows(namespace: str, *cells: tuple[Labels, str, str, str]) -> list[Row]:
    return [Row(namespace, *cell) for cell in cells]


def all_refused(namespace: str) -> list[Row]:
    """A label that nobody understands may have meant `required`."""
    refused = ("refused", "namespace_label_invalid", REQUIRED)
    says_nothing = [(labels, *refused) for labels in (UNSET, TRUE, FALSE, ROSSOCTL, KAGENTI, OURS_WINS)]
    return rows(namespace, *says_nothing, (YES, "refused", "inject_label_invalid", REQUIRED))


TABLE = [
    *rows(
        "unset",
        (UNSET, "untouched", "", NOBODY),
        (TRUE, "injected", "injected", BY_POD),
        (FALSE, "untouched", "", NOBODY),
        (YES, "refused", "inject_label_invalid", BY_POD),
        (EMPTY, "refused", "inject_label_invalid", BY_POD),
        (ROSSOCTL, "untouched", "", NOBODY),
        (KAGENTI, "untouched", "", NOBODY),
        (FOREIGN_YES, "untouched", "", NOBODY),
        (OURS_WINS, "injected", "injected", BY_POD),
    ),
    *rows(
        "enabled",
        (UNSET, "injected", "injected", ENABLED),
        (TRUE, "injected", "injected", ENABLED),
        (FALSE, "untouched", "", NOBODY),
        (YES, "refused", "inject_label_invalid", ENABLED),
        (EMPTY, "refused", "inject_label_invalid", ENABLED),
        (ROSSOCTL, "untouched", "", NOBODY),
        (KAGENTI, "untouched", "", NOBODY),
        (FOREIGN_YES, "injected", "injected", ENABLED),
        (OURS_WINS, "injected", "injected", ENABLED),
    ),
    *rows(
        "required",
        (UNSET, "injected", "injected", REQUIRED),
        (TRUE, "injected", "injected", REQUIRED),
        (FALSE, "refused", "opt_out_refused", REQUIRED),
        (YES, "refused", "inject_label_invalid", REQUIRED),
        (EMPTY, "refused", "inject_label_invalid", REQUIRED),
        (ROSSOCTL, "refused", "opt_out_refused", REQUIRED),
        (KAGENTI, "refused", "opt_out_refused", REQUIRED),
        (FOREIGN_YES, "injected", "injected", REQUIRED),
        (OURS_WINS, "injected", "injected", REQUIRED),
    ),
    *rows(
        "disabled",
        (UNSET, "untouched", "", NOBODY),
        (TRUE, "refused", "namespace_disabled", DISABLED),
        (FALSE, "untouched", "", NOBODY),
        (YES, "refused", "inject_label_invalid", DISABLED),
        (EMPTY, "refused", "inject_label_invalid", DISABLED),
        (ROSSOCTL, "untouched", "", NOBODY),
        (KAGENTI, "untouched", "", NOBODY),
        (FOREIGN_YES, "untouched", "", NOBODY),
        (OURS_WINS, "refused", "namespace_disabled", DISABLED),
    ),
    *all_refused("odd"),
    *all_refused("empty"),
]


def title(row: Row) -> str:
    said = ",".join(f"{key.partition('.')[0]}={value}" for key, value in row.labels.items())
    return f"{row.namespace}-{said or 'unset'}"


def name_of(key: str) -> str:
    return f"truth-{key}"


@pytest.fixture(scope="module")
def labelled(outrider: Installation, kube: Kube) -> Iterator[Kube]:
    """A namespace for each label of the table."""
    made = [name_of(key) for key in NAMESPACES]
    try:
        for key, label in NAMESPACES.items():
            labels = {} if label is None else {"outrider.dev/injection": label}
            meta = {"name": name_of(key), "labels": labels}
            kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
        for name in made:
            kube.until(lambda of=name: kube.get("ServiceAccount", "default", of), f"{name} is ready")  # type: ignore[misc]
        yield kube
    finally:
        for name in made:
            remove_namespace(kube, name)


def unique(labels: Labels, **spec: Any) -> dict[str, Any]:
    """A pod whose request can be told from others in the audit log."""
    return pod(f"agent-{next(_numbers)}", labels=labels, **spec)


def outcome(kube: Kube, namespace: str, asked: dict[str, Any]) -> tuple[str, str]:
    """What the API server makes of a pod, and the words of a refusal."""
    try:
        made = kube.create(asked, namespace=namespace, dry_run=True)
    except ApiError as error:
        return "refused", error.message
    sidecars = [one["name"] for one in made["spec"].get("initContainers", [])]
    assert sidecars in ([], [SIDECAR_CONTAINER])
    assert bool(sidecars) == (made["metadata"]["labels"].get("outrider.dev/injected") == "true")
    return ("injected" if sidecars else "untouched"), ""


def audited(kube: Kube, plane: ControlPlane, namespace: str, name: str) -> dict[str, str]:
    """Annotations of the request that created a pod, from the audit log."""

    def look() -> list[dict[str, Any]]:
        return plane.audit(verb="create", resource="pods", namespace=namespace, name=name)

    (line,) = kube.until(look, f"the audit log knows {name}")
    found: dict[str, str] = line.get("annotations", {})
    return found


@pytest.mark.parametrize("row", TABLE, ids=title)
def test_each_row_of_the_truth_table(row: Row, labelled: Kube, plane: ControlPlane) -> None:
    asked, namespace = unique(row.labels), name_of(row.namespace)
    came, message = outcome(labelled, namespace, asked)
    assert came == row.outcome, message
    if row.outcome == "refused":
        assert f'admission webhook "{row.entry}" denied the request: outrider refuses' in message
        assert f"({row.reason})" in message
        if row.reason == "inject_label_invalid":
            assert f"outrider.dev/inject={row.labels['outrider.dev/inject']}" in message
    said = audited(labelled, plane, namespace, asked["metadata"]["name"])
    told = {key: value for key, value in said.items() if "outrider.dev/" in key}
    deciders = {key.partition("/")[0] for key in told}
    assert deciders == ({row.entry} if row.entry else set())
    if row.entry:
        assert told[f"{row.entry}/reason"] == row.reason
        assert told[f"{row.entry}/decision"] == row.outcome
        assert told[f"{row.entry}/version"] == VERSION
        assert len(told[f"{row.entry}/config-hash"]) == 12


def test_the_table_is_complete() -> None:
    cells = {(row.namespace, tuple(sorted(row.labels.items()))) for row in TABLE}
    for namespace, labels in itertools.product(NAMESPACES, (UNSET, TRUE, FALSE, YES, ROSSOCTL, KAGENTI)):
        assert (namespace, tuple(sorted(labels.items()))) in cells


@pytest.mark.parametrize(
    ("namespace", "spec", "came", "reason"),
    [
        ("enabled", {"hostNetwork": True}, "untouched", "host_network"),
        ("required", {"hostNetwork": True}, "refused", "host_network"),
        ("enabled", {"os": {"name": "windows"}}, "untouched", "windows_pod"),
        ("required", {"os": {"name": "windows"}}, "refused", "windows_pod"),
    ],
)
def test_pods_that_cannot_have_one_are_told_to_their_author(
    namespace: str, spec: dict[str, Any], came: str, reason: str, labelled: Kube
) -> None:
    found, message = outcome(labelled, name_of(namespace), unique(UNSET, **spec))
    assert found == came, message
    if came == "untouched":
        assert labelled.warnings == (f"outrider: no sidecar ({reason})",)
    else:
        assert f"outrider refuses this pod ({reason})" in message


@pytest.mark.parametrize("labels", [UNSET, TRUE, YES])
@pytest.mark.parametrize("namespace", ["kube-system", "kube-public", "kube-node-lease", names.NAMESPACE])
def test_namespaces_that_a_cluster_lives_by_are_never_asked_about(
    namespace: str, labels: Labels, labelled: Kube, plane: ControlPlane
) -> None:
    labelled.until(lambda: labelled.get("ServiceAccount", "default", namespace), f"{namespace} is ready")
    label = {"metadata": {"labels": {"outrider.dev/injection": "required"}}}
    labelled.patch("Namespace", namespace, label)
    try:
        asked = unique(labels)
        assert outcome(labelled, namespace, asked) == ("untouched", "")
        said = audited(labelled, plane, namespace, asked["metadata"]["name"])
        assert not any("outrider.dev/" in key for key in said)
    finally:
        label["metadata"]["labels"]["outrider.dev/injection"] = None  # type: ignore[assignment]
        labelled.patch("Namespace", namespace, label)


def test_a_label_counts_for_the_next_pod(labelled: Kube) -> None:
    namespace = name_of("unset")
    for label, came in (("enabled", "injected"), ("disabled", "untouched"), (None, "untouched")):
        labelled.patch("Namespace", namespace, {"metadata": {"labels": {"outrider.dev/injection": label}}})
        labelled.until(
            lambda wanted=came: outcome(labelled, namespace, unique(UNSET))[0] == wanted,  # type: ignore[misc]
            f"the label {label} counts",
        )
