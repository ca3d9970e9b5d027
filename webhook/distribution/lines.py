"""Configurations as lines of the stream: each is encoded once for all that get it at the same time.

A line is only put together from documents that are encoded already. Few are kept: ten thousand pods may have ten
thousand configurations, and one is needed again only while a change is being sent.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from webhook.distribution.compile import Compiled

MOST_BYTES = 8 * 1024 * 1024


class Lines:
    """The lines that were sent last, up to `most` bytes of them."""

    __slots__ = ("_bytes", "_lines", "_most")

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._bytes = 0
        self._lines: OrderedDict[str, bytes] = OrderedDict()

    def of(self, compiled: Compiled) -> bytes:
        """The line that carries a configuration."""
        line = self._lines.get(compiled.version)
        if line is None:
            line = self._lines[compiled.version] = encode(compiled)
            self._bytes += len(line)
            while self._bytes > self._most and len(self._lines) > 1:
                self._bytes -= len(self._lines.popitem(last=False)[1])
        return line


def encode(compiled: Compiled) -> bytes:
    """A FromControl with a Configuration (mesh.distribution.messages), made from what is encoded already."""
    documents = [msgspec.Raw(one.body) for one in compiled.documents]
    labels = dict(compiled.labels)
    configuration = {"version": compiled.version, "documents": documents, "labels": labels}
    return msgspec.json.encode({"configuration": configuration}) + b"\n"
