"""A secret as a person gives it: on stdin, or typed without being shown. Never an argument: others can read those."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from keyfob.credentials.credential import check_secret
from keyfob.errors import IllegalHeaderError, MissingCredentialError

if TYPE_CHECKING:
    from keyfob.cli.terminal import Terminal

# Bytes. No key or token is this large.
_LARGEST = 64 * 1024


def secret(what: str, whom: str, terminal: Terminal) -> str:
    """One line, blanks around it trimmed. what: `API key` or so. whom: who is to get it, for the prompt.

    Raises MissingCredentialError, IllegalHeaderError.
    """
    text = _typed(f"{what} for {whom} (not shown): ") if typing() else _piped(what, terminal)
    found = text.strip()
    if not found:
        raise MissingCredentialError(f"no {what} was given", hint="pipe it in, or type it on a terminal")
    check_secret(found, f"the {what} that was given", hint="copy it anew; it is one line of ASCII")
    return found


def typing() -> bool:
    """Whether a person is at stdin."""
    return sys.stdin is not None and sys.stdin.isatty()


def agreed(question: str, terminal: Terminal) -> bool:
    """Whether the person at stdin says yes; nobody there is a no, and whoever goes away says no too."""
    try:
        return typing() and terminal.ask(f"{question} [y/N] ").lower() in {"y", "yes"}
    except KeyboardInterrupt:
        return False


def _typed(prompt: str) -> str:
    import getpass

    try:
        return getpass.getpass(prompt)
    except EOFError:
        return ""


def _piped(what: str, terminal: Terminal) -> str:
    if sys.stdin is None:
        return ""
    terminal.note(f"reading the {what} from stdin…")
    data = sys.stdin.buffer.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise IllegalHeaderError(f"the {what} that was given is longer than {_LARGEST >> 10} KiB")
    try:
        return data.decode("utf-8-sig")  # some shells begin with a mark
    except UnicodeDecodeError:
        raise IllegalHeaderError(f"the {what} that was given is not UTF-8 text") from None
