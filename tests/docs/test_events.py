"""The page about events is complete and right: every kind, and every field."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

from keyfob.credentials.event import Kind
from keyfob.plugin import Event

from .pages import rows, section


def _names(heading: str) -> list[str]:
    return [row[0].strip("`") for row in rows(section("events.md", heading))[1:]]


def test_each_kind_is_documented() -> None:
    """With when it is announced, and by whom; in the order of the code, and none that there is not."""
    assert _names("## What is announced") == list(get_args(Kind))


def test_each_field_is_documented() -> None:
    """With its type, and what it means."""
    assert _names("## What an event says") == [field.name for field in fields(Event)]
