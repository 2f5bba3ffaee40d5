"""What can the user mend? That gets one clear line and exit code 2; all else is ours, and gets a traceback."""


class UserError(Exception):
    """Something that the user gave cannot be used; the message says what, and what would be right."""
