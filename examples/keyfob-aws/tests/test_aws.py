"""Bedrock's plugin, as its user sees it and as AWS would: each request is verified by AWS's own implementation in C."""

import asyncio
import datetime
import hmac
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import keyfob
import keyfob.httpx
import keyfob.httpx2
import pytest
from awscrt.auth import (  # type: ignore[import-untyped]
    AwsCredentialsProvider,
    AwsSigningAlgorithm,
    AwsSigningConfig,
    aws_sign_request,
)
from awscrt.http import HttpHeaders, HttpRequest  # type: ignore[import-untyped]
from keyfob.config.places import Places
from keyfob.plugin import ConfigError, CredentialError, Unsigned
from keyfob.testing import Answer, ModelServer, Received

SECRETS = {"AKIATEAM": "canary-secret/of+the=team", "AKIADEV": "canary-secret-dev", "ASIASSO": "canary-secret-sso"}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIATEAM", "AWS_SECRET_ACCESS_KEY": SECRETS["AKIATEAM"], "AWS_REGION": "eu-west-1"}
SESSION = {**KEYS, "AWS_SESSION_TOKEN": "canary-token/+="}
Made = Callable[..., keyfob.Provider]


def signature_of(request: Received) -> str:
    """What awscrt puts in `Authorization` for this request as it came, with those headers that it says are signed."""
    given = dict(part.split("=", 1) for part in (request.header("Authorization") or "").split(" ", 1)[1].split(", "))
    access_key, day, region, service, _ = given["Credential"].split("/")
    signed = given["SignedHeaders"].split(";")
    date = datetime.datetime.strptime(request.header("X-Amz-Date") or "", "%Y%m%dT%H%M%S%z")
    assert date.strftime("%Y%m%d") == day
    # The session token is among the signed headers here, so that awscrt takes it as it came.
    headers = HttpHeaders([(name, value) for name, value in request.headers if name.lower() in signed])
    headers.remove("x-amz-date")
    token = request.header("X-Amz-Security-Token")
    if token:
        headers.remove("x-amz-security-token")
    target = request.path + (f"?{request.query}" if request.query else "")
    anew = HttpRequest(request.method, target, headers, io.BytesIO(request.body))
    config = AwsSigningConfig(
        algorithm=AwsSigningAlgorithm.V4,
        credentials_provider=AwsCredentialsProvider.new_static(access_key, SECRETS[access_key], token),
        region=region,
        service=service,
        date=date,
        should_sign_header=lambda name: name.lower() in signed,
    )
    aws_sign_request(anew, config).result(20)
    return anew.headers.get("Authorization") or ""


def verified(request: Received) -> bool:
    """Whether AWS would take it."""
    return hmac.compare_digest(signature_of(request), request.header("Authorization") or "")


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """It verifies each request, and answers any path."""
    with ModelServer(accepts=verified) as running:
        yield running


@pytest.fixture
def made(tmp_path: Path, server: ModelServer) -> Made:
    """A provider of that server from lines of its table `aws`, with an environment of its own."""

    def make(
        *lines: str,
        environ: dict[str, str] = KEYS,
        named: str = "bedrock",
        base_url: str | None = "",
        query: str = "",
        clock: Callable[[], float] = time.time,
    ) -> keyfob.Provider:
        url = [] if base_url is None else [f'base_url = "{base_url or server.base_url}"']
        added = [f"query_params = {query}"] if query else []
        text = [f"[model_providers.{named}]", *url, *added, f"[model_providers.{named}.aws]", *lines]
        (tmp_path / "keyfob.toml").write_text("\n".join(text), encoding="utf-8")
        nowhere = {"AWS_CONFIG_FILE": f"{tmp_path}/config", "AWS_SHARED_CREDENTIALS_FILE": f"{tmp_path}/credentials"}
        environ = {**nowhere, "AWS_EC2_METADATA_DISABLED": "true", **environ, "CODEX_HOME": str(tmp_path)}
        places = Places(str(tmp_path), system=f"{tmp_path}/system", cache=f"{tmp_path}/cache")
        return keyfob.Host(environ, places=places, clock=clock).provider(named)

    return make


