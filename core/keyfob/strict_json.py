"""Reading JSON that can be written again: without the numbers that Python knows and JSON does not."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def parsed(text: str, *, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """The value that is written there. Raises ValueError, RecursionError.

    Not every number that Python takes could be written again: NaN, Infinity and numbers too large for a float are not
    JSON. pairs: makes each object of its fields, in order.
    """
    return json.loads(text, parse_float=_finite, parse_constant=_finite, object_pairs_hook=pairs)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("no number of JSON")
    return value
