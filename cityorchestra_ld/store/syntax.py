"""Turn the engine's words about a query that it cannot read into a place and a sentence."""

from __future__ import annotations

import re
from typing import Final

from cityorchestra_ld.errors import QueryError, Text
from cityorchestra_ld.store.lexer import place

_MESSAGE: Final = re.compile(r"error at (\d+):(\d+): expected (?:one of )?(.*)", re.DOTALL)
_ITEM: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\[(?:\'(?:[^\'\\]|\\.[^\']*)\'|[^\]\'])*\]|[^,]+')
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SENTENCE: Final = re.compile(r"[A-Z*].* .*[a-z]")


def syntax_error(text: str, message: str) -> QueryError:
    """
    Explain why the engine refuses a query, with line and character.

    The engine reports where a keyword that it tried would have ended; the place is moved back to where that word would start.
    """
    match = _MESSAGE.search(message)
    if match is None:
        return QueryError(
            Text(f"La requête n'est pas du SPARQL valide : {message}", f"The query is not valid SPARQL: {message}")
        )
    expected = [item.strip() for item in _ITEM.findall(match.group(3)) if item.strip()]
    sentence = next((item for item in expected if _SENTENCE.match(item)), None)
    words = [item for item in expected if _WORD.fullmatch(item)]
    marks = [item for item in expected if item.startswith('"')]
    at = _offset(text, int(match.group(1)), int(match.group(2)))
    if words and not marks and sentence is None:
        at -= min(len(word) for word in words)
    where = place(text, min(max(at, 0), len(text)))
    if sentence is not None:  # about the query as a whole, when the engine found it only at the end
        return QueryError(
            Text(f"La requête n'est pas du SPARQL valide : « {sentence} ».", f"The query is not valid SPARQL: {sentence}."),
            place=where if at < len(text.rstrip()) else None,
        )
    near = _near(text, at)
    return QueryError(
        Text(
            f"La requête n'est pas du SPARQL valide à partir d'ici : « {near} ».",
            f"The query is not valid SPARQL from here on: '{near}'.",
        )
        if near
        else Text("La requête SPARQL n'est pas finie.", "The SPARQL query is not finished."),
        place=where,
        hint=_hint(marks),
    )


def _hint(marks: list[str]) -> Text | None:
    shown = [mark.strip('"').replace('\\"', '"') for mark in marks[:6]]
    return Text(f"Attendu ici : {' '.join(shown)}", f"Expected here: {' '.join(shown)}") if shown else None


def _offset(text: str, line: int, column: int) -> int:
    lines = text.split("\n")
    return sum(len(part) + 1 for part in lines[: line - 1]) + column - 1


def _near(text: str, at: int) -> str:
    rest = text[max(at, 0) :].lstrip()
    line = rest.split("\n", 1)[0]
    return line if len(line) <= 40 else line[:39] + "…"
