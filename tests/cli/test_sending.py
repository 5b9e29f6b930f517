"""`request` and `check`: real requests, and how what goes wrong is said."""

from __future__ import annotations

import io
import json
import socket
import sys
import threading

import pytest

from keyfob.cli import sending
from keyfob.cli.checking import Finding, _judge
from keyfob.cli.retries import BASE, LONGEST_ASKED_FOR, Retries
from keyfob.credentials.saving import save
from keyfob.host import Host
from keyfob.testing.model_server import Answer, ModelServer

from ..homes import site as site  # noqa: TID252

KEY = "Bearer sk-canary-lab"


@pytest.fixture
def hurry(monkeypatch):
    """Pauses are noted, not slept."""
    pauses = []
    monkeypatch.setattr(sending.time, "sleep", pauses.append)
    return pauses


def scripted(lab, server, answers):
    """Give the running server a script."""
    server._script.update({path: [Answer.of(one) for one in script] for path, script in answers.items()})


@pytest.mark.slow
def test_request_is_signed_and_printed(lab, server):
    """GET below the base URL; the body as it is, and nothing else."""
    found = lab("request", "models")
    assert (found.code, found.err) == (0, "")
    assert json.loads(found.out)["data"][0]["id"] == "demo-model"
    (received,) = server.received
    assert (received.method, received.path, received.header("authorization")) == ("GET", "/v1/models", KEY)
    assert received.header("user-agent").startswith("keyfob/")


@pytest.mark.parametrize(
    ("path", "target"),
    [("/models", "/v1/models"), ("models?a=b%20c", "/v1/models?a=b%20c"), ("./x/../models", "/v1/models")],
)
def test_a_path_is_below_the_base_url(lab, server, path, target):
    """With or without a slash; its query goes along."""
    lab("request", path)
    (received,) = server.received
    assert received.path + ("?" + received.query if received.query else "") == target


def test_a_url_of_the_provider_is_a_path_too(lab, server):
    """And is signed."""
    assert lab("request", f"{server.base_url}/models").code == 0
    assert server.received[0].header("authorization") == KEY


SIGNING = """
from keyfob.plugin import NoOptions, SigningAuth, SigningKey, hookimpl

class Plugin(SigningAuth[NoOptions]):
    key = "hmac"
    def signing_key(self, provider, options, context):
        return SigningKey("canary")
    def sign(self, request, key, options, context):
        return {"Signature": f"{request.method} {request.url} {request.body.decode()}"}

@hookimpl
def keyfob_auth_plugins():
    return [Plugin()]
"""


def test_a_plugin_may_sign_what_comes_from_stdin(lab, server, site, monkeypatch):
    """And nobody else: there is no token to take, nor headers that fit another request."""
    site.install("acme", SIGNING)
    lab.configure(f"[model_providers.corp]\nbase_url = '{server.base_url}'\n[model_providers.corp.hmac]\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from stdin")))
    assert lab("request", "responses", "--provider", "corp", "-d", "-").code == 0
    assert server.received[0].header("signature") == f"POST {server.base_url}/responses from stdin"
    for command in ("token", "headers", "exec"):
        found = lab(command, "corp", *(["--", "true"] if command == "exec" else []))
        assert (found.code, found.out) == (2, "")
        assert "corp signs each request" in found.err


@pytest.mark.parametrize("path", ["https://evil.example/v1/models", "../other", "http://127.0.0.1:1/v1/models"])
def test_nothing_goes_elsewhere(lab, server, path):
    """Rather than unsigned: an error, and no request."""
    found = lab("request", path)
    assert (found.code, found.out) == (1, "")
    assert "nothing was sent" in found.err
    assert server.received == []


@pytest.mark.parametrize(
    ("given", "method", "body", "content_type"),
    [
        (["-d", ' {"a": 1}'], "POST", b' {"a": 1}', "application/json"),
        (["-d", "[1]"], "POST", b"[1]", "application/json"),
        (["-d", "a=1"], "POST", b"a=1", None),
        (["-d", "{}", "-H", "content-type: text/plain"], "POST", b"{}", "text/plain"),
        (["-d", "{}", "-X", "put"], "PUT", b"{}", "application/json"),
        (["-X", "DELETE"], "DELETE", b"", None),
        (["-d", ""], "POST", b"", None),
    ],
)
def test_data_is_posted(lab, server, given, method, body, content_type):
    """JSON where it begins like JSON; what the user says goes before."""
    lab("request", "responses", *given)
    (received,) = server.received
    assert (received.method, received.body, received.header("content-type")) == (method, body, content_type)


