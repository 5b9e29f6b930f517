"""The demo: a model server and an issuer on loopback, an entry of every kind, and a streaming request through each.

Everything is made in a temporary folder and with an environment of its own: nothing of yours is read, nothing is left.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import textwrap
import threading
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import keyfob.httpx
from keyfob import Host, KeyfobError
from keyfob.config.places import Places
from keyfob.plugin.interaction import Nobody
from keyfob.signin import sign_in
from keyfob.testing import Issuer
from keyfob.testing.model_server import Answer, ModelServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyfob import Provider
    from keyfob.testing.model_server import Received

CONFIG_TOML: Final = """\
model_provider = "lab"

[model_providers.lab]                    # an API key in an environment variable
base_url = "{origin}/lab/v1"
env_key = "LAB_KEY"

[model_providers.local]                  # a local model: no key at all
base_url = "{origin}/local/v1"

[model_providers.written]                # a token that stands here
base_url = "{origin}/written/v1"
experimental_bearer_token = "written-token"

[model_providers.corp]                   # a command that prints the token
base_url = "{origin}/corp/v1"
auth = {{ command = "cat", args = ["corp-token"], cwd = "." }}

[model_providers.team]                   # a key in a header of its own
base_url = "{origin}/team/v1"
env_http_headers = {{ "X-Team-Key" = "TEAM_KEY" }}

[model_providers.shared]                 # Codex asks keyfob: this half is Codex's, the other is in keyfob.toml
base_url = "{origin}/shared/v1"
auth = {{ command = "keyfob", args = ["token", "shared"] }}

[model_providers.chatgpt]                # the OpenAI login, as Codex keeps it; it has expired and is renewed first
base_url = "{origin}/chatgpt/v1"
requires_openai_auth = true
"""

KEYFOB_TOML: Final = """\
# What Codex does not know goes here: the same tables, merged over those of config.toml.

[model_providers.shared]
env_key = "SHARED_KEY"

[model_providers.sso]                    # one's own OAuth server: somebody signs in in the browser first
base_url = "{origin}/sso/v1"

[model_providers.sso.oauth]
client_id = "{client_id}"
scopes = ["openid", "offline_access"]
redirect_uri = "http://127.0.0.1/auth/callback"
authorization_endpoint = "{issuer}/oauth/authorize"
token_endpoint = "{issuer}/oauth/token"

