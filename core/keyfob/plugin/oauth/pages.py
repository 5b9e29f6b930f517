"""The pages that a person sees in the browser after signing in: plain, without script, without network."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from html import escape

_STYLE = """
:root {
  color-scheme: light dark;
  --ground: #f5f5f2; --card: #ffffff; --line: #deded8; --ink: #1c2128; --soft: #59616d;
  --good: #14703f; --bad: #b3261e; --over: #59616d;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #121418; --card: #1b1f25; --line: #343a44; --ink: #edeff2; --soft: #a9b1bd;
    --good: #62cf95; --bad: #ff9a90; --over: #a9b1bd;
  }
}
* { box-sizing: border-box }
body {
  background: var(--ground); color: var(--ink); font: 1.0625rem/1.55 system-ui, sans-serif; margin: 0;
  min-height: 100vh; padding: clamp(1rem, 12vh, 7rem) 1rem 1rem;
}
header, main { margin: 0 auto; max-width: 34rem }
header { color: var(--soft); font-size: .9375rem; font-weight: 600; letter-spacing: .02em; padding: 0 .25rem .75rem }
main {
  background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: clamp(1.25rem, 6vw, 2.25rem);
}
svg { display: block; fill: none; height: 2.5rem; stroke: currentColor; stroke-linecap: round; stroke-linejoin: round;
  stroke-width: 1.75; width: 2.5rem }
.good { color: var(--good) } .bad { color: var(--bad) } .over { color: var(--over) }
h1 { font-size: 1.5rem; font-weight: 650; letter-spacing: -.01em; line-height: 1.25; margin: 1rem 0 .75rem }
p { margin: .75rem 0 0 }
h1, p, code { overflow-wrap: anywhere }
.why { border-left: .1875rem solid var(--bad); padding: .125rem 0 .125rem .875rem }
code { background: var(--ground); border: 1px solid var(--line); border-radius: .375rem; display: inline-block;
  font: .9375rem/1.4 ui-monospace, monospace; padding: .25rem .5rem }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")
CONTENT_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""The Content-Security-Policy of every page: this style, and nothing else."""

# The icon is there so that no browser asks for one.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · keyfob</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<header>keyfob</header>
<main>
<svg class="{mark}" viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="10"/><path d="{shape}"/></svg>
<h1>{title}</h1>
{paragraphs}
</main>
</body>
</html>
"""
_SHAPES = {"good": "m7.5 12.5 3 3 6-6.5", "bad": "m8.5 8.5 7 7m0-7-7 7", "over": "M7.5 12h9"}


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says. mark: good, bad or over. why: the reason, as an error says it; may hold a server's words,
    which are escaped. lines: each a paragraph. command: what to run next."""

    title: str
    lines: tuple[str, ...]
    mark: str = "bad"
    why: str | None = None
    command: str | None = None

    def html(self) -> bytes:
        """The whole document."""
        parts = [f'<p class="why">{escape(self.why)}</p>'] if self.why else []
        parts += [f"<p>{escape(line)}</p>" for line in self.lines]
        parts += [f"<p>Next: <code>{escape(self.command)}</code></p>"] if self.command else []
        page = _PAGE.format(
            title=escape(self.title),
            style=_STYLE,
            mark=self.mark,
            shape=_SHAPES[self.mark],
            paragraphs="\n".join(parts),
        )
        return page.encode()


_CLOSE = "You can close this window and go back to the terminal."
_AS_BEFORE = "Nothing was stored. A login that was there before is still there."
_TERMINAL = "The terminal says what to do next. You can close this window."

OVER = Page(
    "This sign-in is over",
    ("Its answer has come already, or it was given up.", "The terminal says how it ended."),
    mark="over",
)
OTHER = Page(
    "This is another sign-in",
    (
        "This page does not belong to the sign-in that keyfob is waiting for. That one goes on.",
        "Open the address that the terminal shows now.",
    ),
    mark="over",
)
_PERHAPS = ("If the login was stored before that, it is there; else all is as it was.", _CLOSE)
GIVEN_UP = Page(
    "The sign-in was given up", ("It was given up at the terminal.", *_PERHAPS), mark="over", command="keyfob status"
)
BROKEN = Page("The sign-in ended early", _PERHAPS, why="something went wrong", command="keyfob status")


def done(name: str | None) -> Page:
    """The login is stored. name: what one has signed in to."""
    lines = ("Your login is stored on the machine where keyfob runs.", _CLOSE)
    return Page(f"Signed in to {name}" if name else "Signed in", lines, mark="good")


def denied(why: str) -> Page:
    """Whoever was asked said no."""
    return Page("Not signed in: access was denied", (_AS_BEFORE, _TERMINAL), why=why)


def forbidden(why: str, command: str | None) -> Page:
    """A rule on this machine forbids the login."""
    lines = ("Sign in with another account, or ask whoever set the rule.", _AS_BEFORE, _further(command))
    return Page("This account may not be used here", lines, why=why, command=command)


def failed(why: str, command: str | None = None) -> Page:
    """Anything else."""
    return Page("Not signed in", (_AS_BEFORE, _further(command)), why=why, command=command)


def _further(command: str | None) -> str:
    return _CLOSE if command else _TERMINAL
