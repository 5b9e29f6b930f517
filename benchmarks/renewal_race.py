"""Eight processes with eight threads each, one expired login, and an issuer that revokes what is presented twice.

Each thread sends one request; each process has one client, as its own documentation shows it, for a login that all
have read. Counted are the calls at the issuer, the spent tokens among what it was presented, and the requests that did
not get a good token; measured is the time from the issuer's first answer until the last request is done.
"""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import tempfile
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import measuring
from homes import BASE_URL, make_home, write_login
from measuring import Row

import keyfob.httpx
from keyfob import Host
from keyfob.config.places import Places
from keyfob.testing.issuer import Issuer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from multiprocessing.connection import Connection

    Send = Callable[[], bool]
    Make = Callable[["Login"], Send]
    Clients = Mapping[str, Make]

PROCESSES, THREADS = 8, 8
WORK = f"one expired login, {PROCESSES} processes x {THREADS} threads"
URL = f"{BASE_URL}/responses"
CLIENT = "client"
# Seconds that the issuer takes: by then all of them have come to wait.
DELAY = 0.3
_GOAL_MS = 50.0
_FORK = multiprocessing.get_context("fork")


class Login(NamedTuple):
    """What a process is given: the folder of the stored login, the login itself, and the issuer's token endpoint."""

    folder: str
    access_token: str
    refresh_token: str
    url: str

    @property
    def grant(self) -> dict[str, str]:
        """The request that renews it (RFC 6749, section 6)."""
        return {"grant_type": "refresh_token", "refresh_token": self.refresh_token, "client_id": CLIENT}


class TimedIssuer(Issuer):
    """Remembers when it gave out tokens: by the clock that all processes share."""

    def __init__(self) -> None:
        super().__init__(delay=DELAY, reuse="revoke")
        self.answered: list[float] = []

    def renewed(self, fields: dict[str, Any]) -> tuple[int, Any]:
        """See Issuer."""
        status, body = super().renewed(fields)
        if status == 200:
            self.answered.append(time.monotonic())
        return status, body


class Round(NamedTuple):
    """What came of one: milliseconds to the last request's end, and the counts."""

    took: float
    calls: int
    spent: int
    failed: int


