"""Answer a query that asks what is said of one thing by a look-up, without the engine's parser, for queries of a known shape.

Its rows are those that the engine gives, written as the engine writes them (JSON); only their order may be another, which
such a query leaves open. What is not sure to be the same is left to the engine: a LIMIT, a relative address, a blank node.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Final, cast

import orjson
import pyoxigraph as ox

from cityorchestra_ld.namespaces import RDF, XSD
from cityorchestra_ld.store.cheap import MOST, is_cheap
from cityorchestra_ld.store.guard import Inspected
from cityorchestra_ld.store.lexer import Token, iri_value, tokens
from cityorchestra_ld.store.reader import Object, Reader

_PLAIN: Final = re.compile(
    r"[a-z][a-z0-9+.\-]*:(?!.*/\.)[A-Za-z0-9/_~:?=&@+,;!$*%.\-#]+"
)  # nothing to resolve, nothing to escape
_TEXT: Final = re.compile(r"""'[^'\\\r\n]*'|"[^"\\\r\n]*\"""")
_LOCAL: Final = re.compile(r"[A-Za-z0-9_\-.]*")  # of a prefixed name, without escapes
_PARTS: Final = ("subject", "predicate", "object")
_STRING: Final = f"{XSD}string"

Place = int | str | None  # number of a hole, an IRI, or a variable


@dataclass(frozen=True, slots=True)
class Lookup:
    """What all queries of one shape look up, and how their rows are written."""

    places: tuple[Place, Place, Place]
    head: bytes  # up to the first row
    tail: bytes
    columns: tuple[tuple[bytes, str], ...]  # what a value is written behind, and the part of a triple that it is

    def answer(self, reader: Reader, filled: Sequence[str], graphs: Set[str]) -> bytes | None:
        """Answer from the merge of these graphs; `None` when the engine has to: many rows, or a value that it alone writes."""
        nodes = [_node(place, filled) for place in self.places]
        if any(node is None and place is not None for node, place in zip(nodes, self.places, strict=True)):
            return None
        found = list(islice(reader.quads(*nodes), MOST + 1))
        if len(found) > MOST:
            return None
        rows: list[bytes] = []
        for triple in merged(found, graphs):
            row = self._row(triple)
            if row is None:
                return None
            rows.append(row)
        return b"".join((self.head, b",".join(rows), self.tail))

    def _row(self, triple: ox.Quad | ox.Triple) -> bytes | None:
        cells = []
        for name, part in self.columns:
            written = cell(triple.predicate if part == "predicate" else triple.object)
            if written is None:
                return None
            cells.append(name + written)
        return b"{" + b",".join(cells) + b"}"


def lookup_of(inspected: Inspected, holes: Sequence[Token], base: str) -> Lookup | None:
    """Return what queries of a shape look up; nothing when they are to be answered by the engine."""
    if not is_cheap(inspected) or inspected.limit is not None:
        return None
    frame = frame_of(inspected, base)
    if frame is None:
        return None
    found = list(tokens(inspected.text))
    start = next(number for number, token in enumerate(found) if token.text == "{")
    terms = found[start + 1 : start + 4]
    numbers = {hole.at: number for number, hole in enumerate(holes)}
    places: list[Place] = []
    for token in terms:
        if token.kind == "variable":
            places.append(None)
        elif token.at in numbers:
            places.append(numbers[token.at])
        else:
            iri = fixed_iri(token, inspected)
            if iri is None:
                return None
            places.append(iri)
    parts = {token.text[1:]: part for token, part in zip(terms, _PARTS, strict=True) if token.kind == "variable"}
    columns = tuple((orjson.dumps(name) + b":", parts[name]) for name in frame.names if name in parts)
    return Lookup((places[0], places[1], places[2]), frame.head, frame.tail, columns)


@dataclass(frozen=True, slots=True)
class Frame:
    """What the engine writes around the rows of a SELECT, and the variables of these."""

    names: tuple[str, ...]
    head: bytes
    tail: bytes


def frame_of(inspected: Inspected, base: str) -> Frame | None:
    """Have the engine write an answer without rows; nothing when it cannot, or when a name is there twice."""
    try:
        empty = cast("ox.QuerySolutions", ox.Store().query(inspected.text, base_iri=base))
        written = cast("bytes", empty.serialize(format=ox.QueryResultsFormat.JSON))
    except (SyntaxError, ValueError):
        return None
    names: list[str] = orjson.loads(written)["head"]["vars"]
    head, mark, tail = written.partition(b'"bindings":[')
    return Frame(tuple(names), head + mark, tail) if len(set(names)) == len(names) else None


def fixed_iri(token: Token, inspected: Inspected) -> str | None:
    """Return the IRI that a token means in all queries of a shape, if the engine is sure to read the same."""
    if token.kind == "word":
        return f"{RDF}type"
    if token.kind == "iri":
        iri = iri_value(token.text)
    else:
        prefix, _, local = token.text.partition(":")
        if _LOCAL.fullmatch(local) is None:
            return None
        iri = inspected.prefixes[prefix] + local
    return iri if _PLAIN.fullmatch(iri) else None


def _node(place: Place, filled: Sequence[str]) -> ox.NamedNode | None:
    if place is None:
        return None
    return plain_node(filled[place][1:-1] if isinstance(place, int) else place)


def plain_node(iri: str) -> ox.NamedNode | None:
    """Return the node of an IRI in which there is nothing to resolve; nothing for another."""
    if _PLAIN.fullmatch(iri) is None:
        return None
    try:
        return ox.NamedNode(iri)
    except ValueError:
        return None


def plain_text(token: Token) -> str | None:
    """Return what a string says that has no escape in it; nothing for another."""
    return token.text[1:-1] if _TEXT.fullmatch(token.text) else None


def merged(quads: Sequence[ox.Quad], graphs: Set[str]) -> Iterator[ox.Quad | ox.Triple]:
    """Yield what lies in these graphs, each triple once."""
    within = [quad for quad in quads if isinstance(graph := quad.graph_name, ox.NamedNode) and graph.value in graphs]
    if len({quad.graph_name for quad in within}) < 2:
        return iter(within)
    return iter(dict.fromkeys(quad.triple for quad in within))


# --- as the engine writes it --------------------------------------------------------------------------------------------------


def cell(term: Object) -> bytes | None:
    """Write one value; nothing when the engine has to."""
    if isinstance(term, ox.NamedNode):
        return _iri(term.value)
    if isinstance(term, ox.Literal) and term.direction is None:
        return _literal(term)
    return None


@lru_cache(maxsize=10_000)
def _iri(iri: str) -> bytes:
    return b'{"type":"uri","value":' + orjson.dumps(iri) + b"}"


@lru_cache(maxsize=1_000)
def _type(datatype: str) -> bytes:
    return b',"datatype":' + orjson.dumps(datatype) + b"}"


def _literal(literal: ox.Literal) -> bytes:
    value = b'{"type":"literal","value":' + orjson.dumps(literal.value)
    if literal.language is not None:
        return value + b',"xml:lang":' + orjson.dumps(literal.language) + b"}"
    datatype = literal.datatype.value
    return value + (b"}" if datatype == _STRING else _type(datatype))
