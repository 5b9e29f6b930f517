"""Bedrock's plugin, as its user sees it and as AWS would: each request is verified by AWS's own implementation in C."""

import asyncio
import datetime
import hmac
import io
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from awscrt.auth import AwsCredentialsProvider, AwsSigningAlgorithm, AwsSigningConfig, aws_sign_request
from awscrt.http import HttpHeaders, HttpRequest
from keyfob_aws import Aws, Options

import keyfob
import keyfob.httpx
import keyfob.httpx2
from keyfob.config.places import Places
from keyfob.errors import ConfigError, CredentialError, MissingCredentialError
from keyfob.plugin import Context, ProviderInfo
from keyfob.testing import Answer, ModelServer, Received

SECRETS = {"AKIATEAM": "canary-secret/of+the=team", "AKIADEV": "canary-secret-dev", "ASIASSO": "canary-secret-sso"}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIATEAM", "AWS_SECRET_ACCESS_KEY": SECRETS["AKIATEAM"], "AWS_REGION": "eu-west-1"}
SESSION = {**KEYS, "AWS_SESSION_TOKEN": "canary-token/+="}
Made = Callable[..., keyfob.Provider]


def signature_of(request: Received) -> str:
    """What awscrt would put in `Authorization` for this request, as it came, with the headers that it says are signed."""
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

    def make(*lines: str, environ: dict[str, str] = KEYS, id: str = "bedrock", base_url: str | None = "") -> Any:
        url = [] if base_url is None else [f'base_url = "{base_url or server.base_url}"']
        text = [f"[model_providers.{id}]", *url, f"[model_providers.{id}.aws]", *lines]
        (tmp_path / "keyfob.toml").write_text("\n".join(text), encoding="utf-8")
        nowhere = {"AWS_CONFIG_FILE": f"{tmp_path}/config", "AWS_SHARED_CREDENTIALS_FILE": f"{tmp_path}/credentials"}
        environ = {**nowhere, "AWS_EC2_METADATA_DISABLED": "true", **environ, "CODEX_HOME": str(tmp_path)}
        places = Places(str(tmp_path), system=f"{tmp_path}/system", cache=f"{tmp_path}/cache")
        return keyfob.Host(environ, places=places).provider(id)

    return make


def ini(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


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


def test_the_verification_can_fail(made: Made, server: ModelServer) -> None:
    """A body or a path that another signed is refused."""
    with keyfob.httpx.Client(made()) as client:
        client.post("responses", content=b"one")
    (received,) = server.received
    for changed in ({"body": b"two"}, {"path": "/v1/other"}, {"method": "PUT"}, {"query": "a=1"}):
        fields = {name: getattr(received, name) for name in ("method", "path", "query", "headers", "body")}
        assert not verified(Received(**{**fields, **changed}))
