"""Personal data, found by form, check digits and the words beside it. Names of people are not looked for."""

from __future__ import annotations

from typing import Final

from mesh.policy.guardrails import PiiOptions
from sidecar.guardrails.hit import Hit
from sidecar.guardrails.pii.kinds import LOCALES, TABLE, rules_for
from sidecar.guardrails.pii.numbering import REGIONS
from sidecar.guardrails.re2_set import Patterns

UNHURRIED: Final = 256
"""Places of one text about which numbering plans are asked, at up to half a millisecond each. Past them the form
decides alone: who pads a message with what looks like numbers of telephones hides none, but more are found."""


class PiiDetector:
    """Finds the kinds that `options` choose; by default all kinds of all locales.

    Raises ValueError for a kind or locale that there is not, with those that there are.
    """

    name: Final = "pii"

    def __init__(self, options: PiiOptions) -> None:
        kinds = _chosen(options)
        regions = tuple(locale.upper() for locale in options.locales) or REGIONS
        rules = rules_for(kinds, regions)
        self._rules = {f"{rule.kind}/{index}": rule for index, rule in enumerate(rules)}
        self._patterns = Patterns(
            [(f"{rule.kind}/{index}", rule.pattern) for index, rule in enumerate(rules)], counts=8
        )

    def scan(self, text: str) -> list[Hit]:
        """Hits in the order of their positions; of those that overlap the surest, then the longest."""
        hits: list[Hit] = []
        slow = 0
        for name, start, end in self._patterns.find(text):
            rule = self._rules[name]
            read = rule.read
            if rule.hurried is not None:
                slow += 1
                read = read if slow <= UNHURRIED else rule.hurried
            hits += read(text, start, end)
        return _settled(hits) if hits else hits


def _chosen(options: PiiOptions) -> frozenset[str]:
    unknown = options.kinds - TABLE.keys()
    if unknown:
        raise ValueError(f"no such kinds: {', '.join(sorted(unknown))}; there are {', '.join(TABLE)}")
    known = frozenset(LOCALES.values())
    strangers = frozenset(options.locales) - known - frozenset(region.lower() for region in REGIONS)
    if strangers:
        raise ValueError(
            f"no such locales: {', '.join(sorted(strangers))}; there are {', '.join(sorted(known))}"
        )
    if options.kinds:
        return options.kinds
    return frozenset(
        kind for kind in TABLE if not options.locales or LOCALES.get(kind, "") in ("", *options.locales)
    )


def _settled(hits: list[Hit]) -> list[Hit]:
    hits.sort(key=lambda hit: (hit.start, -hit.end))
    kept: list[Hit] = []
    for hit in hits:
        if kept and hit.start < kept[-1].end:
            last = kept[-1]
            if (hit.score, hit.end - hit.start) > (last.score, last.end - last.start):
                kept[-1] = hit
            continue
        kept.append(hit)
    return kept
