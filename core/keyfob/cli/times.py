"""Times as the commands print them."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(seconds: float | None) -> str | None:
    """Seconds since the epoch as an RFC 3339 time in UTC; None where that is not known, or beyond any calendar."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return None


def span(seconds: float) -> str:
    """A length of time in the largest unit that fits, such as `5 minutes`."""
    for name, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds / length)
            return f"{count} {name}{'s' if count > 1 else ''}"
    return "less than a minute"
