"""Which tools there are: written down in a file, or asked of a server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.manifests import ManifestInvalid, read_manifests

Tools = dict[str, tuple[str, ...]]
"""Names of tools by the name of their Backend, or of the agent that serves them; "" is any Backend."""

_SHAPES = (
    "a tools/list result, or a mapping of Backends to lists of tools: {github: [get_issue, list_issues]}"
)


def read_tools(path: Path) -> Tools:
    """An inventory. A tools/list result, also as a whole JSON-RPC answer, counts for every Backend.

    Raises:
        ManifestInvalid: it cannot be read, or is neither.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ManifestInvalid(str(path), 1, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ManifestInvalid(str(path), 1, "is not UTF-8 text") from error
    manifests = read_manifests(text, str(path))
    if len(manifests) != 1 or not isinstance(manifests[0].value, dict):
        raise ManifestInvalid(str(path), 1, f"expected {_SHAPES}")
    return tools_in(manifests[0].value, str(path))


def tools_in(value: Mapping[str, Any], source: str) -> Tools:
    """The tools in a document. Raises ManifestInvalid."""
    result = value.get("result")
    listed = result if isinstance(result, dict) and "tools" in result else value
    if isinstance(listed.get("tools"), list) and any(isinstance(one, dict) for one in listed["tools"]):
        return {"": _names(listed["tools"], source, "tools")}
    return {str(backend): _names(tools, source, str(backend)) for backend, tools in value.items()}


def _names(tools: object, source: str, where: str) -> tuple[str, ...]:
    """The names in a list of texts, or of a server's descriptions of tools."""
    if isinstance(tools, dict) and isinstance(tools.get("tools"), list):
        tools = tools["tools"]
    if not isinstance(tools, list):
        raise ManifestInvalid(source, 1, f"{where}: expected a list of tools; the file is {_SHAPES}")
    names = [one.get("name") if isinstance(one, dict) else one for one in tools]
    wrong = [one for one in names if not isinstance(one, str) or not one]
    if wrong:
        raise ManifestInvalid(source, 1, f"{where}: {json.dumps(wrong[0])} is no name of a tool")
    return tuple(dict.fromkeys(str(one) for one in names))
