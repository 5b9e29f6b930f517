"""What a forked child has to forget: locks that a thread of the parent holds, and calls that end only there."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forgetful(Protocol):
    """Something with state that means nothing in a forked child."""

    def forget(self) -> None:
        """Replace every lock and drop every call in flight."""
        ...


_alive: weakref.WeakSet[Forgetful] = weakref.WeakSet()


def forget_after_fork(subject: Forgetful) -> None:
    """Call `subject.forget()` in each child that is forked while `subject` lives."""
    _alive.add(subject)


def _forget_all() -> None:
    for subject in list(_alive):
        subject.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
