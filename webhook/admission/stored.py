"""What injection replaces in a pod and must be able to give back: JSON in the sidecar's environment.

From there a second call of admission takes it, before it begins again, and so does `outrider uninject`. Whoever
forges it says only what stands in containers of their own, which they could as well have written there; what
comes back is looked at like everything else that a pod brings.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

import msgspec

from mesh.settings.kinds import Setting
from webhook.admission.documents import Container

T = TypeVar("T")

# The kubelet would expand `$(NAME)`; and the sidecar reads it as YAML, which takes most characters beyond ASCII by
# their number only, and those for which JSON needs two numbers only as they are.
_ESCAPED = re.compile("[$\x7f-\uffff]")


def encoded(value: dict[str, Any]) -> str:
    """`value` as JSON that arrives in the sidecar as it is; "" for nothing."""
    return plain_json(value) if value else ""


def plain_json(value: object) -> str:
    """`value` as JSON that kubelet and sidecar take for what it is."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def stored(sidecar: Container | None, setting: Setting, shape: type[T]) -> dict[str, T]:
    """What the variable of `setting` holds; nothing where it is not of that shape."""
    variables = (sidecar or {}).get("env") or ()
    text = next((one.get("value") for one in variables if one["name"] == setting.name), None)
    try:
        read: dict[str, T] = msgspec.json.decode(text or "{}")
        msgspec.convert(read, dict[str, shape])  # type: ignore[valid-type]
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return {}
    return read
