"""How a login stands, and whether a provider could have a credential: told without renewing or asking anything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from keyfob.credentials import timing
from keyfob.credentials.records import SignsIn
from keyfob.credentials.unattended import in_vain, last
from keyfob.errors import (
    CredentialError,
    DamagedLoginError,
    KeyfobError,
    OtherOriginError,
    PluginError,
    PolicyError,
    StoreError,
)
from keyfob.plugin.contract import State, SupportsState

if TYPE_CHECKING:
    from keyfob.credentials.login import Login
    from keyfob.credentials.outcome import Outcome
    from keyfob.credentials.record import About, Record
    from keyfob.providers import Provider

# The words of `keyfob status`: each state a login can be in. docs/logins.md says what to do in each.
ABSENT = "not signed in"
UNATTENDED = "signs in by itself"
PRESENT = "present"
RENEWABLE = "expired but renewable"
EXPIRED = "expired"
REFUSED = "refused for good"
INTERRUPTED = "renewal interrupted"
DAMAGED = "damaged"
UNUSABLE = "cannot be used"
ELSEWHERE = "stored for another configuration"
FORBIDDEN = "forbidden by policy"
UNREADABLE = "store not readable"


@dataclass(frozen=True, slots=True)
class Standing:
    """How one login stands.

    state: one of the words above. usable: whether a credential can be had. stored: False for one of the environment.
    problem: what is wrong. hint: what to do, as words or a command. begun: since when a renewal is not finished.
    failures: how many renewals failed in a row, and not_before: when it is tried again; both times in seconds since the
    epoch. overruled: the place of a stored login that the environment's goes before.
    """

    state: str
    usable: bool
    place: str
    stored: bool = True
    record: Record | None = None
    about: About | None = None
    problem: KeyfobError | None = None
    hint: str | None = None
    begun: float | None = None
    failures: int = 0
    not_before: float | None = None
    overruled: str | None = None

    @property
    def absent(self) -> bool:
        """Whether there is none."""
        return self.state in {ABSENT, UNATTENDED}

    @property
    def located(self) -> bool:
        """Whether there is something at `place`, as far as could be seen."""
        return self.state not in {ABSENT, UNATTENDED, UNREADABLE}


def standing(login: Login) -> Standing:
    """How the login stands that would be used: the environment's, else the stored one. Changes nothing."""
    given = login.records.environment_secret()
    found = _stored(login) if given is None else _given(login, given)
    return found if found.record is None else replace(found, about=login.records.about(found.record))


def _given(login: Login, secret: str) -> Standing:
    variable = login.records.variable
    place = f"environment variable {variable}"
    found = Standing(PRESENT, usable=True, place=place, stored=False, overruled=_overruled(login))
    try:
        record = login.records.of_environment(secret)
    except CredentialError as error:
        return replace(found, state=UNUSABLE, usable=False, problem=error, hint=error.hint or f"unset {variable}")
    return _judged(login, record, found)


def _overruled(login: Login) -> str | None:
    try:
        return None if login.store.read() is None else login.store.place
    except KeyfobError:  # whatever is wrong with it, it is not used
        return None


def _stored(login: Login) -> Standing:
    try:
        record = login.useful()
        return _nobody(login) if record is None else _judged(login, record, _timed(login, record))
    except OtherOriginError as error:
        return _faulty(login, ELSEWHERE, error, error.hint)
    except StoreError as error:
        return _faulty(login, UNREADABLE, error, error.hint or "keyfob doctor")
    except DamagedLoginError as error:
        keep = f"move {login.store.place} away first, to keep it; " if login.store.kind == "file" else ""
        return _faulty(login, DAMAGED, error, f"{keep}{error.hint}")
    except CredentialError as error:
        return _faulty(login, UNUSABLE, error, error.hint)


def _faulty(login: Login, state: str, problem: KeyfobError, hint: str | None) -> Standing:
    """Asked after reading: the store may tell the place only then."""
    return Standing(state, usable=False, place=login.store.place, problem=problem, hint=hint)


def _nobody(login: Login) -> Standing:
    if login.unattended is not None:
        hint = f"nothing: the next request signs in; keyfob check {login.provider} does it now"
        found = Standing(UNATTENDED, usable=True, place=login.store.place, hint=hint)
        outcome = last(login)
        return (
            found if outcome is None else _tried(outcome, replace(found, problem=in_vain(outcome), hint=outcome.hint))
        )
    error = login.missing()
    return Standing(ABSENT, usable=False, place=login.store.place, problem=error, hint=error.hint)


