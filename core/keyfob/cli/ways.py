"""The ways to sign in to a provider, and which of them is meant: by an option, by choice, or the usual one."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from keyfob.cli.secret import typing
from keyfob.errors import UsageError
from keyfob.signin import flows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from keyfob.cli.terminal import Terminal
    from keyfob.credentials.login import Login

# Way → what it is called in a sentence, and the option that names it; None where it takes none.
WAYS = {
    "browser": ("in the browser", None),
    "device": ("with a code, on another device", "--device-auth"),
    "client-credentials": ("as a program, with a client secret", None),
    "api-key": ("an API key", "--with-api-key"),
    "access-token": ("an access token", "--with-access-token"),
}


def way(login: Login, named: Sequence[str], terminal: Terminal, environ: Mapping[str, str]) -> str:
    """The way that is named, or chosen. Raises UsageError."""
    possible = [*flows(login), *login.records.methods]
    if len(named) > 1:
        raise UsageError("one way at a time", hint=_listed(login, possible))
    if named and named[0] not in possible:
        raise UsageError(f"{login.provider} cannot be signed in to {_words(named[0])}", hint=_listed(login, possible))
    if named:
        return named[0]
    if not flows(login):
        kinds = " or ".join(WAYS[each][0] for each in possible)
        raise UsageError(f"say how to sign in to {login.provider}: with {kinds}", hint=_listed(login, possible))
    if len(possible) == 1 or not (typing() and terminal.attended):
        return possible[0]
    usual = "device" if headless(environ) and "device" in possible else possible[0]
    return _chosen(login, possible, usual, terminal)


def headless(environ: Mapping[str, str]) -> bool:
    """Whether a browser that is opened here would be seen by nobody."""
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        return True
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    return os.name == "posix" and sys.platform != "darwin" and not any(environ.get(name) for name in screens)


def _chosen(login: Login, possible: Sequence[str], usual: str, terminal: Terminal) -> str:
    terminal.note(f"how do you want to sign in to {login.provider}?")
    for number, each in enumerate(possible, 1):
        terminal.show_choice(number, _words(each), usual=each == usual)
    while True:
        answer = terminal.ask(f"1 to {len(possible)} [{possible.index(usual) + 1}] ")
        if not answer:
            return usual
        if answer.isascii() and answer.isdecimal() and 0 < int(answer) <= len(possible):
            return possible[int(answer) - 1]


def _words(each: str) -> str:
    words = WAYS[each][0]
    return f"with {words}" if words.startswith("an ") else words


def _listed(login: Login, possible: Sequence[str]) -> str:
    options = (WAYS[each][1] for each in possible)
    return " or ".join(f"keyfob login {login.provider}" + (f" {option}" if option else "") for option in options)