[model_providers.signed]                 # a table that no installed plugin declares
base_url = "{origin}/signed/v1"
hmac = {{ key_id = "demo" }}
"""

BOLD, RED, GREEN, YELLOW = "1", "31", "32", "33"  # ECMA-48, SGR
GAP: Final = "  "

ENVIRON: Final = {"LAB_KEY": "lab-key", "TEAM_KEY": "team-key", "SHARED_KEY": "shared-key"}

# The header that the server demands of each provider; None: no Authorization may come. The others send nothing at all.
DEMANDED: Final = {
    "lab": ("Authorization", "Bearer lab-key"),
    "local": ("Authorization", None),
    "written": ("Authorization", "Bearer written-token"),
    "corp": ("Authorization", "Bearer corp-token"),
    "team": ("X-Team-Key", "team-key"),
    "shared": ("Authorization", "Bearer shared-key"),
    "chatgpt": ("Authorization", "Bearer {chatgpt}"),  # of the login that is stored by then
    "sso": ("Authorization", "Bearer {sso}"),
}

OWN_CONFIGURATION: Final = (
    ("keyfob providers", "your entries; is each ready?"),
    ("keyfob explain PROVIDER", "what decides, with file and line"),
    ("keyfob login PROVIDER", "sign in: browser, code or key"),
    ("keyfob status", "how are you signed in?"),
    ("keyfob check", "asks each for its models"),
    ("keyfob request models --provider PROVIDER", "one real request"),
    ("keyfob exec PROVIDER -- COMMAND", "COMMAND, given base URL and key"),
)


@dataclass(frozen=True)
class Outcome:
    """What came of one provider: a row of the table."""

    provider: str
    plugin: str
    why: str
    seen: str
    answer: str
    expected: bool


def main() -> int:
    """Run the demo; the exit code says whether every provider did what it should."""
    with (
        tempfile.TemporaryDirectory(prefix="keyfob-demo-") as folder,
        Issuer() as issuer,
        make_server(folder) as server,
    ):
        host = make_host(folder, server.origin, issuer)
        print(f"A model server listens at {server.origin}.\nconfig.toml and keyfob.toml are in {folder}.\n")
        outcomes = [run(host.provider(provider), server) for provider in host.configuration.user_ids]
    print_table(outcomes)
    print_own_configuration()
    return 0 if all(outcome.expected for outcome in outcomes) else 1


def make_server(folder: str) -> ModelServer:
    """A server that lets a request in if it carries just what its entry says; its path begins with the provider."""

    def accepts(received: Received) -> bool:
        name, value = DEMANDED[received.path.split("/")[1]]
        return received.header(name) == (value and value.format(**stored_tokens(folder)))

    return ModelServer(answers={"responses": [Answer(drip_s=0.03)]}, accepts=accepts, text="Hello from the model.")


def stored_tokens(folder: str) -> dict[str, str]:
    """The access tokens of the logins that are stored now."""
    return {
        "chatgpt": stored(folder, "auth.json").get("tokens", {}).get("access_token"),
        "sso": stored(folder, "keyfob/oauth/sso.json").get("access_token"),
    }


def stored(folder: str, name: str) -> dict[str, Any]:
    """A stored login; empty where there is none."""
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return dict(json.load(file))
    except FileNotFoundError:
        return {}


def make_host(folder: str, origin: str, issuer: Issuer) -> Host:
    """A host whose whole world is `folder`, with a login that has expired and that `issuer` renews."""
    write(folder, "config.toml", CONFIG_TOML.format(origin=origin))
    write(folder, "keyfob.toml", KEYFOB_TOML.format(origin=origin, issuer=issuer.url, client_id=issuer.client_id))
    write(folder, "corp-token", "corp-token\n")
    write(folder, "auth.json", json.dumps(issuer.login(expires_in=-60)))
    environ = {**ENVIRON, **issuer.environ, "PATH": os.environ.get("PATH", os.defpath)}
    places = Places(folder, system=os.path.join(folder, "system"), cache=os.path.join(folder, "cache"))
    return Host(environ, places=places, interaction=Somebody())


class Somebody(Nobody):
    """Signs in at once, as the issuer of the demo lets everybody."""

    def say(self, message: str) -> None:
        """It is not read."""

    def show(self, line: str) -> None:
        """Neither is that."""

    def visit(self, url: str, port: int) -> None:
        """Go there with a browser of four lines, which the issuer sends back to keyfob."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        threading.Thread(target=lambda: direct.open(url, timeout=10).read()).start()

    def wait(self, seconds: float, *, done: threading.Event | None = None, **_: Any) -> None:
        """Until the browser is back."""
        assert done is not None
        done.wait(seconds)


def write(folder: str, name: str, text: str) -> None:
    """Write a file that nobody else can read."""
    descriptor = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def run(provider: Provider, server: ModelServer) -> Outcome:
    """Send a request through one provider, print the answer as it arrives, and say what came of it."""
    before = len(server.received)
    print(f"{bold(f'{provider.id:<8}')} ", end="", flush=True)
    try:
        if provider.id == "sso":
            sign_in(provider, "browser")
        answer, error = say_as_it_arrives(provider), None
    except KeyfobError as caught:
        answer, error = "nothing was sent", caught
        print_error(caught)
    received = server.received[before:]
    seen = shown(provider.id, received[-1]) if received else "nothing"
    expected = (provider.id in DEMANDED) == (error is None) == bool(received)
    return Outcome(provider.id, *routed(provider), seen, answer, expected)