TARGETS = [
    "models",
    "models?limit=2&after=x",
    "models/anthropic.claude-3:0/invoke",
    "models/anthropic.claude-3%3A0/with%2Fslash",
    "models/a b/ü/€",
    "models/a;b=1/c,d@e!'()*$~-._",
    "models?q=a b&q=ü&b=1&flag&empty=&Q=0&q=1",
    "models?q=a%2Bb%3D%26&z=/:@,!'()*$;",
    "models?q=1&a%20=4&aa=3&A=0",
]


@pytest.mark.parametrize("environ", [KEYS, SESSION], ids=["keys", "session"])
def test_what_is_on_the_wire_has_the_signature_that_aws_computes(
    made: Made, server: ModelServer, environ: dict[str, str]
) -> None:
    """Paths, queries, repeated names, a security token, bodies, headers of AWS's own."""
    with keyfob.httpx.Client(made(environ=environ)) as client:
        for target in TARGETS:
            client.get(target, headers={"X-Amzn-Bedrock-Trace": "a   b", "X-Other": "not signed"})
            client.post(target, json={"text": "ü"}, params={"p": "1&2"} if "?" not in target else None)
    assert [each.answered for each in server.received if each.answered == 401] == []
    assert len(server.received) == 2 * len(TARGETS)
    assert all(verified(each) for each in server.received)
    assert {each.header("X-Amz-Security-Token") for each in server.received} == {environ.get("AWS_SESSION_TOKEN")}
    assert all("/eu-west-1/bedrock/aws4_request" in (each.header("Authorization") or "") for each in server.received)


def test_the_entrys_query_is_signed_too(made: Made, server: ModelServer) -> None:
    """Whatever it holds; AWS has a blank written as %20."""
    with keyfob.httpx.Client(made(query='{ tag = "a b+c/ü~" }')) as client:
        client.get("models?mine=1").raise_for_status()
    assert server.received[0].query == "mine=1&tag=a%20b%2Bc%2F%C3%BC~"


def test_the_verification_can_fail(made: Made, server: ModelServer) -> None:
    """A body or a path that another signed is refused."""
    with keyfob.httpx.Client(made()) as client:
        client.post("responses", content=b"one")
    (received,) = server.received
    for changed in ({"body": b"two"}, {"path": "/v1/other"}, {"method": "PUT"}, {"query": "a=1"}):
        fields = {name: getattr(received, name) for name in ("method", "path", "query", "headers", "body")}
        assert not verified(Received(**{**fields, **changed}))


def pieces() -> Iterator[bytes]:
    yield from (b'{"model": "demo-model", ', b'"input": "hi"}')


async def async_pieces() -> AsyncIterator[bytes]:
    for piece in pieces():
        yield piece


def test_a_streamed_body_is_read_signed_and_sent_whole(made: Made, server: ModelServer) -> None:
    """By both libraries, sync and async; with its length, which AWS wants to know."""

    async def send(client: Any) -> None:
        async with client:
            await client.post("responses", content=async_pieces())

    for library in (keyfob.httpx, keyfob.httpx2):
        with library.Client(made()) as client:
            client.post("responses", content=pieces())
        asyncio.run(send(library.AsyncClient(made())))
    assert [(each.body, each.answered) for each in server.received] == [(b"".join(pieces()), 200)] * 4
    assert {each.header("Content-Length") for each in server.received} == {"38"}


