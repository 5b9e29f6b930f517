"""Patience: whoever waits for a plugin that takes long to be loaded learns which it is."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Seconds.
PATIENCE = 1.0


@contextmanager
def patience(owner: str, tell: Callable[[str], None] | None) -> Iterator[None]:
    """Have `tell` told, from another thread, if what follows takes longer than PATIENCE: it cannot be cut off."""
    if tell is None:
        yield
        return
    message = f"waiting for {owner}: its plugin has been loading for more than {PATIENCE:g} s"
    timer = threading.Timer(PATIENCE, tell, [message])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
