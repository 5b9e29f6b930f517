"""The pages that a person sees in the browser after signing in: plain, without script, without network."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

_STYLE = """
:root { color-scheme: light dark }
body { font: 1.125rem/1.5 system-ui, sans-serif; margin: 15vh auto; max-width: 34rem; padding: 0 1.5rem }
h1 { font-size: 1.75rem; line-height: 1.25 }
p { overflow-wrap: anywhere }
"""
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · keyfob</title>
<style>{style}</style>
<main>
<h1>{title}</h1>
{paragraphs}
</main>
</html>
"""


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says. lines: each a paragraph; may hold a server's words, which are escaped."""

    title: str
    lines: tuple[str, ...] = ()

    def html(self) -> bytes:
        """The whole document."""
        paragraphs = "\n".join(f"<p>{escape(line)}</p>" for line in self.lines)
        return _PAGE.format(title=escape(self.title), style=_STYLE, paragraphs=paragraphs).encode()


_CLOSE = "You can close this window and go back to the terminal."
DONE = Page("Signed in", ("Your login is stored.", _CLOSE))
TAKEN = Page("This sign-in is over", ("Its answer has arrived before.", _CLOSE))


def denied(message: str) -> Page:
    """Whoever was asked said no."""
    return Page("Not signed in", ("Access was denied.", message, _CLOSE))


def forbidden(message: str) -> Page:
    """A rule on this machine forbids the login."""
    return Page("This account may not be used here", (message, "Nothing was stored.", _CLOSE))


def failed(message: str) -> Page:
    """Anything else."""
    return Page("Not signed in", (message, "The terminal says what to do next."))
