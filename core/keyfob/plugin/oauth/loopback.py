"""The listener on loopback that the browser comes back to (RFC 8252, sections 7.3 and 8.3)."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Self

from keyfob.errors import PortError
from keyfob.plugin.oauth import pages
from keyfob.plugin.oauth.attempt import HTTP, LOOPBACK, Verdict
from keyfob.plugin.oauth.ports import BACKLOG
from keyfob.plugin.oauth.wire import LONGEST, Response, UnreadableError, received

if TYPE_CHECKING:
    import socket

    from keyfob.plugin.oauth.attempt import Attempt
    from keyfob.plugin.oauth.pages import Page
    from keyfob.plugin.oauth.wire import Request

# Where the browser is sent from the address that holds the code: with the answer that counts, and with a later one.
_OVER, _LATE = "/signed-in", "/over"
# Seconds that a request may take to arrive; that the rest of one that is not read is awaited, so that its sender sees
# the answer; and that a browser is given to fetch the last page.
_PATIENCE, _LINGER, _LAST_PAGE = 10.0, 2.0, 2.0
# Connections at once: fewer than the files that a program may have open (macOS: 256). So many of them are taken in one
# turn of the loop, which reads them a few turns later: none is turned out before.
_MOST, _IN_A_TURN = 160, 16


class Listener:
    """Serves one attempt on a socket that listens, for `with`: in one thread, which is gone when that is left.

    One event loop, and not a thread for each connection: those who connect and say nothing cost next to nothing, and
    whatever still waits is dropped at the end.
    """

    def __init__(self, held: socket.socket, attempt: Attempt) -> None:
        self._held, self._attempt = held, attempt
        self._page: Page | None = None
        self._begun, self._seen = threading.Event(), threading.Event()
        self._fault: OSError | None = None
        self._settled, self._left = asyncio.Event(), asyncio.Event()
        self._open: dict[asyncio.StreamWriter, None] = {}  # the oldest first

    def __enter__(self) -> Self:
        """Raises PortError where it cannot be served, such as without another file that may be open."""
        self._thread = threading.Thread(target=self._run, name="sign-in", daemon=True)
        self._thread.start()
        self._begun.wait()
        if self._fault is not None:
            self._thread.join()
            raise PortError(
                f"there is no port for the browser to come back to: {self._fault.strerror}"
            ) from self._fault
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._left.set)
        self._thread.join()

    def finish(self, page: Page) -> None:
        """Show the browser how it ended, if it is there."""
        self._page = page
        self._loop.call_soon_threadsafe(self._settled.set)
        if self._attempt.came:
            self._seen.wait(_LAST_PAGE)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
                runner.run(self._serve())
        except OSError as error:
            self._fault = error
        finally:
            self._begun.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        # What goes wrong with a connection is no fault, and what was asked for is shown to nobody.
        self._loop.set_exception_handler(lambda *_: None)
        server = await asyncio.start_server(self._connected, sock=self._held, limit=LONGEST, backlog=_IN_A_TURN)
        self._held.listen(BACKLOG)  # asyncio has one number for both
        self._begun.set()
        try:
            await self._left.wait()
        finally:
            server.close()  # connections end with the loop, which cancels what serves them

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._take_in(writer)
        try:
            with contextlib.suppress(OSError, EOFError):  # it left, or took too long
                await self._serve_one(reader, writer)
        finally:
            self._open.pop(writer, None)
            writer.close()

    def _take_in(self, writer: asyncio.StreamWriter) -> None:
        """In the place of the oldest, if there are too many: a browser asks at once, as soon as it is connected."""
        self._open[writer] = None
        if len(self._open) > _MOST:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.transport.abort()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                request = await received(reader)
        except UnreadableError as error:
            await _refuse(reader, writer, error.status)
            return
        response = self._answer(request) or await self._ending(reader, writer)
        await _send(writer, response.encoded(head_only=request.method == "HEAD"))
        writer.close()
        await writer.wait_closed()
        if request.path == _OVER and response.status == 200:
            self._seen.set()

    async def _ending(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Response:
        """What to answer to the browser that brought the answer, once it is known how it ended."""
        self._open.pop(writer, None)  # this one is not turned out for another
        await self._settled.wait()
        if reader.at_eof():
            self._seen.set()  # nobody is there any more
        return _away(_OVER)

    def _answer(self, request: Request) -> Response | None:
        """What to answer at once; None to the browser that brings the answer: it waits for how it ends."""
        host = request.every("host")
        if len(host) != 1:
            return Response.text(400)  # RFC 9110, section 7.2
        if host[0].lower() not in _hosts(self._attempt.port):
            return Response.text(421)  # another name leads here, as after DNS rebinding
        if request.method != "GET":
            return Response.text(405, Allow="GET")
        here = request.path == self._attempt.path
        if here and request.query:  # without one it is one of these, where the redirect URI has its path
            return self._callback(request)
        if request.path == _OVER and self._page is not None:
            return _shown(self._page)
        if request.path == _LATE:
            return _shown(pages.OVER)
        if request.path == "/cancel" and not request.of_a_page:
            return Response.text(200, "Login cancelled") if self._attempt.cancel() else Response.text(409, "Too late")
        return _shown(pages.OTHER, 400) if here else Response.text(404)

    def _callback(self, request: Request) -> Response | None:
        if request.ahead:
            return Response.text(503, "Not yet")
        verdict = self._attempt.offer(request.query)
        if verdict is Verdict.COUNTS:
            return None
        return _away(_LATE) if verdict is Verdict.TAKEN else _shown(pages.OTHER, 400)


def _hosts(port: int) -> set[str]:
    """How browsers name it; they leave the port out that http has by itself."""
    return {f"{name}:{port}" for name in LOOPBACK} | ({*LOOPBACK} if port == HTTP else set())


def _away(path: str) -> Response:
    return Response(303, headers=(("Location", path),))


def _shown(page: Page, status: int = 200) -> Response:
    headers = (("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", pages.CONTENT_POLICY))
    return Response(status, page.html(), headers)


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: int) -> None:
    """What is not read is awaited, or its sender would see a broken connection in the place of the answer."""
    await _send(writer, Response.text(status).encoded())
    async with asyncio.timeout(_LINGER):
        while await reader.read(LONGEST):
            pass


async def _send(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer)
    writer.write_eof()
    await writer.drain()
