"""What a new plugin may be called."""

from __future__ import annotations

import pytest

from keyfob.errors import UsageError
from keyfob.scaffold.names import check_name, words_of

BAD = {
    "My LLM!": "my-llm",
    "Überllm": "uberllm",
    "2fa": "my-2fa",
    "a--b": "a-b",
    "aws_": "aws",
    "": "my-plugin",
    "…": "my-plugin",
    "keyfob-acme": "acme",
    "keyfob_acme": "acme",
    "openai": "my-openai",
    "ollama": "my-ollama",
    "base_url": "my-base-url",
    "base-url": "my-base-url",
    "contract": "my-contract",
    "x" * 41: "x" * 40,
    "openai" + "-" * 40: "my-openai",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_name_is_refused_and_another_suggested(name: str) -> None:
    """What is no key, no distribution, no module, or somebody else's; what is suggested would do."""
    with pytest.raises(UsageError, match="cannot be called") as raised:
        check_name(name)
    assert raised.value.hint == f"keyfob plugin new {BAD[name]}"
    check_name(BAD[name])


@pytest.mark.parametrize("name", ["acme", "my-llm", "my_llm", "a", "x9", "aws", "true", "class", "x" * 40])
def test_a_good_name_makes_a_distribution_a_module_and_a_variable(name: str) -> None:
    """Python's own words too: they stand in no place where they would count."""
    check_name(name)
    words = words_of(name)
    assert words["name"] == name
    assert words["module"].isidentifier()
    assert words["VARIABLE"].isidentifier()
    assert words["distribution"] == f"keyfob-{name.replace('_', '-')}"
