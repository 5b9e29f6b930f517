"""What an entry adds: which header wins, what the client library may not add, and what cannot be sent."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from keyfob.clients.additions import Additions
from keyfob.credentials.signature import SigningKey, Unsigned
from keyfob.credentials.signer import SigningSource
from keyfob.errors import CredentialError, IllegalHeaderError, MissingCredentialError, PluginError, UsageError
from keyfob.testing.model_server import ModelServer

from .ways import BASE, Way, signing, static

if TYPE_CHECKING:
    from collections.abc import Mapping

NOBODY = static({})


def sent(way: Way, of: Any, **options: Any) -> Any:
    """What goes out for a request to `models`."""
    wire = way.wire()
    with way.client(of, transport=wire) as client:
        client.get("models", **options)
    (only,) = wire.sent
    return only


class TestHeaders:
    @pytest.mark.parametrize("key", ["http_headers", "env_http_headers"])
    @pytest.mark.parametrize("name", ["Content-Length", "content-length", "Transfer-Encoding"])
    def test_no_entry_says_where_a_body_ends(self, key: str, name: str) -> None:
        """One that does would make two requests of one, or half a one."""
        maps = {"http_headers": {}, "env_http_headers": {}, key: {name: "3"}}
        with pytest.raises(IllegalHeaderError, match=f"{name} follows from the body"):
            Additions(maps["http_headers"], maps["env_http_headers"], {}, {})

    def test_the_entrys_headers_are_sent(self, way: Way) -> None:
        """`http_headers` as they are, blanks around them trimmed."""
        assert sent(way, signing(NOBODY, http_headers={"X-Title": " keyfob \n"})).headers["x-title"] == "keyfob"

    def test_those_of_the_environment_are_read_for_each_request(self, way: Way) -> None:
        """A variable that is unset or blank leaves its header out."""
        environ: dict[str, str] = {}
        wire = way.wire()
        provider = signing(NOBODY, env_http_headers={"X-Org": "ORG"}, environ=environ)
        with way.client(provider, transport=wire) as client:
            for value in (None, "  ", " a ", "b"):
                environ |= {} if value is None else {"ORG": value}
                client.get("models")
        assert [each.headers.get("x-org") for each in wire.sent] == [None, None, "a", "b"]

    def test_the_environments_win_over_the_fixed_and_the_credential_over_both(self, way: Way) -> None:
        """Names compare without case; none is sent twice."""
        provider = signing(
            static({"AUTHORIZATION": "credential"}),
            http_headers={"authorization": "fixed", "x-a": "fixed", "X-B": "fixed"},
            env_http_headers={"Authorization": "VALUE", "X-A": "VALUE"},
            environ={"VALUE": "environment"},
        )
        headers = sent(way, provider, headers={"X-A": "caller", "x-b": "caller", "X-C": "caller"}).headers
        names = [name.lower() for name, _ in headers.multi_items()]
        assert len(set(names)) == len(names)
        assert (headers["Authorization"], headers["X-A"]) == ("credential", "environment")
        assert (headers["X-B"], headers["X-C"]) == ("fixed", "caller")

    def test_a_header_that_the_caller_sent_twice_is_sent_once(self, way: Way) -> None:
        """All of them give way to ours."""
        wire = way.wire()
        with way.client(signing(static({"X-Key": "secret"})), transport=wire) as client:
            client.send(way.http_library.Request("GET", f"{BASE}/x", headers=[("x-key", "a"), ("X-KEY", "b")]))
        assert wire.sent[0].headers.get_list("X-Key") == ["secret"]


class TestAuthorization:
    @pytest.mark.parametrize("credential", [{}, {"X-Key": "secret"}, {"Authorization": "Bearer secret"}])
    def test_one_that_the_client_library_set_is_removed(self, way: Way, credential: Mapping[str, str]) -> None:
        """Also where no credential takes its place: OPENAI_API_KEY is not for a provider without auth."""
        headers = sent(way, signing(static(credential)), headers={"authorization": "Bearer foreign"}).headers
        assert headers.get("Authorization") == credential.get("Authorization")

    def test_one_of_the_callers_client_is_removed(self, way: Way) -> None:
        """Whether it is a default header, an `auth`, or in the URL."""
        wire = way.wire()
        options: dict[str, Any] = {"headers": {"Authorization": "foreign"}, "auth": ("user", "password")}
        with way.client(signing(NOBODY), transport=wire, **options) as client:
            client.get("https://user:password@api.example.com/v1/models")
        assert "authorization" not in wire.sent[0].headers

    @pytest.mark.parametrize("where", ["http_headers", "env_http_headers"])
    @pytest.mark.parametrize("credential", [{}, {"X-Key": "secret"}])
    def test_one_of_the_entry_stays_where_no_credential_sets_one(
        self, way: Way, where: str, credential: Mapping[str, str]
    ) -> None:
        """It was written there on purpose."""
        given: Any = {where: {"Authorization": "OWN"}, "environ": {"OWN": "OWN"}}
        headers = sent(way, signing(static(credential), **given), headers={"Authorization": "foreign"}).headers
        assert headers["Authorization"] == "OWN"


class TestQuery:
    def test_parameters_are_encoded_and_added_to_the_callers(self, way: Way) -> None:
        """Whatever characters they hold; one of the same name is replaced, not doubled."""
        provider = signing(query_params={"api-version": "2026-01", "a&b=c#": "d e/é&?"})
        url = sent(way, provider, params={"q": "1", "api-version": "old"}).url
        assert dict(way.http_library.URL(url).params.multi_items()) == {
            "q": "1",
            "api-version": "2026-01",
            "a&b=c#": "d e/é&?",
        }
        assert url.count("api-version") == 1

    @pytest.mark.parametrize(
        ("own", "query"),
        [("?flag&&y=a%20b+c", "flag&&y=a%20b+c&key=k%20v~"), ("?x=1&%6bey=mine", "x=1&key=k%20v~"), ("", "key=k%20v~")],
    )
    def test_blanks_are_written_as_signatures_want_them(self, way: Way, own: str, query: str) -> None:
        """The caller's own query stays as it is written: it may be part of a signature too."""
        with way.client(signing(query_params={"key": "k v~"}), transport=(wire := way.wire())) as client:
            client.get(f"models{own}")
        assert str(wire.sent[0].url).partition("?")[2] == query

    def test_they_show_in_no_response_and_no_log(self, way: Way, caplog: pytest.LogCaptureFixture) -> None:
        """Keys travel there as well."""
        with ModelServer() as server, caplog.at_level(logging.DEBUG):
            provider = signing(base_url=server.base_url, query_params={"key": "secret-key"})
            with way.client(provider) as client:
                response = client.get("models")
        assert server.received[0].query == "key=secret-key"
        assert "secret" not in f"{response.url} {response.request.url!r} {response!r} {caplog.text}"
        assert "HTTP Request: GET" in caplog.text


