"""Which keyfob an installed distribution says that it needs: its `Requires-Dist` lines (PEP 566, PEP 508)."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from keyfob import __version__
from keyfob.credentials.exchange import json_object
from keyfob.errors import PluginError
from keyfob.routing.installed import canonical, head

if TYPE_CHECKING:
    from keyfob.routing.installed import Declaration

_release = re.compile(r"\d+(?:\.\d+)*")
_at_least = re.compile(rf"keyfob ?>= ?({_release.pattern})")


def unmet(declaration: Declaration) -> str | None:
    """Why a distribution does not fit this keyfob; None where it does.

    A requirement that is none, by PEP 508, is its installer's business. Reads the metadata; imports nothing of it.
    """
    wanted = list(filter(None, map(_missed, _required(declaration))))
    return f"{declaration} needs {' and '.join(wanted)}, this is {__version__}" if wanted else None


def check_fits(declaration: Declaration) -> None:
    """Raise PluginError if the distribution needs another keyfob than this."""
    reason = unmet(declaration)
    if reason:
        raise PluginError(reason, hint=mended(declaration))


def mended(declaration: Declaration) -> str:
    """The command that brings a distribution and keyfob in accord."""
    return f"pip install --upgrade keyfob {_whence(declaration)}"


def _whence(declaration: Declaration) -> str:
    """What pip gets a distribution by: its name, or the folder or file that it was installed from (PEP 610).

    On an index, the name of one that is developed here may be anybody's.
    """
    from urllib.request import url2pathname

    if not declaration.path:
        return declaration.distribution
    try:
        with open(os.path.join(declaration.folder, "direct_url.json"), "rb") as file:
            origin = json_object(file.read())
    except OSError:
        return declaration.distribution
    url, folder = urlsplit(str(origin.get("url"))), origin.get("dir_info")
    if url.scheme != "file":
        return declaration.distribution
    editable = isinstance(folder, dict) and folder.get("editable") is True
    return ("--editable " if editable else "") + shlex.quote(url2pathname(url.path))


def _required(declaration: Declaration) -> list[str]:
    """Its requirements that begin like one on keyfob."""
    lines = head(declaration.folder) if declaration.path else ()
    return [value for name, value in lines if name == "Requires-Dist" and value[:6].lower() == "keyfob"]


def _surely_fits(text: str) -> bool:
    """Whether it is one of those that most write, and met: what reads the others takes a while to import."""
    least, this = _at_least.fullmatch(text), _release.fullmatch(__version__)
    return text == "keyfob" or bool(least and this and _parts(least[1]) <= _parts(this[0]))


def _parts(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))


def _missed(text: str) -> str | None:
    """The keyfob that a requirement asks for, where that is another; None also where its marker does not hold here."""
    if _surely_fits(text):
        return None
    from packaging.requirements import Requirement

    try:
        requirement = Requirement(text)
        holds = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    except (ValueError, LookupError):
        return None
    if canonical(requirement.name) != "keyfob" or not holds:
        return None
    fits = requirement.specifier.contains(__version__, prereleases=True)
    return None if fits else f"keyfob{requirement.specifier}"
