"""What an edit changed in what a file says, key by key: the same however other programs write that file anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_ABSENT = object()


class Change(NamedTuple):
    """One key: the path to it, and its value before and after; an empty list where it is not there, else one value."""

    path: tuple[str, ...]
    old: list[Any]
    new: list[Any]


def changes(before: Mapping[str, Any], after: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[Change]:
    """Each key that differs; of tables, each key in them."""
    for key in dict.fromkeys([*before, *after]):
        old, new, place = before.get(key, _ABSENT), after.get(key, _ABSENT), (*path, key)
        if isinstance(old, dict) or isinstance(new, dict):
            yield from changes(old if isinstance(old, dict) else {}, new if isinstance(new, dict) else {}, place)
        elif old != new:
            yield Change(place, [] if old is _ABSENT else [old], [] if new is _ABSENT else [new])


def is_done(data: Mapping[str, Any], done: Sequence[Change]) -> bool:
    """Whether all of it stands in the file as it was changed."""
    return all(_held(data, each.path) == each.new for each in done)


def is_undone(data: Mapping[str, Any], done: Sequence[Change]) -> bool:
    """Whether all of it is there as it was before."""
    return all(_held(data, each.path) == each.old for each in done)


def is_reverted(before: Mapping[str, Any], after: Mapping[str, Any], done: Sequence[Change]) -> bool:
    """Whether what lies between these two is that the changes were taken back, and nothing else."""
    found = {each.path: each for each in changes(before, after)}
    return found == {each.path: Change(each.path, each.new, each.old) for each in done}


def _held(data: Any, path: Sequence[str]) -> list[Any]:
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return []
        data = data[key]
    return [data]
