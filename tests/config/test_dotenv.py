"""The .env file is read as Codex reads it.

Each table names the source of its rules: "dotenvy" is that crate's own tests and documentation (0.15.7); "observed" is
what Codex 0.169 gave to a child of `codex sandbox` for the same file.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyfob.config.dotenv import parse

# dotenvy, test_parse_line_env; with_dot
ASSIGNMENTS = [
    ("A=1", {"A": "1"}),
    ('A="2"', {"A": "2"}),
    ("A='3'", {"A": "3"}),
    ("A='fo ur'", {"A": "fo ur"}),
    ('A="fi ve"', {"A": "fi ve"}),
    (r"A=s\ ix", {"A": "s ix"}),
    ("A=", {"A": ""}),
    ("A=     ", {"A": ""}),
    ("A=   # comment", {"A": ""}),
    ('A  =    "blanks around ="', {"A": "blanks around ="}),
    ("  A=1  \n", {"A": "1"}),
    ("export   A=1", {"A": "1"}),
    ("export=1", {"export": "1"}),
    ("A.b_C=1", {"A.b_C": "1"}),
    ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
    ("A=1\n\n \nA=2", {"A": "2"}),
]

# dotenvy, test_parse_line_comment, tests/test-multiline-comment.rs
COMMENTS = [
    ("# A=1\n   # B='\nC=3", {"C": "3"}),
    ("A=1 # it's one\nB=2", {"A": "1", "B": "2"}),
    ("A=#1", {"A": ""}),
    ("A='#1' #c", {"A": "#1"}),
    ("A=sk-a#b=c==", {"A": "sk-a#b=c=="}),
]

# dotenvy, test_parse_value_escapes
ESCAPES = [
    (r'A="awesome stuff \"mang\""', {"A": 'awesome stuff "mang"'}),
    (r"A='sweet $\fgs'\''fds'", {"A": r"sweet $\fgs'fds"}),
    (r'''A="'\"yay\\"\ "stuff"''', {"A": r"""'"yay\ stuff"""}),
    (r'A="line 1\nline 2"', {"A": "line 1\nline 2"}),
    (r"A=\$sweet", {"A": "$sweet"}),
]

# dotenvy, tests/test-multiline.rs
SEVERAL_LINES = [
    ("A='x\n# y'\nB=1", {"A": "x\n# y", "B": "1"}),
    ('A="x\r\ny" # z\r\nB=1\r\n', {"A": "x\r\ny", "B": "1"}),
    ('A="x\n\n"', {"A": "x\n\n"}),
]

# dotenvy, variable_substitution_tests; HOME_KEY and T are in the environment
SUBSTITUTIONS = [
    ('A=1\nB="${A}"', {"A": "1", "B": "1"}),
    ("A=1\nB=$A$A", {"A": "1", "B": "11"}),
    ('B=">$NO<>${NOPE}<"', {"B": "><><"}),
    (r"B=>\$T<>\${T}<", {"B": ">$T<>${T}<"}),
    (r'B=">\$T<>\${T}<"', {"B": ">$T<>${T}<"}),
    ("B='>${T}<>$T<'", {"B": ">${T}<>$T<"}),
    ("A=${B}+a\nB=${A}+b", {"A": "+a", "B": "+a+b"}),
    ("B=>$T_1<>$T}<>$T{<", {"B": ">env_1<>env}<>env{<"}),
    ("B=${HOME_KEY}", {"B": "home"}),
]

# observed: accidents of dotenvy that are Codex's behaviour
ODDITIES = [
    ("B=$T b", {"B": "env b"}),
    ("B=$", {"B": ""}),
    ("B=b\\\n", {"B": "b"}),
    ("A=1\x1f", {"A": "1\x1f"}),
    ("A=1\u00a0# c", {"A": "1"}),
    ("A=1\r#2", {"A": "1\r#2"}),
    ("A=C:\\new", {"A": "C:\new"}),
    # Codex sets each variable before it reads the next entry
    ("Z=$T\nT=file\nY=$T", {"Z": "env", "T": "file", "Y": "file"}),
]

ENVIRON = {"HOME_KEY": "home", "T": "env"}


VALID = ASSIGNMENTS + COMMENTS + ESCAPES + SEVERAL_LINES + SUBSTITUTIONS + ODDITIES


@pytest.mark.parametrize(("text", "variables"), VALID)
def test_what_an_entry_sets(text, variables):
    """A valid file sets these variables, and no line of it is reported."""
    assert parse(text, ENVIRON) == (variables, [])


