"""Writes docs/plugin-reference.md from the docstrings of hooks, contract and contract kit."""

from __future__ import annotations

import dataclasses
import inspect
import os
import sys
from typing import TYPE_CHECKING, Any, Final

import pluggy

import keyfob.plugin
import keyfob.plugin.oauth
from keyfob.credentials.records import is_required
from keyfob.errors import KeyfobError
from keyfob.plugin import hooks
from keyfob.testing import contract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE: Final = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "docs", "plugin-reference.md")
_HEAD: Final = """\
# Hooks and contract

What a plugin's author works with, as the code says it: `scripts/reference` writes this page. [Your first
plugin](first-plugin.md) shows how the parts are used, [Write a plugin](write-a-plugin.md) which to take.

All of it is imported from `keyfob.plugin`, and nothing else of keyfob is a plugin's business.
"""
_GROUPS: Final = {
    "keyfob_auth_plugins": "keyfob.auth",
    "keyfob_providers": "keyfob.providers",
    "keyfob_event": "keyfob.events",
}
# Heading → the names below it; every exported name that is in none of them, and is no error, goes with the last.
_SECTIONS: Final = {
    "Base classes": ("StaticAuth", "MintingAuth", "SigningAuth", "StoredAuth"),
    "What a plugin is": (
        "AuthPlugin",
        "Opens",
        "SupportsLogin",
        "SupportsState",
        "SuppliesBaseUrl",
        "NoOptions",
        "State",
    ),
    "What it is given": ("Context", "ProviderInfo", "Interaction", "Exchange", "Answer", "Unsigned"),
    "What it gives": ("Credential", "SigningKey", "CredentialSource", "Signer", "StaticSource", "MintingSource"),
    "Stored logins": ("Records", "Rotation", "SignsIn", "Record", "About"),
    "The rest": (),
}


def page() -> str:
    """The whole page."""
    parts = [_HEAD, *_hooks(), *_contract(), *_errors(), *_oauth(), *_rules()]
    return "\n".join(parts).rstrip() + "\n"


def _hooks() -> Iterator[str]:
    yield "\n## Hooks\n\nA plugin's module has functions with these names, marked `@hookimpl`, and no others."
    for name, group in _GROUPS.items():
        hook = getattr(hooks, name)
        yield f"\n### `{name}`\n\nEntry points in group `{group}`.\n\n{_code(hook, name)}\n\n{_text(hook)}"


def _contract() -> Iterator[str]:
    placed = {name for names in _SECTIONS.values() for name in names}
    rest = [name for name in keyfob.plugin.__all__ if name not in placed and not _is_error(_public(name))]
    for heading, names in _SECTIONS.items():
        yield f"\n## {heading}"
        for name in names or rest:
            yield from _described(name, _public(name))


def _public(name: str) -> Any:
    return getattr(keyfob.plugin, name)


def _is_error(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Exception)


def _described(name: str, thing: Any) -> Iterator[str]:
    yield f"\n### `{name}`\n"
    if not isinstance(thing, type):
        yield f"{_code(thing, name)}\n\n{_text(thing)}" if inspect.isfunction(thing) else _kind(thing)
        return
    yield _text(thing)
    if dataclasses.is_dataclass(thing):
        yield "\n" + _fenced("\n".join(f"{field.name}: {field.type}" for field in dataclasses.fields(thing)))
    for member, value in _members(thing):
        yield from _member(member, value)


def _kind(thing: object) -> str:
    """What is neither a class nor a function: the name of a type, or the marker of hooks."""
    return _line(type(thing)) if isinstance(thing, pluggy.HookimplMarker) else _fenced(_plain(str(thing)))


def _members(thing: type) -> Iterator[tuple[str, Any]]:
    """Its own, and those of bases that authors never see."""
    for base in thing.__mro__:
        if base is thing or base.__name__.startswith("_"):
            yield from ((name, value) for name, value in vars(base).items() if name[0] != "_" and _is_member(value))


def _is_member(value: object) -> bool:
    return inspect.isfunction(value) or isinstance(value, property | classmethod)


def _member(name: str, value: Any) -> Iterator[str]:
    function: Any = value.fget if isinstance(value, property) else inspect.unwrap(getattr(value, "__func__", value))
    if isinstance(value, property):
        shown = _fenced(f"{name}: {function.__annotations__.get('return', '')}")
    else:
        shown = _code(function, name)
    must = " Required." if is_required(value) else ""
    yield f"\n#### `{name}`\n\n{shown}\n\n{_text(function)}{must}"


def _code(function: Callable[..., Any], name: str) -> str:
    return _fenced(f"{name}{_signature(function)}")


def _signature(function: Callable[..., Any]) -> str:
    """As it is written, without `self`; annotations are text already."""
    signature = inspect.signature(function)
    own = [parameter for each, parameter in signature.parameters.items() if each not in ("self", "cls")]
    return _plain(str(signature.replace(parameters=own)))


def _plain(text: str) -> str:
    return text.replace("'", "").replace('"', "").replace("collections.abc.", "").replace("typing.", "")


def _fenced(text: str) -> str:
    return f"```text\n{text}\n```"


def _text(thing: object) -> str:
    return inspect.getdoc(thing) or ""


def _errors() -> Iterator[str]:
    yield "\n## Errors\n\nWhat a plugin may raise, and what it may meet. The codes are in [Errors](errors.md).\n"
    yield "| error | code | when |\n|---|---|---|"
    for name in keyfob.plugin.__all__:
        error = _public(name)
        if _is_error(error):
            code = f"`{error.code}`" if issubclass(error, KeyfobError) else ""
            yield f"| `{name}` | {code} | {_line(error)} |"


def _line(thing: object) -> str:
    return " ".join(_text(thing).split("\n\n")[0].split()).replace("|", "\\|")


def _oauth() -> Iterator[str]:
    yield "\n## OAuth\n\nFrom `keyfob.plugin.oauth`: what a plugin needs whose logins an OAuth server makes.\n"
    yield "| name | what it is |\n|---|---|"
    for name in keyfob.plugin.oauth.__all__:
        thing = getattr(keyfob.plugin.oauth, name)
        if callable(thing):
            yield f"| `{name}` | {_line(thing)} |"


def _rules() -> Iterator[str]:
    yield "\n## The rules of the contract\n"
    yield "A test class that derives from `keyfob.testing.contract.Contract` runs those that are about its plugin.\n"
    yield _text(contract.Contract).partition("\n\n")[2]
    yield from _table(contract.Contract)
    yield "\nOne that derives from `ShippedContract` runs those for a provider that is shipped.\n"
    yield _text(contract.ShippedContract).partition("\n\n")[2]
    yield from _table(contract.ShippedContract)


def _table(kit: type) -> Iterator[str]:
    yield "\n| rule | why |\n|---|---|"
    for rule, why in contract.rules(kit).items():
        yield f"| `{rule}` | {' '.join(why.split())} |"


if __name__ == "__main__":
    with open(PAGE, "w", encoding="utf-8") as out:
        out.write(page())
    sys.exit(0)
