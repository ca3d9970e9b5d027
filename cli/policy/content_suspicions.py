"""What is right as a document and hardly meant, of guardrails: names that no detector knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cli.policy.suspicion import Suspicion
from mesh.policy import Documents
from mesh.policy.fields import suggestion
from mesh.policy.guardrails import Guardrails, PiiOptions, SqlOptions


_BESIDES = {"stacked", "dangerous", "destructive"}
"""What is allowed in the words of statements, and is none."""


def content_suspicions(documents: Documents) -> Iterator[Suspicion]:
    """About valid documents. Detectors are asked only where something is named that they have to know."""
    for policy in documents.policies:
        rules = [(f"outbound[{index}]", rule.guardrails) for index, rule in enumerate(policy.outbound)]
        rules += [(f"inbound[{index}]", rule.guardrails) for index, rule in enumerate(policy.inbound or ())]
        for where, guardrails in rules:
            if guardrails is not None:
                yield from _of_guardrails(guardrails, f"AgentPolicy/{policy.name} {where} guardrails")


def _of_guardrails(guardrails: Guardrails, where: str) -> Iterator[Suspicion]:
    for one in guardrails.processors:
        if isinstance(one.options, PiiOptions) and (one.options.kinds or one.options.locales):
            yield from _of_pii(one.options, f"{where} {one.name}")
        if isinstance(one.options, SqlOptions) and one.options.statements:
            yield from _of_sql(one.options, f"{where} {one.name}")


def _of_pii(options: PiiOptions, where: str) -> Iterator[Suspicion]:
    from sidecar.guardrails.pii.kinds import LOCALES, TABLE
    from sidecar.guardrails.pii.numbering import REGIONS

    yield from _strangers("kind of personal data", options.kinds, TABLE, where)
    locales = {*LOCALES.values(), *(region.lower() for region in REGIONS)}
    yield from _strangers("locale", options.locales, locales, where)


def _of_sql(options: SqlOptions, where: str) -> Iterator[Suspicion]:
    from sidecar.guardrails.sql.kinds import STATEMENTS

    known = {name.removeprefix("STATEMENT_").lower() for name in STATEMENTS} | _BESIDES
    named = {kind for _, kinds in options.statements for kind in kinds}
    yield from _strangers("statement", named, known, where)


def _strangers(what: str, named: Iterable[str], known: Iterable[str], where: str) -> Iterator[Suspicion]:
    there = sorted(known)
    for name in sorted(set(named).difference(there)):
        yield Suspicion(
            where, f"no detector knows the {what} {name}{suggestion(name, there)}: {', '.join(there)}"
        )
