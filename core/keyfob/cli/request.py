"""`keyfob request`: send one request to a provider, and print the answer as it arrives.

What the server sends is printed as it is, so there is no --json. Exit code 1 for any answer but 2xx; redirects are not
followed.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

from keyfob.cli.policy import obeyed
from keyfob.clients.additions import check_name
from keyfob.credentials.credential import check_header
from keyfob.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from keyfob.cli.commands import Parser
    from keyfob.cli.run import Session
    from keyfob.cli.terminal import Terminal


def arguments(parser: Parser) -> None:
    """PATH, and what is sent to it."""
    parser.add_argument("path", metavar="PATH", help="below the base URL, such as `models`; or a URL of the provider")
    parser.add_argument("--provider", metavar="PROVIDER", help="a provider's id (default: model_provider)")
    parser.add_argument("-X", "--method", metavar="METHOD", help="default: GET, or POST where there is data")
    parser.add_argument("-d", "--data", metavar="DATA", help="the body; @FILE reads a file, - reads stdin")
    parser.add_argument("-H", "--header", action="append", default=[], metavar="'NAME: VALUE'", help="one more header")
    parser.add_argument("-i", "--include", action="store_true", help="print the status line and the headers too")


def run(options: argparse.Namespace, session: Session) -> int:
    """Send it."""
    from keyfob.cli import sending

    provider, terminal = session.provider(options.provider), session.terminal
    with obeyed(provider), sending.answered(provider, **_sent(options), note=terminal.note) as answer:
        _print(answer, terminal, include=options.include)
    return 0


def _sent(options: argparse.Namespace) -> dict[str, Any]:
    """Method, path, headers and body, as they are asked for."""
    data = None if options.data is None else _data(options.data)
    headers = _headers(options.header)
    if data is not None and data.lstrip()[:1] in (b"{", b"["):
        headers.insert(0, ("Content-Type", "application/json"))
    method = options.method or ("GET" if data is None else "POST")
    if not re.fullmatch(r"[A-Za-z-]+", method):
        raise UsageError(f"{method!r} is not a method of HTTP")
    return {"method": method, "path": options.path, "headers": headers, "data": data}


def _headers(given: list[str]) -> list[tuple[str, str]]:
    """The headers of -H. Raises UsageError, IllegalHeaderError."""
    found = []
    for text in given:
        name, colon, value = text.partition(":")
        if not colon:
            raise UsageError("-H takes 'NAME: VALUE'")
        if name.strip().lower() == "authorization":
            raise UsageError("-H Authorization: it is the provider's entry that says how to authenticate")
        check_name(name.strip())
        check_header(name.strip(), value.strip(), f"-H: the value of {name.strip()}")
        found.append((name.strip(), value.strip()))
    return found


def _data(given: str) -> bytes:
    """The body: the argument itself, or what it refers to."""
    if given in ("-", "@-"):
        if sys.stdin is None:
            raise UsageError("-d -: stdin is closed")
        return sys.stdin.buffer.read()
    if not given.startswith("@"):
        return os.fsencode(given)
    try:
        with open(given[1:], "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "that is not the name of a file"
        raise UsageError(f"-d {given}: {why}") from None


def _print(answer: Any, terminal: Terminal, *, include: bool) -> None:
    """Print the answer piece by piece, as it comes."""
    with terminal.stream() as write:
        if include:
            write(_head(answer))
        last = b"\n"
        for last in answer.iter_raw():
            write(last)
        if terminal.interactive and not last.endswith(b"\n"):
            write(b"\n")


def _head(answer: Any) -> bytes:
    """Status line and headers, as they came."""
    lines = [f"{answer.http_version} {answer.status_code} {answer.reason_phrase}".encode()]
    lines += [name + b": " + value for name, value in answer.headers.raw]
    return b"\n".join([*lines, b"", b""])
