"""`token PROVIDER` as one would write it at first, with click, tomllib, pydantic and pluggy as they are documented."""

import os
import tomllib

import click
import pluggy
from pydantic import BaseModel

hookspec = pluggy.HookspecMarker("naive")
hookimpl = pluggy.HookimplMarker("naive")


class Provider(BaseModel):
    name: str | None = None
    base_url: str
    env_key: str


class Config(BaseModel):
    model_providers: dict[str, Provider]


class Hooks:
    @hookspec(firstresult=True)
    def token(self, provider: Provider) -> str | None: ...


class EnvKey:
    @hookimpl
    def token(self, provider: Provider) -> str | None:
        return os.environ.get(provider.env_key)


@click.group()
def cli() -> None:
    pass


@cli.command()
@click.argument("provider")
def token(provider: str) -> None:
    with open(os.path.join(os.environ["CODEX_HOME"], "config.toml"), "rb") as file:
        config = Config.model_validate(tomllib.load(file))
    plugins = pluggy.PluginManager("naive")
    plugins.add_hookspecs(Hooks)
    plugins.register(EnvKey())
    plugins.load_setuptools_entrypoints("naive")
    click.echo(plugins.hook.token(provider=config.model_providers[provider]))


if __name__ == "__main__":
    cli()
