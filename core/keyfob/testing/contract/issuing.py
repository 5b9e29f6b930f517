"""Rules about the issuer: how often it is asked, and what comes of each of its bad days."""

from __future__ import annotations

import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio

from keyfob import httpx as clients
from keyfob.credentials.credential import Credential
from keyfob.errors import CredentialError, KeyfobError
from keyfob.testing.answers import Answer
from keyfob.testing.contract.damage import DAMAGE, damaged, document_of, fields_of
from keyfob.testing.contract.rule import rule, see
from keyfob.testing.model_server import ModelServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keyfob.providers import Provider
    from keyfob.testing.contract.trial import Trial

_AT_ONCE: Final = 8
_PAGE: Final = "<!doctype html><title>Sign in</title><p>Your session has ended: canary-of-the-page"
_UNSAID: Final = " (where the issuer does not say, `lifetime` of the test does)"
_ODD: Final[tuple[Any, ...]] = ("3600", "soon", 0, -5, 1e18, None, True, [])


class Issuing:
    """An issuer is asked once, believed in nothing, and waited for by nobody who has what he needs."""

    @rule("issuer")
    def test_asked_once(self, trial: Trial) -> None:
        """However many threads need a credential at the same moment."""
        trial.sets_out()
        trial.issuer.delay = 0.05
        before, provider = len(trial.issuer.grants), trial.provider()
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            for each in [threads.submit(provider.credential) for _ in range(_AT_ONCE)]:
                each.exception()
        with contextlib.suppress(CredentialError):
            provider.credential()
        given = len(trial.issuer.grants) - before
        see(given <= 1, f"{_AT_ONCE} threads had the issuer give {given} credentials")

    @rule("issuer")
    def test_any_thread_may_ask(self, trial: Trial) -> None:
        """Programs have many, and a source belongs to none of them; nor does a task that is cancelled harm another."""
        trial.sets_out()
        trial.issuer.delay = 0.3
        with ModelServer() as models:
            provider = trial.at(models)
            provider.source  # noqa: B018  # opened in this one
            anyio.run(_cancelled_and_asked_again, provider)
            see(models.received, "the request after a cancelled one was not sent")
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            got = [threads.submit(provider.source.get) for _ in range(_AT_ONCE)]
        see(all(each.result() for each in got), "a thread got no credential")

    @rule("issuer")
    def test_401_brings_another_and_403_none(self, trial: Trial) -> None:
        """401 says that the credential is not accepted (RFC 9110, section 15.5.2); 403 says that nothing will help."""
        trial.sets_out(expired=False)
        with ModelServer(answers={"models": [200, 403, 401, 200]}) as models:
            with clients.Client(trial.at(models)) as client:
                client.get("models")
                trial.later(trial.middle_of_life)  # what has only just been issued is not renewed for a 401
                before = len(trial.issuer.grants)
                client.get("models")
                see(len(trial.issuer.grants) == before, "after a 403 the issuer was asked for another credential")
                client.get("models")
            see(len(trial.issuer.grants) > before, "after a 401 the issuer was not asked for another credential")
            old, new = (dict(request.headers) for request in models.received[-2:])
            see(old != new, "after a 401 the request was replayed with what had just been refused")

    @rule("issuer")
    def test_expiry_is_in_epoch_seconds(self, trial: Trial) -> None:
        """Not in seconds from now, not in milliseconds, and not in this machine's time zone."""
        trial.sets_out()
        with _far_from_greenwich():
            expires_at = trial.provider().credential().expires_at
        if expires_at is None:
            see(trial.lifetime, f"the issuer says that the token is good for an hour; expires_at is None{_UNSAID}")
            return
        life, away = trial.lifetime or 3600.0, expires_at - time.time()
        told = f"a token that is good for {life:.0f} s is said to be good for {away:.0f} s{_UNSAID}"
        see(0.8 * life < away <= 1.03 * life, told)

    @rule("issuer")
    def test_odd_lifetimes_break_nothing(self, trial: Trial) -> None:
        """Issuers write them as text, leave them out, or get them wrong."""
        for odd in _ODD:
            trial.sets_out()
            trial.issuer.expires_in = odd
            _credential_or_error(trial.provider(), f"expires_in = {odd!r}")

    @rule("issuer")
    def test_odd_answers_break_nothing(self, trial: Trial) -> None:
        """A field of the answer can be missing, empty, or something else: an error then, and not from then on."""
        sound = fields_of(_spoken(trial))
        tokens = [given.token for given in trial.issuer.grants]
        for place, value in sound:
            for how, odd in DAMAGE.items():
                what = f"an answer whose {'.'.join(place)} {how}"
                got = _after(trial, partial(damaged, place=place, value=odd), what)
                see(got is None or value not in tokens, f"{what} is taken for a credential")

    @rule("issuer")
    def test_a_page_is_no_token(self, trial: Trial) -> None:
        """A login page with status 200 is what a proxy answers when a session has ended."""
        text = _refused(trial, Answer(200, {"Content-Type": "text/html"}, _PAGE), "a page of HTML with status 200")
        see("canary-of-the-page" not in text, "the error repeats what the issuer sent")

    @rule("issuer")
    def test_a_refusal_is_told(self, trial: Trial) -> None:
        """As an error of a credential, which callers know."""
        _refused(trial, Answer(400, body={"error": "invalid_grant"}), "the error invalid_grant")
        _refused(trial, Answer(503, body=_PAGE), "a 503")

    @rule("issuer")
    def test_it_recovers_from_a_connection_that_died(self, trial: Trial) -> None:
        """The request was received, the answer was not: an error, and the next one is asked again."""
        trial.sets_out()
        trial.issuer.instead = [Answer(close=True)]
        provider = trial.provider()
        with contextlib.suppress(CredentialError):
            provider.credential()
        trial.later(3600)  # and not at once
        see(isinstance(provider.credential(), Credential), "after a connection that died there is no credential")

    @rule("issuer")
    def test_the_issuer_is_not_followed_elsewhere(self, trial: Trial) -> None:
        """A redirect of the token endpoint would take the secret along (RFC 9700, section 4.12)."""
        trial.sets_out()
        with ModelServer() as elsewhere:
            trial.issuer.instead = [Answer(307, {"Location": f"{elsewhere.origin}/token"})] * 4
            with contextlib.suppress(CredentialError):
                trial.provider().credential()
            see(not elsewhere.received, "what was meant for the issuer went where the issuer's redirect led")
        trial.issuer.instead = []


