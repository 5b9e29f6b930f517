"""What is computed when it is first needed, and then kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

Value = TypeVar("Value")


class lazy(Generic[Value]):  # noqa: N801  # used as a decorator
    """`functools.cached_property` without its lock.

    In Python 3.11 that is one lock for all instances: one slow plugin would hold up every provider, and a child that is
    forked meanwhile would wait for ever. Of threads that come at the same time, the first to end decides for all.
    """

    def __init__(self, read: Callable[[Any], Value]) -> None:
        self._read = read
        self._name = read.__name__
        self.__doc__ = read.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Value: ...

    def __get__(self, instance: object, owner: type) -> Self | Value:
        if instance is None:
            return self
        value: Value = vars(instance).setdefault(self._name, self._read(instance))
        return value
