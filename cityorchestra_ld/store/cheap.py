"""Queries that cannot cost much, whatever the data: recognised by their tokens, and answered in this process.

One triple pattern with a fixed subject, and nothing else: no path, filter, sub-query, graph or expression. The engine reads it
from one place of one index, and stops at a few rows.
"""

from __future__ import annotations

import re
from typing import Final

from cityorchestra_ld.store.frames import Request
from cityorchestra_ld.store.guard import Inspected
from cityorchestra_ld.store.hidden import graph_of
from cityorchestra_ld.store.lexer import tokens
from cityorchestra_ld.store.reader import Reader
from cityorchestra_ld.store.rows import row_counter
from cityorchestra_ld.store.serialization import results_format

MOST: Final = 200  # rows; a query that has more goes to a worker
_WORDS: Final = {"PREFIX": "P", "SELECT": "S", "WHERE": "W", "LIMIT": "L", "A": "a"}
_SIGNS: Final = {"iri": "i", "pname": "p", "variable": "v", "number": "n"}
_SHAPE: Final = re.compile(r"(?:Ppi)*S(?:\*|v+)W?\{[ip][ipva][ipv]\.?\}(?:Ln)?")
_LONGEST: Final = 2_000  # characters


def is_cheap(inspected: Inspected) -> bool:
    """
    Tell whether a query asks for what is said of one thing, and for nothing else.

    >>> from cityorchestra_ld.store.guard import inspect
    >>> [is_cheap(inspect(f"SELECT * {{ {pattern} }}")) for pattern in ("<urn:a> ?p ?o", "?s ?p ?o", "<urn:a> <urn:b>+ ?o")]
    [True, False, False]
    """
    if inspected.form != "SELECT" or len(inspected.text) > _LONGEST or inspected.from_default or inspected.from_named:
        return False
    found = list(tokens(inspected.text))
    signs = "".join(
        _WORDS.get(token.text.upper(), "?") if token.kind == "word" else _SIGNS.get(token.kind, token.text) for token in found
    )
    if _SHAPE.fullmatch(signs) is None:
        return False
    start = next(number for number, token in enumerate(found) if token.text == "{")
    variables = [token.text[1:] for token in found[start:] if token.kind == "variable"]
    return len(variables) == len(set(variables))


def answer(reader: Reader, request: Request, inspected: Inspected) -> bytes | None:
    """Answer a cheap query; `None` when a worker has to: many rows, a mistake, a default graph that is to be merged first."""
    if request.rows <= MOST or len(request.default_graphs) != 1:
        return None
    counter, form = row_counter(request.media_type), results_format(request.media_type)
    try:
        result = reader.query(inspected.capped(MOST + 1), graph_of(request.default_graphs[0]), request.base)
    except (SyntaxError, ValueError):
        return None
    body = result.serialize(format=form) or b""
    if counter is None:
        return None
    counter.see(body)
    return body if counter.rows <= MOST else None
