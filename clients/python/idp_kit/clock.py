"""The one clock of the kit. Everything that decides by time takes it from here."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Says what time it is, as an aware UTC `datetime`."""

    def now(self) -> datetime: ...


class SystemClock:
    """The time of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def whole_seconds(moment: datetime) -> int:
    """Seconds since the epoch, rounded down: what JWT claims carry (RFC 7519 2, NumericDate)."""
    return int(moment.timestamp())
