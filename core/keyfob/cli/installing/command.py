"""The command by which another program runs this keyfob."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import sysconfig
from typing import TYPE_CHECKING

import keyfob
from keyfob.config.places import home_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def command(environ: Mapping[str, str]) -> list[str]:
    """The program, by its whole path, and its first arguments.

    Not the bare name: whoever asks may have been started from a desktop, with another PATH, and what stands there under
    that name would get to say which token is sent. What PATH has counts where it is this very keyfob: for one that pipx
    or uv installed, that is the link which an upgrade leaves where it is.
    """
    script = _script()
    if script is None:
        return [sys.executable, "-m", "keyfob"]
    found = shutil.which("keyfob", path=environ.get("PATH", os.defpath))
    same = found is not None and os.path.realpath(found) == os.path.realpath(script)
    return [os.path.abspath(found if found and same else script)]


def needed(words: Sequence[str]) -> list[str]:
    """The files without which such a command is gone: of `python -m keyfob`, keyfob is one that Python outlives."""
    return [words[0]] if len(words) == 1 else [words[0], os.path.join(*keyfob.__path__[:1], "__main__.py")]


def anew(tool: str, provider: str) -> str:
    """What to type to have it installed as it would be now."""
    return " && ".join(shlex.join(["keyfob", word, tool, provider]) for word in ("uninstall", "install"))


def home(environ: Mapping[str, str]) -> str | None:
    """The CODEX_HOME that the command needs; None where it is the usual one.

    Whoever asks may have been started without that variable: then another entry of the same name would be asked for.
    """
    given = environ.get("CODEX_HOME")
    usual = os.path.join(home_of(environ), ".codex")
    return os.path.realpath(given) if given and os.path.realpath(given) != os.path.realpath(usual) else None


def _script() -> str | None:
    """The script that runs, or the one that belongs to this Python."""
    named = os.path.basename(sys.argv[0]).lower().removesuffix(".exe") == "keyfob"
    ending = ".exe" if sys.platform == "win32" else ""
    own = os.path.join(sysconfig.get_path("scripts"), f"keyfob{ending}")
    return next((each for each in ([sys.argv[0]] if named else []) + [own] if os.path.isfile(each)), None)
