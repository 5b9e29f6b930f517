"""Rules about the source: what it may do, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyfob.credentials.credential import Credential
from keyfob.errors import CredentialError, KeyfobError
from keyfob.plugin import State, Unsigned
from keyfob.testing.contract.rule import rule, see
from keyfob.testing.contract.watching import standing_still, watched

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyfob.credentials.source import CredentialSource
    from keyfob.providers import Provider
    from keyfob.testing.contract.trial import Trial


# Not all clocks can be made to stand still, but a second seldom ends twice.
_TRIES = 3


class Opening:
    """Opening a source is free, looking at it too; only `get` may take time."""

    @rule()
    def test_open_does_no_io(self, trial: Trial) -> None:
        """Whoever makes a client has asked for nothing yet."""
        provider = trial.provider()
        provider.options  # noqa: B018  # reading it is what imports and checks
        _idle(trial, "open()", lambda: provider.source)

    @rule()
    def test_peek_does_no_io(self, trial: Trial) -> None:
        """It is called for each request, in the event loop too: it never blocks and never raises."""
        for environ in (trial.environ, {}):
            source = own_source(trial.provider(environ))
            _idle(trial, "peek()", source.peek)
        source = own_source(trial.provider())
        source.get()
        held = _idle(trial, "peek() after get()", source.peek)
        see(held is None or isinstance(held, Credential), f"peek() returns a {type(held).__name__}")

    @rule()
    def test_state_tells_without_io(self, trial: Trial) -> None:
        """`keyfob providers` asks each plugin, and neither runs, asks nor unlocks anything."""
        for environ in (trial.environ, {}):
            provider = trial.provider(environ)
            provider.source  # noqa: B018  # opened before: that is another rule
            state = _idle(trial, "state()", provider.state)
            see(isinstance(state, State), f"state() returns a {type(state).__name__}")
            trial.check_none_shown(f"{state} {state.summary} {state.comes_from}", "state()")

    @rule("static")
    def test_environment_is_read_when_asked(self, trial: Trial) -> None:
        """A variable that is set anew counts from the next request on, in a program that runs for weeks."""
        environ = dict(trial.environ)
        provider = trial.provider(environ)
        before = sent(provider)
        environ.update({name: _other(environ[name]) for name in trial.private})
        why = "it was read when the source was opened, or not from context.environ"
        see(sent(provider) != before, f"a changed environment changes nothing: {why}")

    @rule("variables")
    def test_missing_variables_are_named(self, trial: Trial, optional: tuple[str, ...]) -> None:
        """Nothing is sent without what a credential is made of, and whoever reads the error knows what to set."""
        for name in trial.environ:
            if name not in optional:
                _check_missed(trial.provider(trial.without(name)), name)

    @rule("static")
    def test_blank_variables_are_refused(self, trial: Trial, optional: tuple[str, ...]) -> None:
        """A variable that was exported empty is no secret: what is made of it authenticates nobody."""
        for name in sorted({*trial.private} - {*optional}):
            _check_blank_is_none(trial.provider({**trial.environ, name: " "}), name)

    @rule()
    def test_unasked_it_keeps_what_it_has(self, trial: Trial) -> None:
        """Two requests are sent with one credential, the same object, for as long as nothing is known against it."""
        source = trial.provider().source
        see(source.get() is source.get(), "get() makes another credential each time")


def own_source(provider: Provider) -> CredentialSource:
    """The plugin's own, without what keyfob puts around it; of stored logins keyfob's."""
    plugin: Any = provider.loaded.plugin
    if not hasattr(plugin, "open"):
        return provider.source
    source: CredentialSource = plugin.open(provider.info, provider.options, provider.host.context)
    return source


def _idle(trial: Trial, what: str, call: Callable[[], Any]) -> Any:
    """What a call returns that may do nothing to the world; where logins are kept, keyfob itself may look."""
    asked = len(trial.issuer.asked)
    with watched() as seen:
        try:
            result = call()
        except KeyfobError:  # which says more
            raise
        except Exception as error:  # any plugin may raise anything
            raise AssertionError(f"{what} raises {type(error).__name__}") from error
    did = {event for event, (first, *_) in seen if event != "open" or not str(first).startswith(trial.folder)}
    see(not did, f"{what} does I/O: {', '.join(sorted(did))}")
    see(len(trial.issuer.asked) == asked, f"{what} asks the issuer")
    return result


def sent(provider: Provider) -> dict[str, str]:
    """The headers that a request gets now."""
    if provider.signing.signer is not None:
        return signature_of(provider, "https://trial.invalid/v1/models")
    return dict(provider.headers())


def _other(value: str) -> str:
    """Another value, in which addresses, numbers and codes stay what they are."""
    return next(other for other in (value.swapcase(), value[::-1], f"{value}1") if other != value)


def signature_of(provider: Provider, url: str, method: str = "GET", body: bytes = b"") -> dict[str, str]:
    """What a signing plugin puts on a request, at a moment that does not pass."""
    signer = provider.signing.signer
    if signer is None:
        raise AssertionError("open() returned no Signer")
    credential, request = provider.credential(), Unsigned(method, url, {"host": "trial.invalid"}, body)
    with standing_still():
        for _ in range(_TRIES):
            first, again = (dict(signer.sign(request, credential)) for _ in range(2))
            if first == again:
                return first
    raise AssertionError("one request gets two signatures though time and randomness stand still: nothing can be told")


def _check_missed(provider: Provider, name: str) -> None:
    try:
        provider.credential()
    except CredentialError as error:
        told = f"{error} {error.hint or ''}"
        see(name in told, f"without {name} the error does not name it: {type(error).__name__}: {error}")
    else:
        raise AssertionError(f"without {name} there is a credential all the same")


def _check_blank_is_none(provider: Provider, name: str) -> None:
    try:
        provider.credential()
    except CredentialError:
        return
    raise AssertionError(f"a blank {name} is taken for a secret")
