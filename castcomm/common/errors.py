"""The one tree of errors that services raise.

The REST API and the WebSocket turn them into the one error shape:
``{"type": …, "errors": [{"code", "detail", "attr"}]}`` (drf-standardized-errors) and the ``error`` frame.
"""

from __future__ import annotations


class CastCommError(Exception):
    """A failure that a caller can act on.

    ``attr`` names the field of the input that is wrong (dotted path), ``code`` is stable for programs,
    ``message`` is a sentence for people, ``retryable`` says whether the same call may succeed later.
    """

    code = "error"
    status_code = 500
    retryable = False

    def __init__(self, message: str, *, attr: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.attr = attr
        if code is not None:
            self.code = code


class InvalidInput(CastCommError):
    """The input is malformed or names something that does not exist."""

    code = "invalid"
    status_code = 400


class NotAuthenticated(CastCommError):
    """No valid credential came with the call."""

    code = "not_authenticated"
    status_code = 401


class NotPermitted(CastCommError):
    """The credential is valid and may not do this."""

    code = "permission_denied"
    status_code = 403


class NotFound(CastCommError):
    """Nothing with this id exists for the caller; a foreign organization's row looks the same."""

    code = "not_found"
    status_code = 404


class Conflict(CastCommError):
    """The state of the object does not allow this now."""

    code = "conflict"
    status_code = 409


class StillRunning(Conflict):
    """A request with the same idempotency key has not finished; ``retry_after`` is in seconds."""

    code = "idempotency_in_progress"
    retryable = True

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unprocessable(CastCommError):
    """The input is well formed and contradicts something already accepted."""

    code = "unprocessable"
    status_code = 422


class RateLimited(CastCommError):
    """Too many calls; ``retry_after`` is in seconds."""

    code = "rate_limited"
    status_code = 429
    retryable = True

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TemporarilyUnavailable(CastCommError):
    """Something that this call needs is away; the same call may succeed later."""

    code = "temporarily_unavailable"
    status_code = 503
    retryable = True
