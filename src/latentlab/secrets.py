"""What must not be shown."""

import re

# user:password@ of a URL, wherever it stands; the last @ before the path counts, as browsers have it
_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):[^/\s]*@")


def without_passwords(text: str) -> str:
    """The text with `***` in the place of each password in a URL in it."""
    return _PASSWORD.sub(r"\1:***@", text)
