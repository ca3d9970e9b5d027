"""Personal data, found by form, check digits and the words beside it. Names of people are not looked for."""

from __future__ import annotations

from typing import Final

from mesh.policy.guardrails import PiiOptions
from sidecar.guardrails.hit import SEPARATOR, Hit
from sidecar.guardrails.pii.kinds import LOCALES, TABLE, all_rules
from sidecar.guardrails.pii.numbering import REGIONS
from sidecar.guardrails.re2_set import Patterns


class PiiDetector:
    """Finds the kinds that `options` choose; by default all kinds of all locales.

    Raises ValueError for a kind or locale that there is not, with those that there are.
    """

    name: Final = "pii"

    def __init__(self, options: PiiOptions) -> None:
        kinds = _chosen(options)
        regions = tuple(locale.upper() for locale in options.locales) or REGIONS
        rules = [rule for rule in all_rules(regions) if rule.kind in kinds]
        self._readers = {f"{rule.kind}/{index}": rule.read for index, rule in enumerate(rules)}
        self._patterns = Patterns(
            [(f"{rule.kind}/{index}", rule.pattern) for index, rule in enumerate(rules)]
        )

    def scan(self, text: str) -> list[Hit]:
        """Hits in the order of their positions; of those that overlap the surest, then the longest."""
        hits: list[Hit] = []
        readers = self._readers
        for name, start, end in self._patterns.find(text):
            hits += readers[name](text, start, end)
        return _settled(hits, text) if hits else hits


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


def _settled(hits: list[Hit], text: str) -> list[Hit]:
    hits.sort(key=lambda hit: (hit.start, -hit.end))
    kept: list[Hit] = []
    for hit in hits:
        if SEPARATOR in text[hit.start : hit.end]:
            continue
        if kept and hit.start < kept[-1].end:
            last = kept[-1]
            if (hit.score, hit.end - hit.start) > (last.score, last.end - last.start):
                kept[-1] = hit
            continue
        kept.append(hit)
    return kept
