"""Keeping stdout for the answer: also from programs that a plugin runs, and from code that knows no `sys.stdout`."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def unprinted() -> Iterator[None]:
    """Send what is written to descriptor 1 meanwhile, by this process or its children, to stderr."""
    with _elsewhere() as other:
        try:
            kept = os.dup(1)
        except OSError:  # the caller has closed it: nobody reads what would come there
            yield
            return
        os.dup2(other, 1)
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)


@contextlib.contextmanager
def _elsewhere() -> Iterator[int]:
    """Descriptor 2; where the caller has closed that, one that leads nowhere, for 2 would be the copy of 1."""
    if sys.__stderr__ is not None:
        yield 2
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        yield nowhere
    finally:
        os.close(nowhere)
