"""Lines: where each key of a TOML document stands."""

from __future__ import annotations

import re

import pytest
import tomli
from hypothesis import example, given
from hypothesis import strategies as st

from keyfob.config.lines import locate

STRINGS = [
    'a = """',
    "b = 1",
    "[c]",
    r'"" \""" d = 2"""""',
    "e = '''",
    'f = "1',
    "''g''''",
    'h = ""',
    "i = ''",
    'j = """"""',
    'k = """ \\',
    '  m = 1"""',
    "m = 1",
]
ARRAYS = """\
a = [ # one
  "]", '#',
  # none
  1979-05-27 07:32:00, [
  1.5,],
  { b = 1 }, {
    c = '''
''' },
]
d = []
"""

EXAMPLES = {
    "keys and tables": (
        'model = "x"\n\n# a comment\n[model_providers.corp]\nname = "Corp" # not [a.b]\n  base_url = "u"\n',
        {
            ("model",): 1,
            ("model_providers",): 4,
            ("model_providers", "corp"): 4,
            ("model_providers", "corp", "name"): 5,
            ("model_providers", "corp", "base_url"): 6,
        },
    ),
    "no final newline": ("a = 1\nb = 2", {("a",): 1, ("b",): 2}),
    "CRLF": ("a = 1\r\n\r\n[b]\r\nc = 2\r\n", {("a",): 1, ("b",): 3, ("b", "c"): 4}),
    "dotted keys": (
        "\na . b.c = 1\na.d = 2",
        {("a",): 2, ("a", "b"): 2, ("a", "b", "c"): 2, ("a", "d"): 3},
    ),
    "quoted keys": (
        '"my key" = 1\n\'C:\\x.y\' = 2\n"\\u00e9\\"\\U0001F600" = 3\n"" = 4\n[ "a.b" . \'c]\' ]\n"#=" = 5',
        {
            ("my key",): 1,
            ("C:\\x.y",): 2,
            ('é"😀',): 3,
            ("",): 4,
            ("a.b",): 5,
            ("a.b", "c]"): 5,
            ("a.b", "c]", "#="): 6,
        },
    ),
    "inline tables": (
        'a = { b = 1, "c d" = { e.f = "}" } } # {g = 1}\nh = {}',
        {
            ("a",): 1,
            ("a", "b"): 1,
            ("a", "c d"): 1,
            ("a", "c d", "e"): 1,
            ("a", "c d", "e", "f"): 1,
            ("h",): 2,
        },
    ),
    "arrays": (
        ARRAYS,
        {
            ("a",): 1,
            ("a", "0"): 2,
            ("a", "1"): 2,
            ("a", "2"): 4,
            ("a", "3"): 4,
            ("a", "3", "0"): 5,
            ("a", "4"): 6,
            ("a", "4", "b"): 6,
            ("a", "5"): 6,
            ("a", "5", "c"): 7,
            ("d",): 10,
        },
    ),
    "strings of several lines": (
        "\n".join(STRINGS),
        {("a",): 1, ("e",): 5, ("h",): 8, ("i",): 9, ("j",): 10, ("k",): 11, ("m",): 13},
    ),
    "arrays of tables": (
        "[[a]]\nb = 1\n[a.c]\nd = 2\n[[a.e]]\n[[a.e]]\nf = 3\n[[a]]\n[a.c]\n[[a.e]]\ng = 4",
        {
            ("a",): 1,
            ("a", "0"): 1,
            ("a", "0", "b"): 2,
            ("a", "0", "c"): 3,
            ("a", "0", "c", "d"): 4,
            ("a", "0", "e"): 5,
            ("a", "0", "e", "0"): 5,
            ("a", "0", "e", "1"): 6,
            ("a", "0", "e", "1", "f"): 7,
            ("a", "1"): 8,
            ("a", "1", "c"): 9,
            ("a", "1", "e"): 10,
            ("a", "1", "e", "0"): 10,
            ("a", "1", "e", "0", "g"): 11,
        },
    ),
    "a table stands where it is first implied": (
        "[a.b.c]\n[a.d]",
        {("a",): 1, ("a", "b"): 1, ("a", "b", "c"): 1, ("a", "d"): 2},
    ),
    "or where its own header is": (
        "[a.b]\n[a]\nc = 1",
        {("a",): 2, ("a", "b"): 1, ("a", "c"): 3},
    ),
}