def test_the_openai_sdk_asks_and_streams(made: Made, server: ModelServer) -> None:
    """It never holds a key, and what it makes of OPENAI_API_KEY is not sent."""
    from keyfob.integrations.openai import OpenAI

    with OpenAI(provider=made(environ=SESSION), max_retries=0) as client:
        assert client.responses.create(model="demo-model", input="ü").output_text == server.text
        with client.responses.stream(model="demo-model", input="hi") as events:
            assert events.get_final_response().output_text == server.text


def test_the_command_sends_what_comes_from_stdin(made: Made, server: ModelServer, tmp_path: Path) -> None:
    """And says that there is no token for others, nor headers."""
    made()
    environ = {**KEYS, "CODEX_HOME": str(tmp_path), "PATH": os.environ["PATH"], "HOME": str(tmp_path)}

    def run(*words: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "keyfob", *words]
        return subprocess.run(command, input=b"".join(pieces()), env=environ, capture_output=True, timeout=60)

    done = run("request", "responses", "--provider", "bedrock", "-d", "-")
    assert (done.returncode, json.loads(done.stdout)["object"]) == (0, "response"), done.stderr
    for command in ("token", "headers"):
        refused = run(command, "bedrock")
        assert (refused.returncode, refused.stdout) == (2, b"")
        assert b"bedrock signs each request" in refused.stderr


MANTLE, RUNTIME = "amazon-bedrock", "amazon-bedrock-runtime"


@pytest.mark.parametrize(
    ("named", "lines", "environ", "url"),
    [
        (MANTLE, ['region = "us-east-1"'], KEYS, "https://bedrock-mantle.us-east-1.api.aws/openai/v1"),
        (RUNTIME, ['region = "us-east-1"'], KEYS, "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1"),
        (RUNTIME, [], {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "x-y-1"}, "eu-west-1"),
        (RUNTIME, [], {"AWS_DEFAULT_REGION": "us-gov-east-1"}, "us-gov-east-1"),
        (RUNTIME, [], {"AWS_PROFILE": "dev"}, "ap-south-1"),
        ("own", ['profile = "dev"'], {}, "https://bedrock-runtime.ap-south-1.amazonaws.com/openai/v1"),
    ],
)
def test_the_base_url_is_codexs(
    made: Made, tmp_path: Path, named: str, lines: list[str], environ: dict[str, str], url: str
) -> None:
    """In the region of the option, of the environment, or of the profile."""
    (tmp_path / "config").write_text("[profile dev]\nregion = ap-south-1\n", encoding="utf-8")
    assert url in str(made(*lines, environ=environ, named=named, base_url=None).base_url)


@pytest.mark.parametrize(
    ("named", "base_url", "scope"),
    [
        (MANTLE, None, ("bedrock-mantle", "eu-west-1")),
        (RUNTIME, None, ("bedrock", "eu-west-1")),
        ("own", "https://bedrock-mantle.us-east-2.api.aws/v1", ("bedrock-mantle", "us-east-2")),
        (MANTLE, "https://vpce-1.bedrock-runtime.us-east-2.vpce.amazonaws.com/v1", ("bedrock", "us-east-2")),
    ],
)
def test_it_signs_for_the_service_and_region_of_the_host(
    made: Made, named: str, base_url: str | None, scope: tuple[str, str]
) -> None:
    """Where the host names none, for those that the base URL was made of."""
    assert made(named=named, base_url=base_url).credential().secret[1:] == scope  # type: ignore[attr-defined]


