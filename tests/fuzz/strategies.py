"""Logins, tokens and answers of every shape: sound ones, such with one thing wrong, and nonsense.

Every secret holds the canary.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from keyfob.testing.issuer import CLAIM, jwt

MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
"""Where temporary folders are: every renewal waits for the disk a dozen times."""
CANARY = "canary7d1f"
NOW = 1_800_000_000.0

NAMES = """auth_mode OPENAI_API_KEY tokens last_refresh id_token access_token refresh_token account_id oauth_provenance
issuer client_id personal_access_token bedrock_api_key error code expires_in"""
names = st.sampled_from(NAMES.split())
texts = st.text(max_size=6).map(lambda text: CANARY + text)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.sampled_from(["", " ", "apikey", "chatgpt", "chatgptAuthTokens", "personalAccessToken", f"at-{CANARY}"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)


def token(exp: float | None = NOW + 3600, **claims: Any) -> str:
    """A JWT that holds the canary."""
    times = {} if exp is None else {"exp": exp}
    return jwt(jti=CANARY, iat=NOW - 600, **times, **{CLAIM: {"chatgpt_account_id": "acct-1"}}, **claims)


times = st.floats(NOW - 10**5, NOW + 10**5) | st.sampled_from([NOW + 900, NOW + 901, NOW + 899, 0, NOW * 1000])
tokens = st.none().map(lambda _: token()) | times.map(token) | texts | st.just("a.e30.c")
DATES = """2027-01-15T07:50:00.123456789Z 2027-01-15T07:50:00Z 2027-02-29T00:00:00Z 2027-13-01T00:00:00Z yesterday
2027-01-15T24:00:00Z 2027-01-15T07:50:61Z 2027-01-15T07:50:00 2027-01-15T07:50:00.Z 2027-01-15T07:50:00,5Z
0000-01-01T00:00:00Z 2027-1-015T07:50:00Z ٢٠٢٧-01-15T07:50:00Z 2027-01-15T07:50:00.5xZ 2027-01-15T07:50:00x5Z
0001-01-01T00:00:00Z 9999-12-31T23:59:59Z"""
dates = st.sampled_from(DATES.split()) | st.floats(NOW - 10**8, NOW + 10**8).map(
    lambda at: datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
)
unknown = st.dictionaries(st.text(max_size=3), values, max_size=2)


@st.composite
def sound(draw: st.DrawFn) -> dict[str, Any]:
    """A login as Codex or keyfob writes it, with fields that neither knows."""
    if draw(st.booleans()):
        return {"auth_mode": "apikey", "OPENAI_API_KEY": f"sk-{CANARY}", **draw(unknown)}
    own = {"id_token": token(), "access_token": draw(tokens), "refresh_token": f"rt-{CANARY}", "account_id": "acct-1"}
    whole = {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": {**draw(unknown), **own}}
    return {**whole, "last_refresh": draw(dates), **draw(unknown)}


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """The same with up to three fields replaced, removed or added."""
    data: dict[str, Any] = json.loads(json.dumps(draw(sound())))
    for _ in range(draw(st.integers(0, 3))):
        inner = data.get("tokens")
        table = inner if isinstance(inner, dict) and draw(st.booleans()) else data
        name = draw(names)
        if draw(st.booleans()):
            table.pop(name, None)
        else:
            table[name] = draw(values | dates | tokens | st.sampled_from([" sk-1 ", "a\nb", "é", "\ud800"]))
    return data


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """What may stand in auth.json."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(st.binary(max_size=60))
    if kind == 1:
        return json.dumps(draw(values)).encode()
    whole = json.dumps(draw(mutated()), indent=draw(st.sampled_from([None, 2]))).encode()
    if kind > 3:
        return whole
    at, end = sorted(draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    extra = draw(st.binary(max_size=4) | st.sampled_from([b"\xef\xbb\xbf", b"NaN", b"1e999", b'{"tokens":1}']))
    return whole[:at] + extra + whole[draw(st.sampled_from([at, end])) :]


answers = st.fixed_dictionaries(
    {},
    optional={
        "id_token": tokens | values,
        "access_token": tokens | values,
        "refresh_token": st.just(f"rt-new-{CANARY}") | values,
        "error": st.sampled_from(["invalid_grant", "invalid_client", "refresh_token_reused"]) | values,
        "code": values,
    },
)
bodies = (
    answers.map(lambda found: json.dumps(found).encode())
    | st.binary(max_size=40)
    | values.map(lambda found: json.dumps(found).encode())
)
