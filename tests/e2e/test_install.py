"""`keyfob install`: the real Codex and the real kubectl send what they ask keyfob for, and get their files back."""

from __future__ import annotations

import os
import shutil
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest
import trustme

from keyfob.testing.issuer import Issuer
from keyfob.testing.model_server import TEXT, ModelServer

from .shared import KEYFOB, CodexHome
from .terminal import AtTerminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "sk-canary-of-install"
REST = """
# Codex tries nothing again, and asks nobody for plugins
[features]
apps = false   # none
plugins = false
remote_plugin = false
"""
OWN = """\
# what I use
model_provider = "corp"

[model_providers.corp]
name = 'Corp'
base_url = "{base_url}"
{way}
request_max_retries = 0
stream_max_retries = 0
"""


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer(lifetime=7200) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, issuer: Issuer) -> CodexHome:
    return CodexHome(tmp_path, issuer.environ)


def tokens(server: ModelServer) -> list[str | None]:
    return [each.header("authorization") for each in server.received if each.method == "POST"]


def files(home: CodexHome) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in home.folder.glob("*.toml")}


@pytest.mark.usefixtures("codex")
@pytest.mark.parametrize(
    "way",
    [
        'env_key = "CORP_KEY"  # the team has it\nenv_key_instructions = "Ask the team."',
        "requires_openai_auth = true",
        f'experimental_bearer_token = "{KEY}"',
    ],
    ids=lambda way: way.split(" ")[0],
)
def test_codex_asks_keyfob_where_it_knew_a_way_itself(home, server, way):
    """The key that Codex refuses beside a command has moved; afterwards both files are as they were."""
    home.configure(OWN.format(base_url=server.base_url, way=way) + REST)
    before = files(home)
    if not way.startswith("experimental"):
        home.keyfob("login", "corp", "--with-api-key", given=KEY)
    installed = home.keyfob("install", "codex", "corp", "--yes", "--anyway")
    assert installed.returncode == 0, installed.stderr
    assert KEY not in installed.stdout + installed.stderr
    assert f'command = "{KEYFOB}"' in (home.folder / "config.toml").read_text()
    ended = home.turn(PATH=os.defpath)  # Codex is started where `keyfob` is no command
    assert (ended.returncode, ended.stdout.strip()) == (0, TEXT), ended.stderr
    assert tokens(server) == [f"Bearer {KEY}"]
    again = home.keyfob("install", "codex", "corp", "--yes", "--anyway")
    assert (again.returncode, "asks keyfob already" in again.stderr) == (0, True)
    undone = home.keyfob("uninstall", "codex", "--yes")
    assert undone.returncode == 0, undone.stderr
    assert files(home) == before


@pytest.mark.usefixtures("codex")
def test_codex_gets_to_know_an_entry_that_keyfob_alone_had(home, server, issuer):
    """It is written into config.toml with what Codex needs of it; a 401 has keyfob get another token."""
    home.configure(f'model_provider = "corp"{REST}')
    home.configure(
        f"""
[model_providers.corp]
base_url = "{server.base_url}"
http_headers = {{ "X-Team" = "search" }}
request_max_retries = 0
stream_max_retries = 0
requires_openai_auth = true
""",
        "keyfob.toml",
    )
    home.store(issuer.login())
    before = files(home)
    assert home.keyfob("install", "codex", "corp", "--yes").returncode == 0
    ended = home.turn()
    assert (ended.returncode, ended.stdout.strip()) == (0, TEXT), ended.stderr
    assert tokens(server) == [f"Bearer {home.stored['tokens']['access_token']}"]
    assert {each.header("x-team") for each in server.received if each.method == "POST"} == {"search"}
    home.keyfob("uninstall", "codex", "corp", "--yes")
    assert files(home) == before


def test_at_a_terminal_the_difference_is_shown_and_asked_about(home, server):
    """No leaves all as it is; yes writes."""
    home.configure(OWN.format(base_url=server.base_url, way='env_key = "CORP_KEY"'))
    before, command = files(home), [KEYFOB, "install", "codex", "corp", "--anyway"]
    with AtTerminal(command, str(home.root), home.environ) as no:
        no.wait_for(r"\[y/N\] ")
        assert '\n-env_key = "CORP_KEY"\n' in no.said
        assert '\n+env_key = "CORP_KEY"\n' in no.said
        no.type("\n")
        assert no.ended() == 1
        assert "nothing was changed" in no.said
    assert files(home) == before
    with AtTerminal(command, str(home.root), home.environ) as yes:
        yes.wait_for(r"\[y/N\] ")
        yes.type("y\n")
        assert yes.ended() == 0
    assert files(home) != before


