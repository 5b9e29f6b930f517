"""Damage to what an issuer answers: one field of its document, in its own words, is missing or is something else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyfob.testing.answers import Answer

    Place = tuple[str, ...]

_MISSING: Final = object()
# What it is told as → what stands there then.
DAMAGE: Final[Mapping[str, Any]] = {
    "is missing": _MISSING,
    "is null": None,
    "is 5": 5,
    "is empty": "",
    "has a line break": "in two\nlines",
}


def document_of(answer: Answer) -> dict[str, Any]:
    """What it says; empty where that is no document."""
    body = answer.body
    try:
        body = json.loads(body) if isinstance(body, bytes | str) else body
    except ValueError:
        return {}
    return dict(body) if isinstance(body, Mapping) else {}


def fields_of(document: Mapping[str, Any], above: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Where each field is, those of the documents within it too, and its value."""
    for name, value in document.items():
        yield (*above, name), value
        if isinstance(value, Mapping):
            yield from fields_of(value, (*above, name))


def without(document: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """The document without the fields of that value, wherever they are."""
    return {
        name: without(held, value) if isinstance(held, Mapping) else held
        for name, held in document.items()
        if held != value
    }


def damaged(answer: Answer, place: Place, value: Any) -> Answer:
    """The answer with that value in that place."""
    return replace(answer, body=_with(document_of(answer), place, value))


def _with(document: Mapping[str, Any], place: Place, value: Any) -> dict[str, Any]:
    name, *below = place
    held = _with(document[name], tuple(below), value) if below else value
    return {key: each for key, each in {**document, name: held}.items() if each is not _MISSING}