class Broken:
    """A source whose `get` raises."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def peek(self) -> None:
        return None

    def get(self, *, rejected: Any = None) -> Any:
        raise self.error


class TestWhatCannotBeSent:
    @pytest.mark.parametrize("value", ["a\nb", "a\r\nX-Other: b", "a\0b", "a\x7fb", "schlüssel", "a\u2028b"])
    def test_a_variable_that_is_no_header_value_is_named_and_nothing_is_sent(self, way: Way, value: str) -> None:
        """And its value is not repeated."""
        wire = way.wire()
        provider = signing(env_http_headers={"X-Org": "ORG"}, environ={"ORG": value})
        with way.client(provider, transport=wire) as client, pytest.raises(IllegalHeaderError, match="ORG") as caught:
            client.get("models")
        assert value not in str(caught.value)
        assert not isinstance(caught.value, way.http_library.RequestError)
        assert wire.sent == []

    @pytest.mark.parametrize(("name", "value"), [("X-Title", "a\nb"), ("X Title", "a"), ("", "a"), ("X:", "a")])
    def test_a_fixed_header_is_checked_when_the_provider_is_made(self, name: str, value: str) -> None:
        """Before any request."""
        with pytest.raises(IllegalHeaderError):
            Additions({name: value}, {}, {}, {})

    @pytest.mark.parametrize(
        ("raised", "seen"),
        [
            (MissingCredentialError("environment variable LAB_KEY is not set"), MissingCredentialError),
            (CredentialError("no"), CredentialError),
            (KeyError("secret"), PluginError),
            (OSError("secret"), PluginError),
        ],
    )
    def test_a_credential_that_cannot_be_had_is_an_error_of_ours(
        self, way: Way, raised: Exception, seen: type[Exception]
    ) -> None:
        """Nothing is sent, and no SDK takes it for a fault of the network that may be tried again."""
        wire = way.wire()
        with way.client(signing(Broken(raised)), transport=wire) as client, pytest.raises(seen) as caught:
            client.get("models")
        assert not isinstance(caught.value, way.http_library.RequestError | way.http_library.HTTPError)
        assert "secret" not in str(caught.value)
        assert wire.sent == []

    def test_elsewhere_no_credential_is_needed(self, way: Way) -> None:
        """A request that nothing would be added to does not fail for want of it."""
        wire = way.wire()
        with way.client(signing(Broken(CredentialError("no"))), transport=wire) as client:
            assert client.get("https://other.example/").status_code == 200


def hmac(extra: str = "x") -> SigningSource:
    """Signs method, URL, one header and body, under a key that changes twice."""
    numbers = iter((1, 2))

    def key(environ: Mapping[str, str]) -> SigningKey:
        number = next(numbers, 2)
        return SigningKey(f"key-{number}", headers={"X-Key-Id": str(number)})

    def sign(request: Unsigned, key: SigningKey) -> dict[str, str]:
        signed = f"{key.secret} {request.method} {request.url} {request.headers['x-key-id']} [{request.body.decode()}]"
        return {"Authorization": signed, "X-Extra": extra}

    return SigningSource(key, sign, environ={}, clock=lambda: 0.0)


class TestSigner:
    def test_the_whole_request_is_signed_as_it_is_sent(self, way: Way) -> None:
        """With the entry's headers and query, and its body; what the library had set is replaced."""
        wire = way.wire()
        with way.client(signing(hmac(), query_params={"v": "1"}), transport=wire) as client:
            client.post("responses", content=b"body", headers={"Authorization": "foreign"})
        assert wire.sent[0].headers["Authorization"] == f"key-1 POST {BASE}/responses?v=1 1 [body]"

    def test_a_stream_is_read_first_and_after_a_401_signed_anew(self, way: Way) -> None:
        """With the new key; it is sent in one piece. A key that stays the same is not tried again."""
        wire = way.wire(lambda request: 401)
        with way.client(signing(hmac()), transport=wire) as client:
            response = client.post("responses", content=way.iterator(b"a", b"b"))
            assert "authorization" not in response.request.headers
        assert [each.headers["Authorization"] for each in wire.sent] == [
            f"key-{number} POST {BASE}/responses {number} [ab]" for number in (1, 2)
        ]
        assert [each.body for each in wire.sent] == [b"ab", b"ab"]
        assert wire.sent[0].headers["Content-Length"] == "2"
        assert "Transfer-Encoding" not in wire.sent[0].headers

    def test_a_stream_that_goes_elsewhere_stays_one(self, way: Way) -> None:
        """Nobody has to read what nobody signs."""
        wire = way.wire()
        with way.client(signing(hmac()), transport=wire) as client:
            client.post("https://other.example/", content=way.iterator(b"a"))
        assert wire.sent[0].body is None

    def test_a_signature_that_is_no_header_value_is_an_error(self, way: Way) -> None:
        """Like any other credential."""
        wire = way.wire()
        provider = signing(hmac("a\r\nX-Other: b"))
        with way.client(provider, transport=wire) as client, pytest.raises(IllegalHeaderError):
            client.get("models")
        assert wire.sent == []

    def test_headers_for_others_cannot_be_had(self) -> None:
        """They would lack the signature."""
        with pytest.raises(UsageError, match="signs each request"):
            signing(hmac()).headers()
