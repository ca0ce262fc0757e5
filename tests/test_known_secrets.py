"""Secrets that others repeat are not repeated by us, in whichever form."""

from __future__ import annotations

import base64
import json
import urllib.parse

import pytest

from homeport import known_secrets
from homeport.known_secrets import COUNT_LIMIT, keep_secret, without_secrets
from homeport.printable import json_text, output_text

SECRET = 'p&ss "wörd"/\\+x'


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_secrets, "_secrets", {})
    monkeypatch.setattr(known_secrets, "_patterns", {})


def forms(secret: str) -> list[str]:
    raw = secret.encode()
    return [
        secret,
        urllib.parse.quote(secret, safe=""),
        json.dumps(secret, ensure_ascii=False)[1:-1],
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
    ]


@pytest.mark.parametrize("form", forms(SECRET))
def test_each_form_is_hidden(form: str) -> None:
    keep_secret(SECRET)
    for border in (without_secrets, output_text, json_text):
        assert form not in border(f"the server said {form}!")
    assert "<hidden>" in without_secrets(f"x{form}y")


@pytest.mark.parametrize("user", ["u", "us", "use", "user"])
def test_a_header_made_of_it_is_hidden_at_any_offset(user: str) -> None:
    keep_secret("correct horse battery")
    header = base64.b64encode(f"{user}:correct horse battery".encode()).decode()
    shown = without_secrets(f"Authorization: Basic {header}")
    assert "<hidden>" in shown
    assert header[8:-4] not in shown


def test_a_short_word_is_hidden_in_messages_but_not_in_results() -> None:
    keep_secret("team")
    assert output_text("password team") == "password <hidden>"
    assert output_text("registry.example/team/app", result=True) == "registry.example/team/app"


def test_less_than_a_word_is_no_secret_and_memory_has_a_bound() -> None:
    keep_secret("abc")
    assert without_secrets("abc") == "abc"
    for number in range(COUNT_LIMIT + 10):
        keep_secret(f"secret number {number}")
    assert len(known_secrets._secrets) == COUNT_LIMIT
    assert without_secrets(f"secret number {COUNT_LIMIT}") == "<hidden>"
