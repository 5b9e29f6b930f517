"""The model server: what it records, what it answers, and that the clients it stands in for believe it."""

from __future__ import annotations

import gc
import http.client
import json
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import httpx2
import pytest

from keyfob.testing.model_server import Answer, ModelServer, Received

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

SECRET = "sk-canary-7c41"
TEXT = "Hello from the demo model."
BROKEN = (httpx.RemoteProtocolError, httpx2.RemoteProtocolError)
TIMED_OUT = (httpx.ReadTimeout, httpx2.ReadTimeout)
UNREACHABLE = (httpx.ConnectError, httpx2.ConnectError)


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def client(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    with request.param.Client(trust_env=False, timeout=30) as client:
        yield client


def ask(client: httpx.Client, server: ModelServer, **more: object) -> httpx.Response:
    return client.post(server.base_url + "/responses", json={"model": "m", "input": "hi", **more})


def events(answer: httpx.Response) -> list[str]:
    return [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]


class TestReceived:
    def test_it_holds_the_request_as_it_came(self, client: httpx.Client) -> None:
        """Path and query undecoded, every header in order and as spelt, and the body's own bytes."""
        with ModelServer() as server:
            headers = [("X-Twice", "a"), ("x-twice", "b"), ("Content-Encoding", "zstd")]
            client.post(server.origin + "/a%2Fb/responses?q=1%20x&q=2", content=b"\x28\xb5\x2f\xfd", headers=headers)
        (got,) = server.received
        assert (got.method, got.path, got.query) == ("POST", "/a%2Fb/responses", "q=1%20x&q=2")
        assert got.body == b"\x28\xb5\x2f\xfd"
        assert got.answered == 200
        assert got.header_list("X-TWICE") == ["a", "b"]
        assert got.header("x-TWICE") == "a"
        assert got.header("x-absent") is None
        assert [pair for pair in got.headers if pair[0].lower() == "x-twice"] == headers[:2]

    def test_a_body_in_chunks_is_put_together(self, client: httpx.Client) -> None:
        """An iterator is sent without a length; the next request on that connection is read from its start."""
        with ModelServer() as server:
            client.post(server.base_url + "/responses", content=iter([b'{"stream"', b": false}"]))
            ask(client, server)
        assert server.received[0].header("transfer-encoding") == "chunked"
        assert server.received[0].body == b'{"stream": false}'
        assert server.received[1].path == "/v1/responses"

    def test_a_doubled_slash_is_not_repaired(self) -> None:
        """A base URL joined badly must be seen in the record, though http.server hides it."""
        with ModelServer() as server:
            raw(server, b"GET //v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert server.received[0].path == "//v1/models"

    def test_any_method_is_recorded(self, client: httpx.Client) -> None:
        """Also those for which there is no answer."""
        methods = ["PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]
        with ModelServer() as server:
            assert [client.request(method, server.origin + "/x").status_code for method in methods] == [404] * 5
        assert [got.method for got in server.received] == methods

    def test_its_repr_shows_no_secret(self, client: httpx.Client) -> None:
        """Not from a header, the query or the body."""
        with ModelServer() as server:
            client.post(server.origin + f"/x?k={SECRET}", content=SECRET, headers={"Authorization": SECRET})
        assert SECRET not in repr(server.received)
        assert "/x" in repr(server.received)

    def test_requests_on_one_connection_are_all_recorded(self, client: httpx.Client) -> None:
        """HTTP/1.1 keeps the connection; waiting for them returns them."""
        with ModelServer() as server:
            connection = http.client.HTTPConnection(server.origin.removeprefix("http://"), timeout=30)
            for _ in range(3):
                connection.request("GET", "/v1/models")
                first_socket = connection.sock
                assert connection.getresponse().read()
            assert connection.sock is first_socket
            connection.close()
            assert len(server.wait_for(3)) == 3

    def test_waiting_for_more_than_come_is_an_error_with_the_count(self, client: httpx.Client) -> None:
        """TimeoutError says how many there were."""
        with ModelServer() as server:
            ask(client, server)
            with pytest.raises(TimeoutError, match="1 of 2 requests"):
                server.wait_for(2, timeout=0.01)


class TestOrdinaryAnswers:
    def test_responses_as_json(self, client: httpx.Client) -> None:
        """The model asked for is the one that answers; the text can be chosen."""
        with ModelServer(text="Other words.") as server:
            answer = ask(client, server)
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["model"] == "m"
        assert answer.json()["output"][0]["content"][0]["text"] == "Other words."

    def test_responses_as_events(self, client: httpx.Client) -> None:
        """The documented order of events, several deltas among them, numbered without a gap."""
        with ModelServer() as server:
            answer = ask(client, server, stream=True)
        assert answer.headers["content-type"] == "text/event-stream"
        kinds = events(answer)
        assert kinds[:4] == [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
        ]
        assert kinds.count("response.output_text.delta") == 5
        assert kinds[-4:] == [
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
        data = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line[:5] == "data:"]
        assert [event["sequence_number"] for event in data] == list(range(len(kinds)))

    def test_each_event_is_sent_when_it_is_there(self, client: httpx.Client) -> None:
        """The first events arrive although the stream never ends."""
        with (
            ModelServer(answers={"responses": [Answer(after=5, hang=True)]}) as server,
            client.stream("POST", server.base_url + "/responses", json={"stream": True}) as answer,
        ):
            lines = answer.iter_lines()
            seen = [next(lines) for _ in range(5 * 3)]
        assert seen[-3] == "event: response.output_text.delta"

    def test_a_body_that_cannot_be_read_is_streamed_when_events_are_accepted(self, client: httpx.Client) -> None:
        """Codex compresses its body; its Accept header says that it wants events."""
        with ModelServer() as server:
            url, body = server.base_url + "/responses", b"\x28\xb5\x2f\xfd"
            streamed = client.post(url, content=body, headers={"Accept": "text/event-stream"})
            plain = client.post(url, content=body)
        assert events(streamed)[-1] == "response.completed"
        assert plain.json()["status"] == "completed"

    def test_models_in_both_shapes(self, client: httpx.Client) -> None:
        """OpenAI's list under `data`, and Codex's key `models` beside it."""
        with ModelServer() as server:
            models = client.get(server.base_url + "/models?client_version=0.169.0").json()
        assert (models["object"], models["data"][0]["id"], models["models"]) == ("list", "demo-model", [])

    def test_a_websocket_is_declined(self, client: httpx.Client) -> None:
        """426, upon which Codex sends a POST; the script is kept for that."""
        with ModelServer(answers={"responses": [401]}) as server:
            headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
            assert client.get(server.base_url + "/responses", headers=headers).status_code == 426
            assert ask(client, server).status_code == 401

    @pytest.mark.parametrize(("method", "path"), [("GET", "/v1/responses"), ("POST", "/v1"), ("GET", "/")])
    def test_anything_else_is_not_found(self, client: httpx.Client, method: str, path: str) -> None:
        """404 with OpenAI's error body."""
        with ModelServer() as server:
            answer = client.request(method, server.origin + path)
        assert answer.status_code == 404
        assert answer.json()["error"]["message"] == "lab says 404"

    def test_a_client_of_http_1_0_gets_events_without_chunks(self) -> None:
        """nginx speaks 1.0 to an upstream by default; the end of the stream is the end of the connection."""
        with ModelServer() as server:
            body = b'{"stream": true}'
            head = b"POST /v1/responses HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body)
            head, _, stream = raw(server, head + body).partition(b"\r\n\r\n")
        assert b"chunked" not in head
        assert stream.startswith(b"event: response.created\n")
        assert stream.endswith(b"}\n\n")


class TestScript:
    def test_answers_are_used_in_order_and_the_last_repeats(self, client: httpx.Client) -> None:
        """A status, None for the ordinary answer, a pair; each endpoint has a script of its own."""
        with ModelServer(answers={"responses": [401, None, (500, "x")]}) as server:
            got = [ask(client, server) for _ in range(4)]
            models = client.get(server.base_url + "/models")
        assert [answer.status_code for answer in got] == [401, 200, 500, 500]
        assert got[0].json()["error"] == {
            "message": "lab says 401",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_api_key",
        }
        assert got[1].json()["object"] == "response"
        assert got[2].text == "x"
        assert models.status_code == 200
        assert [request.answered for request in server.received] == [401, 200, 500, 500, 200]

    def test_the_recorded_runs_can_be_used_as_they_are(self, client: httpx.Client) -> None:
        """JSON has lists for pairs and an object for a delay."""
        given = json.loads('{"responses": [[403, {"why": "no"}], {"delay": 0.01, "then": [500, "x"]}, null]}')
        with ModelServer(answers=given) as server:
            got = [ask(client, server) for _ in range(3)]
        assert [(answer.status_code, answer.text) for answer in got[:2]] == [(403, '{"why": "no"}'), (500, "x")]
        assert got[2].status_code == 200

    def test_a_full_path_goes_before_its_endpoint(self, client: httpx.Client) -> None:
        """So that two providers of one server can differ; any path can be given an answer."""
        with ModelServer(answers={"/b/responses": [403], "responses": [401], "/other": [None]}) as server:
            codes = [
                client.post(server.origin + path).status_code for path in ("/a/responses", "/b/responses", "/other")
            ]
        assert codes == [401, 403, 200]

    def test_a_redirect_leads_where_it_says(self, client: httpx.Client) -> None:
        """307 to another origin, with no body; the client decides what it takes along."""
        client.follow_redirects = True
        with ModelServer() as other:
            away = Answer(307, {"Location": other.base_url + "/responses"})
            with ModelServer(answers={"responses": [away]}) as server:
                assert ask(client, server).json()["object"] == "response"
        assert [got.answered for got in server.received] == [307]
        assert [json.loads(got.body)["input"] for got in other.received] == ["hi"]

    def test_an_answers_headers_are_sent(self, client: httpx.Client) -> None:
        """A content type of its own goes instead of the usual one, and makes a given text a stream of events."""
        answer = Answer(200, {"Content-Type": "text/event-stream", "X-Request-Id": "r"}, "data: 1\n\ndata: 2\n\n")
        with ModelServer(answers={"responses": [answer]}) as server:
            got = ask(client, server)
        assert got.headers.get_list("content-type") == ["text/event-stream"]
        assert (got.headers["x-request-id"], got.headers["transfer-encoding"]) == ("r", "chunked")
        assert got.text == "data: 1\n\ndata: 2\n\n"

    def test_an_answer_without_content_has_none(self, client: httpx.Client) -> None:
        """204 carries neither a body nor a length, and the connection goes on."""
        with ModelServer(answers={"responses": [204, None]}) as server:
            empty = ask(client, server)
            assert ask(client, server).status_code == 200
        assert (empty.status_code, empty.content) == (204, b"")
        assert "content-length" not in empty.headers

    def test_it_can_drip(self, client: httpx.Client) -> None:
        """The ordinary answer in pieces, complete all the same."""
        with ModelServer(answers={"responses": [Answer(drip_s=0.001)]}) as server:
            assert ask(client, server).json()["status"] == "completed"
            assert events(ask(client, server, stream=True))[-1] == "response.completed"

    @pytest.mark.parametrize("hang", [Answer(hang=True), "hang"])
    def test_it_can_never_answer(self, client: httpx.Client, hang: Answer | str) -> None:
        """The request is recorded, nothing comes back, and stopping the server does not wait for it."""
        client.timeout = 0.2
        with ModelServer(answers={"responses": [hang]}) as server, pytest.raises(TIMED_OUT):
            ask(client, server)
        assert [got.answered for got in server.received] == [None]

    def test_it_can_close_without_an_answer(self, client: httpx.Client) -> None:
        """The client sees a broken connection, and its next request is answered."""
        with ModelServer(answers={"responses": [Answer(close=True), None]}) as server:
            with pytest.raises(BROKEN):
                ask(client, server)
            assert ask(client, server).status_code == 200
        assert [got.answered for got in server.received] == [None, 200]

    @pytest.mark.parametrize("stream", [True, False], ids=["events", "json"])
    def test_it_can_close_in_the_middle(self, client: httpx.Client, *, stream: bool) -> None:
        """Some of the body arrives, and then the client is told that it is not all."""
        got: list[bytes] = []
        with (
            ModelServer(answers={"responses": [Answer(close=True, after=1)]}) as server,
            client.stream("POST", server.base_url + "/responses", json={"stream": stream}) as answer,
            pytest.raises(BROKEN),
        ):
            got.extend(answer.iter_bytes())
        assert answer.status_code == 200
        assert b"resp_demo" in b"".join(got)
        assert b"output_tokens" not in b"".join(got)  # what comes last in both forms

    @pytest.mark.parametrize("scripted", ["hung", "", b"x", 99, 600, 1.5, [], [200], {"delay": 1}, {"then": 200}])
    def test_what_is_no_answer_is_refused_at_once(self, scripted: object) -> None:
        """In the thread that wrote it, not in one of the server's."""
        with pytest.raises(ValueError, match="not a"):
            ModelServer(answers={"responses": [scripted]})

    def test_a_misspelt_endpoint_is_refused(self) -> None:
        """Its script would never be used."""
        with pytest.raises(ValueError, match="no such endpoint: respones; there are responses, chat, models"):
            ModelServer(answers={"respones": [401]})

    @pytest.mark.parametrize("contradiction", [{"after": 1}, {"hang": True, "close": True}])
    def test_an_answer_that_contradicts_itself_is_refused(self, contradiction: dict[str, int]) -> None:
        """`after` needs to know what comes after; a connection cannot be both held and closed."""
        with pytest.raises(ValueError, match="hang"):
            Answer(**contradiction)

    def test_a_script_is_not_changed_by_its_use(self, client: httpx.Client) -> None:
        """One script can serve several servers."""
        script = {"responses": [401, None]}
        for _ in range(2):
            with ModelServer(answers=script) as server:
                assert ask(client, server).status_code == 401
        assert script == {"responses": [401, None]}


class TestAccepts:
    def test_a_refused_key_gets_openais_401(self, client: httpx.Client) -> None:
        """Without the key in it, and without using up the script."""
        with ModelServer(
            answers={"responses": [500, None]}, accepts=lambda got: got.header("authorization") == "Bearer right"
        ) as server:
            client.headers["Authorization"] = f"Bearer {SECRET}"
            refused = ask(client, server)
            client.headers["Authorization"] = "Bearer right"
            accepted = ask(client, server)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
        assert SECRET not in refused.text
        assert accepted.status_code == 500
        assert [got.answered for got in server.received] == [401, 500]

    def test_it_sees_the_whole_request(self, client: httpx.Client) -> None:
        """Path, headers and body, so that it can check a signature."""
        seen: list[Received] = []
        with ModelServer(accepts=lambda got: not seen.append(got)) as server:
            ask(client, server)
        assert json.loads(seen[0].body)["input"] == "hi"
        assert (seen[0].path, seen[0].answered) == ("/v1/responses", None)


class TestLife:
    def test_stopping_ends_every_thread_and_connection(self, client: httpx.Client) -> None:
        """Idle, hanging and waiting connections alike; nothing is left for the garbage collector to warn about."""
        before = set(threading.enumerate())
        with ModelServer(answers={"responses": [Answer(hang=True)], "chat": [Answer(delay_s=600)]}) as server:
            address = server.origin.removeprefix("http://")
            connections = [http.client.HTTPConnection(address, timeout=30) for _ in range(3)]
            for connection, path in zip(connections, ["models", "responses", "chat/completions"], strict=True):
                connection.request("GET" if path == "models" else "POST", "/v1/" + path)
            server.wait_for(3)
            connections[0].getresponse().read()
            ours = set(threading.enumerate()) - before
        assert len(ours) == 4
        assert [thread for thread in ours if thread.is_alive()] == []
        for connection in connections:
            connection.close()
        gc.collect()  # an unclosed socket warns here, and a warning is an error

    def test_a_stopped_server_is_unreachable_and_keeps_its_record(self, client: httpx.Client) -> None:
        """And comes back at the same address, with stop() twice being harmless."""
        server = ModelServer().start()
        origin = server.origin
        ask(client, server)
        server.stop()
        server.stop()
        with pytest.raises(UNREACHABLE):
            ask(client, server)
        with server:
            assert server.origin == origin
            assert ask(client, server).status_code == 200
        assert len(server.received) == 2

    def test_it_has_no_address_before_its_start(self) -> None:
        """A port of 0 in a configuration would be a riddle."""
        with pytest.raises(RuntimeError, match="before it is started"):
            _ = ModelServer().base_url

    def test_it_cannot_run_twice(self) -> None:
        """The first listener would be lost, and its port with it."""
        with ModelServer() as server, pytest.raises(RuntimeError, match="already"):
            server.start()

    def test_only_loopback_can_reach_it(self) -> None:
        """It is bound to 127.0.0.1."""
        with ModelServer() as server:
            assert server.origin.startswith("http://127.0.0.1:")
            assert server.base_url == server.origin + "/v1"

    def test_twenty_threads_share_one_script(self, client: httpx.Client) -> None:
        """Each scripted answer is given once, and no request is lost."""
        with ModelServer(answers={"responses": [401] * 20 + [None]}) as server, ThreadPoolExecutor(20) as pool:
            codes = list(pool.map(lambda _: ask(client, server).status_code, range(40)))
        assert sorted(codes) == [200] * 20 + [401] * 20
        assert sorted(got.answered or 0 for got in server.received) == sorted(codes)

    def test_a_client_that_leaves_is_no_fault(self, capfd: pytest.CaptureFixture[str]) -> None:
        """A reset connection prints no traceback."""
        with ModelServer(answers={"responses": [Answer(drip_s=0.001)]}) as server:
            port = int(server.origin.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close resets
                connection.sendall(b'POST /v1/responses HTTP/1.1\r\nContent-Length: 15\r\n\r\n{"stream":true}')
                server.wait_for(1)
        assert capfd.readouterr().err == ""

    def test_a_fault_of_accepts_is_printed(self, client: httpx.Client, capfd: pytest.CaptureFixture[str]) -> None:
        """An assertion in it must not vanish in a thread."""

        def accepts(_: Received) -> bool:
            raise AssertionError("wrong audience")

        with ModelServer(accepts=accepts) as server, pytest.raises(BROKEN):
            ask(client, server)
        assert "wrong audience" in capfd.readouterr().err

    def test_it_needs_the_standard_library_alone(self) -> None:
        """Users start it in programs of their own: it imports no third party and nothing else of keyfob."""
        code = (
            "import sys, keyfob.testing.model_server\n"
            "print([m for m in sys.modules if m.partition('.')[0] in ('httpx', 'httpx2', 'pydantic', 'pluggy')])"
        )
        child = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60)
        assert (child.stdout.strip(), child.stderr) == ("[]", "")


class TestOpenAI:
    """OpenAI's own SDK takes the answers for real, and its models find nothing missing in them."""

    @pytest.fixture
    def openai(self) -> object:
        return pytest.importorskip("openai", minversion="2.20", reason="pip install 'openai>=2.20'")

    @pytest.fixture
    def server(self) -> Iterator[ModelServer]:
        with ModelServer() as server:
            yield server

    @pytest.fixture
    def sdk(self, openai, server):
        http_client = openai.DefaultHttpxClient(trust_env=False)
        with openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0, http_client=http_client) as sdk:
            yield sdk

    def test_responses(self, sdk, server: ModelServer) -> None:
        """JSON: the text, the usage, and every field that the SDK's model requires."""
        response = sdk.responses.create(model="demo-model", input="hi")
        assert response.output_text == TEXT
        assert response.usage.total_tokens == 6
        type(response).model_validate(response.model_dump())
        assert server.received[0].header("authorization") == "Bearer k"

    def test_responses_streaming(self, sdk) -> None:
        """Every event fits the SDK's models, the deltas add up, the last holds the whole response."""
        with sdk.responses.create(model="demo-model", input="hi", stream=True) as stream:
            got = list(stream)
        for event in got:
            type(event).model_validate(event.model_dump())
        assert "".join(event.delta for event in got if event.type == "response.output_text.delta") == TEXT
        assert got[-1].type == "response.completed"
        assert got[-1].response.output_text == TEXT

    def test_responses_through_the_stream_helper(self, sdk) -> None:
        """The SDK accumulates the events itself and checks that they belong together."""
        with sdk.responses.stream(model="demo-model", input="hi") as stream:
            stream.until_done()
            assert stream.get_final_response().output_text == TEXT

    def test_chat(self, sdk) -> None:
        """JSON: the message, and every field that the SDK's model requires."""
        completion = sdk.chat.completions.create(model="demo-model", messages=[{"role": "user", "content": "hi"}])
        assert completion.choices[0].message.content == TEXT
        type(completion).model_validate(completion.model_dump())

    @pytest.mark.parametrize("usage", [True, False])
    def test_chat_streaming(self, sdk, *, usage: bool) -> None:
        """The deltas add up; usage comes in a last chunk when it is asked for, and only then."""
        with sdk.chat.completions.create(
            model="demo-model",
            messages=[{"role": "user", "content": "hi"}],
            stream=True,
            stream_options={"include_usage": usage},
        ) as stream:
            got = list(stream)
        for chunk in got:
            type(chunk).model_validate(chunk.model_dump())
        assert "".join(choice.delta.content or "" for chunk in got for choice in chunk.choices) == TEXT
        assert [choice.finish_reason for chunk in got for choice in chunk.choices][-1] == "stop"
        assert bool(got[-1].usage) is usage

    def test_models(self, sdk) -> None:
        """The list can be walked."""
        assert [model.id for model in sdk.models.list()] == ["demo-model"]

    def test_a_refusal_is_the_sdks_own_error(self, openai) -> None:
        """AuthenticationError, with the code that OpenAI sends."""
        with ModelServer(accepts=lambda _: False) as server:
            http_client = openai.DefaultHttpxClient(trust_env=False)
            sdk = openai.OpenAI(base_url=server.base_url, api_key=SECRET, http_client=http_client)
            with sdk, pytest.raises(openai.AuthenticationError) as refused:
                sdk.models.list()
        assert refused.value.code == "invalid_api_key"
        assert SECRET not in str(refused.value)


def raw(server: ModelServer, request: bytes) -> bytes:
    """Send bytes and return all that comes back until the connection is closed."""
    port = int(server.origin.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))