def test_the_environment_is_the_hosts_and_a_profile_goes_before_it(
    made: Made, server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process's own is not looked at; of AWS's file the profile that is named, by the table or by a variable."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.setenv(name, "canary-of-the-process")
    keys = f"[dev]\naws_access_key_id = AKIADEV\naws_secret_access_key = {SECRETS['AKIADEV']}\n"
    (tmp_path / "credentials").write_text(keys, encoding="utf-8")
    for lines, environ, key in [
        ([], KEYS, "AKIATEAM"),
        (['profile = "dev"'], KEYS, "AKIADEV"),
        ([], {"AWS_PROFILE": "dev", "AWS_REGION": "eu-west-1"}, "AKIADEV"),
    ]:
        with keyfob.httpx.Client(made(*lines, environ=environ)) as client:
            assert client.get("models").status_code == 200
        assert f"Credential={key}/" in (server.received[-1].header("Authorization") or "")


def test_bedrocks_own_token_is_sent_as_it_is(made: Made) -> None:
    """Before the keys of the environment, but not before a profile, as in Codex."""
    signing = made(environ={**KEYS, "AWS_BEARER_TOKEN_BEDROCK": "canary"}).signing
    assert signing.signer is not None
    credential = signing.get()
    assert credential.headers["Authorization"] == "Bearer canary"
    assert signing.signer.sign(Unsigned("GET", "https://x/", {}, b""), credential) == {}


# Prints keys that are good for an hour, their number in the token; counts how often it was run.
PROCESS = """
import datetime, json, pathlib, sys, time
file, wait = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
number = int(file.read_text()) + 1 if file.exists() else 1
file.write_text(str(number))
for _ in range(2000):
    if wait.exists(): break
    time.sleep(0.01)
else: sys.exit("nobody came")
ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
print(json.dumps({"Version": 1, "AccessKeyId": "ASIASSO", "SecretAccessKey": "canary-secret-sso",
                  "SessionToken": f"token-{number}", "Expiration": ends.isoformat()}))
"""


@pytest.fixture
def process(tmp_path: Path) -> str:
    """A profile `sso` whose keys come from a command, which waits for a file `go`."""
    (tmp_path / "process.py").write_text(PROCESS, encoding="utf-8")
    command = f"{sys.executable} {tmp_path}/process.py {tmp_path}/count {tmp_path}/go"
    (tmp_path / "config").write_text(f"[profile sso]\ncredential_process = {command}\n", encoding="utf-8")
    return 'profile = "sso"'


def test_keys_are_fetched_once_beside_the_event_loop_and_anew_before_they_expire(
    made: Made, server: ModelServer, process: str, tmp_path: Path
) -> None:
    """The command waits for what only a running event loop can do; four requests share it."""
    now = time.time()
    provider = made(process, clock=lambda: now)

    async def run() -> None:
        async with keyfob.httpx.AsyncClient(provider) as client:
            asking = [asyncio.create_task(client.get("models")) for _ in range(4)]
            while not (tmp_path / "count").exists():
                await asyncio.sleep(0.01)
            (tmp_path / "go").touch()
            await asyncio.gather(*asking)

    assert provider.state().summary == "not known until asked"
    asyncio.run(run())
    assert provider.state().summary == "not known until asked"
    now += 3590
    with keyfob.httpx.Client(provider) as client:
        client.get("models")
    tokens = [each.header("X-Amz-Security-Token") for each in server.received]
    assert tokens == ["token-1"] * 4 + ["token-2"]


ENDS = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
ISSUED = {"AccessKeyId": "ASIASSO", "SecretAccessKey": SECRETS["ASIASSO"], "Expiration": ENDS}


def expires_in(provider: keyfob.Provider) -> float:
    return (provider.credential().expires_at or 0) - time.time()


def test_keys_of_the_machine_are_asked_of_its_metadata(made: Made, server: ModelServer) -> None:
    """At the address that the host's environment names."""
    role = "/latest/meta-data/iam/security-credentials/"
    keys = json.dumps({**ISSUED, "Code": "Success", "Token": "token-of-the-machine"})
    bodies = {"/latest/api/token": "t", role: "team", f"{role}team": keys}
    with ModelServer(answers={path: [Answer(200, body=body)] for path, body in bodies.items()}) as metadata:
        where = {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.origin}
        provider = made('region = "eu-west-1"', environ=where)
        with keyfob.httpx.Client(provider) as client:
            assert client.get("models").status_code == 200
    assert server.received[0].header("X-Amz-Security-Token") == "token-of-the-machine"
    assert 3000 < expires_in(provider) <= 3600


def test_the_machine_is_not_asked_where_the_environment_says_so(made: Made) -> None:
    """That of the host, here too."""
    with ModelServer() as metadata:
        where = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.origin}
        with pytest.raises(CredentialError, match="NoCredentialsError"):
            made('region = "eu-west-1"', environ=where).credential()
    assert metadata.received == []