def say_as_it_arrives(provider: Provider) -> str:
    """Stream one answer of the Responses API to the terminal, and return its text."""
    body = {"model": "demo-model", "input": "Say hello.", "stream": True}
    with keyfob.httpx.Client(provider) as client, client.stream("POST", "responses", json=body) as response:
        response.raise_for_status()
        words = []
        for word in text_of(response.iter_lines()):
            print(word, end="", flush=True)
            words.append(word)
    print()
    return "".join(words)


def text_of(lines: Iterator[str]) -> Iterator[str]:
    """The pieces of text in the server-sent events of the Responses API."""
    for line in lines:
        if line.startswith("data: "):
            event = json.loads(line.removeprefix("data: "))
            if event["type"] == "response.output_text.delta":
                yield event["delta"]


def routed(provider: Provider) -> tuple[str, str]:
    """The plugin of a provider, and the key that decided it, with its file and line."""
    explanation = provider.explain()
    winner = next((claim for claim in explanation.claims if claim.ignored is None), None)
    if explanation.plugin is None:
        return "-", "no plugin handles its table"
    if winner is None:
        return explanation.plugin.key, "no key asks for one"
    setting = next(setting for setting in explanation.settings if setting.key == winner.key)
    return explanation.plugin.key, f"{winner.key}, {os.path.basename(setting.place)}"


def shown(provider: str, received: Received) -> str:
    """What the server saw of the credential, its secret left out."""
    name, _ = DEMANDED[provider]
    value = received.header(name)
    if value is None:
        return "no credential"
    scheme, blank, _ = value.rpartition(" ")
    return f"{scheme}{blank}•••" if scheme else f"{name}: •••"


def print_error(error: KeyfobError) -> None:
    """Say what is wrong, and what to do about it, as the command line does."""
    text = str(error) + (f" → {error.hint}" if error.hint else "")
    print(paint(YELLOW, textwrap.fill(text, width() - 9, subsequent_indent=" " * 9).lstrip()))


def print_table(outcomes: list[Outcome]) -> None:
    """A row for each outcome; the answer stands below its row where there is no room beside it."""
    rows = [("provider", "plugin", "why", "the server saw", "the answer")]
    rows += [(outcome.provider, outcome.plugin, outcome.why, outcome.seen, outcome.answer) for outcome in outcomes]
    colours = [BOLD, *(GREEN if outcome.expected else RED for outcome in outcomes)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    beside = sum(widths) + len(GAP) * (len(widths) - 1) <= width()
    print()
    for row, colour in zip(rows, colours, strict=True):
        first, *middle, answer = (cell.ljust(size) for cell, size in zip(row, widths, strict=True))
        line = GAP.join([paint(colour, first), *middle])
        print(line + (GAP if beside else f"\n{' ' * widths[0]}{GAP}") + answer.rstrip())


def print_own_configuration() -> None:
    """What to type next."""
    folder = os.path.relpath(os.path.dirname(sys.executable))
    size = max(len(command) for command, _ in OWN_CONFIGURATION)
    print("\nWith your own configuration (in ~/.codex, or where $CODEX_HOME says):\n")
    print(f"  {bold(f'export PATH=$PWD/{folder}:$PATH')}")
    for command, meaning in OWN_CONFIGURATION:
        print(f"  {bold(command.ljust(size))}  {meaning}")


def width() -> int:
    """The columns to fill: those of the terminal, a hundred at the most."""
    return min(100, shutil.get_terminal_size().columns)


def bold(text: str) -> str:
    """Text that stands out."""
    return paint(BOLD, text)


def paint(code: str, text: str) -> str:
    """Text in a colour, on a terminal and unless NO_COLOR is set."""
    colourful = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return f"\033[{code}m{text}\033[0m" if colourful else text


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
