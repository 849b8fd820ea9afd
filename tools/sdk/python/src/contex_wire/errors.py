"""What can go wrong."""
from __future__ import annotations

from dataclasses import dataclass, field

UNAVAILABLE = 9


class ProtocolError(Exception):
    """What came is not the protocol. The connection that it came on cannot go on."""


@dataclass
class ContexError(Exception):
    """A refusal of the server, by the catalogue (docs/errors.md)."""

    category: int = 0
    code: str = ""
    message: str = ""
    field_name: str | None = None
    kind: str | None = None
    required_permission: str | None = None
    role: str | None = None
    candidates: list[str] = field(default_factory=list)
    retry_after_ms: int | None = None
    oldest_cursor: str | None = None

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    @property
    def is_passing(self) -> bool:
        """Whether it may go better another time."""
        return self.category == UNAVAILABLE and self.code not in ("deadline_exceeded", "request_cancelled")


class ConnectionLost(ContexError):
    """There is no connection, or there is none any more."""

    def __init__(self, message: str):
        super().__init__(category=UNAVAILABLE, code="unavailable", message=message)
