"""What may stand in an HTTP header.

On the warm path: imports nothing.
"""


def illegal_part(value: str) -> "str | None":
    """What makes `value` illegal as a header value (RFC 9110, section 5.5), or None. Says nothing of the value itself.

    Characters beyond ASCII are obsolete there, and in a key they are a slip of the clipboard: illegal too.
    """
    if value.isascii() and value.replace("\t", " ").isprintable():
        return "blanks around it" if value != value.strip(" \t") else None
    if "\n" in value or "\r" in value:
        return "a line break"
    if not value.isascii():
        place = next(index for index, letter in enumerate(value, 1) if not letter.isascii())
        return f"a character that is not ASCII, in place {place}"
    return "a control character"
