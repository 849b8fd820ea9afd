"""What can go wrong: one class for each category of the catalogue (docs/errors.md), and one for when there is no answer."""
from __future__ import annotations

from typing import Any, Mapping, Sequence

from ._catalogue import BY_STATUS, CODES


class ContexError(Exception):
    """A refusal of the server, or no answer at all.

    Act by the class, or exactly by `code`, which never changes its meaning; `message` is for people. `request_id` finds the request in the
    server's log, `advice` says what to do.
    """

    category: str = ""

    def __init__(
        self, message: str, *, code: str = "", status: int | None = None, request_id: str | None = None, retry_after: float | None = None,
        oldest_cursor: str | None = None, fields: Sequence[Mapping[str, Any]] = (), candidates: Sequence[Any] = (),
        required_permission: str | None = None, role: str | None = None,
    ):
        super().__init__(message)
        self.message, self.code, self.status, self.request_id, self.retry_after = message, code, status, request_id, retry_after
        #: Of a cursor that does not work any more: the oldest one that does.
        self.oldest_cursor = oldest_cursor
        #: Of a request with wrong fields: where (`loc`) and what (`msg`).
        self.fields = list(fields)
        #: Of a name that several have: some of those that may be meant.
        self.candidates = list(candidates)
        self.required_permission, self.role = required_permission, role

    @property
    def advice(self) -> str | None:
        """What to do about it."""
        return CODES[self.code][1] if self.code in CODES else None

    @property
    def is_passing(self) -> bool:
        """Whether the same may go better another time."""
        return isinstance(self, (LimitedError, UnavailableError)) and self.code not in ("deadline_exceeded", "request_cancelled")

    def __str__(self) -> str:
        about = ", ".join(part for part in (self.code, self.request_id and f"request {self.request_id}") if part)
        return self.message + (f" [{about}]" if about else "") + (f": {self.advice}" if self.advice else "")


class InvalidError(ContexError):
    """The request, or a field of it, is not what it must be (422)."""
    category = "invalid"


class BadRequestError(ContexError):
    """The request is refused as it stands (400)."""
    category = "badRequest"


class UnauthenticatedError(ContexError):
    """No API key, or none that is valid (401)."""
    category = "unauthenticated"


class ForbiddenError(ContexError):
    """The key may not do this here (403); `required_permission` says what it would need."""
    category = "forbidden"


class NotFoundError(ContexError):
    """What is named is not there (404)."""
    category = "notFound"


class ConflictError(ContexError):
    """The state does not allow it now (409); of a cursor that does not work any more `oldest_cursor` does."""
    category = "conflict"


class TooLargeError(ContexError):
    """Over a limit of size (413): ask for less, or in parts."""
    category = "tooLarge"


class LimitedError(ContexError):
    """A share of the server is used up (429); `retry_after` says for how long."""
    category = "limited"


class UnavailableError(ContexError):
    """The server cannot do it now (503)."""
    category = "unavailable"


class StorageFullError(ContexError):
    """The server's disk is full (507): reads go on, nothing was written."""
    category = "storageFull"


class DamagedError(ContexError):
    """Stored data is damaged (500)."""
    category = "damaged"


class ServerFaultError(ContexError):
    """A fault of the server (500): report it with `request_id`."""
    category = "bug"


class NoAnswerError(UnavailableError):
    """The server could not be reached, or the connection broke before the answer was there.

    `may_be_done`: the request was sent, so a write may have been done all the same.
    """

    def __init__(self, message: str, *, may_be_done: bool, timed_out: bool = False):
        super().__init__(message, code="deadline_exceeded" if timed_out else "unavailable")
        self.may_be_done = may_be_done


_CLASSES: dict[str, type[ContexError]] = {
    kind.category: kind for kind in (
        InvalidError, BadRequestError, UnauthenticatedError, ForbiddenError, NotFoundError, ConflictError, TooLargeError, LimitedError,
        UnavailableError, StorageFullError, DamagedError, ServerFaultError)}


def class_of(code: str, status: int | None = None, category: str | None = None) -> type[ContexError]:
    """By the code; of one that is not known, by category or status."""
    if code in CODES:
        category = CODES[code][0]
    elif category is None and status is not None:
        category = BY_STATUS.get(status) or ("badRequest" if status < 500 else "bug")
    return _CLASSES.get(category or "", ContexError)
