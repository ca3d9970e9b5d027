"""What stands in the place of a hidden secret: made by admission, looked for by the sidecar.

Only characters that neither URLs, nor JSON, nor header fields spell in another way, all in lower case, so that
a placeholder is found by looking for its bytes. It is no secret: it can be worked out from two names.
"""

from __future__ import annotations

import hashlib
from typing import Final

PLACEHOLDER: Final = "outrider-hidden-"
"""How every placeholder begins; 32 hexadecimal digits follow."""

PLACEHOLDER_LENGTH: Final = len(PLACEHOLDER) + 32


def placeholder(container: str, variable: str) -> str:
    """The placeholder of one variable in one container."""
    return PLACEHOLDER + hashlib.sha256(f"{container}\0{variable}".encode()).hexdigest()[:32]
