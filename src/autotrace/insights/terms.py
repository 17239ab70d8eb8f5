"""The pieces of a filter's text: parentheses, keywords, and terms, each checked by itself."""

from __future__ import annotations

import difflib
import re
from typing import NamedTuple

from autotrace.errors import FilterError

from . import fields
from .tree import FIELD, KEYWORDS, OPERATOR_SIGNS, Term

#: Conditions of a filter, and those among them that search for text: each costs a look at the index.
MOST_TERMS, MOST_SEARCHES = 100, 10

_SPACE = re.compile(r"\s*")
_PIECE = re.compile(r'[^\s()"]+')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_NUMBER = re.compile(r"[-+]?[0-9.]+")
_NO_RATING = f"numbers that somebody gave cannot be compared; feedback is one of {', '.join(fields.VERDICTS)}"
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class Token(NamedTuple):
    """A parenthesis, a keyword or a term; an empty text at the end. `position` counts from 1."""

    text: str
    position: int
    term: Term | None = None


def tokens(text: str) -> list[Token]:
    """All of them, and one without text at the end.

    Raises:
        FilterError: One of them cannot be read.
    """
    found: list[Token] = []
    terms = searches = 0
    at = _after_space(text, 0)
    while at < len(text):
        token, end = _token(text, at)
        if token.term is not None:
            terms += 1
            searches += token.term.field == "text"
            if terms > MOST_TERMS:
                raise FilterError(f"a filter has at most {MOST_TERMS} conditions", token.position)
            if searches > MOST_SEARCHES:
                raise FilterError(
                    f"a filter searches for at most {MOST_SEARCHES} texts: put words into one pair of quotation marks",
                    token.position,
                )
        found.append(token)
        at = _after_space(text, end)
    return [*found, Token("", len(text) + 1)]


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _token(text: str, at: int) -> tuple[Token, int]:
    """The token that begins there, and where it ends."""
    if text[at] in "()":
        return Token(text[at], at + 1), at + 1
    match = FIELD.match(text, at)
    if match is not None:
        value = _value(text, match.end())
        return Token(text[at : value.end], at + 1, _field_term(match, value, text[at : value.end], at + 1)), value.end
    value = _value(text, at)
    written = text[at : value.end]
    if written.upper() in KEYWORDS:
        return Token(written.upper(), at + 1), value.end
    if written[0] in OPERATOR_SIGNS:
        raise FilterError(
            f'"{short(written)}": name a field before it, such as duration>3s; put words to search for in quotes',
            at + 1,
        )
    return Token(written, at + 1, _search(value, written, at + 1)), value.end


class _Value(NamedTuple):
    """What stands behind an operator: pieces with whether they were quoted, and where it ends."""

    pieces: list[tuple[str, bool]]
    end: int

    @property
    def plain(self) -> str:
        """The text; stars are stars."""
        return "".join(piece for piece, _ in self.pieces)

    def with_stars(self) -> tuple[str, bool, bool]:
        """The text without the stars around it, and whether there were some before it and behind it."""
        if not self.pieces:
            return "", False, False
        pieces = [piece for piece, _ in self.pieces]
        before = not self.pieces[0][1] and pieces[0].startswith("*")
        after = not self.pieces[-1][1] and pieces[-1].endswith("*")
        if before:
            pieces[0] = pieces[0].lstrip("*")
        if after:
            pieces[-1] = pieces[-1].rstrip("*")
        value = "".join(pieces)
        return value, before or (after and not value), after or (before and not value)


def _value(text: str, at: int) -> _Value:
    pieces = []
    while at < len(text):
        match = _PIECE.match(text, at)
        if match is not None:
            pieces.append((match[0], False))
        elif text[at] == '"':
            match = _QUOTED.match(text, at)
            if match is None:
                raise FilterError('this quotation mark has no second one; inside quotes, write \\" for one', at + 1)
            pieces.append((_ESCAPED.sub(r"\1", match[1]), True))
        else:
            break
        at = match.end()
    return _Value(pieces, at)


def _field_term(match: re.Match[str], value: _Value, written: str, position: int) -> Term:
    name, operator = match[1].lower(), match[2]
    if name not in fields.FIELDS:
        near = difflib.get_close_matches(name, (*fields.FIELDS, *fields.ALIASES), 1)
        meant = f"did you mean {fields.ALIASES.get(near[0], near[0])}? " if near else ""
        raise FilterError(
            f'there is no field "{short(match[1])}": {meant}To search for words, put them in quotes', position
        )
    if operator not in fields.operators(name) and fields.FIELDS[name] == fields.FEEDBACK:
        raise FilterError(f'"{short(written)}": {_NO_RATING}', position)
    if operator not in fields.operators(name):
        known = ", ".join(fields.operators(name))
        raise FilterError(f'"{short(written)}": with {name} goes only {known}', position)
    if name == "text":
        return _search(value, written, position)
    found = Term(name, operator, value.plain)
    if operator == ":":
        found = Term(name, operator, *value.with_stars())
    _check(found, written, position)
    return found


def _check(term: Term, written: str, position: int) -> None:
    if term.is_any and term.field != "feedback":
        return
    if not term.value:
        raise FilterError(f'"{short(written)}": give a value right behind it', position)
    is_figure = term.field in fields.FIGURES
    if is_figure and (term.before or term.after):
        raise FilterError(f'"{short(written)}": a figure has no * in it; compare with <, <=, > or >=', position)
    if is_figure:
        try:
            fields.amount(term.field, term.value)
        except FilterError as error:
            raise FilterError(f'"{short(written)}": {error.problem}', position) from None
    if term.field == "feedback" and (term.value.lower() not in fields.VERDICTS or term.before or term.after):
        problem = _NO_RATING if _NUMBER.fullmatch(term.value) else f"say one of {', '.join(fields.VERDICTS)}"
        raise FilterError(f'"{short(written)}": {problem}', position)


def _search(value: _Value, written: str, position: int) -> Term:
    words, before, after = value.with_stars()
    if before or not words.strip():
        problem = (
            "a word to search for begins with letters; * may stand at its end" if before else "give words to search for"
        )
        raise FilterError(f'"{short(written)}": {problem}', position)
    return Term("text", ":", words, False, after)


def short(text: str) -> str:
    """A text as an error names it."""
    return text if len(text) <= 60 else f"{text[:59]}…"
