"""Landing: how async code waits for a credential that a thread fetches."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from keyfob.credentials.credential import Credential


async def landed(future: Future[Credential]) -> Credential:
    """Wait for a future of another thread, on asyncio and trio alike. Being cancelled changes nothing for it."""
    if not future.done():
        event, soon = anyio.Event(), _soon()
        future.add_done_callback(lambda _: soon(event.set))
        await event.wait()
    return future.result()


def _soon() -> Callable[[Callable[[], None]], None]:
    """A way to have something called in the running event loop from any thread, without waiting for it to be done.

    (`anyio.from_thread` waits: on a loop that ends meanwhile, for ever.)
    """
    loop: Any = anyio.lowlevel.current_token().native_token
    call_soon = getattr(loop, "run_sync_soon", None) or loop.call_soon_threadsafe  # trio's, or asyncio's

    def soon(call: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the event loop has ended, and with it whoever waited there
            call_soon(call)

    return soon
