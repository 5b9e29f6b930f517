"""The clients to measure, each as its own documentation shows it, connected to a server in memory.

Each kind of client is a function that returns ways to make its cases, by name: the one without authentication first,
then each way to authenticate. A peer is imported by its own function, so that it may be missing.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from unittest import mock

from homes import BASE_URL, KEY
from measuring import expect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from types import ModuleType

    from keyfob import Host

    Cases: TypeAlias = Mapping[str, Callable[[], "Case"]]

ENVIRONMENT = {"LAB_KEY": KEY}
BEARER = f"Bearer {KEY}"
URL = f"{BASE_URL}/responses"
BODY = {"model": "demo", "input": "Say hello.", "stream": False}
ANSWER = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "demo",
    "status": "completed",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}


class Server:
    """What a client is connected to: keeps the last request, and answers each alike."""

    def __init__(self) -> None:
        self._last: Any = None

    def receive(self, request: Any) -> None:
        """Keep it; looking into it here would be measured too."""
        self._last = request

    @property
    def authorization(self) -> str | None:
        """The `Authorization` of the last request; raises AttributeError if there was none."""
        value = self._last.headers.get("Authorization")
        return value if value is None or isinstance(value, str) else value.decode()


@dataclass(frozen=True)
class Case:
    """One way to send a request. `send(count)`: CPU microseconds for each of that many."""

    send: Callable[[int], float]
    server: Server
    expected: str | None

    def check(self) -> None:
        """Raise UnexpectedError unless the server received the credential with the last request, or rightly none."""
        expect("Authorization that the server received", self.server.authorization, self.expected)


def sync(server: Server, post: Callable[[], object], expected: str | None = BEARER) -> Case:
    """A case of a blocking client."""

    def send(count: int) -> float:
        start = time.process_time_ns()
        for _ in range(count):
            post()
        return (time.process_time_ns() - start) / count / 1000

    return Case(send, server, expected)


def asynchronous(server: Server, post: Callable[[], Awaitable[object]], expected: str | None = BEARER) -> Case:
    """A case of an async client, with an event loop that lasts."""
    runner = asyncio.Runner()

    async def batch(count: int) -> float:
        start = time.process_time_ns()
        for _ in range(count):
            await post()
        return (time.process_time_ns() - start) / count / 1000

    return Case(lambda count: runner.run(batch(count)), server, expected)


def of_httpx(library: ModuleType, ours: ModuleType, host: Host, login: str = "") -> Cases:
    """httpx or httpx2: alone, with a static header, with keyfob's client, and with keyfob's `Auth`.

    login: the token of the login that is stored for provider `login`, if there is one.
    """

    def case(client: Callable[..., Any], expected: str | None = BEARER, **options: Any) -> Case:
        server = Server()
        opened = client(transport=_transport(library, server), **options)
        return sync(server, lambda: opened.post("responses", json=BODY), expected)

    def stored() -> Case:
        return case(lambda **options: ours.Client("login", host=host, **options), f"Bearer {login}")

    plain, base = library.Client, {"base_url": BASE_URL}
    return {
        "no auth": lambda: case(plain, None, **base),
        "static header": lambda: case(plain, headers={"Authorization": BEARER}, **base),
        "keyfob Client": lambda: case(lambda **options: ours.Client("lab", host=host, **options)),
        "keyfob Auth": lambda: case(plain, auth=ours.Auth("lab", host=host), **base),
        **({"keyfob Client, ChatGPT login": stored} if login else {}),
    }


def of_async_httpx(library: ModuleType, ours: ModuleType, host: Host, login: str = "") -> Cases:
    """The same, async."""

    def case(client: Callable[..., Any], expected: str | None = BEARER, **options: Any) -> Case:
        server = Server()
        opened = client(transport=_transport(library, server), **options)
        return asynchronous(server, lambda: opened.post("responses", json=BODY), expected)

    def stored() -> Case:
        return case(lambda **options: ours.AsyncClient("login", host=host, **options), f"Bearer {login}")

    plain, base = library.AsyncClient, {"base_url": BASE_URL}
    return {
        "no auth": lambda: case(plain, None, **base),
        "static header": lambda: case(plain, headers={"Authorization": BEARER}, **base),
        "keyfob AsyncClient": lambda: case(lambda **options: ours.AsyncClient("lab", host=host, **options)),
        "keyfob Auth": lambda: case(plain, auth=ours.Auth("lab", host=host), **base),
        **({"keyfob AsyncClient, ChatGPT login": stored} if login else {}),
    }


def _transport(library: ModuleType, server: Server) -> Any:
    def answer(request: Any) -> Any:
        server.receive(request)
        return library.Response(200, json=ANSWER)

    return library.MockTransport(answer)


def of_openai(host: Host) -> Cases:
    """The OpenAI SDK, which does not go without a key: with one given as text, as a callable, and with keyfob's."""
    import httpx2
    import openai

    from keyfob.integrations.openai import OpenAI

    def theirs(transport: Any, api_key: Any) -> Any:
        http_client = openai.DefaultHttpxClient(transport=transport)
        return openai.OpenAI(base_url=BASE_URL, api_key=api_key, http_client=http_client)

    def ours(transport: Any) -> Any:
        # Given an `http_client`, keyfob sends through that: two clients against one. So the network itself is replaced.
        with mock.patch("httpx2.HTTPTransport", return_value=transport):
            return OpenAI(provider="lab", host=host)

    def case(make: Callable[..., Any], *arguments: Any) -> Case:
        server = Server()
        sdk = make(_transport(httpx2, server), *arguments)
        return sync(server, lambda: sdk.responses.create(model="demo", input="Say hello."))

    return {
        "key as text": lambda: case(theirs, KEY),
        "callable key": lambda: case(theirs, lambda: os.environ["LAB_KEY"]),
        "keyfob OpenAI": lambda: case(ours),
    }