# dotenvy, test_parse_line_invalid, test_parse_value_escapes_invalid, error_tests; the last four observed
INVALID = [
    ("invalid", [1]),
    ("very bacon = yes indeed", [1]),
    ("=value", [1]),
    ("A=my uncool value", [1]),
    ('A="why', [1]),
    ("A='please stop''", [1]),
    (r"A=h\8u", [1]),
    ("A=>${B{<", [1]),
    ("export", [1]),
    ("1A=1\nA-B=1\n.A=1\n\u00c9=1", [1, 2, 3, 4]),
    ('A="$T"', [1]),
    ("A='x\\'", [1]),
    ("\n\nA='x\ny' z\n# c\nB='", [3, 6]),
]


@pytest.mark.parametrize(("text", "lines"), INVALID)
def test_an_invalid_entry_is_reported_by_its_first_line(text, lines):
    """Entries that are no assignments set nothing; entries that span lines are named by the first."""
    assert parse(text, ENVIRON) == ({}, lines)


def test_an_invalid_entry_does_not_spoil_its_neighbours():
    """As Codex does: what is invalid is skipped, the rest is read."""
    assert parse("A=1\nnonsense here\nB=2\n") == ({"A": "1", "B": "2"}, [2])


@pytest.mark.parametrize("line", ["B=it's", "B='x\\'", 'B="x', "B=2  # it's two"])
def test_a_quote_that_is_never_closed_takes_all_that_follows(line):
    """Observed, and odd in the last: after two blanks dotenvy sees no comment. The line that opens it is reported."""
    variables, invalid = parse(f"A=1\n{line}\nC=3\n")
    assert (variables, invalid) == ({"A": "1"}, [2])


@pytest.mark.parametrize("name", ["CODEX_HOME", "codex_api_key", "Codex_", "KEYFOB_DISABLE_PLUGINS", "keyfob_asking"])
def test_reserved_names_are_left_out(name):
    """Codex's arg0 drops CODEX_ in any case; KEYFOB_ is ours. Being left out is not a fault."""
    assert parse(f"{name}=1\nA=2\n") == ({"A": "2"}, [])


@pytest.mark.parametrize("name", ["CODEX", "XCODEX_A", "KEYFOB", "MY_KEYFOB_A"])
def test_only_the_whole_prefix_is_reserved(name):
    """A name that merely resembles a reserved one is kept."""
    assert parse(f"{name}=1") == ({name: "1"}, [])


def test_entries_may_refer_to_a_reserved_name():
    """Observed: it is looked up in the environment first, as the file could not set it."""
    text = "CODEX_A=file\nB=${CODEX_A}\n"
    assert parse(text) == ({"B": "file"}, [])
    assert parse(text, {"CODEX_A": "env"}) == ({"B": "env"}, [])


@pytest.mark.parametrize("text", ["\ufeffA=1\n", "A=1 ", "A=1\\", "A=1\n \t"])
def test_what_cannot_be_seen_loses_no_entry(text):
    """Where keyfob differs: Codex loses the first entry to a byte order mark, the last to a blank and no newline."""
    assert parse(text) == ({"A": "1"}, [])


PIECES = [
    "A",
    "=",
    "\n",
    "\r\n",
    '"',
    "'",
    "$",
    "${",
    "}",
    "\\",
    " ",
    "\t",
    "#",
    "x",
    "export ",
    "\x00",
    "é",
    "CODEX_A=1\n",
]


# On a busy machine one text may take long.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.slow
@unhurried
@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)))
def test_any_text_is_read(text):
    """No text raises; the lines reported exist and ascend; no reserved name comes out."""
    variables, invalid = parse(text, {"A": "1"})
    assert invalid == sorted(set(invalid))
    assert all(1 <= line <= text.count("\n") + 1 for line in invalid)
    assert not any(name.upper().startswith(("CODEX_", "KEYFOB_")) for name in variables)


@pytest.mark.slow
@unhurried
@given(st.dictionaries(st.from_regex(r"[A-BD-Z_][A-Z0-9_]{0,8}", fullmatch=True), st.text()))
def test_every_value_can_be_written(variables):
    """Whatever a value holds, double quotes with four characters escaped say it."""
    escape = str.maketrans({char: "\\" + char for char in '\\"$'} | {"\n": "\\n"})
    text = "".join(f'X{name}="{value.translate(escape)}"\n' for name, value in variables.items())
    assert parse(text) == ({f"X{name}": value for name, value in variables.items()}, [])


def test_it_imports_nothing():
    """The warm path reads .env: the module may not make it slower by an import."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules);"
        "source = open(sys.argv[2], encoding='utf-8').read(); before |= set(sys.modules);"
        "exec(compile(source, 'dotenv', 'exec'), {'__name__': 'dotenv'}); print(*sorted(set(sys.modules) - before))"
    )
    path = parse.__code__.co_filename
    done = subprocess.run([sys.executable, "-I", "-c", program, "", path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