def good(authorization: str | None) -> bool:
    """What the provider thinks of a request: a token that has not expired. None is in the way but this process."""
    if authorization is None:
        return False
    claims = authorization.split(".")[1]
    return bool(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"] > time.time())


# The clients. Each function is given a login, and returns what sends one request.


def of_keyfob(login: Login) -> Send:
    """keyfob's client for httpx, on the login in auth.json."""
    import httpx

    environ = {"CODEX_REFRESH_TOKEN_URL_OVERRIDE": login.url}
    places = Places(os.path.join(login.folder, "codex"), system=login.folder, cache=os.path.join(login.folder, "cache"))
    client = keyfob.httpx.Client("lab", host=Host(environ, places=places), transport=_transport(httpx))
    return lambda: client.post("responses", json={}).status_code == 200


def of_authlib(login: Login) -> Send:
    """authlib's OAuth2Client, which renews by itself before a request."""
    import httpx2
    from authlib.integrations.httpx_client import OAuth2Client

    client = OAuth2Client(
        CLIENT,
        token={"access_token": login.access_token, "refresh_token": login.refresh_token, "expires_at": 1},
        token_endpoint=login.url,
        update_token=lambda *_, **__: None,
        token_endpoint_auth_method="none",
        mounts={BASE_URL.partition("/v1")[0]: _transport(httpx2)},
    )
    return lambda: client.post(URL, json={}).status_code == 200


def of_google(login: Login) -> Send:
    """google-auth's AuthorizedSession."""
    import datetime

    import requests
    from google.auth.transport.requests import AuthorizedSession
    from google.oauth2.credentials import Credentials

    class Adapter(requests.adapters.BaseAdapter):
        def send(self, request: Any, **_: Any) -> requests.Response:
            answer = requests.Response()
            answer.status_code, answer._content = (200 if good(request.headers.get("authorization")) else 401), b""
            return answer

        def close(self) -> None: ...

    session = AuthorizedSession(
        Credentials(
            login.access_token,
            refresh_token=login.refresh_token,
            token_uri=login.url,
            client_id=CLIENT,
            client_secret="none",
            expiry=datetime.datetime(2026, 1, 1),  # noqa: DTZ001  # it wants UTC without saying so
        )
    )
    session.mount("https://", Adapter())
    return lambda: session.post(URL, json={}).status_code == 200


def of_azure(login: Login) -> Send:
    """azure-core's BearerTokenCredentialPolicy, on a credential that does what its protocol says and no more."""
    import requests
    from azure.core.credentials import AccessToken
    from azure.core.pipeline import Pipeline
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy
    from azure.core.pipeline.transport import HttpTransport
    from azure.core.rest import HttpRequest

    class Credential:
        current = login

        def get_token(self, *_: str, **__: Any) -> AccessToken:
            answer = requests.post(login.url, data=self.current.grant, timeout=60)
            answer.raise_for_status()
            new = answer.json()
            self.current = self.current._replace(refresh_token=new["refresh_token"])
            return AccessToken(new["access_token"], int(time.time()) + new["expires_in"])

    class Answer:
        def __init__(self, request: Any) -> None:
            self.status_code = 200 if good(request.headers.get("Authorization")) else 401
            self.headers: dict[str, str] = {}

    class Transport(HttpTransport):
        def send(self, request: Any, **_: Any) -> Any:
            return Answer(request)

        def open(self) -> None: ...

        def close(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

    pipeline = Pipeline(Transport(), [BearerTokenCredentialPolicy(Credential(), "scope")])
    return lambda: pipeline.run(HttpRequest("POST", URL)).http_response.status_code == 200


def of_httpx_auth(login: Login) -> Send:
    """httpx-auth, its tokens in a file that all processes share."""
    import httpx
    from httpx_auth import JsonTokenFileCache, OAuth2, OAuth2ResourceOwnerPasswordCredentials

    auth = OAuth2ResourceOwnerPasswordCredentials(login.url, username="nobody", password="none")
    file = os.path.join(login.folder, "httpx-auth.json")
    if not os.path.exists(file):
        with open(f"{file}.{os.getpid()}", "w", encoding="utf-8") as new:
            json.dump({auth.state: [login.access_token, 1, login.refresh_token]}, new)
        os.rename(new.name, file)
    OAuth2.token_cache = JsonTokenFileCache(file)
    client = httpx.Client(auth=auth, transport=_transport(httpx))
    return lambda: client.post(URL, json={}).status_code == 200


def _transport(library: Any) -> Any:
    return library.MockTransport(
        lambda request: library.Response(200 if good(request.headers.get("authorization")) else 401)
    )


def _clients() -> Clients:
    """Those that are installed, by their names in the table."""
    found: dict[str, Make] = {"keyfob Client": of_keyfob}
    if version := measuring.version("authlib", "httpx2"):
        found[f"authlib {version}: OAuth2Client"] = of_authlib
    if version := measuring.version("google-auth", "requests"):
        found[f"google-auth {version}: AuthorizedSession"] = of_google
    if version := measuring.version("azure-core", "requests"):
        found[f"azure-core {version}: BearerTokenCredentialPolicy"] = of_azure
    if version := measuring.version("httpx-auth"):
        found[f"httpx-auth {version}: JsonTokenFileCache"] = of_httpx_auth
    return found


# The race.


class Racer:
    """A process of its own: makes a client when told, and then, all at once, sends a request with each thread."""

    def __init__(self, clients: Clients) -> None:
        self.connection, theirs = _FORK.Pipe()
        self._process = _FORK.Process(target=race, args=(clients, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def end(self) -> None:
        """End it."""
        self.connection.send(None)
        self._process.join()


def race(clients: Clients, connection: Connection) -> None:
    """What a Racer does: given a client's name and a login, answer when ready; told to go, with what came of it."""
    while (task := connection.recv()) is not None:
        name, login = task
        try:
            send = clients[name](login)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is told where it is waited for
            connection.send(measuring.UnexpectedError(f"no client: {error}"))
            continue
        connection.send(None)
        connection.recv()
        ends: list[tuple[float, bool]] = []
        start = threading.Barrier(THREADS)
        threads = [threading.Thread(target=_run, args=(send, start, ends)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        connection.send(ends)


def _run(send: Send, start: threading.Barrier, ends: list[tuple[float, bool]]) -> None:
    start.wait()
    try:
        sent = send()
    except Exception:  # noqa: BLE001  # what a peer raises is its own; here it is a request that failed
        sent = False
    ends.append((time.monotonic(), sent))


def one_round(racers: list[Racer], name: str) -> Round:
    """One client's race, at an issuer of its own."""
    with TimedIssuer() as issuer, tempfile.TemporaryDirectory() as folder:
        home = make_home(folder, 1, "requires_openai_auth = true")
        tokens = write_login(home, issuer.login(expires_in=-60))["tokens"]
        url = issuer.environ["CODEX_REFRESH_TOKEN_URL_OVERRIDE"]
        login = Login(folder, tokens["access_token"], tokens["refresh_token"], url)
        _tell(racers, (name, login))
        _hear(racers)
        _tell(racers, "go")
        ends = [end for ends in _hear(racers) for end in ends]
        return Round(
            took=(max(at for at, _ in ends) - issuer.answered[0]) * 1000,
            calls=len(issuer.presented),
            spent=_spent(issuer),
            failed=sum(not sent for _, sent in ends),
        )


def _spent(issuer: Issuer) -> int:
    """How often the issuer was presented a token that it had been presented before."""
    times = Counter(each.fields["refresh_token"] for each in issuer.presented if "refresh_token" in each.fields)
    return sum(count - 1 for count in times.values())


def _tell(racers: list[Racer], what: object) -> None:
    for racer in racers:
        racer.connection.send(what)


def _hear(racers: list[Racer]) -> list[Any]:
    heard = [racer.connection.recv() for racer in racers]
    for each in heard:
        if isinstance(each, measuring.UnexpectedError):
            raise each
    return heard


def measure(rounds: int) -> Iterator[Row]:
    """The rows of the table."""
    clients = _clients()
    found: dict[str, list[Round]] = {name: [] for name in clients}
    racers = [Racer(clients) for _ in range(PROCESSES)]

    def variant(name: str) -> Callable[[], float]:
        def run() -> float:
            found[name].append(one_round(racers, name))
            return found[name][-1].took

        return run

    taken = measuring.interleaved({name: variant(name) for name in clients}, rounds)
    for racer in racers:
        racer.end()
    for name, figures in taken.items():
        yield _row(name, figures, found[name][1:])


def _row(name: str, figures: list[float], rounds: list[Round]) -> Row:
    calls, spent = (sum(getattr(each, what) for each in rounds) / len(rounds) for what in ("calls", "spent"))
    failed = sum(each.failed for each in rounds)
    of = PROCESSES * THREADS * len(rounds)
    beside = f"{calls:.1f} calls, {spent:.1f} spent tokens presented, {failed} of {of} requests failed"
    return Row(WORK, name, figures, "ms", beside, _goal(figures, rounds) if name.startswith("keyfob") else "")


def _goal(figures: list[float], rounds: list[Round]) -> str:
    as_promised = all((each.calls, each.spent, each.failed) == (1, 0, 0) for each in rounds)
    of_time = measuring.goal(measuring.spread(figures)[1], _GOAL_MS, " ms")
    return f"{of_time}; one call, no failure: {'met' if as_promised else '**missed**'}"


if __name__ == "__main__":
    measuring.main(measure, rounds=10)
