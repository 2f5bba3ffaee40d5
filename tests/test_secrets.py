"""Passwords in URLs, wherever they stand."""

import pytest

from latentlab.secrets import without_passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:hush@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql+psycopg://me:hu%40sh@host/db?x=1", "postgresql+psycopg://me:***@host/db?x=1"),
        ("at http://:hush@host: refused; http://a:hu@sh@b/c", "at http://:***@host: refused; http://a:***@b/c"),
        ("http://host:5000/a@b", "http://host:5000/a@b"),
        ("sqlite:///study/study.db", "sqlite:///study/study.db"),
        ("me@host: 12:30", "me@host: 12:30"),
    ],
)
def test_passwords_are_not_shown(text, shown):
    assert without_passwords(text) == shown
