"""What must not be shown."""

import re

# From the :// to the last @ before a space or a quote; a number behind the colon and a slash is a port, and no password.
_HOST = r"(?:\[[^\]\s]*\]|[^/\s\"'@:]*)(?::\d+)?/"
_AUTHORITY = re.compile(rf"(?<=://)(?!{_HOST})([^/\s\"':@]*)(:?)[^\s\"'<>]*@")
# of the servers that take a token in the place of a name
_TOKEN = re.compile(r"(?<=http://|grpc://)[^/\s\"':@]+(?=@)|(?<=https://)[^/\s\"':@]+(?=@)")
_PARAMETER = re.compile(r"(?<=[?&;])([\w.-]*(?:pass|pwd|token|secret|key|credential)[\w.-]*)=[^&;\s\"'#]*", re.IGNORECASE)


def without_passwords(text: str, url: str = "") -> str:
    """The text with `***` in the place of passwords, tokens and keys.

    Args:
        text: Anything that is to be shown.
        url: One that it may hold, which somebody has typed: what is wrong with it must not hide where its password is.
    """
    if url:
        text = text.replace(url, _typed(url)).replace(repr(url)[1:-1], _typed(url))
    text = _AUTHORITY.sub(lambda found: f"{found[1]}:***@" if found[2] else found[0], text)
    return _PARAMETER.sub(r"\1=***", _TOKEN.sub("***", text))


def _typed(url: str) -> str:
    """A URL as somebody has typed it, without its password, or all that may be one."""
    shown = without_passwords(re.sub(r"\s", "", url))
    return shown if "://" in shown else re.sub(r".*@", "***@", shown)