def paths(value, path=()):
    """Every path of a parsed document, array elements included."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, str(key))
        yield from paths(child, (*path, str(key)))


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_key_has_its_line(name):
    """Each path that tomli finds in the document is known with its line."""
    text, expected = EXAMPLES[name]
    lines = locate(text)
    assert {path: lines.line(path) for path in paths(tomli.loads(text))} == expected
    assert lines.line(("no such key",)) is None
    assert lines.line(()) is None


def test_nearest_is_the_longest_known_prefix():
    """A message about a key that is absent points at the table that should have it."""
    lines = locate("a = 1\n[b]\nc = { d = 1 }\n")
    assert lines.nearest(("b", "c", "d")) == 3
    assert lines.nearest(("b", "c", "x", "y")) == 3
    assert lines.nearest(("b", "x")) == 2
    assert lines.nearest(("x",)) is None
    assert lines.nearest(()) is None


def test_what_is_nested_too_deep_is_not_known_but_near():
    """Nothing is attributed to the wrong key: below 64 levels a path has no line, and its 64th key has one."""
    deep = ("a",) * 100
    for text in (f"[{'.'.join(deep)}]\nb = 1", f"{'.'.join(deep)} = {{ b = 1 }}", f"[{'.'.join(deep)}.b]\n[[c]]"):
        lines = locate(text)
        assert lines.line((*deep[:64], "b")) is None
        assert lines.line((*deep, "b")) is None
        assert lines.nearest((*deep, "b")) == 1


@pytest.mark.slow
def test_a_document_of_brackets_is_read_without_recursion():
    """Nesting deeper than Python's stack is no matter."""
    lines = locate("a = " + "[" * 50_000 + "]" * 50_000 + "\nb = 1")
    assert lines.line(("a",)) == 1
    assert lines.line(("b",)) == 2


def test_it_keeps_nothing_of_the_values():
    """A document holds secrets; what is kept of it are keys and numbers."""
    lines = locate('experimental_bearer_token = "sk-canary"\n')
    kept = [getattr(lines, name) for name in lines.__slots__]
    assert "experimental_bearer_token" in repr(kept)
    assert "canary" not in repr(kept)


class Writer:
    """Writes nested dictionaries as TOML, in whatever styles `draw` chooses, and notes the line of every key."""

    def __init__(self, draw):
        self.draw = draw
        self.text = ""
        self.lines = {}

    def write(self, *options):
        self.text += self.draw(st.sampled_from(options)) if len(options) > 1 else options[0]

    def here(self):
        return self.text.count("\n") + 1

    def newline(self):
        self.write("", " ", '\t# [c] = { \'"""')
        self.write("\n", "\n\n", "\n  # d = 1\n\n", "\n  ")

    def key(self, path):
        self.lines.setdefault(path, self.here())
        self.write(*spellings(path[-1]))

    def some(self, content):
        """Return a part of `content` that may stand under headers."""
        return {key: value for key, value in content.items() if can_be_headed(value) and self.draw(st.booleans())}

    def table(self, path, names, content):
        """Write `content` below its header: what is assigned first, then what has headers; `names` are the header's."""
        headed = self.some(content)
        for key, value in content.items():
            if key in headed:
                continue
            if isinstance(value, dict) and value and self.draw(st.booleans()):
                for inner in value:
                    self.key((*path, key))
                    self.write(".", " . ")
                    self.assign((*path, key, inner), value[inner])
                    self.newline()
            else:
                self.assign((*path, key), value)
                self.newline()
        for key, value in headed.items():
            self.headed((*path, key), (*names, key), value)

    def headed(self, path, names, value):
        if isinstance(value, list):
            for index, element in enumerate(value):
                self.lines.setdefault(path, self.here())
                self.header((*path, str(index)), names, "[[", "]]")
                self.table((*path, str(index)), names, element)
            return
        early = self.some(value)
        for key, inner in early.items():  # their headers imply this table
            self.lines.setdefault(path, self.here())
            self.headed((*path, key), (*names, key), inner)
        if len(early) < len(value) or not early or self.draw(st.booleans()):
            self.header(path, names, "[", "]")
            self.table(path, names, {key: inner for key, inner in value.items() if key not in early})

    def header(self, path, names, opening, closing):
        self.lines[path] = self.here()
        self.write(opening, f"{opening} ")
        for index, name in enumerate(names):
            self.write("." if index else "")
            self.write(*spellings(name))
        self.write(closing, f" {closing}")
        self.newline()

    def assign(self, path, value):
        self.key(path)
        if isinstance(value, dict) and len(value) == 1 and self.draw(st.booleans()):
            ((inner, value),) = value.items()
            self.write(".", ". ")
            self.assign((*path, inner), value)
        else:
            self.write("=", " = ", "\t=  ")
            self.value(path, value)

    def value(self, path, value):
        if isinstance(value, dict):
            self.inline_table(path, value)
        elif isinstance(value, list):
            self.array(path, value)
        elif isinstance(value, str):
            self.write(*strings(value))
        else:
            self.write(str(value).lower() if isinstance(value, bool) else str(value))

    def inline_table(self, path, value):
        self.write("{", "{ ")
        for index, (key, inner) in enumerate(value.items()):
            self.write(*([",", " , "] if index else [""]))
            self.assign((*path, key), inner)
        self.write("}", " }")

    def array(self, path, value):
        self.write("[")
        self.gap()
        for index, element in enumerate(value):
            self.lines[(*path, str(index))] = self.here()
            self.value((*path, str(index)), element)
            self.gap()
            self.write(*([","] if index + 1 < len(value) else ["", ","]))
            self.gap()
        self.write("]")

    def gap(self):
        self.write("", " ", "\n", " # ], 'x = {\n\n  ")


