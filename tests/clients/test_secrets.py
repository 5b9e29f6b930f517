"""Secrets show nowhere: not in logs, in what is printed, in errors or in pickles."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from typing import Any

import pytest

from keyfob.errors import CredentialError, PluginError
from keyfob.testing.model_server import Answer, ModelServer

from .ways import Renewing, Way, signing, static

SECRETS = ("secret-token", "secret-key", "secret-name", "secret-version", "token-1", "token-2")


def provider(base_url: str) -> Any:
    return signing(
        static({"Authorization": "Bearer secret-token", "X-Key": "secret-key"}),
        base_url,
        env_http_headers={"X-Named": "NAMED"},
        query_params={"api-version": "secret-version"},
        environ={"NAMED": "secret-name"},
    )


def shows_none(text: str) -> bool:
    return not any(secret in text for secret in SECRETS)


class TestLogs:
    def test_a_request_with_all_its_adventures_logs_no_secret(self, way: Way, caplog: pytest.LogCaptureFixture) -> None:
        """Everything at DEBUG: httpx, httpcore, asyncio and whoever else writes; a redirect and a failure too."""
        with ModelServer(answers={"models": [Answer(307, {"Location": "/other"}), Answer(close=True)]}) as server:
            with caplog.at_level(logging.DEBUG), way.client(provider(server.base_url), follow_redirects=True) as client:
                client.get("models")
                with pytest.raises(way.http_library.RemoteProtocolError):
                    client.get("models")
            assert shows_none(str(server.received[1].headers))
        assert {"httpcore", "httpcore2"} & {record.name.partition(".")[0] for record in caplog.records}
        assert shows_none(caplog.text)
        assert server.received[0].header("x-key") == "secret-key"

    def test_a_renewal_logs_no_secret(self, way: Way, caplog: pytest.LogCaptureFixture) -> None:
        """Neither the refused credential nor the new one."""
        caplog.set_level(logging.DEBUG)
        with (
            ModelServer(answers={"models": [401, None]}) as server,
            way.client(signing(Renewing(), server.base_url)) as client,
        ):
            assert client.get("models").status_code == 200
        assert len(server.received) == 2
        assert shows_none(caplog.text)


class TestErrors:
    def test_the_networks_errors_hold_the_callers_request(self, way: Way) -> None:
        """Not the one that was signed."""

        def answer(request: Any) -> int:
            assert request.headers["X-Key"] == "secret-key"
            raise way.http_library.ConnectError("refused", request=request)

        with (
            way.client(provider("https://api.example.com/v1"), transport=way.wire(answer)) as client,
            pytest.raises(way.http_library.ConnectError) as caught,
        ):
            client.get("models")
        assert shows_none(str(caught.value.request.headers.raw) + str(caught.value.request.url))
        assert shows_none("".join(traceback.format_exception(caught.value)))

    def test_an_error_of_a_plugin_is_shown_without_its_text(self, way: Way) -> None:
        """Its type is enough; its text may hold anything. (As the cause it is there for a debugger.)"""

        class Broken(Renewing):
            def get(self, *, rejected: Any = None) -> Any:
                raise ValueError("secret-token")

        with (
            way.client(signing(Broken(at_hand=False)), transport=way.wire()) as client,
            pytest.raises(PluginError, match="corp: its auth plugin broke: ValueError") as caught,
        ):
            client.get("models")
        assert shows_none(str(caught.value))


class TestObjects:
    def test_nothing_that_a_program_holds_prints_a_secret(self, way: Way) -> None:
        """Client, transport, signing, credential, headers."""
        of = provider("https://api.example.com/v1")
        with way.client(of, transport=way.wire()) as client:
            client.get("models")
            transport = client.client._transport
            objects = [client.client, transport, of, of.additions, of.peek(), of.headers(), of.base_url]
            objects += [of.additions.merged(of.peek()), of.start(None)]
        assert shows_none(" ".join(f"{each!r} {each!s}" for each in objects))

    @pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
    def test_what_holds_a_secret_is_not_pickled(self, copied: Any) -> None:
        """It would be on a disk, or in another process, before anybody noticed."""
        of = provider("https://api.example.com/v1")
        for each in (of.peek(), of.headers(), of.peek().headers):
            with pytest.raises(TypeError, match="not pickled"):
                copied(each)

    def test_errors_can_be_pickled(self) -> None:
        """They hold no secret, and process pools need it."""
        error = pickle.loads(pickle.dumps(CredentialError("no", hint="do")))
        assert (str(error), error.hint) == ("no", "do")