def test_data_comes_from_a_file_or_from_stdin(lab, server, tmp_path, monkeypatch):
    """Bytes as they are."""
    file = tmp_path / "body"
    file.write_bytes(b"\xff\x00file")
    lab("request", "responses", "-d", f"@{file}")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xffstdin")))
    lab("request", "responses", "-d", "-")
    assert [received.body for received in server.received] == [b"\xff\x00file", b"\xffstdin"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["-d", "@/no/such/file"], "No such file"),
        (["-d", "@/"], "Is a directory"),
        (["-H", "X-Team"], "-H takes 'NAME: VALUE'"),
        (["-H", "X-Te am: x"], "is not the name of an HTTP header"),
        (["-H", "Content-Length: 3"], "Content-Length follows from the body"),
        (["-H", "X: a\nb"], "a line break"),
        (["-H", "authorization: x"], "it is the provider's entry"),
        (["-X", "A B"], "not a method"),
        (["-X", " "], "not a method"),
    ],
)
def test_what_cannot_be_sent_is_not_sent(lab, server, given, said):
    """A sentence, and no request."""
    found = lab("request", "models", *given)
    assert found.code in (1, 2)
    assert said in found.err
    assert server.received == []


@pytest.mark.parametrize("path", ["a\x00b", "http://[::1", "http://x:99999999/", "\udcff"])
def test_a_path_that_is_none_is_a_usage_error(lab, server, path):
    """Not an internal one."""
    found = lab("request", path)
    assert found.code in (1, 2)
    assert "internal" not in found.err
    assert server.received == []


def test_stdin_may_be_closed(lab, monkeypatch):
    """As it is for a daemon."""
    monkeypatch.setattr(sys, "stdin", None)
    assert "stdin is closed" in lab("request", "responses", "-d", "-").err


def test_headers_of_the_user_are_sent(lab, server):
    """The last of one name counts."""
    lab("request", "models", "-H", "X-Team: a", "-H", "x-team: b", "-H", "User-Agent: mine")
    (received,) = server.received
    assert (received.header_list("x-team"), received.header("user-agent")) == (["b"], "mine")


@pytest.mark.parametrize("status", [400, 401, 404, 429, 307])
def test_an_answer_that_is_no_success_is_printed(lab, server, hurry, status):
    """Its body on stdout, a sentence on stderr, exit code 1; none of these is tried again."""
    scripted(lab, server, {"models": [(status, {"n": status})]})
    found = lab("request", "models")
    assert (found.code, json.loads(found.out)) == (1, {"n": status})
    assert f"lab answered {status} " in found.err
    assert len(server.received) == 1
    assert hurry == []


def test_a_redirect_is_not_followed(lab, server):
    """It says where to, without the query."""
    scripted(lab, server, {"models": [Answer(302, {"Location": "https://evil.example/x?canary"})]})
    found = lab("request", "models")
    assert (found.code, "points to https://evil.example/x; redirects are not followed" in found.err) == (1, True)
    assert "canary" not in found.err


def test_include_prints_the_head(lab, server):
    """Status line and headers, a blank line, the body."""
    head, _, body = lab("request", "models", "-i").data.partition(b"\n\n")
    assert head.startswith(b"HTTP/1.1 200 OK\n")
    assert b"\nContent-Type: application/json\n" in head + b"\n"
    assert json.loads(body)


def test_bytes_are_as_they_are(lab, server):
    """Into a pipe, compressed or not; on a terminal without what could take hold of it."""
    raw = b"\xff\x1b[31m\x00\xc2\x9bend"
    scripted(lab, server, {"models": [Answer(200, {"Content-Encoding": "gzip"}, raw)]})
    assert lab("request", "models").data == raw
    assert server.received[0].header("accept-encoding") == "identity"
    assert lab("request", "models", tty=True).out == "\N{REPLACEMENT CHARACTER}[31mend\n"


