"""The placeholders of recorded runs, and the tokens and times that stand in their place while keyfob runs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from keyfob.testing.issuer import CLAIM, jwt

_JWT = re.compile(r"<jwt (?P<name>\S+) acct=(?P<account>\S+) plan=(?P<plan>\S+) exp=(?P<exp>[+-]\d+|none)>")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?=\.\d+Z)")
# The recorder kept no more of this token's claims than its name; it is of the run about the government's cloud.
_FEDRAMP = "a"
_NONE = "None"
"""How the recorder writes that a token claims no account."""


def tokens_of(text: str, now: int) -> dict[str, str]:
    """Placeholder → a JWT, for each in `text`; now: when they were issued, seconds since the epoch."""
    return {found[0]: _made(found, now) for found in _JWT.finditer(text)}


def _made(found: re.Match[str], now: int) -> str:
    own: dict[str, object] = {"chatgpt_plan_type": found["plan"]}
    if found["account"] != _NONE:
        own["chatgpt_account_id"] = found["account"]
    if found["name"] == _FEDRAMP:
        own["chatgpt_account_is_fedramp"] = True
    times = {"iat": now} if found["exp"] == "none" else {"iat": now, "exp": now + int(found["exp"])}
    return jwt(jti=found["name"], email="lab@example.test", **times, **{CLAIM: own})


def login(name: str, account: str = "acct-1", exp: str = "+3600") -> dict[str, str]:
    """What an issuer answers, in placeholders: three tokens of that name; an account of "None" is not claimed."""
    jwts = {f"{kind}_token": f"<jwt {short}-{name} acct={account} plan=pro exp={exp}>" for kind, short in _KINDS}
    return {**jwts, "refresh_token": f"rt-{name}"}


_KINDS = (("id", "id"), ("access", "at"))


def shifted(text: str, seconds: float) -> str:
    """The text with the times in it that much later."""

    def later(found: re.Match[str]) -> str:
        time = datetime.fromisoformat(found[0]).replace(tzinfo=UTC) + timedelta(seconds=seconds)
        return time.strftime("%Y-%m-%dT%H:%M:%S")

    return _TIME.sub(later, text)
