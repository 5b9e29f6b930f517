"""Judging what a provider sends: which rules are about it, and what they forbid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from keyfob.config.policy import Policy, method_at
from keyfob.errors import PolicyError
from keyfob.stores.choice import SHARED

if TYPE_CHECKING:
    from keyfob.credentials.record import Record
    from keyfob.credentials.records import Records
    from keyfob.providers import Provider

_NO_RULES = Policy(())


@dataclass(frozen=True, slots=True)
class Judge:
    """What the rules say of one provider's credentials.

    policy: the rules that are about them, which may be none. host: where the credentials are sent; None for OpenAI's
    logins, which are judged by what they are, wherever they go.
    """

    provider: str
    policy: Policy
    host: str | None = None

    @property
    def workspaces(self) -> tuple[str, ...]:
        """The only ones that policy permits whoever signs in to belong to; empty: any."""
        return (self.policy.workspaces or ()) if self.host is None else ()

    def check_login(self, record: Record, records: Records) -> None:
        """Raise PolicyError for a login, stored or of the environment, that a rule forbids."""
        if not self.policy.rules:  # then the plugin need not be asked where it is from
            return
        variable = records.variable if records.environment_secret() == record.token else None
        if self.host is None:
            self.policy.judge(self.provider, record, variable)
        else:
            self.policy.judge_sent(self.provider, self.host, stored=variable is None)

    def check_new(self) -> None:
        """Raise PolicyError where no new credential is permitted: before anybody signs in, or a plugin is opened."""
        if self.host is None:
            self.policy.judge_flow(self.provider)
        else:
            self.policy.judge_sent(self.provider, self.host)

    def objection(self) -> PolicyError | None:
        """What `check_new` raises; None where it raises nothing."""
        try:
            self.check_new()
        except PolicyError as error:
            return error
        return None


def judge_of(provider: Provider) -> Judge:
    """The judge of a provider.

    Rules are about OpenAI's logins, wherever those go, and about whatever goes to OpenAI: another provider's own key is
    nobody's business. Raises ConfigError for rules that make no sense.
    """
    configuration = provider.host.configuration
    if not configuration.ruled:  # then the base URL, which may be at fault, is not asked for
        return Judge(provider.id, _NO_RULES)
    host = None if provider.route.plugin == SHARED else provider.base_url.origin.host
    about = host is None or method_at(host) is not None
    return Judge(provider.id, configuration.policy if about else _NO_RULES, host)
