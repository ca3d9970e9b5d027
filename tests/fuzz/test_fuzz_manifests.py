"""Whatever a manifest holds: documents come out, or `ManifestInvalid` with a line."""

from __future__ import annotations

import contextlib
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cli.inject import verdict
from cli.kubernetes_yaml import dump
from cli.manifests import ManifestInvalid, read_manifests
from cli.rewriting import rewrite
from tests.support.fuzzing import examples
from webhook.admission.outcome import Namespace
from webhook.admission.settings import InjectionSettings

GOLDENS = Path(__file__).parents[1] / "cli" / "goldens"
SEEDS = [path.read_text(encoding="utf-8") for path in sorted(GOLDENS.glob("*.in.yaml"))]
SPLICES = [
    "",
    "---\n",
    "&a ",
    "*a",
    "{",
    "]",
    "null",
    "!!binary aa",
    "<<: *a",
    "\t",
    "? ",
    ": ",
    "'",
    "%YAML 9\n",
    "\x00",
    "é",
]


def mutate(which: int, begin: int, length: int, splice: str) -> str:
    seed = SEEDS[which]
    begin %= len(seed)
    return seed[:begin] + splice + seed[begin + length :]


mutated = st.builds(
    mutate,
    st.integers(0, len(SEEDS) - 1),
    st.integers(0, 5000),
    st.integers(0, 40),
    st.sampled_from(SPLICES),
)


def decide(workload, where):
    namespace = Namespace(where, {"outrider.dev/injection": "required"})
    return verdict(workload, namespace, InjectionSettings())


@settings(max_examples=examples(150), deadline=None)
@given(mutated | st.text(max_size=200))
def test_any_text_is_documents_or_told_with_its_line(text) -> None:
    with contextlib.suppress(ManifestInvalid):
        manifests = read_manifests(text, "x.yaml")
        rewriting = rewrite(manifests, "default", decide)
        again = read_manifests(rewriting.text(), "out.yaml")
        assert len(again) == len(manifests)
        for manifest in manifests:
            (copy,) = read_manifests(dump(manifest.value), "copy.yaml") or [None]
            assert copy is None or repr(copy.value) == repr(manifest.value)
