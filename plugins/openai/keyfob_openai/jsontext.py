"""JSON without the module `json`: its import costs half as much as starting the interpreter (it brings in `re`).

On the warm path: imports only what is cheap.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_BLANKS = " \t\n\r"  # RFC 8259, section 2


def _finite(text: str) -> float:
    """A number, as the store takes it: not NaN, Infinity or a number too large for a float."""
    value = float(text)
    if value - value != 0:
        raise ValueError("no number of JSON")
    return value


class _Rules:
    """What `json` itself sets up its scanner with."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = staticmethod(_finite)
    parse_int = int
    parse_constant = staticmethod(_finite)


def _scanner() -> "Callable[[str, int], tuple[object, int]]":
    """What reads one value from a place on, and says where it ends."""
    try:
        from _json import make_scanner
    except ImportError:  # an interpreter other than CPython
        from json import JSONDecoder

        return JSONDecoder(parse_float=_finite, parse_constant=_finite).raw_decode
    return make_scanner(_Rules)  # type: ignore[arg-type]  # anything with these attributes will do


_scan = _scanner()


def parsed(text: str) -> "object":
    """The value that `text` is. Raises ValueError, RecursionError."""
    try:
        value, end = _scan(text, len(text) - len(text.lstrip(_BLANKS)))
    except (StopIteration, SystemError):  # the latter where it looks for json's own error, and `json` is not imported
        raise ValueError("not JSON") from None
    if text[end:].strip(_BLANKS):
        raise ValueError("more than one value")
    return value
