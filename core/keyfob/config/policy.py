"""Policy: the rules that say which logins may be used, each with the place that sets it.

As Codex combines them: a kind of login is permitted where neither `forced_login_method` nor `allowed_login_methods`
speaks against it; ChatGPT's only for the workspaces that `forced_chatgpt_workspace_id` and `allowed_chatgpt_workspaces`
have in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from keyfob.config.faults import toml
from keyfob.errors import ConfigError, PolicyError, at
from keyfob.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from keyfob.credentials.record import Record

CHATGPT, API = "chatgpt", "api"
METHODS = {CHATGPT: "a ChatGPT login", API: "an API key"}
_ON_METHODS = frozenset({"forced_login_method", "allowed_login_methods"})
_ON_WORKSPACES = frozenset({"forced_chatgpt_workspace_id", "allowed_chatgpt_workspaces"})
# The layers whose rules a command carries out by removing the login: those that hold for every command that is run.
# Codex removes nothing for requirements.toml either.
_REMOVING = frozenset({"managed", "system", "user"})
_RESIDENCY = "x-openai-internal-codex-residency"
# OpenAI's own hosts, with all below them, and the kind of login that whatever is sent there counts as.
_OPENAI = {"openai.com": API, "chatgpt.com": CHATGPT}

Workspaces = tuple[str, ...] | None
"""The workspaces that a login claims to belong to; None where only its issuer knows."""


def method_at(host: str) -> str | None:
    """What any credential sent to this host counts as: `api` or `chatgpt`; None where the host is not OpenAI's."""
    name = host.rstrip(".")
    return next((method for own, method in _OPENAI.items() if name == own or name.endswith(f".{own}")), None)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as one layer sets it. layer: `requirements` for requirements.toml. path: None for `-c`."""

    key: str
    value: str | tuple[str, ...]
    layer: str
    path: str | None
    line: int | None

    @property
    def place(self) -> str:
        """`file:line`, or `-c`."""
        return at(self.path, self.line)

    @property
    def removes(self) -> bool:
        """Whether a command that would use a stored login which breaks it removes that login."""
        return self.layer in _REMOVING

    @property
    def permitted(self) -> tuple[str, ...]:
        """What it permits."""
        return (self.value,) if isinstance(self.value, str) else self.value

    def __str__(self) -> str:
        value = self.value if isinstance(self.value, str) else list(self.value)
        return f"{self.key} = {toml(value)} ({self.place})"

    def objection(self, method: str, workspaces: Workspaces) -> str | None:
        """What about such a login breaks this rule; None where nothing does."""
        if self.key in _ON_METHODS and method not in self.permitted:
            return f"counts as {METHODS[method]}"
        if self.key not in _ON_WORKSPACES or method != CHATGPT or workspaces is None:
            return None
        others = [workspace for workspace in workspaces if workspace not in self.permitted]
        if others:
            return f"belongs to workspace {', '.join(others)}"
        return None if workspaces else "does not say which workspace it belongs to"


class Policy:
    """All rules in force. Raises ConfigError if they permit no login of any kind."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        if self.rules and not any(map(self.permits, METHODS)):
            raise ConfigError(f"the rules permit no login at all: {self}", hint="whoever set them has to change one")

    def __str__(self) -> str:
        """All rules in one line."""
        return "; ".join(map(str, self.rules)) or "none"

    @lazy
    def judges(self) -> bool:
        """Whether any of its rules is one on logins."""
        return any(rule.key in _ON_METHODS | _ON_WORKSPACES for rule in self.rules)

    @lazy
    def workspaces(self) -> tuple[str, ...] | None:
        """The ChatGPT workspaces that every rule permits, as the first names them; None where none speaks of them."""
        lists = [rule.permitted for rule in self.rules if rule.key in _ON_WORKSPACES]
        return tuple(each for each in lists[0] if all(each in other for other in lists)) if lists else None

    @lazy
    def headers(self) -> Mapping[str, str]:
        """The headers that requests have to have, whatever else says so."""
        region = next((str(rule.value) for rule in self.rules if rule.key == "enforce_residency"), None)
        return {} if region is None else {_RESIDENCY: region}

    def permits(self, method: str) -> bool:
        """Whether there can be a login of this kind: `chatgpt` or `api`."""
        if method == CHATGPT and self.workspaces is not None and not self.workspaces:
            return False
        return not any(rule.key in _ON_METHODS and method not in rule.permitted for rule in self.rules)

    def judge(self, provider: str, record: Record, variable: str | None) -> None:
        """Raise PolicyError for an OpenAI login that breaks a rule. variable: where it is from; None: it is stored."""
        subject, hint = f"{provider}: {variable}", f"unset {variable}"
        if variable is None:
            subject = f"{provider}: the login"
            hint = f"keyfob login {provider}" + ("" if self.permits(CHATGPT) else " --with-api-key")
        self._judge(subject, record.method, record.workspaces, hint, stored=variable is None)

    def judge_flow(self, provider: str) -> None:
        """Raise PolicyError for signing in with ChatGPT, whoever it is."""
        subject, hint = f"{provider}: signing in with ChatGPT", f"keyfob login {provider} --with-api-key"
        self._judge(subject, CHATGPT, None, hint, stored=False)
        if not self.permits(CHATGPT):  # each rule permits some workspace, and no two the same
            rules = "; ".join(str(rule) for rule in self.rules if rule.key in _ON_WORKSPACES)
            raise PolicyError(f"{subject}: there is no workspace that all rules permit: {rules}", hint=hint)

    def judge_sent(self, provider: str, host: str, *, stored: bool = False) -> None:
        """The same for whatever else is sent to a host of OpenAI's."""
        subject, hint = f"{provider}: what goes to {host}", f"keyfob explain {provider}"
        self._judge(subject, method_at(host) or API, (), hint, stored=stored)

    def _judge(self, subject: str, method: str, workspaces: Workspaces, hint: str, *, stored: bool) -> None:
        broken = [(rule, what) for rule in self.rules if (what := rule.objection(method, workspaces))]
        if broken:
            rule, what = min(broken, key=lambda each: not each[0].removes)  # if one removes it, that is the one to name
            raise PolicyError(f"{subject} {what}, which breaks {rule}", hint=hint, removes=stored and rule.removes)
