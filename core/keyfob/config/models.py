"""The schema of what keyfob reads in `config.toml` and `keyfob.toml`."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from collections.abc import Iterator

Milliseconds = Annotated[int, Field(ge=0, le=2**64 - 1)]
Retries = Annotated[int, Field(ge=0)]
Text = Annotated[str, Field(min_length=1)]
# As POSIX has it. Whoever writes the key itself here is told so, before its "name" is shown to anybody.
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
Variable = Annotated[str, Field(pattern=VARIABLE)]
StoreKind = Literal["file", "keyring", "auto", "ephemeral"]
Method = Literal["chatgpt", "api"]


def _listed(value: object) -> object:
    """One workspace as a list of it. Codex refuses the comma too: an id in it would be passed over."""
    if not isinstance(value, str):
        return value
    if "," in value:
        raise PydanticCustomError("comma", "holds a comma; several workspaces are a TOML list")
    return [value]


def _trimmed(names: list[str]) -> list[str]:
    return [name.strip() for name in names if name.strip()]


def _dated(value: object) -> object:
    """A date as it was written: `api-version = 2024-10-21` is one to TOML, and to Codex a text."""
    return value.isoformat() if type(value) is datetime.date else value


Added = Annotated[str, BeforeValidator(_dated, json_schema_input_type=str)]
Names = Annotated[list[str], AfterValidator(_trimmed)]
OneOrMore = Annotated[Names, BeforeValidator(_listed, json_schema_input_type=str | list[str])]


class _Table(BaseModel):
    """A table of the file: types as written (no coercion); unknown keys are kept, to be warned of or claimed."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, hide_input_in_errors=True)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """The names of the keys that are set: any value may be a secret, those of keys nobody knows above all."""
        return ((None, name) for name in sorted(self.model_fields_set))


class CommandTable(_Table):
    """`[model_providers.<id>.auth]`: a command that prints the token."""

    command: str = Field(pattern=r"\S", examples=["corp-token"], description="The program to run; no shell.")
    args: list[str] = Field([], examples=[["--audience", "llm"]], description="Its arguments, given literally.")
    timeout_ms: int = Field(5_000, gt=0, le=2**64 - 1, description="Milliseconds until it is killed.")
    refresh_interval_ms: Milliseconds = Field(300_000, description="Age at which the token is fetched anew; 0 = never.")
    cwd: str | None = Field(None, examples=["bin"], description="Its folder, relative to that of this file.")


class ProviderEntry(_Table):
    """`[model_providers.<id>]`: where requests go, and which keys say how to authenticate."""

    name: str | None = Field(None, description="A name for people; the id if left out.")
    base_url: str | None = Field(None, examples=["https://llm.example.com/v1"], description="Where requests go.")
    env_key: Variable | None = Field(None, examples=["LAB_KEY"], description="The environment variable with the key.")
    env_key_instructions: str | None = Field(None, description="What to tell who has not set that variable.")
    experimental_bearer_token: SecretStr | None = Field(None, description="A bearer token, written here.")
    requires_openai_auth: bool = Field(default=False, description="Sign in with ChatGPT or an OpenAI API key.")
    auth: CommandTable | None = Field(None, description="A command that prints the token.")
    allow_http: bool = Field(
        default=False, description="Send credentials over plain http; for keyfob.toml, Codex does not know this key."
    )
    http_headers: dict[str, Added] = Field({}, examples=[{"X-Team": "search"}], description="Headers for each request.")
    env_http_headers: dict[str, str] = Field(
        {}, examples=[{"X-Key": "LAB_KEY"}], description="Headers whose values are in environment variables."
    )
    query_params: dict[str, Added] = Field(
        {}, examples=[{"api-version": "1"}], description="Query parameters for each request."
    )
    request_max_retries: Retries = Field(4, description="Tries after the first, for 5xx and failed connections.")
    stream_max_retries: Retries = Field(5, description="Tries after a stream broke off; the client's business.")
    stream_idle_timeout_ms: Milliseconds = Field(300_000, description="Milliseconds without a byte until giving up.")
    websocket_connect_timeout_ms: Milliseconds = Field(15_000, description="Milliseconds for a WebSocket to open.")
    wire_api: str | None = Field(None, description="Which API the provider speaks; the client's business.")
    supports_websockets: bool = Field(default=False, description="The client's business.")
    supports_standalone_web_search: bool = Field(default=False, description="The client's business.")
    model_catalog_url: str | None = Field(None, description="The client's business.")


class KeyfobTable(_Table):
    """`[keyfob]`: keyfob's own settings, for keyfob.toml. A misspelt rule would be no rule: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")

    allow_plugins: list[str] | None = Field(
        None, examples=[["keyfob-aws"]], description="The distributions whose plugins may be loaded; all if left out."
    )


class Requirements(_Table):
    """`requirements.toml`: what an administrator demands. It holds many more keys, which are Codex's."""

    allowed_login_methods: list[Method] | None = Field(
        None, examples=[["chatgpt"]], description="The kinds of OpenAI login that may be used."
    )
    allowed_chatgpt_workspaces: Names | None = Field(
        None, examples=[["5f2c..."]], description="The workspaces that a ChatGPT login may belong to."
    )
    cli_auth_credentials_store: StoreKind | None = Field(None, examples=["keyring"], description="As it has to be.")
    chatgpt_base_url: str | None = Field(None, description="As it has to be.")
    enforce_residency: Literal["us"] | None = Field(
        None, examples=["us"], description="Where OpenAI has to process requests."
    )


class KeyfobFile(_Table):
    """The top-level keys that keyfob reads. config.toml holds many more, which are Codex's."""

    model_provider: Text = Field("openai", examples=["corp"], description="The default provider.")
    model_providers: dict[str, ProviderEntry] = Field({}, description="The providers, by id.")
    openai_base_url: str | None = Field(None, description="Base URL of the built-in provider `openai`.")
    cli_auth_credentials_store: StoreKind = Field("file", description="Where logins are kept.")
    forced_login_method: Method | None = Field(None, description="The one kind of OpenAI login that may be used.")
    forced_chatgpt_workspace_id: OneOrMore | None = Field(
        None, examples=[["5f2c...", "9d41..."]], description="The workspaces that a ChatGPT login may belong to."
    )
    chatgpt_base_url: str | None = Field(None, description="Codex's; keyfob only sees that requirements.toml is met.")
    keyfob: KeyfobTable = Field(KeyfobTable(), description="keyfob's own settings; for keyfob.toml.")
