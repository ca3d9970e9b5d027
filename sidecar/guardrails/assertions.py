"""What single assertions of a JSON Schema say of strings and numbers, as far as validators agree."""

from __future__ import annotations

import functools
import re
from typing import Any, Final

import re2

from sidecar.guardrails.formats import has_format

_LONGEST_PATTERN = 1024
LONGEST_TEXT = 4096
"""Characters that patterns are run over."""
_MOST_COUNTED = 1024
_COUNTS = re.compile(r"\{([0-9]+)(?:,([0-9]*))?\}")
BOUNDS: Final = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_TYPES: Final = {
    "str": ("string",),
    "number": ("number", "integer"),
    "dict": ("object",),
    "list": ("array",),
    "bool": ("boolean",),
    "NoneType": ("null",),
}
_NAMES: Final = frozenset(name for names in _TYPES.values() for name in names)


def admitted(schema: dict[str, Any]) -> list[Any] | None:
    """The only values that it admits; None where it does not say."""
    if "const" in schema:
        return [schema["const"]]
    known = schema.get("enum")
    return known if type(known) is list else None


def json_type(value: Any) -> str:
    kind = type(value)
    return "number" if kind is int or kind is float else kind.__name__


def excludes(schema: dict[str, Any], here: Any) -> bool:
    """Whether its enum or const is of nothing that is of the type of `here`."""
    known = admitted(schema)
    return known is not None and not any(json_type(one) == json_type(here) for one in known)


def is_of(here: Any, wanted: Any) -> bool:
    """Whether it may be of one of these types. A number may be an integer: which is not looked at."""
    kind = _TYPES.get(json_type(here), ())
    names = wanted if type(wanted) is list else [wanted]
    return any(name in kind or name not in _NAMES for name in names if type(name) is str)


def concerns(keyword: str, wanted: Any, here: Any) -> bool:
    """Whether it depends on the value, and not only on the type, whether the assertion is true."""
    if keyword == "const" or keyword == "enum":
        return keyword == "const" or type(wanted) is list
    if type(here) is str:
        if keyword == "format":
            return type(wanted) is str and has_format("\0", wanted) is not True
        return keyword == "pattern" or (
            keyword in ("minLength", "maxLength") and type(wanted) in (int, float)
        )
    if keyword == "type":
        names = wanted if type(wanted) is list else [wanted]
        return type(here) is float and "integer" in names and "number" not in names
    return keyword in BOUNDS and type(wanted) in (int, float)


def truth(keyword: str, wanted: Any, value: Any) -> bool | None:
    """Whether one assertion is true; None where validators differ."""
    if keyword == "not":
        inner = truth(wanted[0], wanted[1], value)
        return None if inner is None else not inner
    return (_of_string if type(value) is str else _of_number)(keyword, wanted, value)


def _of_string(keyword: str, wanted: Any, value: str) -> bool | None:
    if keyword == "pattern":
        compiled = compiled_pattern(wanted)
        if compiled is None or len(value) > LONGEST_TEXT:
            return None
        found = matches(compiled, value)
        # Engines differ in what a letter, a digit and the end of the text are.
        return found if found or (value.isascii() and "\n" not in value) else None
    if keyword == "format":
        return has_format(value, wanted) if type(wanted) is str else True
    if type(wanted) not in (int, float):
        return True
    if keyword == "minLength":
        return bool(len(value) >= wanted)
    return bool(keyword != "maxLength" or len(value) <= wanted)


def _of_number(keyword: str, wanted: Any, value: int | float) -> bool | None:
    if keyword == "type":
        names = wanted if type(wanted) is list else [wanted]
        return "integer" not in names or "number" in names or value % 1 == 0
    if type(wanted) not in (int, float):
        return True
    match keyword:
        case "minimum":
            return bool(value >= wanted)
        case "maximum":
            return bool(value <= wanted)
        case "exclusiveMinimum":
            return bool(value > wanted)
        case "exclusiveMaximum":
            return bool(value < wanted)
        case "multipleOf":
            # Of fractions validators think differently.
            return int(value) % int(wanted) == 0 if wanted >= 1 and wanted % 1 == value % 1 == 0 else None
    return True


@functools.lru_cache(maxsize=64)
def _known_pattern(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 18
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError):
        return None


def compiled_pattern(pattern: Any) -> Any:
    """The pattern in RE2, whose meaning for ASCII is that of ECMA-262; None where it has no such meaning."""
    if type(pattern) is not str or len(pattern) > _LONGEST_PATTERN:
        return None
    if sum(int(last or first) for first, last in _COUNTS.findall(pattern)) > _MOST_COUNTED:
        return None
    return _known_pattern(pattern)


def matches(compiled: Any, text: str) -> bool:
    try:
        return compiled.search(text) is not None
    except UnicodeEncodeError:  # a lone surrogate, which no pattern means
        return False
