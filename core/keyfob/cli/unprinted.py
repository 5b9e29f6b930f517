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
    try:
        kept = os.dup(1)
    except OSError:  # the caller has closed it: nobody reads what would come there
        yield
        return
    os.dup2(2, 1)
    try:
        yield
    finally:
        if sys.stdout is not None:
            sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
