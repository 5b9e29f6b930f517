"""Rules about requests: what arrives, where, and what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keyfob import httpx as clients
from keyfob.testing.answers import Answer
from keyfob.testing.contract.opening import signature_of
from keyfob.testing.contract.rule import rule, see
from keyfob.testing.contract.watching import places, watched
from keyfob.testing.model_server import ModelServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyfob.testing.answers import Received
    from keyfob.testing.contract.trial import Trial

_BODY: Final = b'{"input": "' + b"0123456789" * 1000 + b'"}'
# What an HTTP client sends of its own.
_CLIENTS: Final = {"host", "accept", "accept-encoding", "connection", "user-agent", "content-length", "content-type"}


# Requests that each differ in one thing from a POST of `{}` to …/models?a=1.
_REQUESTS: Final = {
    "path": ("https://trial.invalid/v1/files?a=1", "POST", b"{}"),
    "query": ("https://trial.invalid/v1/models?a=2", "POST", b"{}"),
    "method": ("https://trial.invalid/v1/models?a=1", "PUT", b"{}"),
    "body": ("https://trial.invalid/v1/models?a=1", "POST", b"[]"),
}


class Sending:
    """A request is authenticated, arrives as it was sent, and its credential goes nowhere else."""

    @rule()
    def test_requests_are_authenticated(self, trial: Trial) -> None:
        """Headers arrive that are not the HTTP client's own, and where they are known, as they are known."""
        with ModelServer() as models, clients.Client(trial.at(models)) as client:
            client.get("models")
            (received,) = models.received
        own = {name.lower() for name, _ in received.headers} - _CLIENTS
        see(own, "the request arrives without a header that would authenticate it")

    @rule()
    def test_bodies_arrive_whole(self, trial: Trial) -> None:
        """As bytes, which are replayed after a 401, and from a generator, which cannot be."""
        with ModelServer(answers={"responses": [401, 200]}) as models:
            with clients.Client(trial.at(models)) as client:
                client.post("responses", content=_BODY)
                client.post("responses", content=_pieces())
            for received in models.received:
                see(received.body == _BODY, f"a body of {len(_BODY)} bytes arrives as one of {len(received.body)}")

    @rule()
    def test_its_credential_goes_nowhere_else(self, trial: Trial) -> None:
        """A redirect of the model server takes nothing along, nobody is spoken to but it and the issuer, and no
        variable holds it, which every program would inherit."""
        with ModelServer() as elsewhere, watched() as seen:
            away = Answer(307, {"Location": f"{elsewhere.origin}/v1/models"})
            with ModelServer(answers={"models": [away]}) as models:
                provider = trial.at(models)
                with clients.Client(provider, follow_redirects=True) as client:
                    client.get("models")
                _check_nothing_came_along(trial, models.received[0], elsewhere.received[0])
            known = {server.split("//")[1] for server in (models.origin, elsewhere.origin, trial.issuer.url)}
        variables = " ".join(f"{arguments[1]}" for event, arguments in seen if event == "os.putenv")
        trial.check_none_shown(variables, "a variable of the environment that it sets")
        strangers = places(seen) - known - trial.issuer.also
        see(not strangers, f"it speaks to {', '.join(sorted(strangers))}")


class Signing:
    """The headers of a signing plugin are made of the request, and of nothing that takes time."""

    @rule("signing")
    def test_sign_does_no_io(self, trial: Trial) -> None:
        """It is called in the event loop; what takes time belongs into `signing_key`, or `get`."""
        signature_of(trial.provider(), "https://trial.invalid/v1/models")
        provider = trial.provider()
        provider.credential()
        with watched() as seen:
            signature_of(provider, "https://trial.invalid/v1/models")
        see(not seen, f"sign() does I/O: {', '.join(sorted({event for event, _ in seen}))}")

    @rule("signing")
    def test_signatures_are_of_their_request(self, trial: Trial) -> None:
        """One that fits two requests lets whoever sees it send another."""
        provider = trial.provider()
        for part, (url, method, body) in _REQUESTS.items():
            signed = signature_of(provider, "https://trial.invalid/v1/models?a=1", "POST", b"{}")
            other = signature_of(provider, url, method, body)
            see(signed != other, f"two requests that differ in their {part} get the same signature")


def _pieces() -> Iterator[bytes]:
    for at in range(0, len(_BODY), 1000):
        yield _BODY[at : at + 1000]


def _check_nothing_came_along(trial: Trial, there: Received, elsewhere: Received) -> None:
    own: dict[str, Any] = {name.lower(): value for name, value in there.headers if name.lower() not in _CLIENTS}
    along = [name for name, value in elsewhere.headers if own.get(name.lower()) == value]
    see(not along, f"a redirect to another origin takes {', '.join(along)} along")
    trial.check_none_shown(repr(elsewhere.headers) + elsewhere.query, "what a redirect to another origin takes")
