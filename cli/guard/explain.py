"""`outrider guard explain`: how a text had to be read for something to be found, by which rule or which words."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Final, NamedTuple

from cli.guard import asking
from cli.guard.asking import NothingAsked
from cli.guard.passages import visible
from cli.guard.policy_file import NothingSaid, PolicyUnreadable
from cli.guard.scan import BAD_INPUT, FOUND, NOTHING, Examined, examine, in_order, place, told_failures, what
from cli.guard.sources import InputUnreadable, read_source
from cli.manifests import ManifestInvalid
from cli.output import write
from cli.output.blocks import Block, Heading, Line, Row, Table
from mesh.policy import PolicyInvalid
from mesh.policy.guardrails import DetectorKind, InjectionOptions, Options
from sidecar.guardrails import catalogue
from sidecar.guardrails.engine import Engine
from sidecar.guardrails.examination import Reading
from sidecar.guardrails.hit import Detector, Hit
from sidecar.guardrails.injection import InjectionDetector
from sidecar.guardrails.injection.kinds import MODEL
from sidecar.guardrails.injection.model import Explanation, shipped_model
from sidecar.guardrails.verdict import Finding
from sidecar.guardrails.views import views

AROUND: Final = 60
"""Characters that are shown on either side of what was found."""
SHAP: Final = (
    "The model is linear: bias and shares add up to the log-odds exactly. Each share is its feature's SHAP value, "
    "against the background of a sentence with none of the features, whose log-odds are the bias."
)


class Witness(NamedTuple):
    """A hit in one reading: `text` is the whole reading, `origin` what the hit was read from."""

    view: str
    text: str
    hit: Hit
    origin: str


class Recorder:
    """Stands between the engine and its readings and detectors, and remembers what was found in which reading."""

    def __init__(self) -> None:
        self.witnesses: list[Witness] = []
        self._piece = ""
        self._view: Reading | None = None

    def read(self, text: str) -> Iterator[Reading]:
        """The readings of a text."""
        self._piece = text
        for view in views(text):
            self._view = view
            yield view

    def detector(self, kind: DetectorKind, options: Options) -> Detector:
        """The shared detector, listened to."""
        return _Listened(catalogue.detector(kind, options), self)

    def heard(self, hits: list[Hit]) -> None:
        """Remember hits of the reading at hand."""
        view = self._view
        if view is not None:
            for hit in hits:
                start, end = view.origin(hit.start, hit.end)
                self.witnesses.append(Witness(view.name, view.text, hit, self._piece[start:end]))

    def witness(self, finding: Finding) -> Witness | None:
        """Of a finding; None for what was not found in a text, like a shape."""
        text = finding.leaf.text[finding.start : finding.end]
        alike = [
            one
            for one in self.witnesses
            if (one.view, one.hit.kind, one.hit.note) == (finding.view, finding.kind, finding.note)
        ]
        return next((one for one in alike if one.origin.strip("\x1f") == text), alike[0] if alike else None)


class _Listened:
    """A detector that tells a recorder what it finds."""

    def __init__(self, inner: Detector, recorder: Recorder) -> None:
        self._inner = inner
        self._recorder = recorder

    @property
    def name(self) -> str:
        return self._inner.name

    def scan(self, text: str) -> list[Hit]:
        hits = self._inner.scan(text)
        self._recorder.heard(hits)
        return hits


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    asking.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Explain; 0 when nothing is found, 1 when something is, 2 when something cannot be read or looked at."""
    try:
        found = asking.guardrails(arguments)
        source = read_source(arguments.file, arguments.part)
    except PolicyInvalid as invalid:
        for error in invalid.errors:
            print(f"outrider: {error}", file=sys.stderr)
        return BAD_INPUT
    except (InputUnreadable, NothingAsked, NothingSaid, PolicyUnreadable, ManifestInvalid) as error:
        print(f"outrider: {error}", file=sys.stderr)
        return BAD_INPUT
    for remark in source.remarks:
        print(f"outrider: {remark}", file=sys.stderr)
    recorder = Recorder()
    engine = Engine(found, detector=recorder.detector, read=recorder.read)
    examined = examine(found, source.given, engine)
    shown = [block for one in examined for block in blocks(one, recorder)]
    write.write(shown or [Line("Nothing found.", state="ok")], None, "text")
    injection = any(one.detector is DetectorKind.INJECTION for one in found.processors)
    if injection and source.given[0].text and not _by_model(examined):
        _nearly(source.given[0].value["text"])
    return told_failures(examined) or (FOUND if shown else NOTHING)


def _by_model(examined: list[Examined]) -> bool:
    return any(one.kind == MODEL for _, verdict in examined for one in verdict.findings)


def _nearly(text: str) -> None:
    """What the model makes of a text in which it found nothing."""
    explanation = InjectionDetector(InjectionOptions()).explain(text)
    if explanation.shares:
        sys.stdout.write("\n")
        said = Heading("What the linear model suspects most; it is asked only where no rule fires")
        write.write([said, *_shares(text, explanation)], None, "text")


def blocks(examined: Examined, recorder: Recorder) -> Iterator[Block]:
    """Each finding with its reading and rule."""
    given, verdict = examined
    for one in in_order(verdict.findings):
        detector, kind, score, view = what(one)
        yield Heading(f"{kind} in {visible(place(given, one.leaf))} at {one.start}-{one.end}")
        rows = [("detector", detector), ("score", score), ("rule", _rule(one)), ("read as", view)]
        witness = recorder.witness(one)
        if witness is not None:
            rows.append(("text there", _around(witness)))
            if view != "plain":
                rows.append(("stands as", visible(_short(one.leaf.text[one.start : one.end]))))
        yield Table(("", ""), tuple(map(Row, rows)))
        if witness is not None and kind == MODEL and one.processor.detector is DetectorKind.INJECTION:
            sentence = witness.text[witness.hit.start : witness.hit.end]
            yield from _shares(sentence, shipped_model().explain(sentence))


def _rule(finding: Finding) -> str:
    if finding.kind == MODEL:
        return f"the linear model; most by {finding.note}" if finding.note else "the linear model"
    return finding.note or "the form of it"


def _around(witness: Witness) -> str:
    text, hit = witness.text, witness.hit
    before = text[max(0, hit.start - AROUND) : hit.start].rpartition("\x1f")[2]
    after = text[hit.end : hit.end + AROUND].partition("\x1f")[0]
    return visible(f"{before}\u27e6{_short(text[hit.start : hit.end])}\u27e7{after}".replace("\n", " "))


def _short(text: str) -> str:
    return text if len(text) <= 4 * AROUND else f"{text[: 2 * AROUND]}…{text[-2 * AROUND :]}"


def _shares(text: str, explanation: Explanation) -> Iterator[Block]:
    """What each feature adds to the log-odds, the greatest first, and what they come to."""
    sentence = text[explanation.start : explanation.end]
    logit = explanation.bias + sum(value for _, value in explanation.shares)
    rows = [Row((f"{value:+.3f}", visible(name))) for name, value in explanation.shares]
    yield Line(f"sentence: {visible(_short(sentence))}", 2)
    yield Table(("share", "feature"), (Row((f"{explanation.bias:+.3f}", "(bias)")), *rows))
    threshold = shipped_model().threshold
    yield Line(f"sum {logit:+.3f}: probability {explanation.score:.3f}, and {threshold:g} is enough", 2)
    yield Line(SHAP, 2)