@pytest.mark.slow
def test_a_stream_is_printed_as_it_arrives(lab, server):
    """The first event is there while the server keeps the rest back."""
    scripted(lab, server, {"responses": [Answer(hang=True, after=1)]})
    process = lab.script("request", "responses", "-d", '{"stream": true}')
    try:
        assert process.stdout.readline() == b"event: response.created\n"
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate(timeout=60)


def test_an_answer_that_breaks_off_is_an_error(lab, server, hurry):
    """After the first byte nothing is tried again."""
    scripted(lab, server, {"models": [Answer(200, {"Content-Length": "1000"}, "half", close=True, after=1)]})
    found = lab("request", "models")
    assert found.code == 1
    assert found.data in (b"ha", b"half")
    assert "lab at http://127.0.0.1:" in found.err
    assert (len(server.received), hurry) == (1, [])


def test_a_server_error_is_tried_again(lab, server, hurry):
    """With the same body; each new try is said."""
    scripted(lab, server, {"responses": [500, 503, (200, "done")]})
    found = lab("request", "responses", "-d", "body")
    assert (found.code, found.out) == (0, "done")
    assert [received.body for received in server.received] == [b"body"] * 3
    assert "503 Service Unavailable; trying again in" in found.err
    assert "(2 of 4)" in found.err
    assert len(hurry) == 2


def test_the_last_server_error_is_shown(lab, server, hurry):
    """After request_max_retries, with its body."""
    scripted(lab, server, {"models": [(500, "sorry")]})
    found = lab("-c", "model_providers.lab.request_max_retries=2", "request", "models")
    assert (found.code, found.out, len(server.received)) == (1, "sorry", 3)


def test_a_failed_connection_is_tried_again(lab, hurry):
    """And said as what it is, in the end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = lab("request", "models", "-c", f"model_providers.lab.base_url='http://127.0.0.1:{port}'")
    assert found.code == 1
    assert found.err.splitlines()[-1] == f"keyfob: lab at http://127.0.0.1:{port}: Connection refused"
    assert len(hurry) == 4


def test_a_dropped_connection_is_tried_again(lab, server, hurry):
    """A server that closes without an answer."""
    scripted(lab, server, {"models": [Answer(close=True), (200, "ok")]})
    assert lab("request", "models").out == "ok"


@pytest.mark.slow
def test_a_time_out_is_not_tried_again(lab, server, hurry):
    """Who has waited that long has waited long enough."""
    scripted(lab, server, {"models": ["hang"]})
    found = lab("request", "models", "-c", "model_providers.lab.stream_idle_timeout_ms=50")
    assert (found.code, "no answer in time" in found.err, hurry) == (1, True, [])


def plain(low, high):
    """The middle of the jitter."""
    return (low + high) / 2


def test_pauses_double_and_end():
    """200 ms at first."""
    retries = Retries(3, plain)
    assert [retries.pause(500) for _ in range(4)] == pytest.approx([BASE, 2 * BASE, 4 * BASE, None])


@pytest.mark.parametrize("status", [200, 307, 400, 401, 403, 404, 408, 429, 499])
def test_no_other_status_is_tried_again(status):
    """429 least of all."""
    assert Retries(5).pause(status, "1") is None


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [
        ("3", 3.0),
        ("0", BASE),
        ("soon", BASE),
        ("-1", BASE),
        ("1e9", BASE),
        (str(LONGEST_ASKED_FOR + 1), BASE),
        ("61", None),
    ],
)
def test_retry_after_is_followed_within_bounds(retry_after, pause):
    """Seconds alone; who is told to come back much later sees the answer."""
    assert Retries(5, plain).pause(503, retry_after) == pytest.approx(pause)


def test_pauses_stay_bounded():
    """However many tries there are."""
    retries = Retries(100, plain)
    assert max(retries.pause(None) for _ in range(100)) <= 10


# check


def checked(lab, *arguments):
    found = lab("check", "--json", *arguments)
    return found.code, {one["provider"]: one for one in json.loads(found.out)["providers"]}


@pytest.mark.slow
def test_check_asks_each_for_its_models(lab, server):
    """One request to each of the files' providers; the one without a key is not sent one."""
    code, found = checked(lab)
    assert code == 1
    assert {name: one["credential"] for name, one in found.items()} == {
        "lab": "accepted",
        "unset": "missing",
        "open": "not needed",
        "fixed": "accepted",
        "run": "accepted",
    }
    assert found["lab"]["models"] == ["demo-model"]
    assert (found["lab"]["ok"], found["lab"]["status"], found["lab"]["reachable"]) == (True, 200, True)
    assert isinstance(found["lab"]["latency_ms"], int)
    assert found["unset"]["reachable"] is None
    assert "UNSET_KEY is not set" in found["unset"]["problem"]
    assert [received.path for received in server.received] == ["/v1/models"] * 4


