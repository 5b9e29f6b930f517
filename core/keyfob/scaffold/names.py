"""The name of a new plugin: what it may be, and what is made of it."""

from __future__ import annotations

import re
import unicodedata

from keyfob.errors import UsageError

# Lower case, as PEP 503 has it, and with no more than a module's and a variable's name can hold too.
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_LONGEST = 40


def check_name(name: str) -> None:
    """Raise UsageError, with a name that would do, for one that no plugin can have."""
    fault = _fault(name)
    if fault is not None:
        raise UsageError(f"a plugin cannot be called {name!r}: {fault}", hint=f"keyfob plugin new {_suggested(name)}")


def words_of(name: str) -> dict[str, str]:
    """What templates say for it. name: of the config key, or the provider's id."""
    dashed, word = name.replace("_", "-"), name.replace("-", "_")
    return {
        "name": name,
        "title": word.replace("_", " ").title(),
        "dashed": dashed,
        "word": word,
        "VARIABLE": word.upper(),
        "distribution": f"keyfob-{dashed}",
        "module": f"keyfob_{word}",
    }


def _fault(name: str) -> str | None:
    """What is wrong with it, as the rest of a sentence."""
    if not _NAME.fullmatch(name):
        return "a letter comes first, then lower-case letters and digits, with single hyphens between them"
    if len(name) > _LONGEST:
        return f"it has more than {_LONGEST} letters"
    if name.startswith(("keyfob-", "keyfob_")):
        return "its distribution is called keyfob-… in any case"
    if name.replace("_", "-") in _ours():
        return "that is a key or a provider of keyfob's own, or of Codex's"
    if name == "contract":
        return "tests/test_contract.py is there for every plugin"
    return None


def _ours() -> set[str]:
    """Keyfob's own names and Codex's, with hyphens: with underscores they would look alike."""
    from keyfob.routing.builtin import RESERVED_IDS, RESERVED_KEYS  # not for completion, at the start of each shell

    return {name.replace("_", "-") for name in RESERVED_KEYS | RESERVED_IDS | {"keyfob"}}


def _suggested(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii").lower()
    bare = re.sub("[^a-z0-9]+", "-", plain).strip("-").removeprefix("keyfob-")[:_LONGEST].rstrip("-")
    return next(each for each in (bare, f"my-{bare}", "my-plugin") if _fault(each) is None)
