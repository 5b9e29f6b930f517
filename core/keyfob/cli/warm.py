"""The warm path of `keyfob token PROVIDER`: a snapshot that holds true, and a variable that is set or a sound file.

It only ever answers; whatever is out of the ordinary is left to the command itself, which reads everything anew and
says what is wrong. Nothing may be imported here that the interpreter has not loaded anyway, but for what is ours and
`zlib`: json, re, argparse, typing or dataclasses each cost more than all that is done here.
"""

import os
import time

from keyfob.config import snapshot
from keyfob.config.places import Places
from keyfob.credentials.headers import illegal_part


def token(arguments: "list[str]") -> "str | None":
    """The token of the provider that `arguments` names, the default one if there are none; None if it takes more."""
    words = [word for word in arguments if word != _REPEAT_MEANS_REFUSED]
    if len(words) > 1 or (words and words[0].startswith("-")):
        return None
    if any(name in os.environ for name in snapshot.BYPASS):
        return None
    places = Places.of(os.environ)
    held = None if places.codex_home_fault else snapshot.load(places)
    if held is None:
        return None
    provider = words[0] if words else held.default
    routed = held.routed(provider)
    if routed is None:
        return None
    given = _variable(routed.variable, places.dotenv) if routed.plugin == "envkey" else ""
    value = _stored(routed) if given == "" else given
    if not value or illegal_part(value) is not None:
        return None
    heeds = len(words) < len(arguments) and not given  # a variable cannot be renewed
    return value if not heeds or _noted(value, provider, places) else None


_REPEAT_MEANS_REFUSED = "--repeat-means-refused"


def _noted(value: str, provider: str, places: Places) -> bool:
    """Note that the token is handed out; False if that is a repeat, or cannot be noted."""
    from keyfob.cli.repeats import Repeats, parent

    repeats = Repeats(places, provider, parent())
    if repeats.counts(value):
        return False
    try:
        repeats.note(value)
    except OSError:
        return False
    return True


def _stored(routed: snapshot.Routed) -> "str | None":
    """The token that its file holds; all kinds of file are read by the same module."""
    if not routed.stored or (routed.plugin == "openai" and any(map(os.environ.get, _BEFORE_A_LOGIN))):
        return None
    import importlib

    warm = importlib.import_module(_WARM)
    if routed.plugin == "envkey":
        return str(warm.key(routed.stored, routed.origin) or "")
    if routed.plugin == "oauth":
        return str(warm.access_token(routed.stored, routed.origin, routed.configuration, time.time()) or "")
    return str(warm.token(routed.stored, time.time()) or "")


# What goes before a stored login, and the module of the plugin that reads one; core names plugins and imports none.
_BEFORE_A_LOGIN = ("CODEX_API_KEY", "CODEX_ACCESS_TOKEN")
_WARM = "keyfob_openai.warm"


def _variable(name: str, dotenv: str) -> "str | None":
    """The value of an environment variable, blanks trimmed; what `.env` says goes before it. None: not known."""
    value = os.environ.get(name, "")
    if os.path.exists(dotenv):
        from keyfob.config.dotenv import parse

        try:
            with open(dotenv, encoding="utf-8", newline="") as file:
                value = parse(file.read(), os.environ)[0].get(name, value)
        except (OSError, ValueError):
            return None
    return value.strip()