class _Listener(BaseHTTPRequestHandler):
    """Notes what each request was authenticated by; answers a GET with a cluster's version, and refuses a POST."""

    def do_GET(self) -> None:
        self.answer(200, b'{"major": "1", "minor": "32"}')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.answer(400, b'{"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}')

    def answer(self, status: int, body: bytes) -> None:
        self.server.got.append((self.path, self.headers["authorization"], self.headers["x-api-key"]))
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def listening(context: ssl.SSLContext | None = None) -> Iterator[HTTPServer]:
    """Run a server on loopback; `got` is what it was asked. context: for one that speaks TLS."""
    server = HTTPServer(("127.0.0.1", 0), _Listener)
    server.got = []
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def where_there_is(program: str) -> pytest.MarkDecorator:
    """Run a test only there; elsewhere it is told as one that is expected to fail, also where no skip is allowed.

    Nothing that setup-e2e could ask carries that program in a version that is of use.
    """
    return pytest.mark.xfail(shutil.which(program) is None, reason=f"there is no {program} here", run=False)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[HTTPServer]:
    """What speaks as a cluster, over TLS: without, kubectl sends no token. The authority is in `ca.pem`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with listening(context) as server:
        yield server


@where_there_is("claude")
def test_claude_code_asks_keyfob(home):
    """It sends the token to the provider, whatever base URL its environment has."""
    with listening() as server:
        way = f'experimental_bearer_token = "{KEY}"'
        home.configure(OWN.format(base_url=f"http://127.0.0.1:{server.server_port}/v1", way=way))
        assert home.keyfob("install", "claude-code", "corp", "--yes").returncode == 0
        home.run("claude", "-p", "hi", ANTHROPIC_BASE_URL="http://127.0.0.1:9", CLAUDE_CODE_MAX_RETRIES="0")
    messages = {each for each in server.got if each[0].startswith("/v1/messages")}
    assert {each[1:] for each in messages} == {(f"Bearer {KEY}", KEY)}
    assert home.keyfob("uninstall", "claude-code", "--yes").returncode == 0
    assert not (home.root / ".claude" / "settings.json").exists()


KUBECONFIG = """\
# the test's own
apiVersion: v1
kind: Config
clusters:
- name: here
  cluster: {{server: "{address}", certificate-authority: {authority}}}
contexts:
- name: here
  context: {{cluster: here, user: somebody}}
current-context: here
users:
# who they are
- name: somebody
  user: {{token: "canary"}}
"""


@where_there_is("kubectl")
def test_kubectl_asks_keyfob(home, server, cluster):
    """Its own parser reads what was written; taken back, also after kubectl has written the file anew."""
    home.configure(OWN.format(base_url=server.base_url, way=f'experimental_bearer_token = "{KEY}"'))
    config = home.root / "kubeconfig"
    text = KUBECONFIG.format(address=f"https://127.0.0.1:{cluster.server_port}", authority=home.root / "ca.pem")
    config.write_text(text)
    there = {"KUBECONFIG": str(config)}
    assert home.keyfob("install", "kubectl", "corp", "--yes", **there).returncode == 0
    asked = home.run("kubectl", "--user=corp", "get", "--raw", "/version", **there)
    assert asked.returncode == 0, asked.stderr
    assert {each[1] for each in cluster.got} == {f"Bearer {KEY}"}
    home.keyfob("uninstall", "kubectl", "--yes", **there)
    assert config.read_text() == text

    assert home.keyfob("install", "kubectl", "corp", "--yes", **there).returncode == 0
    assert home.run("kubectl", "config", "set-context", "--current", "--namespace=other", **there).returncode == 0
    undone = home.keyfob("uninstall", "kubectl", "--yes", **there)
    assert undone.returncode == 0, undone.stderr
    assert home.run("kubectl", "config", "get-users", **there).stdout.split() == ["NAME", "somebody"]
    assert "namespace: other" in config.read_text()
