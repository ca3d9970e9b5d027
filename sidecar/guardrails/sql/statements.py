"""Whole statements: which kinds a text holds when it is read from its beginning as SQL, and nothing else.

Prose begins with the same words (Select the best option, Create a table with ...), so a statement needs what a
database would insist on: the second word that belongs to its first, every string and parenthesis closed, and no
run of words that no grammar joins. A text passes for SQL by the evidence in it: symbols count for it, words such
as `the` against it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from sidecar.guardrails.re2_set import Patterns
from sidecar.guardrails.sql.tokens import Tokens, tokenize
from sidecar.guardrails.sql.words import PROSE

_HEADS: Final = {
    "select": "SELECT", "insert": "INSERT", "update": "UPDATE", "delete": "DELETE", "drop": "DROP",
    "truncate": "TRUNCATE", "alter": "ALTER", "create": "CREATE", "grant": "GRANT", "revoke": "REVOKE",
    "merge": "MERGE", "replace": "REPLACE", "exec": "EXEC", "execute": "EXEC", "call": "CALL", "copy": "COPY",
    "load": "LOAD", "backup": "BACKUP", "restore": "RESTORE", "shutdown": "SHUTDOWN", "kill": "KILL",
    "attach": "ATTACH", "pragma": "PRAGMA", "show": "SHOW", "use": "USE", "set": "SET", "declare": "DECLARE",
    "begin": "BEGIN", "commit": "COMMIT", "rollback": "ROLLBACK", "rename": "RENAME", "dbcc": "DBCC",
    "prepare": "PREPARE", "waitfor": "WAITFOR", "do": "DO", "handler": "HANDLER",
}  # fmt: skip
_WRITES: Final = frozenset(("insert", "update", "delete", "merge"))
_THINGS: Final = (
    "table tables database databases schema view index procedure function trigger user role login sequence type "
    "column domain extension server tablespace unique temporary temp or materialized external global local "
    "algorithm definer aggregate event language policy publication rule synonym package cluster clustered "
    "nonclustered bitmap fulltext spatial recursive transient volatile multiset set stage warehouse foreign "
    "partition cast operator collation constraint proc assembly credential certificate connection streaming live"
)
_SECOND: Final[dict[str, frozenset[str]]] = {
    "drop": frozenset(_THINGS.split()),
    "create": frozenset(_THINGS.split()),
    "alter": frozenset((*_THINGS.split(), "session", "system")),
    "insert": frozenset(("into", "overwrite", "ignore", "or", "low_priority", "delayed", "all")),
    "delete": frozenset(("from", "top", "low_priority", "quick")),
    "merge": frozenset(("into",)),
    "replace": frozenset(("into",)),
    "load": frozenset(("data", "xml", "table")),
    "backup": frozenset(("database", "log", "table")),
    "restore": frozenset(("database", "log", "filelistonly", "headeronly")),
    "rename": frozenset(("table", "user")),
    "show": frozenset(
        ("tables", "databases", "columns", "create", "grants", "processlist", "variables",
        "schemas", "index", "status", "full")
    ),
    "attach": frozenset(("database",)),
}  # fmt: skip
_N = "(?:[wys](?:d[wysko])*)"  # a name, perhaps with dots
_NAMES = f"(?:{_N}(?:k?[w])?(?:G{_N}(?:k?w)?)*)"
_SHAPES: Final = Patterns(
    {
        "SELECT": r"^L*S",
        "INSERT": rf"^L*HI(?:k?){_N}(?:L|K|S|k|w|$)|^L*H.{{0,2}}I.{{0,2}}{_N}",
        "UPDATE": rf"^L*H.{{0,60}}O{_N}e",
        "DELETE": rf"^L*H(?:{_NAMES})?F{_N}(?:kw?|w)?(?:G{_N})*(?:$|[WkcB])",
        "DROP": r"^Hk?.{0,5}[wk](?:[^w]|w?$|wc|wk)|^H[kwyO]w[kwI]",
        "TRUNCATE": rf"^Hk?{_N}(?:k|G{_N})*c?$",
        "CREATE": r"^H.{1,12}[Lk]|^H.{1,8}[wk][LwFkO]|^H[kw].{1,4}H",
        "ALTER": r"^H[kw].{1,12}(?:[kHOw]).",
        "GRANT": rf"^H.{{1,40}}[wk]{_N}k{_N}",
        "REVOKE": rf"^H.{{1,40}}[wkyA]{_N}F{_N}",
        "MERGE": rf"^HI{_N}k?w?k",
        "REPLACE": rf"^HI{_N}[LKS]",
        "EXEC": r"^X(?:w(?:d*[wz])+|z|[kL]|v|w[s$nv]|w$)",
        "CALL": rf"^H{_N}L",
        "COPY": rf"^H(?:{_N}|L).{{0,60}}[Fk][sw]",
        "LOAD": r"^Hwk?w?.{0,4}s",
        "BACKUP": r"^H[kw]wk",
        "RESTORE": r"^H[kw]wF",
        "SHUTDOWN": r"^H(?:kw|w)?c?$",
        "KILL": r"^Hw?nc?$",
        "ATTACH": r"^Hk?[sw]k",
        "PRAGMA": r"^Hw(?:dw)?(?:[eL]|$)",
        "SHOW": r"^H",
        "USE": r"^Hwc?$",
        "SET": r"^O(?:v|w|[kw]w)[eo]",
        "DECLARE": r"^Dv",
        "BEGIN": r"^H(?:[wk]?$|[SDTO]|X)",
        "COMMIT": r"^Hw?$",
        "ROLLBACK": r"^Hw?(?:kw)?$",
        "RENAME": rf"^Hk{_N}k",
        "DBCC": r"^Hw",
        "PREPARE": r"^Hw[Fk]",
        "WAITFOR": r"^T[kw][sLv]",
        "DO": r"^H(?:[pf]L|w?s)",
        "HANDLER": rf"^H{_N}w",
    },
    max_mem=8 << 20,
)
_SHAPE_OF: Final = {name: place for place, name in enumerate(_SHAPES.names)}
_RUN: Final = Patterns({"run": "[wn][ws]w[ws]|www|nww"})
_ENOUGH: Final = 3
_SOME: Final = re.compile(r"#|--(?=\S)")


class Statement(NamedTuple):
    """One statement: its kind without prefix, and the code points it takes."""

    kind: str
    start: int
    end: int


class Reading(NamedTuple):
    """`statements` that the text holds if it is SQL; none if it is not. `endless`: some change every row."""

    statements: tuple[Statement, ...] = ()
    endless: tuple[Statement, ...] = ()
    dangerous: tuple[int, ...] = ()
    """Places of tokens that call what waits, or what reaches out of the database."""
    tokens: Tokens | None = None


NONE: Final = Reading()


def read(text: str) -> Reading:
    """What `text` holds as SQL. Where a backslash could end or continue a string both are read: the statements of
    both count, since one of them is what a database does."""
    reading = _read(tokenize(text))
    if "\\" in text:
        plain = tokenize(text, backslash=False)
        reading = _with(reading, plain) if reading.statements else _read(plain)
    if reading.statements and ";" in text and ("#" in text or "--" in text):
        # What is a comment to some only: # and -- without a space.
        reading = _with(reading, tokenize(_SOME.sub(lambda sign: " " * len(sign.group()), text)))
    return reading


def _with(reading: Reading, tokens: Tokens) -> Reading:
    known = {one.kind for one in reading.statements}
    found, endless = _statements(_parts(tokens))
    return reading._replace(
        statements=(*reading.statements, *(one for one in found if one.kind not in known)),
        endless=(*reading.endless, *(one for one in endless if one.kind not in known)),
    )


def _read(tokens: Tokens) -> Reading:
    if not closed(tokens):
        return NONE
    parts = _parts(tokens)
    statements, endless = _statements(parts)
    if not statements or len(statements) < len(parts):
        return NONE
    if _evidence(tokens) < _ENOUGH:
        return NONE
    dangerous = tuple(
        place
        for place, letter in enumerate(tokens.types)
        if letter in "pxzT" or tokens.words[place] in ("outfile", "dumpfile")
    )
    return Reading(tuple(statements), tuple(endless), dangerous, tokens)


def closed(tokens: Tokens) -> bool:
    """Whether every string and parenthesis has its end."""
    if "u" in tokens.types or "Q" in tokens.types:
        return False
    depth = 0
    for letter in tokens.types:
        if letter == "L":
            depth += 1
        elif letter == "R":
            depth -= 1
            if depth < 0:
                return False
    return depth == 0 and not (tokens.types.endswith("c") and tokens.words[-1] == "/*")


class _Part(NamedTuple):
    types: str
    words: list[str]
    start: int
    end: int


def _parts(tokens: Tokens) -> list[_Part]:
    """What semicolons divide, without comments."""
    parts: list[_Part] = []
    begin = 0
    types = tokens.types + "Z"
    while begin < len(tokens):
        end = types.index("Z", begin)
        places = [place for place in range(begin, end) if types[place] != "c"]
        if places:
            first, last = places[0], places[-1]
            letters = "".join(types[place] for place in places)
            words = [tokens.words[place] for place in places]
            parts.append(_Part(letters, words, tokens.starts[first], tokens.ends[last]))
        begin = end + 1
    return parts


def _statements(parts: list[_Part]) -> tuple[list[Statement], list[Statement]]:
    found: list[Statement] = []
    endless: list[Statement] = []
    for part in parts:
        for kind in _kinds(part):
            one = Statement(kind, part.start, part.end)
            found.append(one)
            if kind in ("DROP", "TRUNCATE") or (kind in ("DELETE", "UPDATE") and _everything(part)):
                endless.append(one)
    return found, endless


def _kinds(part: _Part) -> list[str]:
    """Kinds of one statement: its own, and those of what writes inside of it."""
    place = len(part.types) - len(part.types.lstrip("L"))
    if place >= len(part.words):
        return []
    head = part.words[place]
    if head in ("explain", "describe", "desc", "analyze") and len(part.words) > place + 1:
        inner = _kinds(_after(part, place + 1)) or (
            _kinds(_after(part, place + 2)) if len(part.words) > place + 2 else []
        )
        return ["EXPLAIN", *inner] if inner else []
    if head == "with":
        return _of_with(part)
    kind = _HEADS.get(head)
    if kind is None or not _fits(part, place, head, kind):
        return []
    return [kind, *_nested(part, place + 1)]


def _after(part: _Part, place: int) -> _Part:
    return part._replace(types=part.types[place:], words=part.words[place:])


def _of_with(part: _Part) -> list[str]:
    if "LS" not in part.types and "LH" not in part.types:
        return []
    kinds = _nested(part, 1)
    if "S" in part.types:
        kinds.insert(0, "SELECT")
    return kinds


def _nested(part: _Part, begin: int) -> list[str]:
    """What writes within parentheses, or after a common table expression, or under create and explain."""
    kinds: list[str] = []
    for place in range(begin, len(part.words)):
        if part.types[place] == "H" and part.words[place] in _WRITES and part.types[place - 1] in "LR":
            kinds.append(_HEADS[part.words[place]])
    if part.types[begin - 1] == "S" and "I" in part.types[begin:]:
        kinds.append("CREATE")  # select into makes a table
    return kinds


def _fits(part: _Part, place: int, head: str, kind: str) -> bool:
    second = _SECOND.get(head)
    if second is not None and (len(part.words) <= place + 1 or part.words[place + 1] not in second):
        return False
    if _SHAPE_OF[kind] not in _SHAPES.which(part.types[place:].replace("h", "H")):
        return False
    return kind not in ("SELECT", "UPDATE", "DELETE") or not _RUN.which(part.types)


def _everything(part: _Part) -> bool:
    """Whether nothing narrows it: no where, or one that compares constants."""
    place = part.types.find("W")
    if place < 0:
        return True
    condition = part.types[place + 1 :]
    return not any(letter in "wyvfxpS" for letter in condition)


def _evidence(tokens: Tokens) -> int:
    """How much the text looks like SQL, and not like a sentence."""
    types = tokens.types
    score = (
        2 * ("e" in types)
        + ("L" in types)
        + ("G" in types)
        + ("s" in types)
        + ("d" in types)
        + ("n" in types)
    )
    score += 2 * ("v" in types or "y" in types or "A" in types[:2] or types.endswith("Z"))
    score += (
        2 * ("So" in types)
        + 2 * ("US" in types or "UAS" in types)
        + ("F" in types)
        + 2 * ("Sf" in types or "Sv" in types or "Sb" in types)
        + ("Sn" in types)
    )
    score += 2 * ("HF" in types or "HI" in types or types[0] in "XDT") + ("z" in types) * 2
    score += 2 * (types[0] == "H" and len(types) <= 4) + 4 * (types[:2] == "Hk")
    written = [
        tokens.text[s:e] for s, e, t in zip(tokens.starts, tokens.ends, types, strict=True) if t not in "wsnc"
    ]
    loud = sum(word.isupper() for word in written if word.isalpha())
    sentence = sum(a == "a" and b == "w" for a, b in zip(tokens.words, types[1:], strict=False))
    plain = [w for w, t in zip(tokens.words, types, strict=True) if t == "w"]
    lower = tokens.text != tokens.text.upper()
    if lower and loud:
        score += 2
    first = tokens.text[tokens.starts[0] : tokens.ends[0]]
    if first[:1].isupper() and first[1:].islower():
        score -= 3  # as a sentence begins
    return score - 3 * min(3, sentence + sum(word in PROSE for word in plain))
