"""The command by which another program runs this keyfob."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


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


def home(environ: Mapping[str, str]) -> str | None:
    """The CODEX_HOME that the command needs; None where it is the usual one.

    Whoever asks may have been started without that variable: then another entry of the same name would be asked for.
    """
    given = environ.get("CODEX_HOME")
    usual = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".codex")
    return os.path.realpath(given) if given and os.path.realpath(given) != os.path.realpath(usual) else None


def _script() -> str | None:
    """The script that runs, or the one that belongs to this Python."""
    named = os.path.basename(sys.argv[0]).lower().removesuffix(".exe") == "keyfob"
    ending = ".exe" if sys.platform == "win32" else ""
    own = os.path.join(sysconfig.get_path("scripts"), f"keyfob{ending}")
    return next((each for each in ([sys.argv[0]] if named else []) + [own] if os.path.isfile(each)), None)
