"""Examinations of the configuration, of what Codex would make of it, and of the plugins."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from keyfob.cli.doctor.finding import Finding
from keyfob.errors import ConfigError, KeyfobError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyfob.cli.run import Session
    from keyfob.config.configuration import Configuration
    from keyfob.errors import Fault


def configuration(session: Session) -> Iterator[Finding]:
    """Every fault of the files, and the default provider."""
    topic, read = "configuration", session.host.configuration
    files = [layer.path for layer in read.layers if layer.path]
    yield Finding(topic, "ok" if files else "note", f"read: {', '.join(files)}" if files else "no file is there")
    for fault in read.faults:
        yield _faulty(topic, fault)
    for name in read.user_ids:
        yield from _entry(session, name)
    yield from _default(session, read)


def _faulty(topic: str, fault: Fault) -> Finding:
    return Finding(topic, "problem", str(fault), f"edit {fault.path}" if fault.path else None)


def _entry(session: Session, name: str) -> Iterator[Finding]:
    """What is wrong with one entry beyond its syntax; faults of the files were told already."""
    provider = session.host.provider(name)
    try:
        for fault in provider.entry.warnings:
            yield Finding("configuration", "warning", str(fault))
    except ConfigError:
        return
    try:
        provider.options, provider.base_url  # noqa: B018  # reading them is what raises
    except KeyfobError as error:
        for line in str(error).split("\n"):
            yield Finding("configuration", "problem", f"{name}: {line}", error.hint)


def _default(session: Session, read: Configuration) -> Iterator[Finding]:
    if read.default_id not in session.host.ids:
        message = f"model_provider is {read.default_id!r}, and there is no such provider"
        yield Finding("configuration", "problem", message, "keyfob providers")


def policy(session: Session) -> Iterator[Finding]:
    """The rules in force, each with its place."""
    for rule in session.host.configuration.policy.rules:
        yield Finding("policy", "note", str(rule))


def codex(session: Session) -> Iterator[Finding]:
    """What keyfob accepts and Codex, which reads the same file, refuses or does otherwise."""
    for name in session.host.configuration.user_ids:
        try:
            entry = session.host.provider(name).entry
        except ConfigError:
            continue
        seen = {setting.key for setting in entry.settings if not (setting.path or "").endswith("keyfob.toml")}
        if seen and ("name" not in seen or not (entry.fields.name or "").strip()):
            message = str(entry.fault(None, "Codex refuses the whole file: this entry has no name"))
            yield _refused(message, f'name = "{name}"')
        if "wire_api" in seen and entry.fields.wire_api not in (None, "responses"):
            message = str(entry.fault("wire_api", "Codex refuses the whole file: it speaks `responses` alone"))
            yield _refused(message, 'wire_api = "responses"')
        if seen >= {"env_key", "requires_openai_auth"} and entry.fields.env_key and entry.fields.requires_openai_auth:
            message = str(entry.fault("env_key", "Codex takes this key rather than the OpenAI login; keyfob the login"))
            yield Finding("Codex", "warning", message, "keep one of the two keys")
        yield from _own_keys(session, name)


def _own_keys(session: Session, name: str) -> Iterator[Finding]:
    """keyfob's keys in a config.toml: Codex warns of each, and refuses them in strict mode."""
    entry = session.host.provider(name).entry
    for key in ("allow_http", *entry.tables):
        setting = entry.setting(key)
        if setting and setting.path and setting.path.endswith("config.toml") and key != "aws":
            message = str(entry.fault(key, "Codex does not know this key, and warns of it"))
            yield Finding("Codex", "note", message, f"move it to {setting.path.removesuffix('config.toml')}keyfob.toml")


def _refused(message: str, line: str) -> Finding:
    return Finding("Codex", "warning", message, f"write {line}")


def plugins(session: Session) -> Iterator[Finding]:
    """The plugins that are refused, and those that cannot be loaded or opened."""
    for refusal in session.host.plugins.refused:
        declared = refusal.declaration
        message = f"`{declared.name}`, declared by {declared}, is not used: {refusal.reason}"
        yield Finding("plugins", "warning", message, "keyfob plugins")
    for problem in session.host.plugins.avoided.values():
        yield Finding("plugins", "warning", str(problem), problem.hint)
    if session.environ.get("KEYFOB_DISABLE_PLUGINS"):
        message = "KEYFOB_DISABLE_PLUGINS is set: only the built-in plugins are used"
        yield Finding("plugins", "note", message, "unset KEYFOB_DISABLE_PLUGINS")


def unseen(_: Session) -> Iterator[Finding]:
    """Layers that Codex reads and keyfob cannot see."""
    yield _not_seen("what an administrator of ChatGPT sets in the cloud")
    if sys.platform == "darwin":
        yield _not_seen("what device management sets for com.openai.codex", "sudo profiles show")


def _not_seen(what: str, mend: str | None = None) -> Finding:
    return Finding("not seen", "note", f"{what}: Codex obeys it, keyfob cannot", mend)
