"""Strings that a program would put together: `"ig" + "nore"`, `a='ig';b='nore'`."""

from __future__ import annotations

import re

from sidecar.guardrails.views.scan import runs
from sidecar.guardrails.views.stretches import stretches
from sidecar.guardrails.views.view import Piece

_blank = r"[ \t\r\n]{0,8}"
_assignment = rf";?{_blank}(?:let |var |const )?[$A-Za-z_][$A-Za-z0-9_]{{0,32}}[ \t]{{0,8}}[+.]?="
_glue = rf"{_blank}(?:[+.&]|\|\||{_assignment}|\\\r?\n){_blank}"
JOINED = rf"[^\s]'{_glue}'|[^\s]\"{_glue}\"|[^\s]`{_glue}`| '{_glue}'| \"{_glue}\""
_seam = re.compile(rf"(?<=[^\x1f=(,:\[{{])(?:'{_glue}'|\"{_glue}\"|`{_glue}`)(?=[^\x1f])")


def joined(text: str) -> list[Piece]:
    """The stretches with such strings, the seams left out."""
    pieces = []
    for start, end, inside in stretches(text, (match.span() for match in runs(JOINED, _seam, text))):
        piece = Piece(text)
        at = start
        for low, high in inside:
            piece.keep(at, low)
            at = high
        piece.keep(at, end)
        pieces.append(piece)
    return pieces
