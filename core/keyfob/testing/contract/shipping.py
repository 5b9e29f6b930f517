"""Rules about a provider that a distribution ships: an entry that nobody wrote, and that many will use unread."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, ClassVar, Final, cast

import pytest

from keyfob.config.configuration import sounds_secret
from keyfob.errors import ConfigError, CredentialError, KeyfobError, NotSignedInError
from keyfob.lazy import lazy
from keyfob.plugin import UnreachableError, fault_of
from keyfob.testing.contract.declaring import Declaring
from keyfob.testing.contract.rule import rule, see
from keyfob.testing.contract.trial import host_of
from keyfob.testing.hosts import GivenHost

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from keyfob.plugin import Answer, Exchange
    from keyfob.providers import Provider

_GROUP: Final = "keyfob.providers"


class Offline(GivenHost):
    """A host that asks no issuer: a shipped one is real, and what a test exports is no secret of it.

    asked: whether it would have.
    """

    asked = False

    def _send(self, exchange: Exchange) -> Answer:
        self.asked = True
        raise UnreachableError("the contract kit asks no issuer")


class Shipped:
    """What the rules work with: the provider, of hosts that know nothing but the distribution and an environment."""

    def __init__(self, folder: str, provider: str, environ: Mapping[str, str], module: str | None) -> None:
        self.folder, self.id, self.environ, self._module = folder, provider, environ, module

    def provider(self, environ: Mapping[str, str] | None = None) -> Provider:
        """The provider, for whoever has exported that, by default all that it takes, and has configured nothing."""
        return self.host(environ).provider(self.id)

    def host(self, environ: Mapping[str, str] | None = None) -> Offline:
        """Its host."""
        environ = self.environ if environ is None else environ
        data = {"cli_auth_credentials_store": "file"}
        return cast("Offline", host_of(self.folder, data, environ, self._module, (self.id,), _GROUP, kind=Offline))

    @lazy
    def loaded_from(self) -> str:
        """The module with the entry."""
        declaration = self.provider().host.plugins.declared(_GROUP, self.id)
        if declaration is None:
            raise AssertionError(f"no installed distribution declares `{self.id}` in the group {_GROUP}")
        return declaration.module

    @property
    def undeclared(self) -> list[str]:
        """The ids of its module's other entries that nobody could use; of a module that is given none is asked for."""
        if self._module is not None:
            return []
        plugins = self.provider().host.plugins
        entries = importlib.import_module(self.loaded_from).keyfob_providers()
        return [each for each in entries if plugins.declared(_GROUP, each) is None]


class ShippedContract:
    """Derive a test class from it for each provider that is shipped.

    provider: its id, the entry point's name. environ: what its user exports; leave it out where nothing is needed.
    module: where the entry is, if no distribution declares it.
    """

    provider: ClassVar[str]
    environ: ClassVar[Mapping[str, str]] = {}
    module: ClassVar[str | None] = None

    @pytest.fixture
    def trial(self, tmp_path: Path) -> Shipped:
        """What the rules work with."""
        return Shipped(str(tmp_path), self.provider, self.environ, self.module)

    @rule()
    def test_shipped(self, trial: Shipped) -> None:
        """One distribution declares the id and all others of its module, whose entry says where requests go."""
        see(trial.loaded_from, "it is in no module")
        see(not trial.undeclared, f"its module ships {', '.join(trial.undeclared)} too, which nobody declares")
        see(trial.provider().base_url, "its entry says not where requests go")
        see(trial.provider().loaded, "nothing authenticates it")

    test_import_is_light = Declaring.test_import_is_light
    test_import_is_silent = Declaring.test_import_is_silent

    @rule()
    def test_every_key_is_known(self, trial: Shipped) -> None:
        """A slip in it would be a warning to each of its users, who could do nothing about it."""
        told = [str(fault) for fault in trial.provider().entry.warnings]
        see(not told, "; ".join(told))

    @rule()
    def test_it_goes_encrypted(self, trial: Shipped) -> None:
        """Beyond this machine; whether that may be otherwise is for the user to say."""
        fields = trial.provider().entry.fields
        fault = fault_of(fields.base_url) if fields.base_url else None
        see(fault is None, f"its base URL {fault}")
        see(not fields.allow_http, "its entry allows plain http")

    @rule()
    def test_it_ships_no_secret(self, trial: Shipped) -> None:
        """Whoever can install the distribution can read it."""
        fields = trial.provider().entry.fields
        see(fields.experimental_bearer_token is None, "its entry has a token")
        names = filter(sounds_secret, (*fields.http_headers, *fields.query_params))
        shipped = ", ".join(sorted(name.lower() for name in names))
        see(not shipped, f"its entry has the value of what sounds like a secret: {shipped}")

    @rule()
    def test_it_is_ready_with_what_it_takes(self, trial: Shipped) -> None:
        """With all that its user exports, and without any configuration; an issuer is not asked."""
        host = trial.host()
        try:
            host.provider(trial.id).source.get()
        except (NotSignedInError, ConfigError):  # the one says what to do, the other breaks `shipped`
            return
        except KeyfobError:
            if not host.asked:
                raise

    @rule()
    def test_what_is_missing_is_named(self, trial: Shipped) -> None:
        """Nothing is sent without it, and whoever reads the error knows what to set."""
        for name in trial.environ:
            without = {key: value for key, value in trial.environ.items() if key != name}
            try:
                trial.provider(without).source.get()
            except ConfigError:
                continue
            except CredentialError as error:
                see(name in str(error), f"without {name} the error does not name it: {error}")
            else:
                raise AssertionError(f"without {name} a request is sent all the same")
