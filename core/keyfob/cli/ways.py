"""The ways to sign in to a provider, and which of them is meant: by an option, by choice, or by its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.cli.browsers import unseen
from keyfob.cli.secret import typing
from keyfob.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from keyfob.cli.terminal import Terminal
    from keyfob.credentials.login import Login

# Way → what it is called in a sentence, and the option that names it; None where it takes none.
WAYS = {
    "browser": ("in the browser", None),
    "device": ("by a code on another device", "--device-auth"),
    "client_credentials": ("as a program, with a client secret", None),
    "api-key": ("with an API key", "--with-api-key"),
    "access-token": ("with an access token", "--with-access-token"),
}


def way(login: Login, named: Sequence[str], terminal: Terminal, environ: Mapping[str, str]) -> str:
    """The way that is named; else the one that the entry says, or one that is chosen where a key would do too.

    Raises UsageError.
    """
    possible = [*login.flows, *login.records.methods]
    if len(named) > 1:
        raise UsageError("one way at a time", hint=_listed(login, possible))
    if named and named[0] not in possible:
        message = f"{login.provider} cannot be signed in to {WAYS[named[0]][0]}"
        raise UsageError(message, hint=_listed(login, possible))
    if named:
        return named[0]
    if not login.flows:
        kinds = " or ".join(WAYS[each][0] for each in possible)
        raise UsageError(f"say how to sign in to {login.provider}: {kinds}", hint=_listed(login, possible))
    why = unseen(environ)
    if login.records.methods and typing() and terminal.attended:
        return _chosen(login, possible, why, terminal)
    if possible[0] == "browser" and why:
        other = f"{login.command} --device-auth" if "device" in possible else None
        terminal.note(f"no browser is expected here ({why})" + ("; a code needs none" if other else ""), hint=other)
    return possible[0]


def again(login: Login, chosen: str, *, browses: bool) -> str:
    """The command that signs in the same way once more. browses: whether a browser was to be opened."""
    option = WAYS[chosen][1] if chosen != login.flows[0] else None if browses else "--no-browser"
    return login.command + (f" {option}" if option else "")


def _chosen(login: Login, possible: Sequence[str], why: str | None, terminal: Terminal) -> str:
    """The answer of whoever is at the terminal. why: nobody would see a browser here, so a code is the usual way."""
    usual = "device" if why and "device" in possible else possible[0]
    remark = f" (usual here: {why})" if why and usual == "device" else " (usual)"
    terminal.note(f"how do you want to sign in to {login.provider}?")
    terminal.show_choices([_words(login, each) + (remark if each == usual else "") for each in possible])
    prompt = f"1 to {len(possible)} [{possible.index(usual) + 1}] "
    numbered = {str(number): each for number, each in enumerate(possible, 1)} | {"": usual}
    while (answer := terminal.ask(prompt)) not in numbered:
        pass
    return numbered[answer]


def _words(login: Login, each: str) -> str:
    """What it is called in the menu; OpenAI's login is one with ChatGPT to most people."""
    return ("with ChatGPT, " if login.shared and each in login.flows else "") + WAYS[each][0]


def _listed(login: Login, possible: Sequence[str]) -> str:
    options = (WAYS[each][1] for each in possible)
    return " or ".join(f"keyfob login {login.provider}" + (f" {option}" if option else "") for option in options)
