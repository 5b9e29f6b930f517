"""The browser of this machine: what opens one, and whether anybody would see it."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Those would take over the terminal, or wait for ever without one.
_TEXTUAL = frozenset({"browsh", "carbonyl", "elinks", "links", "links2", "lynx", "w3m", "www-browser"})
_WINDOWS = ("rundll32.exe", "url.dll,FileProtocolHandler")
_DESKTOP = (("xdg-open",), ("gio", "open"), ("x-www-browser",), ("firefox",), ("chromium",), ("google-chrome",))
# Seconds. What ends in failure later than that has shown something before.
_FAILS_WITHIN = 10.0
# No terminal that it could write on, and no Ctrl-C that was meant for us.
_APART: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
if sys.platform == "win32":
    _APART["creationflags"] = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _APART["start_new_session"] = True


def unseen(environ: Mapping[str, str]) -> str | None:
    """Why nobody would see a browser that is opened here, in two words; None where somebody would."""
    if _over_ssh(environ):
        return "over SSH"
    if _commands(environ):
        return None
    return "no browser" if _displayed(environ) else "no display"


def opened(url: str, environ: Mapping[str, str]) -> bool:
    """Open an address in a browser, if there is one that would be seen. Returns whether that is tried.

    Nothing waits for it: one that hangs costs nothing, and one that fails leaves it to the next. One that ends much
    later, or is killed, was there: who closes it wants no other.
    """
    commands = _commands(environ)
    if not commands or urlsplit(url).scheme not in {"http", "https"}:  # of a file, a desktop would run a program
        return False
    threading.Thread(target=_open, args=(url, commands, dict(environ)), name="browser", daemon=True).start()
    return True


def _open(url: str, commands: Sequence[Sequence[str]], environ: Mapping[str, str]) -> None:
    for command in commands:
        words = [word.replace("%s", url) for word in command]
        began = time.monotonic()
        with contextlib.suppress(OSError):
            status = subprocess.Popen(words if words != command else [*words, url], env=environ, **_APART).wait()
            if status <= 0 or time.monotonic() - began > _FAILS_WITHIN:
                return


def _commands(environ: Mapping[str, str]) -> list[list[str]]:
    """What opens a browser here, each as a program with its arguments; `%s` among them stands for the address.

    Over SSH only what the user names: VS Code's, for one, opens it at the other end.
    """
    path = environ.get("PATH", os.defpath)
    named = [_words(each, path) for each in environ.get("BROWSER", "").split(os.pathsep)]
    candidates = [*filter(None, named), *(() if _over_ssh(environ) else _usual(environ))]
    seen = [each for each in candidates if os.path.basename(each[0]) not in _TEXTUAL]
    return [[found, *arguments] for program, *arguments in seen if (found := shutil.which(program, path=path))]


def _words(named: str, path: str) -> list[str]:
    """Program and arguments; nothing where a quote has no end."""
    if shutil.which(named, path=path):  # its own path may hold blanks and, on Windows, backslashes
        return [named]
    with contextlib.suppress(ValueError):
        return shlex.split(named.removesuffix("&"))
    return []


def _usual(environ: Mapping[str, str]) -> Iterator[list[str]]:
    if sys.platform == "win32":  # never one of that name in the current folder
        yield [os.path.join(environ.get("SYSTEMROOT", r"C:\Windows"), "System32", _WINDOWS[0]), *_WINDOWS[1:]]
    elif sys.platform == "darwin":
        yield ["/usr/bin/open"]
    else:
        if environ.get("WSL_DISTRO_NAME"):  # the browser of the Windows around it, whose loopback leads here
            yield from (["wslview"], [*_WINDOWS])
        if _displayed(environ):
            yield from ([*each] for each in _DESKTOP)


def _displayed(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def _over_ssh(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"))