async def _cancelled_and_asked_again(provider: Provider) -> None:
    async with clients.AsyncClient(provider) as client:
        with anyio.move_on_after(0.1):
            await client.get("models")
        await client.get("models")


def _refused(trial: Trial, answer: Answer, what: str) -> str:
    """What is raised where the issuer answers so and nothing else."""
    trial.sets_out()
    trial.issuer.instead = [answer] * 8
    try:
        trial.provider().credential()
    except CredentialError as error:
        return f"{error} {error.hint}"
    finally:
        trial.issuer.instead = []
    raise AssertionError(f"{what} of the issuer is taken for a credential")


def _spoken(trial: Trial) -> dict[str, Any]:
    """What the issuer answers where all is well."""
    answers: list[Answer] = []

    def heard(answer: Answer) -> Answer:
        answers.append(answer)
        return answer

    trial.sets_out()
    trial.issuer.instead = [heard]
    with contextlib.suppress(CredentialError):
        trial.provider().credential()
    return document_of(answers[0]) if answers else {}


def _after(trial: Trial, damage: Callable[[Answer], Answer], what: str) -> Credential | None:
    """The credential that comes of a damaged answer; None where none does, and the next answer brings one."""
    trial.sets_out()
    trial.issuer.instead = [damage]
    provider = trial.provider()
    got = _credential_or_error(provider, what)
    trial.issuer.instead = []
    if got is None:
        trial.later(3600)  # and not at once
    see(_credential_or_error(provider, what), f"after {what} there is no credential any more")
    return got


def _credential_or_error(provider: Provider, what: str) -> Credential | None:
    try:
        return provider.credential()
    except CredentialError:
        return None
    except KeyfobError as error:
        raise AssertionError(f"{what} breaks it: {error}") from error


@contextlib.contextmanager
def _far_from_greenwich() -> Iterator[None]:
    """Half a day's difference between this machine's time of day and that of others, where the system has that."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Pacific/Kiritimati"
    if hasattr(time, "tzset"):
        time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        if hasattr(time, "tzset"):
            time.tzset()
