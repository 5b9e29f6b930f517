"""The variables of `$CODEX_HOME/.env`, read as Codex reads them.

On the warm path: imports nothing.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_RESERVED = ("CODEX_", "KEYFOB_")
_QUOTES = ("'", '"')
_NAME = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789."
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "$": "$", " ": " ", "n": "\n", "": ""}
# What Rust's char::is_whitespace takes; str.isspace() would add U+001C to U+001F.
_BLANK = " \t\n\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def parse(text: str, environ: "Mapping[str, str] | None" = None) -> tuple[dict[str, str], list[int]]:
    """Return the variables that `text` sets, and the 1-based line numbers of the entries that are invalid and skipped.

    An entry that spans lines is named by its first. `$NAME` and `${NAME}` stand for an entry above, else for a variable
    of `environ`, else for nothing. A name that starts with CODEX_ or KEYFOB_, in any case, is left out: the file may
    hold keys, but not move the home or loosen a rule. (Codex drops CODEX_ so; other entries may still refer to it.)

    The rules are those of dotenvy 0.15.7, the crate that Codex uses, odd ones included: `$A_B` is `$A` and then `_B`;
    `"$A"` is invalid where `"${A}"` is not; to the search for the last line of an entry, a backslash hides the quote
    that ends a '…', and a `#` after two blanks is no comment. Two are not followed, as nobody can see why the entry is
    lost: a byte order mark spoils the first entry, and a blank that ends the file spoils the last.
    """
    kept: dict[str, str] = {}
    dropped: dict[str, str] = {}
    invalid: list[int] = []

    def lookup(name: str) -> str:
        # Codex sets each variable before it reads the next entry: what the file says goes before the environment.
        return next((known[name] for known in (kept, environ or {}, dropped) if name in known), "")

    for number, entry in _entries(text.removeprefix("\ufeff")):
        try:
            key, value = _assignment(entry, lookup)
        except (LookupError, ValueError):
            invalid.append(number)
        else:
            (dropped if key.upper().startswith(_RESERVED) else kept)[key] = value
    return kept, invalid


def _entries(text: str) -> "Iterator[tuple[int, str]]":
    """Yield each entry with the number of its first line: the lines up to one that ends outside quotes."""
    entry, state, first = "", "", 1
    for number, line in enumerate(text.split("\n"), 1):
        if not entry:
            first = number
            if line.lstrip(_BLANK).startswith("#"):
                continue
        state, end = _scan(line + "\n", state)
        entry += f"{line}\n"[:end]
        if state in _QUOTES:
            continue
        if entry.strip(_BLANK):
            yield first, entry
        entry, state = "", ""
    if entry:
        yield first, ""  # never closed: whatever it says is invalid


def _scan(line: str, state: str) -> tuple[str, int]:
    """Return the state at the end of `line`, and where its comment starts or it ends.

    A state is the open quote, a blank that a comment may follow, or nothing; then a backslash if the next is escaped.
    """
    for at, char in enumerate(line):
        if state.endswith("\\"):
            state = state[:-1]
        elif state in _QUOTES:
            state = "" if char == state else state + "\\" * (char == "\\")
        elif state == " " and char == "#":
            return "", at
        elif char in _QUOTES or char == "\\":
            state = char
        else:
            state = " " if not state and char in _BLANK and char != "\r" else ""
    return state, len(line)


def _assignment(entry: str, lookup: "Callable[[str], str]") -> tuple[str, str]:
    """Return name and value of `[export] NAME = value`; LookupError or ValueError if it is not that."""
    name, rest = _name(entry.strip(_BLANK))
    if name == "export" and not rest.startswith("="):
        name, rest = _name(rest)
    if not rest.startswith("="):
        raise ValueError
    value = rest[1:].lstrip(_BLANK)
    return name, "" if value.startswith("#") else _value(value, lookup)


def _name(text: str) -> tuple[str, str]:
    rest = text.lstrip(_NAME)
    name = text.removesuffix(rest)
    if not name or name[0] in "0123456789.":
        raise ValueError
    return name, rest.lstrip(_BLANK)


# The three below read a piece of text from `at` on, and return what it stands for and where the next piece starts.
# What has no end, they run out of: that is the LookupError or ValueError which makes the entry invalid.


def _value(text: str, lookup: "Callable[[str], str]") -> str:
    value, at = "", 0
    while at < len(text) and text[at] not in " \t":
        if text[at] == '"':
            piece, at = _weak(text, at + 1, lookup)
        elif text[at] == "'":
            end = text.index("'", at + 1)
            piece, at = text[at + 1 : end], end + 1
        else:
            piece, at = _char(text, at, lookup)
        value += piece
    if text[at:].lstrip(" \t")[:1] not in ("", "#"):
        raise ValueError
    return value


def _weak(text: str, at: int, lookup: "Callable[[str], str]") -> tuple[str, int]:
    value = ""
    while text[at] != '"':
        piece, at = _char(text, at, lookup)
        value += piece
    return value, at + 1


def _char(text: str, at: int, lookup: "Callable[[str], str]") -> tuple[str, int]:
    if text[at] == "\\":
        return _ESCAPES[text[at + 1 : at + 2]], at + 2
    if text[at] == "$":
        return _variable(text, at + 1, lookup)
    return text[at], at + 1


def _variable(text: str, at: int, lookup: "Callable[[str], str]") -> tuple[str, int]:
    if text[at : at + 1] == "{":
        end = text.index("}", at)
        return lookup(text[at + 1 : end]), end + 1
    end = at
    while text[end : end + 1].isalnum():
        end += 1
    if text[end : end + 1] == "$":
        return lookup(text[at:end]), end
    # dotenvy takes what follows the name as it is, be it a quote, a blank or a backslash.
    return lookup(text[at:end]) + text[end : end + 1], end + 1
