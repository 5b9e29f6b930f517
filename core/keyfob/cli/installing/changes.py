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
        elif not same(*both):
            old, new = ([] if value is _ABSENT else [value] for value in both)
            yield Change((*path, key), old, new)


def is_done(data: Mapping[str, Any], done: Sequence[Change]) -> bool:
    """Whether all of it stands in the file as it was changed."""
    return all(same(_held(data, each.path), each.new) for each in done)


def is_done_in_part(data: Mapping[str, Any], done: Sequence[Change]) -> bool:
    """Whether any value that was written stands in the file. A key that is not there may never have been."""
    return any(each.new and is_done(data, [each]) for each in done)


def is_undone(data: Mapping[str, Any], done: Sequence[Change]) -> bool:
    """Whether all of it is there as it was before."""
    return all(same(_held(data, each.path), each.old) for each in done)


def is_reverted(before: Mapping[str, Any], after: Mapping[str, Any], done: Sequence[Change]) -> bool:
    """Whether what lies between these two is that the changes were taken back, and nothing else."""
    found = {each.path: each for each in changes(before, after)}
    return found == {each.path: Change(each.path, each.new, each.old) for each in done}


def same(one: Any, other: Any) -> bool:
    """Whether two values say the same: as `==` has it, but that a `nan` says what another one does."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other or (one != one and other != other))


def _held(data: Any, path: Sequence[str]) -> list[Any]:
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return []
        data = data[key]
    return [data]
