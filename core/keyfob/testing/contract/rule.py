"""A rule of the contract: a test that says its name when a plugin breaks it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, Literal

from keyfob.errors import KeyfobError
from keyfob.routing.isolation import untold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    About = Literal["key", "any", "issuer", "variables", "static", "stored", "rotating", "signing"]
    """Which plugins a rule is for: every key; any plugin that can be loaded; those that ask an issuer; those that read
    variables, and of these those that ask no issuer; those that store logins, and of these those that renew them; those
    that sign."""

PREFIX: Final = "test_"


def rule(about: About = "any") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a test a rule. Whatever goes wrong in it is told as the breaking of that rule."""

    def decorated(test: Callable[..., None]) -> Callable[..., None]:
        name = name_of(test.__name__)

        @functools.wraps(test)
        def checked(*arguments: Any, **fixtures: Any) -> None:
            try:
                test(*arguments, **fixtures)
            except Exception as error:  # whatever a plugin or an HTTP library raises
                raise AssertionError(f"rule {name}: {_slip(fixtures) or _why(error)}") from error
            see(not _slip(fixtures), f"rule {name}: {_slip(fixtures)}")

        vars(checked)["about"] = about
        return checked

    return decorated


def _slip(fixtures: Mapping[str, Any]) -> str:
    """What is wrong with the test itself: then nothing that it found is the plugin's fault."""
    issuer = getattr(fixtures.get("trial"), "issuer", None)
    return issuer.fault if issuer is not None else ""


def _why(error: Exception) -> str:
    if isinstance(error, KeyfobError):
        return f"{type(error).__name__}: {error}" + (f" ({error.hint})" if error.hint else "")
    if isinstance(error, AssertionError):
        return str(error)
    return f"it broke: {untold(error)}"


def name_of(test: str) -> str:
    """The name of the rule that a test checks."""
    return test.removeprefix(PREFIX).replace("_", "-")


def see(true: object, why: str) -> None:
    """Fail unless it is true. (A plain `assert` says nothing in modules that pytest does not rewrite.)"""
    if not true:
        raise AssertionError(why)