def test_check_of_named_ones(lab, server):
    """Each once; exit code 0 if all are well."""
    code, found = checked(lab, "lab", "open", "lab")
    assert (code, list(found)) == (0, ["lab", "open"])


@pytest.mark.slow
def test_check_says_what_to_do(lab, server):
    """About each that cannot be used, where something is known."""
    found = lab("check", "unset", "open")
    assert found.err == (
        "keyfob: what to do about unset:\n  → export UNSET_KEY=…, or keyfob login unset --with-api-key\n"
    )
    scripted(lab, server, {"models": [(401, {})] * 2})
    assert checked(lab, "lab")[1]["lab"]["hint"] == "keyfob explain lab"
    lab.environ.pop("LAB_KEY")
    login = Host({}, places=lab.places).provider("lab").login
    save(login, {"api_key": "sk-canary-stored"})
    assert checked(lab, "lab")[1]["lab"]["hint"] == "keyfob login lab --with-api-key"


def test_check_names_the_misspelt_key_before_the_one_that_is_missing(keyfob):
    """It explains it."""
    keyfob.configure(
        '[model_providers.corp]\nbase_url = "https://llm.example/v1"\n'
        '[model_providers.corp.oauth]\nissuer = "https://sso.example"\nclient_idd = "keyfob"\n',
        "keyfob.toml",
    )
    assert "did you mean `client_id`?" in checked(keyfob, "corp")[1]["corp"]["problem"]


def test_check_without_configuration_checks_the_default(keyfob):
    """Which is openai, and not signed in; nothing is sent."""
    code, found = checked(keyfob)
    assert (code, found["openai"]["credential"]) == (1, "missing")


def test_check_of_a_name_that_is_none_is_a_usage_error(lab, server):
    """Before anything is sent."""
    assert lab("check", "lab", "nope").code == 2
    assert server.received == []


@pytest.mark.parametrize(
    ("answer", "credential", "error"),
    [
        ((401, {"error": {"code": "invalid_api_key", "type": "x", "message": "canary"}}), "refused", "invalid_api_key"),
        ((403, {"error": {"code": None, "type": "permission_denied"}}), "refused", "permission_denied"),
        ((400, {"error": {"code": "400", "type": "no_db_connection"}}), "unclear", "no_db_connection"),
        (Answer(500, {"Content-Type": "text/plain"}, "Internal Server Error canary"), "unclear", None),
        ((404, "<html>canary</html>"), "unclear", None),
        ((200, "<html>please sign in: canary</html>"), "unclear", None),
        ((200, {"data": "canary"}), "unclear", None),
        ((401, {"error": {"code": "canary canary"}}), "refused", None),
        ((401, {"error": {"code": "sk-canary-lab"}}), "refused", None),
        ((401, {"error": ["canary"]}), "refused", None),
        ((401, "[" * 100_000), "refused", None),
    ],
)
def test_check_shows_what_a_refusal_is(lab, server, answer, credential, error):
    """Its status and a word of OpenAI's kind; never the body, never the key that the server gives back."""
    scripted(lab, server, {"models": [answer]})
    code, found = checked(lab, "lab")
    one = found["lab"]
    assert (code, one["ok"], one["reachable"], one["credential"], one["error"]) == (1, False, True, credential, error)
    assert "canary" not in json.dumps(one)
    assert str(one["status"]) in one["problem"]


def test_check_explains_litellm_without_a_database(lab, server):
    """It answers 400 to a key that it does not know."""
    scripted(lab, server, {"models": [(400, {"error": {"type": "no_db_connection"}})]})
    assert "LiteLLM proxy without a database" in lab("check", "lab").out


