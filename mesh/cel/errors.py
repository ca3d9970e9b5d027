"""What can go wrong with an expression: when it is read, and when it is asked."""

from __future__ import annotations


class CelInvalid(Exception):
    """The text is no expression that can be asked here; its author is at fault.

    Attributes:
        errors: a sentence each, with line and column where they are known.
    """

    def __init__(self, errors: tuple[str, ...]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


class CelFailed(Exception):
    """The expression has no answer for these values: a key that is not there, a comparison of unlike types.

    Whoever sent the values is at fault, or the author who did not think of them. Never a yes.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class CelExhausted(Exception):
    """The answer could take longer than is allowed, so it was not looked for; the sender of large values is at
    fault, or the author of an expression that reads them too often. Never a yes.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail
