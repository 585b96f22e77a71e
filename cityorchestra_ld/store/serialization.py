"""Write triples and quads with the prefixes that they use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import BinaryIO

import pyoxigraph as ox

from cityorchestra_ld.errors import Text, UsageError

_LOOKED_AT = 2_000  # triples of a stream that decide which prefixes are declared


def rdf_format(media_type: str) -> ox.RdfFormat:
    """Return the format behind a media type; raise UsageError when we do not write it."""
    found = ox.RdfFormat.from_media_type(media_type)
    if found is None:
        raise UsageError(
            Text(f"On ne sait pas écrire un graphe en « {media_type} ».", f"A graph cannot be written as '{media_type}'."),
            hint=Text(
                "Turtle, TriG, N-Triples, N-Quads, JSON-LD et RDF/XML sont possibles.",
                "Turtle, TriG, N-Triples, N-Quads, JSON-LD and RDF/XML are possible.",
            ),
        )
    return found


def results_format(media_type: str) -> ox.QueryResultsFormat:
    """Return the SPARQL results format behind a media type; raise UsageError when we do not write it."""
    found = ox.QueryResultsFormat.from_media_type(media_type)
    if found is None:
        raise UsageError(
            Text(f"On ne sait pas écrire un tableau en « {media_type} ».", f"A table cannot be written as '{media_type}'."),
            hint=Text("JSON, XML, CSV et TSV sont possibles.", "JSON, XML, CSV and TSV are possible."),
        )
    return found


def _iris(term: object) -> Iterator[str]:
    if isinstance(term, ox.NamedNode):
        yield term.value
    elif isinstance(term, ox.Literal):
        yield term.datatype.value
    elif isinstance(term, ox.Triple):
        yield from chain.from_iterable(_iris(part) for part in term)


def used_prefixes(statements: Iterable[ox.Triple | ox.Quad], prefixes: Mapping[str, str]) -> dict[str, str]:
    """Keep the prefixes whose namespace starts an IRI of these statements."""
    spaces = {iri[: max(iri.rfind("/"), iri.rfind("#"), iri.rfind(":")) + 1] for s in statements for t in s for iri in _iris(t)}
    return {name: space for name, space in sorted(prefixes.items()) if space in spaces}


def write_statements(
    statements: Iterable[ox.Triple | ox.Quad], out: BinaryIO, media_type: str, prefixes: Mapping[str, str] | None = None
) -> None:
    """
    Serialise a stream of triples or quads with bounded memory.

    Only the prefixes that the first statements use are declared.
    """
    form = rdf_format(media_type)
    stream = iter(statements)
    declared: dict[str, str] = {}
    if prefixes and form not in (ox.RdfFormat.N_TRIPLES, ox.RdfFormat.N_QUADS, ox.RdfFormat.JSON_LD):
        first = list(islice(stream, _LOOKED_AT))
        declared = used_prefixes(first, prefixes)
        stream = chain(first, stream)
    ox.serialize(stream, out, form, prefixes=declared)  # type: ignore[arg-type]
