"""What can the user mend? That gets one clear line and exit code 2; all else is ours, and gets a traceback."""

_LONGEST = 2000  # letters of one line


def printable(text: str) -> str:
    """A text for one line of a terminal: line ends, escapes and the like as Python writes them, and cut if it is long."""
    shown = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text[: _LONGEST + 1])
    return shown if len(text) <= _LONGEST else f"{shown[:_LONGEST]}... ({len(text):,} letters)"


class UserError(Exception):
    """Something that the user gave cannot be used; the message says what, and what would be right."""
