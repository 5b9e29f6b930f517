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
    """Each key that differs; of tables, also of one that comes or goes, each key in them."""
    for key in dict.fromkeys([*before, *after]):
        both = [each.get(key, _ABSENT) for each in (before, after)]
        old_table, new_table = ({} if value is _ABSENT else value for value in both)
        if isinstance(old_table, dict) and isinstance(new_table, dict):
            yield from changes(old_table, new_table, (*path, key))
        elif both[0] != both[1]:
            old, new = ([] if value is _ABSENT else [value] for value in both)
            yield Change((*path, key), old, new)


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
