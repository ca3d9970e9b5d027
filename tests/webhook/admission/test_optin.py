from __future__ import annotations

import pytest

from mesh.reasons import Reason
from webhook.admission.inject import inject
from webhook.admission.optin import PodSays, Wanted, opted_in, pod_says
from webhook.admission.outcome import Injection, Namespace, Refusal, Skipped

INJECT = Injection
SKIP = Skipped
DENY = Refusal

# Rows: the namespace's label. Columns: the pod's label outrider.dev/inject.
TRUTH_TABLE = [
    (None, None, SKIP, Reason.NOT_OPTED_IN),
    (None, "true", INJECT, Reason.INJECTED),
    (None, "false", SKIP, Reason.POD_OPTED_OUT),
    (None, "yes", DENY, Reason.INJECT_LABEL_INVALID),
    ("enabled", None, INJECT, Reason.INJECTED),
    ("enabled", "true", INJECT, Reason.INJECTED),
    ("enabled", "false", SKIP, Reason.POD_OPTED_OUT),
    ("enabled", "yes", DENY, Reason.INJECT_LABEL_INVALID),
    ("required", None, INJECT, Reason.INJECTED),
    ("required", "true", INJECT, Reason.INJECTED),
    ("required", "false", DENY, Reason.OPT_OUT_REFUSED),
    ("required", "yes", DENY, Reason.INJECT_LABEL_INVALID),
    ("disabled", None, SKIP, Reason.NAMESPACE_DISABLED),
    ("disabled", "true", DENY, Reason.NAMESPACE_DISABLED),
    ("disabled", "false", SKIP, Reason.NAMESPACE_DISABLED),
    ("disabled", "yes", DENY, Reason.INJECT_LABEL_INVALID),
    ("on", None, DENY, Reason.NAMESPACE_LABEL_INVALID),
    ("on", "true", DENY, Reason.NAMESPACE_LABEL_INVALID),
    ("on", "false", DENY, Reason.NAMESPACE_LABEL_INVALID),
    ("", None, DENY, Reason.NAMESPACE_LABEL_INVALID),
    (None, "", DENY, Reason.INJECT_LABEL_INVALID),
    (None, "True", DENY, Reason.INJECT_LABEL_INVALID),
]


@pytest.mark.parametrize(("namespace_label", "pod_label", "outcome", "reason"), TRUTH_TABLE)
def test_the_truth_table_decides_who_gets_a_sidecar(
    pod, settings, namespace_label, pod_label, outcome, reason
) -> None:
    labels = {} if namespace_label is None else {"outrider.dev/injection": namespace_label}
    pod_labels = None if pod_label is None else {"outrider.dev/inject": pod_label}
    became = inject(pod(labels=pod_labels), Namespace("agents", labels), settings)
    assert (type(became), became.reason) == (outcome, reason)


@pytest.mark.parametrize("name", ["rossoctl.io/inject", "kagenti.io/inject"])
def test_opt_outs_of_other_platforms_count_and_their_opt_ins_do_not(
    pod, enabled, required, settings, name
) -> None:
    assert inject(pod(labels={name: "disabled"}), enabled, settings).reason is Reason.POD_OPTED_OUT
    assert inject(pod(labels={name: "disabled"}), required, settings).reason is Reason.OPT_OUT_REFUSED
    assert inject(pod(labels={name: "enabled"}), Namespace("agents"), settings).reason is Reason.NOT_OPTED_IN


def test_our_own_label_wins_over_the_opt_out_of_another_platform() -> None:
    assert pod_says({"outrider.dev/inject": "true", "kagenti.io/inject": "disabled"}) is PodSays.YES


@pytest.mark.parametrize(("labels", "outcome"), [({}, Skipped), ({"outrider.dev/inject": "true"}, Refusal)])
def test_pods_of_system_namespaces_never_get_a_sidecar(pod, settings, labels, outcome) -> None:
    namespace = Namespace("kube-system", {"outrider.dev/injection": "required"})
    became = inject(pod(labels=labels), namespace, settings)
    assert (type(became), became.reason) == (outcome, Reason.NAMESPACE_IGNORED)


def test_a_pod_that_asks_itself_insists_even_where_its_namespace_only_enables() -> None:
    insisted = opted_in({"outrider.dev/injection": "enabled"}, {"outrider.dev/inject": "true"}, ignored=False)
    assert insisted == Wanted(insisted=True)
    assert opted_in({"outrider.dev/injection": "enabled"}, {}, ignored=False) == Wanted(insisted=False)
