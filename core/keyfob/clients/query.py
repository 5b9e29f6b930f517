"""The entry's query parameters: how they are written, and set beside those of the request."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_plus, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping


def written(parameters: Mapping[str, str]) -> str:
    """As they are sent: encoded as RFC 3986, section 2.1, has it. `+` means a blank in forms alone, not to AWS."""
    return urlencode(parameters, quote_via=quote)


def joined(own: str, parameters: Mapping[str, str]) -> str:
    """A request's own query with these parameters; it stays as it was written, but for those of the same names."""
    kept = [pair for pair in own.split("&") if unquote_plus(pair.partition("=")[0]) not in parameters] if own else []
    return "&".join([*kept, written(parameters)])
