"""What can go wrong with a call to the API server, as one exception with a kind, and telling of it once.

A control plane lives through all of it: it goes on with what it knows and tries again. So each failure is counted,
but a log line is written only when the state changes, from well to ill, from one illness to another, or back.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Failure(StrEnum):
    """Kinds of failure; values of a metric's label."""

    NO_TOKEN = "no_token"  # noqa: S105 - a kind of failure
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    GONE = "gone"
    OVERLOADED = "overloaded"
    REFUSED = "refused"
    SERVER_ERROR = "server_error"
    UNREADABLE = "unreadable"


_BY_STATUS = {
    401: Failure.UNAUTHORIZED,
    403: Failure.FORBIDDEN,
    404: Failure.NOT_FOUND,
    409: Failure.CONFLICT,
    410: Failure.GONE,
    429: Failure.OVERLOADED,
}


class ApiFailed(Exception):
    """A call to the API server failed; the cluster or the installation is at fault.

    `retry_after` is how many seconds the API server asks to be left alone, 0 where it does not.
    """

    def __init__(self, failure: Failure, detail: str, retry_after: float = 0.0) -> None:
        super().__init__(detail)
        self.failure = failure
        self.detail = detail
        self.retry_after = retry_after


def of_status(status: int) -> Failure:
    """The kind of failure that an HTTP status other than 2xx stands for."""
    if status >= 500:
        return Failure.SERVER_ERROR
    return _BY_STATUS.get(status, Failure.REFUSED)


Log = Callable[[dict[str, object]], None]
Count = Callable[[str, Failure], None]


class Troubles:
    """What ails each of our dealings with the API server, by a short name of the dealing."""

    __slots__ = ("_ailing", "_count", "_log")

    def __init__(self, log: Log, count: Count) -> None:
        self._log = log
        self._count = count
        self._ailing: dict[str, Failure] = {}

    def failed(self, subject: str, error: ApiFailed) -> None:
        """Count a failure; log it where `subject` was well, or ailed of something else."""
        self._count(subject, error.failure)
        if self._ailing.get(subject) is not error.failure:
            self._ailing[subject] = error.failure
            self._log(
                {
                    "event": "api_failure",
                    "subject": subject,
                    "failure": str(error.failure),
                    "error": error.detail,
                }
            )

    def well(self, subject: str) -> None:
        """`subject` went well; logged where it had not."""
        if self._ailing.pop(subject, None) is not None:
            self._log({"event": "api_recovered", "subject": subject})
