"""Named SPARQL queries of a territory: their comments, their expectations, and binding of terms to their `VALUES` slots."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyoxigraph as ox

from cityorchestra_ld.errors import Place, Text, UsageError

Term = ox.NamedNode | ox.Literal
_HEADER = re.compile(r"^#\+\s*([\w.-]+)\s*:\s*(.*)$", re.MULTILINE)
_SLOT = re.compile(r"VALUES\s+[?$](\w+)\s*\{\s*UNDEF\s*\}", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedQuery:
    """One `.rq` file: valid SPARQL as it stands, with `#+ key: value` comment lines."""

    name: str
    file: Path
    text: str
    title: Text
    expectations: tuple[str, ...] = ()
    about: Mapping[str, str] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()

    def every(self, key: str) -> tuple[str, ...]:
        """List the values of a comment line that may be repeated."""
        return tuple(value for name, value in self.headers if name == key)

    @property
    def body(self) -> str:
        """Return the query without its `#+` comment lines."""
        return "\n".join(line for line in self.text.strip().splitlines() if not line.startswith("#+")).strip() + "\n"


def read_query(file: Path) -> NamedQuery:
    """Read one query file; raise UsageError when it cannot be read."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            Text(f"Requête illisible : {error}", f"The query cannot be read: {error}"), place=Place(file=str(file))
        ) from None
    headers = tuple((key, value.strip()) for key, value in _HEADER.findall(text))
    about = {key: value for key, value in headers if key != "expect"}
    title = Text(about.get("title.fr", file.stem), about.get("title.en", about.get("title.fr", file.stem)))
    expectations = tuple(value for key, value in headers if key == "expect")
    return NamedQuery(
        name=file.stem, file=file, text=text, title=title, expectations=expectations, about=about, headers=headers
    )


def read_queries(folder: Path) -> Iterator[NamedQuery]:
    """Read all queries of a folder, by name."""
    for file in sorted(folder.glob("*.rq")):
        yield read_query(file)


def bind(query: str, **terms: Term) -> str:
    """
    Fill `VALUES ?name { UNDEF }` slots with terms; a term can never become syntax.

    Raises UsageError when a slot is missing or there are two of it.

    >>> bind("SELECT * { VALUES ?s { UNDEF } ?s ?p ?o }", s=ox.NamedNode("https://id.example/tree/1"))
    'SELECT * { VALUES ?s { <https://id.example/tree/1> } ?s ?p ?o }'
    """
    found = Counter(match[1] for match in _SLOT.finditer(query))
    for name in terms:
        if found[name] != 1:
            raise UsageError(
                Text(
                    f"La requête doit contenir une fois « VALUES ?{name} {{ UNDEF }} » ; elle la contient {found[name]} fois.",
                    f"The query must hold 'VALUES ?{name} {{ UNDEF }}' once; it holds it {found[name]} times.",
                )
            )
    # one pass over the text as it was written: what a term says is never looked at
    return _SLOT.sub(lambda slot: f"VALUES ?{slot[1]} {{ {terms[slot[1]]} }}" if slot[1] in terms else slot[0], query)


def term(text: str) -> Term:
    """
    Read a term written as in N-Triples, or a bare IRI, number or word.

    >>> [str(term(text)) for text in ("https://id.example/tree/1", '"arbre"@fr', "arbre")]
    ['<https://id.example/tree/1>', '"arbre"@fr', '"arbre"']
    """
    try:
        if re.fullmatch(r"https?://\S+|urn:\S+", text):
            return ox.NamedNode(text)
        if re.fullmatch(r"[+-]?\d+", text):
            return ox.Literal(int(text))
        if text[:1] in '<"':
            quad = next(iter(ox.parse(f"<urn:s> <urn:p> {text} .", format=ox.RdfFormat.N_TRIPLES)))
            if isinstance(quad.object, ox.NamedNode | ox.Literal):
                return quad.object
    except (ValueError, SyntaxError) as error:
        raise UsageError(
            Text(f"Terme illisible : {text} ({error}).", f"Not a term: {text} ({error})."),
            hint=Text('Écrivez une adresse, "texte"@fr ou un nombre.', 'Write an IRI, "text"@fr or a number.'),
        ) from None
    return ox.Literal(text)
