"""Takes what was found out of a message and puts something in its place that the message stays sound with.

Types stay: a string becomes a string, a number a number of the same type and sign, true, false and null are left
alone. Where a schema speaks of the place, what stands there satisfies it; where nothing does, the finding is
handed back as unmaskable, and the message has to be kept back as a whole. So are findings in keys, and in what
names things: something else there would be another message.

Turned back, on the way home, are only values of PII and term lists, and only where the policy says so. A
credential is not: an answer with one in it is masked because the agent must not have it, and what the agent
itself sent out masked by mistake is better missing than repeated.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from mesh.policy.guardrails import Action, DetectorKind, Direction
from sidecar.guardrails import json_text
from sidecar.guardrails.json_text import JsonText, Scalar
from sidecar.guardrails.number_surrogates import number_surrogates
from sidecar.guardrails.schemas import Limits, Need
from sidecar.guardrails.surrogates import families, shaped
from sidecar.guardrails.vault import Stand, Vault
from sidecar.guardrails.verdict import Finding, Leaf

REVERSIBLE: Final = frozenset({DetectorKind.PII, DetectorKind.TERMS})
_SEVERITY: Final = {DetectorKind.SECRETS: 2, DetectorKind.PII: 1}
_BACK: Final = {
    Direction.REQUEST: Direction.RESPONSE,
    Direction.RESPONSE: Direction.REQUEST,
    Direction.BOTH: Direction.BOTH,
}
MOST_MASKED: Final = 4096
"""Findings of one message; where there are more all of them are unmaskable."""
MOST_UNMASKABLE: Final = 8
"""After that many nothing more is tried: the message does not pass anyway."""
_MOST_NESTED = 3
"""JSON in strings of JSON; what is deeper is text."""
_MOST_PARTS = 64
"""Cuts that forms are tried for one by one; a text with more of them is replaced whole."""
_URI = Limits([("format", "uri", Need.TRUE)])
ANYTHING: Final = Limits()
Places = dict[int, list[int] | None]
"""Where code points stand in the spellings of strings (`json_text.places`), by the place of each string: looked
for once, however many cuts meet it."""


def _never_late() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Masked:
    """`unmaskable` are findings that still stand in the message, which therefore must not pass."""

    changed: bool
    unmaskable: tuple[Finding, ...] = ()


class Cut(NamedTuple):
    """What is to be taken out of a text, overlapping findings made one."""

    start: int
    end: int
    kind: str
    severity: int
    back: bool


Change = tuple[int, int, str]


def to_mask(findings: Iterable[Finding]) -> list[Finding]:
    """Those that their processors want masked, and do not only observe."""
    return [one for one in findings if one.processor.action is Action.MASK and not one.processor.observe]


def mask(
    findings: Sequence[Finding],
    vault: Vault,
    *,
    direction: Direction = Direction.RESPONSE,
    reversible: bool = False,
    limits: Callable[[Leaf], Limits] = lambda _: ANYTHING,
    late: Callable[[], bool] = _never_late,
) -> Masked:
    """Changes the message that the leaves of `findings` stand in, for those whose action is MASK.

    `direction` is that of the message; with `reversible` it is turned back in messages of the other one. `limits`
    says what a leaf's place admits. What has not been done when it is `late` is unmaskable.
    """
    masker = Masker(vault, _BACK[direction] if reversible else None, _BACK[direction], late=late)
    found = to_mask(findings)
    if len(found) > MOST_MASKED:
        return Masked(False, tuple(found))
    groups: dict[tuple[int, str | int, str], list[Finding]] = {}
    for finding in found:
        leaf = finding.leaf
        groups.setdefault((id(leaf.holder), leaf.key, leaf.form), []).append(finding)
    for group in groups.values():
        if len(masker.unmaskable) < MOST_UNMASKABLE and not late():
            masker.leaf(group, limits)
        else:
            masker.unmaskable += group
    return Masked(masker.changed, tuple(masker.unmaskable))


@dataclass(slots=True)
class Masker:
    """One message at work. `back`: the way on which values are turned back; `side`: that to who sent it."""

    vault: Vault
    back: Direction | None
    side: Direction | None = None
    changed: bool = False
    unmaskable: list[Finding] = field(default_factory=list)
    late: Callable[[], bool] = _never_late

    def leaf(self, group: list[Finding], limits: Callable[[Leaf], Limits]) -> None:
        """Masks all findings of one leaf, or none and they are unmaskable."""
        leaf = group[0].leaf
        new = self._instead(leaf, group, limits) if leaf.maskable and leaf.form != "key" else None
        if new is None:
            self.unmaskable += group
        elif new != leaf.holder[leaf.key]:
            leaf.holder[leaf.key] = new
            self.changed = True

    def _instead(
        self, leaf: Leaf, group: list[Finding], limits: Callable[[Leaf], Limits]
    ) -> str | int | float | None:
        current = leaf.holder[leaf.key]
        cuts = merged(group, len(leaf.text))
        if leaf.form == "number":
            return self.number(current, cuts, limits(leaf)) if type(current) in (int, float) else None
        if current != leaf.text:
            return None  # somebody changed it meanwhile, and the spans mean something else
        return self.text(leaf.text, cuts, (limits(leaf) or _URI) if leaf.key == "uri" else limits(leaf))

    def text(self, text: str, cuts: list[Cut], limits: Limits = ANYTHING) -> str | None:
        """`text` without what is cut; None if nothing that `limits` admits can stand there."""
        cuts = [cut for cut in cuts if not self.vault.issued(text[cut.start : cut.end])]
        if not cuts:
            return text
        changes = self._changes(text, cuts, 0)
        if changes is None:
            return None
        new = json_text.spliced(text, changes)
        return new if not limits or limits.admits(new) else self._limited(text, cuts, limits)

    def number(self, value: int | float, cuts: list[Cut], limits: Limits = ANYTHING) -> int | float | None:
        """Another number; None if none can stand there."""
        if self.vault.issued(value):
            return value
        kind, back = _main(cuts)
        stand = self.vault.stand(kind, value, self.back if back else None, self.side)
        for form in number_surrogates(value, stand.named.serial, limits):
            if self.vault.claim(stand, form, "number"):
                return form
        return None

    def _token(self, text: str, cut: Cut) -> str:
        return self.vault.token(
            cut.kind, text[cut.start : cut.end], self.back if cut.back else None, self.side
        )

    def _changes(self, text: str, cuts: list[Cut], nested: int) -> list[Change] | None:
        """Tokens for everything that is cut, and numbers for numbers where the text is JSON."""
        known = json_text.read(text) if nested < _MOST_NESTED else None
        if known is None:
            return [(cut.start, cut.end, self._token(text, cut)) for cut in cuts]
        met = touched(text, known, cuts)
        if met is None:
            return None
        changes: list[Change] = []
        for scalar, within in met:
            found = None if self.late() else self._scalar(text, scalar, within, nested)
            if found is None:
                return None
            changes += found
        return changes

    def _scalar(self, text: str, scalar: Scalar, cuts: list[Cut], nested: int) -> list[Change] | None:
        if type(scalar.value) is not str:
            new = self.number(scalar.value, cuts)
            return None if new is None else [(scalar.start, scalar.end, json_text.spelled(new, True))]
        cuts = [cut for cut in cuts if not self.vault.issued(scalar.value[cut.start : cut.end])]
        changes = self._changes(scalar.value, cuts, nested + 1)
        raw = text[scalar.start : scalar.end]
        at = json_text.places(raw)
        return changes and [
            (
                scalar.start + (at[start] if at else start + 1),
                scalar.start + (at[end] if at else end + 1),
                json_text.spelled(new, raw.isascii())[1:-1],
            )
            for start, end, new in changes
        ]

    def _limited(self, text: str, cuts: list[Cut], limits: Limits) -> str | None:
        """The first that the place admits and that can be turned back; or the first that it admits."""
        if limits.impossible:
            return None
        best: str | None = None
        for new, stands in self._candidates(text, cuts, limits):
            if self.late():
                return None
            if not limits.admits(new):
                continue
            if not all(self.vault.claim(stand, form, family) for stand, form, family in stands):
                continue
            if _says(text, cuts, [form for _, form, _ in stands]):
                return None  # another one would say that this was it
            if self.back is None or self.vault.restore(new, self.back) == text:
                return new
            best = best or new
        return best

    def _candidates(
        self, text: str, cuts: list[Cut], limits: Limits
    ) -> Iterator[tuple[str, list[tuple[Stand, str, str]]]]:
        """Texts that might do, with what would stand for what."""
        kind, back = _main(cuts)
        parts = [
            (
                cut,
                self.vault.stand(
                    cut.kind, text[cut.start : cut.end], self.back if cut.back else None, self.side
                ),
            )
            for cut in (cuts if len(cuts) <= _MOST_PARTS else ())
        ]
        alone = len(cuts) == 1 and cuts[0].end - cuts[0].start == len(text)
        whole = parts[0][1] if alone else self.vault.stand(kind, text, self.back if back else None, self.side)
        formats = frozenset(one for one in limits.values("format") if type(one) is str)
        for family in families(formats):
            if parts and not alone:
                forms = [(stand, family.make(stand.named), family.name) for _, stand in parts]
                yield _with(text, cuts, [form for _, form, _ in forms]), forms
            form = family.make(whole.named)
            yield form, [(whole, form, family.name)]
        least = max((one for one in limits.values("minLength") if type(one) is int), default=0)
        most = min((one for one in limits.values("maxLength") if type(one) is int), default=None)
        patterns = tuple(one for one in limits.values("pattern") if type(one) is str)
        for form in shaped(whole.named, least, most, patterns):
            yield form, [(whole, form, "shaped")]


def merged(group: Iterable[Finding], size: int) -> list[Cut]:
    """The spans of one leaf from left to right. Of those that overlap the most severe names what they are
    together, then the longest; they are turned back only if each of them is. One without a span is all of it."""
    cuts: list[Cut] = []
    for finding in sorted(group, key=lambda one: (one.start, one.end)):
        start, end = max(0, finding.start), min(size, finding.end)
        if start >= end:
            start, end = 0, size
        detector = finding.processor.detector
        cuts.append(Cut(start, end, finding.kind, _SEVERITY.get(detector, 0), detector in REVERSIBLE))
    cuts.sort()
    found: list[Cut] = []
    named: list[tuple[int, int]] = []
    for cut in cuts:
        weight = (cut.severity, cut.end - cut.start)
        if not found or cut.start >= found[-1].end:
            found.append(cut)
            named.append(weight)
            continue
        before = found[-1]
        kind = cut.kind if weight > named[-1] else before.kind
        named[-1] = max(weight, named[-1])
        back = before.back and cut.back
        found[-1] = Cut(before.start, max(before.end, cut.end), kind, named[-1][0], back)
    return found


def touched(text: str, known: JsonText, cuts: list[Cut]) -> list[tuple[Scalar, list[Cut]]] | None:
    """The strings and numbers of a JSON text that are cut, each with what is cut in its value. A key only where it
    is all that a cut meets. None for a cut in what is left, as that would be no JSON without it."""
    places: Places = {}
    within: dict[int, tuple[Scalar, list[Cut]]] = {}
    for cut in cuts:
        met = meets(text, known, cut, places)
        if not met:
            return None
        for scalar, inner in met:
            within.setdefault(scalar.start, (scalar, []))[1].append(inner)
    return [one for _, one in sorted(within.items())]


def meets(text: str, known: JsonText, cut: Cut, places: Places) -> list[tuple[Scalar, Cut]]:
    """What of a JSON text one cut meets, as `touched` has it; empty where it is in what is left."""
    scalars = known.scalars
    met: list[tuple[Scalar, Cut]] = []
    place = bisect_right(known.ends, cut.start)
    while place < len(scalars) and scalars[place].start < cut.end:
        inner = _inside(text, scalars[place], cut, places)
        if inner is not None:
            met.append((scalars[place], inner))
        place += 1
    return [one for one in met if not one[0].is_key] or met


def _inside(text: str, scalar: Scalar, cut: Cut, places: Places) -> Cut | None:
    """`cut` in code points of the scalar's value; None where it only meets a quotation mark."""
    if type(scalar.value) is not str:
        return cut
    start, end = cut.start - scalar.start, cut.end - scalar.start
    if scalar.start not in places:
        places[scalar.start] = json_text.places(text[scalar.start : scalar.end])
    at = places[scalar.start]
    if at is None:
        first, last = max(0, start - 1), min(len(scalar.value), end - 1)
    else:
        first, last = max(0, bisect_right(at, start) - 1), min(len(scalar.value), bisect_left(at, end))
    return cut._replace(start=first, end=last) if first < last else None


def _main(cuts: list[Cut]) -> tuple[str, bool]:
    """What all of them together are called, and whether they are turned back."""
    return max(cuts, key=lambda cut: (cut.severity, cut.end - cut.start)).kind, all(cut.back for cut in cuts)


def _says(text: str, cuts: list[Cut], forms: list[str]) -> bool:
    """Whether something that is cut stands in what is to stand for it."""
    if len(forms) == 1:
        return any(text[cut.start : cut.end] in forms[0] for cut in cuts)
    return any(text[cut.start : cut.end] in form for cut, form in zip(cuts, forms, strict=True))


def _with(text: str, cuts: list[Cut], forms: list[str]) -> str:
    return json_text.spliced(
        text, [(cut.start, cut.end, form) for cut, form in zip(cuts, forms, strict=True)]
    )
