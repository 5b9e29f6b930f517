"""A rule of the contract: a test that says its name when a plugin breaks it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

from keyfob.errors import KeyfobError

if TYPE_CHECKING:
    from collections.abc import Callable

    About = Literal["any", "issuer", "variables", "static", "stored", "rotating", "signing"]
    """Which plugins a rule is for: all; those that ask an issuer; those that read variables, and of these those that
    ask no issuer; those that store logins, and of these those that renew them; those that sign."""

PREFIX: Final = "test_"


def rule(about: About = "any") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a test a rule. Whatever goes wrong in it is told as the breaking of that rule."""

    def decorated(test: Callable[..., None]) -> Callable[..., None]:
        name = name_of(test.__name__)

        @functools.wraps(test)
        def checked(*arguments: Any, **fixtures: Any) -> None:
            try:
                test(*arguments, **fixtures)
            except AssertionError as error:
                broken(name, str(error), error)
            except KeyfobError as error:
                hint = f" ({error.hint})" if error.hint else ""
                broken(name, f"{type(error).__name__}: {error}{hint}", error.__cause__ or error)
            except Exception as error:  # noqa: BLE001  # whatever a plugin or an HTTP library raises; its text is theirs
                broken(name, f"it ended in a {type(error).__name__}", error)

        vars(checked)["about"] = about
        return checked

    return decorated


def broken(name: str, why: str, cause: BaseException) -> NoReturn:
    """Fail, and say which rule and why."""
    raise AssertionError(f"rule {name}: {why}") from cause


def name_of(test: str) -> str:
    """The name of the rule that a test checks."""
    return test.removeprefix(PREFIX).replace("_", "-")


def see(true: object, why: str) -> None:
    """Fail unless it is true. (A plain `assert` says nothing in modules that pytest does not rewrite.)"""
    if not true:
        raise AssertionError(why)
