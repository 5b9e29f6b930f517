"""The contract kit: what every auth plugin has to do right, as tests that its author runs in three lines.

    from keyfob.testing.contract import Contract

    class TestPortkey(Contract):
        key = "portkey"
        options = {"key_env": "PORTKEY_KEY"}
        environ = {"PORTKEY_KEY": "a-secret"}

pytest runs one test for each rule; a plugin that breaks one fails with its name. Needs pytest. What ships providers
derives from ShippedContract.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from keyfob.errors import KeyfobError
from keyfob.testing.answers import Answer, Received
from keyfob.testing.contract.declaring import Declaring
from keyfob.testing.contract.issuer import Grant, NastyIssuer, rfc6749
from keyfob.testing.contract.issuing import Issuing
from keyfob.testing.contract.opening import Opening
from keyfob.testing.contract.rule import PREFIX, name_of
from keyfob.testing.contract.secrets import Secrets
from keyfob.testing.contract.sending import Sending, Signing
from keyfob.testing.contract.shipping import ShippedContract
from keyfob.testing.contract.storing import Storing
from keyfob.testing.contract.trial import Trial, host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

__all__ = ["Answer", "Contract", "Grant", "NastyIssuer", "Received", "ShippedContract", "rules"]


class Contract(Declaring, Opening, Secrets, Issuing, Sending, Signing, Storing):
    """Derive a test class from it, and say what a user would write.

    key: the config key; the plugin is loaded as it is installed. options: its table. environ: what its user exports;
    `optional` names those of it that may be missing, and `public` those that hold no secret.

    For a plugin that asks an issuer, `entry` or `environ` is a method that takes the issuer, which is on loopback, and
    returns what points the plugin at it. `speak` is the issuer's dialect, where that is not RFC 6749's.
    For a plugin that stores what it was granted, `login` returns what is stored for a grant, so that it expires in
    `grant.expires_in` seconds; that may be negative. lifetime: for how many seconds a token is good, where the issuer
    does not say it; `float("inf")` where a 401 alone ends it.

    entry: the keys of the whole entry, where the options are not all. module: where the plugin is, if no distribution
    declares it; `declares` then are the keys that one would, by default `key` alone. secrets: those that the entry
    itself holds.
    """

    key: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}
    environ: Any = {}  # noqa: RUF012  # a mapping, or a method (self, issuer) that returns one
    optional: ClassVar[tuple[str, ...]] = ()
    entry: Any = None  # as environ
    module: ClassVar[str | None] = None
    declares: ClassVar[tuple[str, ...]] = ()
    secrets: ClassVar[tuple[str, ...]] = ()
    public: ClassVar[tuple[str, ...]] = ()
    login: Any = None  # a method (self, issuer, grant) that returns a mapping
    lifetime: ClassVar[float | None] = None

    _left_out: ClassVar[frozenset[str]] = frozenset()

    def speak(self, issuer: NastyIssuer, asked: Received) -> Answer:
        """What the issuer answers to a request. It calls `issuer.grant()` where it gives a token."""
        return rfc6749(issuer, asked)

    def __init_subclass__(cls) -> None:
        """Leave out the rules that are not about such a plugin: pytest does not collect what is None."""
        super().__init_subclass__()
        inherited, about = cls._left_out, _about(cls)
        cls._left_out = frozenset(name for name, test in _tests().items() if vars(test)["about"] not in about)
        for name, test in _tests().items():
            if name in cls._left_out:
                setattr(cls, name, None)
            elif name in inherited:
                setattr(cls, name, test)

    @pytest.fixture
    def trial(self, tmp_path: Path) -> Iterator[Trial]:
        """What the rules work with."""
        with NastyIssuer(self.speak) as issuer:
            yield Trial(
                str(tmp_path),
                self.key,
                issuer=issuer,
                entry=_given(self.entry, issuer) or {self.key: dict(self.options)},
                environ=_given(self.environ, issuer),
                module=self.module,
                declares=self.declares,
                secrets=self.secrets,
                public=self.public,
                login=self.login if _plugin(type(self)) else None,  # else there is nowhere to store one, which is told
                lifetime=self.lifetime,
            )

    @pytest.fixture(name="optional")
    def _optional(self) -> tuple[str, ...]:
        return self.optional


def _about(cls: type[Contract]) -> set[str]:
    """What rules it is subject to: `About`, as far as this class and its plugin say."""
    asks = callable(cls.entry) or callable(cls.environ)
    plugin = _plugin(cls)
    if plugin is None:
        return {"key"}
    held = {
        "key": True,
        "any": True,
        "issuer": asks,
        "variables": bool(cls.environ),
        "static": bool(cls.environ) and not asks,
        "stored": hasattr(plugin, "records"),
        "rotating": cls.login is not None,
        "signing": hasattr(plugin, "sign"),
    }
    return {about for about, holds in held.items() if holds}


def _plugin(cls: type[Contract]) -> object:
    """The plugin; None where there is none yet, or it cannot be loaded: the one rule that is left then says why."""
    if not hasattr(cls, "key"):
        return None
    try:
        return host_of("", {}, {}, cls.module, cls.declares or (cls.key,)).plugins.load(cls.key).plugin
    except KeyfobError:
        return None


def _given(what: Any, issuer: NastyIssuer) -> Any:
    return what(issuer) if callable(what) else what


def _tests(kit: type = Contract) -> dict[str, Callable[..., None]]:
    return {name: getattr(kit, name) for name in dir(kit) if name.startswith(PREFIX)}


def rules(kit: type = Contract) -> dict[str, str]:
    """Every rule of the kit, for auth plugins or for what is shipped, and what it says."""
    return {name_of(name): (test.__doc__ or "").strip() for name, test in _tests(kit).items()}
