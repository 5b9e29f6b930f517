"""The little of HTTP/1.1 that brings a browser's answer and shows it a page: one request a connection, no body."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus

# Bytes that a request may be long, its headers included: a browser sends the cookies of every program on loopback.
LONGEST = 64 * 1024
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Connection": "close",
}


class UnreadableError(Exception):
    """What came is no request, or a longer one than is read. status: what to answer."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request. headers: names in lower case."""

    method: str
    path: str
    query: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)

    def every(self, name: str) -> list[str]:
        """Each value of a header, `name` in lower case."""
        return [value for found, value in self.headers if found == name]

    @property
    def of_a_page(self) -> bool:
        """Whether a web page has the browser ask, rather than a program that speaks plain HTTP."""
        return any(name in {"origin", "referer"} or name.startswith("sec-fetch-") for name, _ in self.headers)

    @property
    def ahead(self) -> bool:
        """Whether a browser asks before anybody wants it to: to prefetch, to prerender, for a preview."""
        purposes = (value for name in ("sec-purpose", "purpose", "x-purpose", "x-moz") for value in self.every(name))
        return any("pre" in purpose.lower() for purpose in purposes)


async def received(reader: asyncio.StreamReader) -> Request:
    """The request on a connection. Raises UnreadableError, and EOFError where none comes."""
    try:
        return _parsed(await reader.readuntil(b"\r\n\r\n"))
    except asyncio.LimitOverrunError:
        line_ends = b"\r\n" in await reader.read(LONGEST)
        too_long = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if line_ends else HTTPStatus.REQUEST_URI_TOO_LONG
        raise UnreadableError(too_long) from None
    except ValueError:
        raise UnreadableError(HTTPStatus.BAD_REQUEST) from None


def _parsed(head: bytes) -> Request:
    line, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, version = line.split(" ")
    if not version.startswith("HTTP/1.") or not target.startswith("/") or not target.isascii():
        raise ValueError
    path, _, query = target.partition("?")
    return Request(method, path, query, tuple(map(_header, lines)))


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name or name != name.strip():
        raise ValueError
    return name.lower(), value.strip()


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered. headers: beside those that every answer has."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def text(cls, status: int, words: str = "", **headers: str) -> Response:
        """A line of plain text; the name of the status if none is given."""
        kind = ("Content-Type", "text/plain; charset=utf-8")
        return cls(status, (words or HTTPStatus(status).phrase).encode(), (kind, *headers.items()))

    def encoded(self, *, head_only: bool = False) -> bytes:
        """As it goes over the connection. head_only: as an answer to HEAD."""
        length = {"Content-Length": str(len(self.body))}
        lines = (f"{name}: {value}\r\n" for name, value in {**dict(self.headers), **_HEADERS, **length}.items())
        head = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n{''.join(lines)}\r\n"
        return head.encode("ascii") + (b"" if head_only else self.body)
