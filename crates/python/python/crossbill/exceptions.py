"""What goes wrong, under the names that the official client gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class PineconeError(Exception):
    """The base of every error here; ``message`` says what was found and what was expected."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ApiError(PineconeError):
    """An answer with an error status.

    ``status_code`` is the HTTP status, ``error_code`` the API's word for it, ``body`` the parsed
    answer, ``request_id`` what the server's log has the request under.
    """

    def __init__(
        self,
        message: str,
        status_code: int = 500,
        body: dict[str, Any] | None = None,
        *,
        reason: str | None = None,
        headers: Mapping[str, str] | None = None,
        error_code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.body = body
        self.reason = reason
        self.headers = dict(headers or {})
        self.error_code = error_code
        self.request_id = request_id

    def __str__(self) -> str:
        code = f" {self.error_code}" if self.error_code else ""
        request = f" (request_id: {self.request_id})" if self.request_id else ""
        return f"[{self.status_code}{code}] {self.message}{request}"


class UnauthorizedError(ApiError):
    """401: no key, or one that the server does not know."""


class ForbiddenError(ApiError):
    """403: what the operator, or the index's deletion protection, does not allow."""


class NotFoundError(ApiError):
    """404: there is no such index, import or namespace."""


class ConflictError(ApiError):
    """409: the name is taken, or something else is under way."""


class FailedPreconditionError(ApiError):
    """412: not in the state that this needs."""


class PayloadTooLargeError(ApiError):
    """413: the request's body has too many bytes; send fewer records at once."""


class RateLimitError(ApiError):
    """429: too much at once; ``retry_after`` is what the server asks to wait, in seconds."""

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait, where the server said so."""
        return retry_after(self.headers)


class ServiceError(ApiError):
    """5xx: the server could not do what it was asked."""


class PineconeTimeoutError(PineconeError, TimeoutError):
    """Something took longer than it was given."""


class PineconeConnectionError(PineconeError):
    """No answer came from the server."""


class PineconeValueError(PineconeError, ValueError):
    """An argument has a value that cannot be."""


class PineconeTypeError(PineconeError, TypeError):
    """An argument is of a type that cannot be."""


class EmbeddedError(PineconeError, RuntimeError):
    """The data directory cannot be used here: another process has it, it was closed, or this
    process was forked from the one that opened it."""


class ImportFailedError(PineconeError):
    """An import that was waited for did not complete; ``description`` is what became of it."""

    def __init__(self, message: str, description: Any = None) -> None:
        super().__init__(message)
        self.description = description


# The names of older versions of the official client.
PineconeException = PineconeError
PineconeApiException = ApiError
NotFoundException = NotFoundError
UnauthorizedException = UnauthorizedError
ForbiddenException = ForbiddenError
ServiceException = ServiceError
RateLimitException = RateLimitError

_BY_STATUS: dict[int, type[ApiError]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    412: FailedPreconditionError,
    413: PayloadTooLargeError,
    429: RateLimitError,
}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer asks to wait, where it says so as a number."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if seconds >= 0 else None


def of_answer(status: int, headers: Mapping[str, str], body: Any) -> ApiError:
    """The error for an answer with an error status and the JSON ``body``, if it was JSON."""
    parsed = body if isinstance(body, dict) else None
    inner = parsed.get("error") if parsed else None
    inner = inner if isinstance(inner, dict) else {}
    message = inner.get("message") or (parsed or {}).get("message") or f"status {status}"
    default = ServiceError if status >= 500 else ApiError
    return _BY_STATUS.get(status, default)(
        str(message),
        status,
        parsed,
        headers=headers,
        error_code=inner.get("code"),
        request_id=headers.get("x-pinecone-request-id"),
    )
