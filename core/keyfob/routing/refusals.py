"""Refusals: the declarations that are not heard, and why; told from metadata alone."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keyfob.routing.builtin import RESERVED_IDS, RESERVED_KEYS
from keyfob.routing.installed import Declaration, canonical, stem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What needs no quotes in TOML, is one part of a path and of a keyring's account, and has one spelling: a file system
# may take `Envkey` and `envkey` for one. A canonical name of a distribution (PEP 503) is such a word too.
_word = re.compile(r"[a-z0-9][a-z0-9_-]*")
_WORDS = "has to be of lower-case letters, digits, - and _"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A declaration that is not heard, and why."""

    declaration: Declaration
    reason: str


def refusals(declared: Sequence[Declaration], allowed: Iterable[frozenset[str]]) -> tuple[Refusal, ...]:
    """Which are refused: by themselves, or because two make the same claim. allowed: allow-lists, each must agree."""
    reasons = {declaration: _own_reason(declaration, allowed) for declaration in declared}
    heard = [declaration for declaration, reason in reasons.items() if reason is None]
    reasons |= {declaration: reason for rivals in _rivals(heard) for declaration, reason in _among(rivals)}
    return tuple(Refusal(declaration, reason) for declaration, reason in reasons.items() if reason is not None)


def _own_reason(declaration: Declaration, allowed: Iterable[frozenset[str]]) -> str | None:
    return _of_name(declaration) or _of_distribution(declaration, allowed) or _of_module(declaration)


def _of_name(declaration: Declaration) -> str | None:
    name = declaration.name
    if declaration.group != "keyfob.events" and not _word.fullmatch(name):
        return f"the {_kind(declaration)} `{name}` {_WORDS}"
    if declaration.group == "keyfob.auth" and name in RESERVED_KEYS:
        return f"the key `{name}` is reserved"
    if declaration.group == "keyfob.providers" and name in RESERVED_IDS:
        return f"the provider id `{name}` is built in"
    return None


def _of_distribution(declaration: Declaration, allowed: Iterable[frozenset[str]]) -> str | None:
    distribution, folder = declaration.distribution, declaration.folder
    if not _word.fullmatch(distribution):
        return f"`{distribution}` is not a valid distribution name"
    if folder and not f"{canonical(stem(folder))}-".startswith(f"{distribution}-"):
        return f"{folder} is not the folder of {distribution}"
    if any(distribution not in names for names in allowed):
        return f"{distribution} is not in allow_plugins"
    if not declaration.version:
        return f"{distribution} is half uninstalled: its METADATA is gone"
    return None


def _of_module(declaration: Declaration) -> str | None:
    if all(part.isidentifier() for part in declaration.module.split(".")):
        return None
    return f"`{declaration.module}` has to be the name of a module"


def _kind(declaration: Declaration) -> str:
    return "key" if declaration.group == "keyfob.auth" else "provider id"


def _rivals(heard: Sequence[Declaration]) -> Iterable[list[Declaration]]:
    """Those that make one claim. A name in keyfob.events is any word, and claims nothing."""
    claims: dict[tuple[str, str], list[Declaration]] = defaultdict(list)
    for declaration in heard:
        if declaration.group != "keyfob.events":
            claims[declaration.group, declaration.name].append(declaration)
    return [rivals for rivals in claims.values() if len(rivals) > 1]


def _among(rivals: Sequence[Declaration]) -> Iterable[tuple[Declaration, str]]:
    """Each of them with the reason: order must not decide."""
    who, name = sorted({str(rival) for rival in rivals}), rivals[0].name
    if len(who) == 1:
        reason = f"{who[0]} declares `{name}` more than once"
    else:
        reason = f"{' and '.join(who)} all declare `{name}`; allow_plugins can leave one out"
    return [(rival, reason) for rival in rivals]
