"""Writes the tables of kinds in docs/guardrails.md from those of the detectors.

`python docs/build_guardrails.py` writes them; a test checks that what is written is what the code says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sidecar.guardrails import exfiltration, injection, pii, secrets, shape, sql, terms

TARGET = Path(__file__).with_name("guardrails.md")
_BLOCK = re.compile(r"(<!-- kinds: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_STATEMENT = "STATEMENT_"


def tables() -> dict[str, str]:
    """The table of each detector, by its name."""
    return {
        "pii": _table(
            ("kind", "locale", "what"),
            ((f"`{kind}`", pii.LOCALES.get(kind, ""), doc) for kind, doc in pii.KINDS.items()),
        ),
        "secrets": _plain(secrets.KINDS),
        "sql": _table(("kind", "what"), _sql()),
        "injection": _plain(injection.KINDS),
        "exfiltration": _plain(exfiltration.KINDS),
        "terms": _plain(terms.KINDS),
        "shape": _plain(shape.KINDS),
    }


def page(text: str) -> str:
    """The page with tables as they should be."""
    known = tables()
    return _BLOCK.sub(lambda found: f"{found[1]}\n{known[found[2]]}\n\n{found[3]}", text)


def _plain(kinds: Mapping[str, str]) -> str:
    return _table(("kind", "what"), ((f"`{kind}`", _sentence(doc)) for kind, doc in kinds.items()))


def _sql() -> Iterator[tuple[str, str]]:
    statements = [kind[len(_STATEMENT) :] for kind in sql.KINDS if kind.startswith(_STATEMENT)]
    for kind, doc in sql.KINDS.items():
        if not kind.startswith(_STATEMENT):
            yield f"`{kind}`", _sentence(doc)
        elif kind == f"{_STATEMENT}{statements[0]}":
            named = ", ".join(f"`{name}`" for name in statements)
            yield f"`{_STATEMENT}…`", f"A whole statement of that kind: {named}."


def _sentence(doc: str) -> str:
    return f"{doc[0].upper()}{doc[1:]}" + ("" if doc.endswith(".") else ".")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    TARGET.write_text(page(TARGET.read_text(encoding="utf-8")), encoding="utf-8")
