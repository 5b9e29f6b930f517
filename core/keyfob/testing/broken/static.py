"""Plugins that ask no issuer, each with one fault."""

from __future__ import annotations

import contextlib
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ConfigDict

from keyfob.plugin import (
    AuthPlugin,
    Context,
    Credential,
    CredentialError,
    CredentialSource,
    MissingCredentialError,
    ProviderInfo,
    State,
    StaticAuth,
    Unsigned,
    hookimpl,
    illegal_part,
)
from keyfob.testing.broken.parts import HeldSource, Options, Signing, Static, value_of


class Unschemed(Options):
    """A callable has no JSON Schema."""

    now: Callable[[], float] = time.time


class NoSchema(StaticAuth[Unschemed]):
    key = "options-have-a-schema"

    def headers(self, options: Unschemed, context: Context) -> Mapping[str, str]:
        return {"X-Key": value_of(options, context)}


class Open(Options):
    """Whatever is misspelt is kept."""

    model_config = ConfigDict(extra="allow")


class KeepsSlips(StaticAuth[Open]):
    key = "misspelt-options-are-told"

    def headers(self, options: Open, context: Context) -> Mapping[str, str]:
        return {"X-Key": value_of(options, context)}


class OpensWithWork(Static):
    key = "open-does-no-io"

    def open(self, provider: ProviderInfo, options: Options, context: Context) -> CredentialSource:
        _work()
        return super().open(provider, options, context)


class RaisingSource(HeldSource):
    """Raises where it is only looked at."""

    def peek(self) -> Credential | None:
        return self.get()


class Raises(Static):
    key = "peek-does-no-io"

    def open(self, provider: ProviderInfo, options: Options, context: Context) -> CredentialSource:
        return RaisingSource(options, context)


class StateWithWork(Static):
    key = "state-tells-without-io"

    def state(self, provider: ProviderInfo, options: Options, context: Context) -> State:
        _work()
        return State(ready=True, summary="ready", comes_from="a program")


class ReadsOnce(Static):
    key = "environment-is-read-when-asked"

    def open(self, provider: ProviderInfo, options: Options, context: Context) -> CredentialSource:
        read = Context(dict(context.environ), context.clock)
        return super().open(provider, options, read)


class Unnamed(Static):
    key = "missing-variables-are-named"

    def headers(self, options: Options, context: Context) -> Mapping[str, str]:
        try:
            return super().headers(options, context)
        except MissingCredentialError:
            raise CredentialError("something is not set") from None


class TakesBlanks(Static):
    key = "blank-variables-are-refused"

    def headers(self, options: Options, context: Context) -> Mapping[str, str]:
        given = context.environ[options.key_env].strip()
        return super().headers(options, context) if given else {"X-Key": "anonymous"}


class NewEachTime(HeldSource):
    """Never returns the same object."""

    def get(self, *, rejected: Credential | None = None) -> Credential:
        return self.made()


class Forgets(Static):
    key = "unasked-it-keeps-what-it-has"

    def open(self, provider: ProviderInfo, options: Options, context: Context) -> CredentialSource:
        return NewEachTime(options, context)


class ToldSource(HeldSource):
    """Says what it holds."""

    def __repr__(self) -> str:
        return f"ToldSource({value_of(self._options, self._context)!r})"


class Tells(Static):
    key = "nothing-printed-shows-a-secret"

    def open(self, provider: ProviderInfo, options: Options, context: Context) -> CredentialSource:
        return ToldSource(options, context)


class PickledSource(HeldSource):
    """Can be pickled, with all that it holds."""

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, ([("key", value_of(self._options, self._context))],)


class Travels(Static):
    key = "nothing-pickled-holds-a-secret"

    def open(self, provider: ProviderInfo, options: Options, context: Context) -> CredentialSource:
        return PickledSource(options, context)


class Quotes(Static):
    key = "no-error-shows-a-secret"

    def headers(self, options: Options, context: Context) -> Mapping[str, str]:
        value = context.environ.get(options.key_env, "")
        if value and illegal_part(value):
            raise CredentialError(f"{value!r} is no key")
        return super().headers(options, context)


class Logs(Static):
    key = "no-log-shows-a-secret"

    def headers(self, options: Options, context: Context) -> Mapping[str, str]:
        found = super().headers(options, context)
        logging.getLogger(__name__).debug("sending %s", found)
        return found


class WrongHeader(Static):
    key = "requests-are-authenticated"

    def headers(self, options: Options, context: Context) -> Mapping[str, str]:
        return {"User-Agent": value_of(options, context)}


class PhonesHome(Static):
    key = "its-credential-goes-nowhere-else"

    def open(self, provider: ProviderInfo, options: Options, context: Context) -> CredentialSource:
        return TelltaleSource(options, context)


class TelltaleSource(HeldSource):
    """Tells somebody that it is used."""

    def get(self, *, rejected: Credential | None = None) -> Credential:
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.connect(("127.0.0.1", 9))
        return super().get(rejected=rejected)


class Cuts(Signing):
    key = "bodies-arrive-whole"

    def sign(self, request: Unsigned, key: Any, options: Options, context: Context) -> Mapping[str, str]:
        cut = {"Content-Length": "10"} if request.body else {}
        return {**super().sign(request, key, options, context), **cut}


class SignsWithWork(Signing):
    key = "sign-does-no-io"

    def signature(self, request: Unsigned, secret: bytes) -> str:
        _work()
        return super().signature(request, secret)


class SignsAnything(Signing):
    key = "signatures-are-of-their-request"

    def signature(self, request: Unsigned, secret: bytes) -> str:
        return super().signature(Unsigned("GET", "anything", {}, b""), secret)


def _work() -> None:
    subprocess.run([sys.executable, "-S", "-c", ""], check=False)


@hookimpl
def keyfob_auth_plugins() -> Sequence[AuthPlugin[Any]]:
    """One for each rule that is about such plugins."""
    kinds = (
        NoSchema, KeepsSlips, OpensWithWork, Raises, StateWithWork, ReadsOnce, Unnamed, TakesBlanks, Forgets, Tells,
        Travels, Quotes, Logs, WrongHeader, PhonesHome, Cuts, SignsWithWork, SignsAnything,
    )  # fmt: skip
    return [kind() for kind in kinds]
