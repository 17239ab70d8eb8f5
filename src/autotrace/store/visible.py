"""Text that somebody else wrote, made harmless where people read it.

Everything in a trace was written by others: users, models, tools, web pages. A control sequence could move a terminal's
cursor or hide text, a mark of direction could make a line read as what it is not. So whatever could act is shown as its
escape.
"""

from __future__ import annotations

import re

#: Control characters except newline and tab, directional and invisible formatting, separators, surrogates.
#: Kept: the two joiners (U+200C, U+200D), without which Persian, Hindi and many emoji fall apart.
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def visible(text: object) -> str:
    r"""`text` with everything that could act shown as an escape (`\x1b`, `\u202e`).

    Newlines and tabs stay.
    """
    return UNSAFE.sub(_escape, str(text))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