@pytest.mark.slow
def test_check_bounds_its_patience(lab, server):
    """One that never answers; the other is not kept waiting by it."""
    scripted(lab, server, {"/slow/models": ["hang"]})
    moved = f"model_providers.open.base_url='{server.origin}/slow'"
    code, found = checked(lab, "lab", "open", "--timeout", "0.5", "-c", moved)
    assert (code, found["lab"]["ok"]) == (1, True)
    assert (found["open"]["problem"], found["open"]["reachable"]) == ("no answer within 0.5 s", False)


def test_check_says_why_a_server_is_not_reached(lab):
    """In the words of the system."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    _, found = checked(lab, "lab", "-c", f"model_providers.lab.base_url='http://127.0.0.1:{port}'")
    assert (found["lab"]["reachable"], found["lab"]["problem"]) == (False, "Connection refused")


def test_check_is_side_by_side(keyfob):
    """Each server answers when all have been asked."""
    all_there = threading.Barrier(4, timeout=30)

    def accepts(_):
        all_there.wait()
        return True

    with ModelServer(accepts=accepts) as server:
        keyfob.configure("".join(f'[model_providers.p{n}]\nbase_url = "{server.base_url}"\n' for n in range(4)))
        code, _ = checked(keyfob)
    assert code == 0


def test_a_broken_provider_does_not_stop_the_check(keyfob, server):
    """It is one of the findings."""
    keyfob.configure(f"""
[model_providers.open]
base_url = "{server.base_url}"
[model_providers.broken]
base_url = "https://x.example"
hmac = {{}}
""")
    code, found = checked(keyfob)
    assert (code, found["open"]["ok"]) == (1, True)
    assert "no installed plugin handles `hmac`" in found["broken"]["problem"]


def test_check_off_a_terminal_is_lines_of_fields(lab):
    """Without a head."""
    assert lab("check", "open").out.split("\t")[:3] == ["open", "yes", "not needed"]


def test_check_on_a_terminal_is_a_table(lab):
    """With one."""
    head, line = lab("check", "open", tty=True, NO_COLOR="1").out.splitlines()
    assert head.split() == ["PROVIDER", "REACHABLE", "CREDENTIAL", "LATENCY", "ANSWER"]
    assert line.endswith("1 model: demo-model")


@pytest.mark.parametrize("timeout", ["0", "-1", "x", "nan", "1e9", "", "."])
def test_a_time_out_is_a_number_of_seconds(lab, timeout):
    """More than none."""
    assert lab("check", f"--timeout={timeout}").code == 2


def test_no_models_are_no_fault():
    """An empty list is a list."""
    finding = Finding("x", status=200)
    _judge(finding, {"data": []}, [("Authorization", "Bearer t")])
    assert (finding.ok, finding.credential, finding.models) == (True, "accepted", [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SSL_CERT_FILE", "/no/such/file", "SSL_CERT_FILE names /no/such/file, which cannot be read"),
        ("HTTPS_PROXY", "127.0.0.1:abc", "the proxy that HTTPS_PROXY names cannot be used"),
        ("HTTPS_PROXY", "ftp://x", "the proxy that HTTPS_PROXY names cannot be used"),
        ("ALL_PROXY", "socks5://127.0.0.1:9", "the proxy that ALL_PROXY names cannot be used"),
    ],
)
def test_a_variable_of_the_network_that_is_wrong_is_named(keyfob, variable, value, said):
    """It is configuration: exit code 2, and nothing was sent."""
    keyfob.configure('model_provider = "far"\n[model_providers.far]\nbase_url = "https://far.example/v1"\n')
    found = keyfob.finished("request", "models", environ={variable: value})
    assert (found.code, said in found.err) == (2, True), found.err


def test_where_a_redirect_leads_is_said_in_full(keyfob):
    """Its Location may leave out what is the same."""
    with ModelServer(answers={"models": [Answer(302, {"Location": "/login"})]}) as server:
        keyfob.configure(f'model_provider = "x"\n[model_providers.x]\nbase_url = "{server.base_url}"\n')
        assert f"points to {server.origin}/login" in keyfob("request", "models").err