def test_a_role_is_assumed_by_another_profile(made: Made, server: ModelServer, tmp_path: Path) -> None:
    """STS is asked once, with that profile's keys, and both requests are signed with what it gave."""
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in {**ISSUED, "SessionToken": "of-the-role"}.items())
    told = f"<Credentials>{fields}</Credentials>"
    for name in ("AssumeRoleResult", "AssumeRoleResponse"):
        told = f"<{name}>{told}</{name}>"
    with ModelServer(answers={"/": [Answer(200, body=told)]}, accepts=verified) as sts:
        (tmp_path / "config").write_text(
            "[profile role]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = dev\n"
            "region = eu-west-1\nservices = local\n"
            f"[services local]\nsts =\n  endpoint_url = {sts.origin}\n"
            f"[profile dev]\naws_access_key_id = AKIADEV\naws_secret_access_key = {SECRETS['AKIADEV']}\n",
            encoding="utf-8",
        )
        provider = made('profile = "role"', environ={})
        with keyfob.httpx.Client(provider) as client:
            assert [client.get("models").status_code for _ in range(2)] == [200, 200]
    assert [each.answered for each in sts.received] == [200]
    assert {each.header("X-Amz-Security-Token") for each in server.received} == {"of-the-role"}
    assert 3000 < expires_in(provider) <= 3600


@pytest.mark.parametrize(
    ("config", "lines", "says", "hint"),
    [
        ("", [], "NoCredentialsError", "aws configure sso, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        (
            "",
            ['profile = "gone"'],
            "ProfileNotFound",
            "aws configure sso, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ),
        (
            f"[profile x]\ncredential_process = {sys.executable} -c exit('canary')\n",
            ['profile = "x"', 'auth_refresh = { command = "aws", args = ["sso", "login"] }'],
            "CredentialRetrievalError",
            "aws sso login",
        ),
        ("[profile x]\nrole_arn = a\nsource_profile = x\nmfa_serial = m\n", ['profile = "x"'], "MFA device", None),
    ],
)
def test_keys_that_cannot_be_had_are_an_error_before_anything_is_sent(
    made: Made, server: ModelServer, tmp_path: Path, config: str, lines: list[str], says: str, hint: str | None
) -> None:
    """It names provider and profile, and repeats nothing that a command printed."""
    (tmp_path / "config").write_text(config, encoding="utf-8")
    provider = made(*lines, environ={"AWS_REGION": "eu-west-1"})
    with keyfob.httpx.Client(provider) as client, pytest.raises(CredentialError, match=says) as caught:
        client.get("models")
    assert caught.value.hint == hint
    assert "canary" not in f"{caught.value} {caught.value.__cause__}"
    assert server.received == []


def test_what_cannot_be_honoured_is_refused(made: Made, server: ModelServer) -> None:
    """Other keys, a region that would lead elsewhere, a `+` that has two meanings, bytes that are no text."""
    with pytest.raises(ConfigError, match=r"keyfob.toml:4: .*credential_export"):
        _ = made('credential_export = { command = "x" }').options
    for environ in ({}, {"AWS_REGION": "evil.example/#"}):
        with pytest.raises(ConfigError, match="no AWS region"):
            _ = made(environ=environ, base_url=None).base_url
    with keyfob.httpx.Client(made()) as client:
        for query in ("q=a+b", "q=%FF"):
            with pytest.raises(CredentialError, match="UTF-8 without"):
                client.get(f"models?{query}")
    assert server.received == []