def _judged(login: Login, record: Record, found: Standing) -> Standing:
    try:
        login.judge(record)
    except PolicyError as error:
        return replace(found, state=FORBIDDEN, usable=False, record=record, problem=error, hint=error.hint)
    return replace(found, record=record)


def _timed(login: Login, record: Record) -> Standing:
    """What the clock and the journal of its renewals say of a stored login."""
    journal = login.store.journal()
    good = login.clock() < timing.usable_until(record, skew=timing.skew_of(record, journal))
    outcome, intent = journal.outcome, journal.intent
    begun = intent.at if intent and intent.fingerprint == record.fingerprint else None
    found = Standing(PRESENT, usable=good, place=login.store.place, begun=begun, hint=_once(login, record))
    if not good:
        found = _expired(login, record, found)
    return _failed(login, outcome, found) if outcome and outcome.fingerprint == record.fingerprint else found


def _once(login: Login, record: Record) -> str | None:
    """What to do, in the end, about a login that nothing here renews, or not as it is."""
    lacking = _lacking(login, record)
    if lacking is not None:
        return f"{lacking}, before it expires: a renewal needs it"
    if record.secret is not None or record.expires_at is None:
        return None
    return f"nothing, until it expires: it cannot be renewed here; then {login.command}"


def _lacking(login: Login, record: Record) -> str | None:
    return login.records.missing_for_renewal(record.data) if isinstance(login.records, SignsIn) else None


def _expired(login: Login, record: Record, found: Standing) -> Standing:
    if record.secret is None:
        return replace(found, state=EXPIRED, hint=login.ended().hint)
    lacking = _lacking(login, record)
    if lacking is not None:
        return replace(found, state=EXPIRED, hint=f"{lacking}: a renewal needs it")
    hint = f"nothing: the next request renews it; keyfob check {login.provider} does it now"
    return replace(found, state=RENEWABLE, usable=True, hint=hint)


def _failed(login: Login, outcome: Outcome, found: Standing) -> Standing:
    """The same with what came of the last try to renew it: the end, or a failure that may pass."""
    problem = outcome.error(login.provider, login.command)
    if outcome.permanent:
        state = INTERRUPTED if outcome.lost else REFUSED
        return replace(found, state=state, usable=found.state == PRESENT, problem=problem, hint=login.command)
    hint = outcome.hint or f"keyfob check {login.provider} tries again"
    return _tried(outcome, replace(found, problem=problem, hint=hint))


def _tried(outcome: Outcome, found: Standing) -> Standing:
    """The same with how often it failed, and when it is tried again."""
    return replace(found, failures=outcome.failures, not_before=outcome.not_before)


def state_of(provider: Provider) -> State:
    """Whether a credential could be had, as `explain` and `providers` tell it, without asking anybody."""
    login, comes_from = provider.login, f"plugin {provider.route.plugin}"
    if login is not None:
        with provider.isolated("its login"):
            return _of_login(login, standing(login))
    if provider.judge.objection() is not None:
        return State(ready=False, summary=FORBIDDEN, comes_from=comes_from, headers=())
    plugin = provider.loaded.plugin
    if isinstance(plugin, SupportsState):
        return _told_by(plugin, provider)
    credential = provider.source.peek()
    if credential is None:
        return State(ready=False, summary="not known until asked", comes_from=comes_from, headers=())
    return State(ready=True, summary="ready", comes_from=comes_from, headers=tuple(credential.headers))


def _told_by(plugin: SupportsState[Any], provider: Provider) -> State:
    with provider.isolated("state"):
        state: object = plugin.state(provider.info, provider.options, provider.host.context)
    if isinstance(state, State):
        return state
    raise PluginError(f"{provider.loaded.owner}: state() of plugin `{provider.route.plugin}` returned no State")


def _of_login(login: Login, found: Standing) -> State:
    variable = login.records.variable
    headers = login.records.headers if isinstance(login.records, SignsIn) else ("Authorization",)
    expires_at = None
    if found.record is not None and found.usable:
        headers = tuple(login.records.credential(found.record).headers)
        expires_at = found.record.expires_at
    place = found.place
    if found.state == ABSENT and login.records.missing is not None:
        place = f"environment variable {variable}"
    return State(found.usable, _summary(login, found), comes_from=place, headers=headers, expires_at=expires_at)


def _summary(login: Login, found: Standing) -> str:
    if found.state == PRESENT:
        return "ready"
    if found.state == ABSENT and login.records.missing is not None:
        return f"`{login.records.variable}` not set"
    return found.state if found.stored else f"`{login.records.variable}` {found.state}"