def can_be_headed(value):
    """Tables may stand under headers, and lists of nothing else."""
    return isinstance(value, dict) or (isinstance(value, list) and value and all(isinstance(v, dict) for v in value))


def spellings(key):
    """Yield the ways to write a key: bare, literal, basic, and basic with all escaped that can be."""
    if re.fullmatch("[A-Za-z0-9_-]+", key):
        yield key
    if key.isprintable() and "'" not in key:
        yield f"'{key}'"
    yield '"' + basic(key) + '"'
    yield '"' + "".join(map(escaped, key)) + '"'


def strings(text):
    """Yield the ways to write a string value: basic and literal, on one line and on several."""
    yield '"' + basic(text) + '"'
    yield '"""\n' + basic(text, raw="\n") + '"""'
    if '"""' not in text:
        yield '"""\n' + basic(text, raw='\n"') + '"""'
    if text.replace("\n", "").isprintable() and "'''" not in text:
        yield f"'''\n{text}'''"
        if "\n" not in text and "'" not in text:
            yield f"'{text}'"


def basic(text, raw=""):
    """Return what stands between the quotes of a basic string; characters in `raw` are not escaped."""
    short = {char: "\\" + char for char in '\\"' if char not in raw}
    return "".join(short.get(char) or (char if char in raw or char.isprintable() else escaped(char)) for char in text)


def escaped(char):
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


TEXT = st.text(st.sampled_from("\"\"''\\\n#[]{}=.,ab é😀\t") | st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = TEXT | st.integers(-9, 9) | st.booleans() | st.datetimes() | st.floats(0, 1)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)
TABLES = st.dictionaries(TEXT, VALUES | st.lists(st.dictionaries(TEXT, VALUES, max_size=3), max_size=3), max_size=5)


@pytest.mark.slow
@given(TABLES, st.booleans(), st.booleans(), st.data())
def test_every_key_of_any_document_has_its_line(content, crlf, final_newline, data):
    """Whatever the document holds and however it is written, the scan knows every key that tomli does, and its line."""
    writer = Writer(data.draw)
    writer.write("", "\n", "# a = 1\n")
    writer.table((), (), content)
    text = writer.text if final_newline else writer.text.removesuffix("\n")
    text = text.replace("\n", "\r\n") if crlf else text
    assert tomli.loads(text) == content
    lines = locate(text)
    assert {path: lines.line(path) for path in paths(content)} == writer.lines


PIECES = [
    *[
        "a",
        "b-1",
        ".",
        "=",
        " ",
        "\t",
        "\n",
        "\r\n",
        "#",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        ",",
        "\\",
        "é",
        "1",
        "-1.5e3",
    ],
    *['"', "'", '"""', "'''", '"x"', "'#'", '"\\u0041"', '"\\""', "1979-05-27 07:32:00", "true"],
    *["a=1\n", "b.c={}\n", "[a]\n", "[[b]]\n", "d=[", "{a=1}", "c = ", '"""\n"', "\n[a.b]\n"],
]


@pytest.mark.slow
@example('"\\q" = 1')
@given(st.text() | st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_no_text_makes_it_raise(text):
    """It trusts the text to be TOML; what is not costs positions only, and of what is, it knows all."""
    lines = locate(text)
    try:
        content = tomli.loads(text)
    except tomli.TOMLDecodeError:
        return
    known = [lines.line(path) for path in paths(content)]
    assert all(line is not None and 1 <= line <= text.count("\n") + 1 for line in known)