def of_async_openai(host: Host) -> Cases:
    """The same, async."""
    import httpx2
    import openai

    from keyfob.integrations.openai import AsyncOpenAI

    async def key() -> str:
        return os.environ["LAB_KEY"]

    def theirs(transport: Any, api_key: Any) -> Any:
        http_client = openai.DefaultAsyncHttpxClient(transport=transport)
        return openai.AsyncOpenAI(base_url=BASE_URL, api_key=api_key, http_client=http_client)

    def ours(transport: Any) -> Any:
        with mock.patch("httpx2.AsyncHTTPTransport", return_value=transport):
            return AsyncOpenAI(provider="lab", host=host)

    def case(make: Callable[..., Any], *arguments: Any) -> Case:
        server = Server()
        sdk = make(_transport(httpx2, server), *arguments)
        return asynchronous(server, lambda: sdk.responses.create(model="demo", input="Say hello."))

    return {
        "key as text": lambda: case(theirs, KEY),
        "callable key": lambda: case(theirs, key),
        "keyfob AsyncOpenAI": lambda: case(ours),
    }


def of_azure() -> Cases:
    """azure-core's pipeline with nothing in it but BearerTokenCredentialPolicy, and a token that is good for a day."""
    from azure.core.pipeline import Pipeline
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy
    from azure.core.pipeline.transport import HttpTransport
    from azure.core.rest import HttpRequest

    class Transport(HttpTransport):
        def __init__(self, server: Server) -> None:
            self._server = server

        def send(self, request: Any, **_: Any) -> Any:
            self._server.receive(request)
            return _AzureResponse()

        def open(self) -> None: ...

        def close(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

    def case(*policies: Any, expected: str | None = BEARER) -> Case:
        server = Server()
        pipeline = Pipeline(Transport(server), policies)
        return sync(server, lambda: pipeline.run(HttpRequest("POST", URL, json=BODY)), expected)

    return {
        "no auth": lambda: case(expected=None),
        "BearerTokenCredentialPolicy": lambda: case(BearerTokenCredentialPolicy(_AzureCredential(), "scope")),
    }


def of_async_azure() -> Cases:
    """The same, async."""
    from azure.core.pipeline import AsyncPipeline
    from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy
    from azure.core.pipeline.transport import AsyncHttpTransport
    from azure.core.rest import HttpRequest

    class Transport(AsyncHttpTransport):
        def __init__(self, server: Server) -> None:
            self._server = server

        async def send(self, request: Any, **_: Any) -> Any:
            self._server.receive(request)
            return _AzureResponse()

        async def open(self) -> None: ...

        async def close(self) -> None: ...

        async def __aexit__(self, *_: object) -> None: ...

    def case(*policies: Any, expected: str | None = BEARER) -> Case:
        server = Server()
        pipeline = AsyncPipeline(Transport(server), policies)
        return asynchronous(server, lambda: pipeline.run(HttpRequest("POST", URL, json=BODY)), expected)

    policy = AsyncBearerTokenCredentialPolicy
    return {
        "no auth": lambda: case(expected=None),
        policy.__name__: lambda: case(policy(_AsyncAzureCredential(), "scope")),
    }


class _AzureResponse:
    status_code = 200
    headers: dict[str, str] = {}  # noqa: RUF012  # nobody writes to it


class _AzureCredential:
    def get_token(self, *_: str, **__: Any) -> Any:
        from azure.core.credentials import AccessToken

        return AccessToken(KEY, int(time.time()) + 86_400)


class _AsyncAzureCredential:
    async def get_token(self, *scopes: str, **options: Any) -> Any:
        return _AzureCredential().get_token(*scopes, **options)


def of_google() -> Cases:
    """google-auth's AuthorizedSession, which is a requests.Session, with a token that is good for a day."""
    import datetime

    import requests
    from google.auth.transport.requests import AuthorizedSession
    from google.oauth2.credentials import Credentials

    answer = requests.Response()
    answer.status_code, answer._content = 200, b"{}"

    class Adapter(requests.adapters.BaseAdapter):
        def __init__(self, server: Server) -> None:
            super().__init__()
            self._server = server

        def send(self, request: Any, **_: Any) -> requests.Response:
            self._server.receive(request)
            return answer

        def close(self) -> None: ...

    def case(session: requests.Session, expected: str | None = BEARER) -> Case:
        server = Server()
        session.mount("https://", Adapter(server))
        return sync(server, lambda: session.post(URL, json=BODY), expected)

    tomorrow = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(days=1)
    return {
        "no auth": lambda: case(requests.Session(), None),
        "AuthorizedSession": lambda: case(AuthorizedSession(Credentials(KEY, expiry=tomorrow))),
    }


def of_authlib() -> Cases:
    """authlib's OAuth 2.0 client, which is an httpx2.Client, with a token that is good for a day."""
    import httpx2
    from authlib.integrations.httpx_client import OAuth2Client

    def case(client: Callable[..., Any], expected: str | None = BEARER, **options: Any) -> Case:
        server = Server()
        opened = client(base_url=BASE_URL, transport=_transport(httpx2, server), **options)
        return sync(server, lambda: opened.post("responses", json=BODY), expected)

    return {
        "no auth": lambda: case(httpx2.Client, None),
        "OAuth2Client": lambda: case(OAuth2Client, client_id="client", token=_oauth_token()),
    }


def of_async_authlib() -> Cases:
    """The same, async."""
    import httpx2
    from authlib.integrations.httpx_client import AsyncOAuth2Client

    def case(client: Callable[..., Any], expected: str | None = BEARER, **options: Any) -> Case:
        server = Server()
        opened = client(base_url=BASE_URL, transport=_transport(httpx2, server), **options)
        return asynchronous(server, lambda: opened.post("responses", json=BODY), expected)

    return {
        "no auth": lambda: case(httpx2.AsyncClient, None),
        "AsyncOAuth2Client": lambda: case(AsyncOAuth2Client, client_id="client", token=_oauth_token()),
    }


def _oauth_token() -> dict[str, Any]:
    return {"access_token": KEY, "token_type": "Bearer", "expires_at": int(time.time()) + 86_400}
