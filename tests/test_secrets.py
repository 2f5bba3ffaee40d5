"""Passwords in URLs, wherever they stand."""

import pytest

from latentlab.errors import without_passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:hush@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql+psycopg://me:hu%40sh@host/db?x=1", "postgresql+psycopg://me:***@host/db?x=1"),
        ("at http://:hush@host: refused; http://a:hu@sh@b/c", "at http://:***@host: refused; http://a:***@b/c"),
        ("http://host:5000/a@b", "http://host:5000/a@b"),
        ("sqlite:///study/study.db", "sqlite:///study/study.db"),
        ("me@host: 12:30", "me@host: 12:30"),
        ("Invalid url: 'http://me:hu/sh@host/api'", "Invalid url: 'http://me:***@host/api'"),
        ("postgresql://me:hu/sh@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),  # a name
        ("http://hush@host, grpc://hush@host:1", "http://***@host, grpc://***@host:1"),  # a token
        ("http://[::1]:5000/a@b", "http://[::1]:5000/a@b"),
        ("http://host/?password=hush&x=1", "http://host/?password=***&x=1"),
        ("postgresql://host/db?user=me&sslpassword=hush", "postgresql://host/db?user=me&sslpassword=***"),
        ("http://host/?access_token=hush#x", "http://host/?access_token=***#x"),
    ],
)
def test_passwords_are_not_shown(text, shown):
    assert without_passwords(text) == shown


@pytest.mark.parametrize(
    "url", ["http://me:hu sh@host", "http://me\n:hush@host", "http:/me:hush@host", "http//a:hush@host", "me:hu/sh@host"]
)
def test_passwords_in_what_is_no_url_are_not_shown(url):
    shown = without_passwords(f"cannot open {url}, that is {url!r}", url)
    assert "hu" not in shown
    assert "sh@" not in shown
    assert shown.count("***@host") == 2
