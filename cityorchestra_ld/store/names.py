"""Keep the names that a generation's graphs give to things in an index of words, each with its graph, and search in it."""

from __future__ import annotations

import errno
import itertools
import re
import shutil
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

import pyoxigraph as ox

from cityorchestra_ld.errors import StoreError, Text
from cityorchestra_ld.namespaces import REUSED
from cityorchestra_ld.store.scanning import triples_with

if TYPE_CHECKING:
    from cityorchestra_ld.store.snapshots import Difference

FILE: Final = "names.sqlite"
LABELS: Final = tuple(
    REUSED[prefix] + name
    for prefix, name in (
        ("skos", "prefLabel"),
        ("rdfs", "label"),
        ("dct", "title"),
        ("foaf", "name"),
        ("igeo", "nom"),
        ("schema", "name"),
        ("gtfs", "longName"),
        ("gtfs", "shortName"),
        ("vcard", "fn"),
        ("sh", "name"),
    )
)
"""The properties whose texts are shown as the names of things, best first."""
NAME_PROPERTIES: Final = (*LABELS, f"{REUSED['skos']}altLabel", f"{REUSED['schema']}alternateName")
"""All properties whose texts are names."""

_TABLES: Final = """
    CREATE TABLE graph (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE entry (
        id INTEGER PRIMARY KEY, graph INTEGER NOT NULL, subject TEXT NOT NULL, name TEXT NOT NULL, language TEXT NOT NULL);
    CREATE VIRTUAL TABLE words USING fts5(name, content='', columnsize=0, tokenize='unicode61 remove_diacritics 2');
    """
_INDEX: Final = "CREATE INDEX IF NOT EXISTS entry_of ON entry (subject)"  # for those who take entries away
_FIND: Final = """
    SELECT graph, subject, min(length(entry.name)), entry.name
    FROM (SELECT rowid FROM words WHERE words MATCH ? LIMIT ?) AS found JOIN entry ON entry.id = found.rowid
    WHERE graph IN (SELECT value FROM json_each(?)) AND (? = '' OR language = ? OR language LIKE ? || '-%')
    GROUP BY subject, CASE WHEN ? THEN graph END
    ORDER BY 3, 4, 2 LIMIT ?
    """
_FIND_ENTRY: Final = "SELECT id FROM entry WHERE subject = ? AND graph = ? AND name = ? AND language = ? LIMIT 1"
_FEW: Final = 0.2  # of a generation's triples: a larger change is not followed line by line
_BATCH: Final = 20_000
Name = tuple[str, str, str]  # the thing, what it is called, in which language
_WORD: Final = re.compile(r"[^\W_]+")
_LIGATURE: Final = re.compile("[œŒæÆß]")
_PLAIN: Final = str.maketrans({"œ": "oe", "Œ": "Oe", "æ": "ae", "Æ": "Ae", "ß": "ss"})


class Named(NamedTuple):
    """A thing whose name was found: in which graph, how near to what was asked (1 is the same), and the name."""

    graph: str
    iri: str
    score: float
    name: str


def _spelt(text: str) -> str:
    """Write letters one by one; the index itself looks over accents and capitals."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", text.translate(_PLAIN) if _LIGATURE.search(text) else text)


def fold(text: str) -> str:
    """
    Write a text without accents, ligatures and capitals.

    >>> fold("Bécherel, Cœur")
    'becherel, coeur'
    """
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", _spelt(text).casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def words_of(text: str) -> tuple[str, ...]:
    """List the words of a text, folded; a text without letters and digits has none."""
    return tuple(_WORD.findall(fold(text)))


# --- making -------------------------------------------------------------------------------------------------------------------


def make(graphs: Iterable[tuple[str, Iterable[Name]]], target: Path) -> None:
    """Write the index of some graphs with the names that they give."""
    target.unlink(missing_ok=True)
    with _changing(target) as index:
        index.executescript(_TABLES)
        index.execute("BEGIN")
        for graph, names in graphs:
            _insert(index, graph, names)
        index.execute("COMMIT")


def follow(parent: Path, target: Path, changes: Mapping[str, Difference]) -> None:
    """Write the index of a generation that differs from its parent as its graphs do."""
    shutil.copyfile(parent, target)
    with _changing(target) as index:
        index.execute("BEGIN")
        if any(difference.removed for difference in changes.values()):
            index.execute(_INDEX)
        for graph, difference in changes.items():
            with difference.removals.open("rb") as gone, difference.insertions.open("rb") as new:
                _delete(index, graph, names_of(gone))
                _insert(index, graph, names_of(new))
        index.execute("COMMIT")


@contextmanager
def _changing(path: Path) -> Iterator[sqlite3.Connection]:
    """Open an index that nobody else knows yet: what fails is thrown away as a whole. Raises OSError."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as index:
            index.execute("PRAGMA journal_mode = OFF")
            index.execute("PRAGMA synchronous = OFF")
            yield index
    except sqlite3.Error as error:
        raise OSError(errno.ENOSPC if "full" in str(error) else errno.EIO, str(error), str(path)) from error


def can_follow(parent: Path, changes: Iterable[Difference], triples: int) -> bool:
    """Tell whether the parent has an index, and little of it changes."""
    return parent.is_file() and sum(found.removed + found.inserted for found in changes) <= triples * _FEW


def names_in(store: ox.Store, graph: str) -> Iterator[Name]:
    """Read the names that a graph of a store gives."""
    node = ox.NamedNode(graph)
    for name in NAME_PROPERTIES:
        yield from _names(store.quads_for_pattern(None, ox.NamedNode(name), None, node))


def names_of(file: BinaryIO) -> Iterator[Name]:
    """Read the names among N-Triples lines."""
    return _names(triples_with(file, NAME_PROPERTIES))


def _names(quads: Iterable[ox.Quad]) -> Iterator[Name]:
    for quad in quads:
        subject, value = quad.subject, quad.object
        if isinstance(value, ox.Literal) and isinstance(subject, ox.NamedNode):
            yield subject.value, value.value, value.language or ""  # the store writes languages in small letters


def _graph(index: sqlite3.Connection, name: str) -> int:
    index.execute("INSERT OR IGNORE INTO graph (name) VALUES (?)", (name,))
    return int(index.execute("SELECT id FROM graph WHERE name = ?", (name,)).fetchone()[0])


def _insert(index: sqlite3.Connection, graph: str, names: Iterable[Name]) -> None:
    number: int | None = None
    names = iter(names)
    last = int(index.execute("SELECT coalesce(max(id), 0) FROM entry").fetchone()[0])
    while batch := list(itertools.islice(names, _BATCH)):
        number = _graph(index, graph) if number is None else number
        places = range(last + 1, last + 1 + len(batch))
        rows = ((place, number, *name) for place, name in zip(places, batch, strict=True))
        index.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", rows)
        words = ((place, _spelt(name[1])) for place, name in zip(places, batch, strict=True))
        index.executemany("INSERT INTO words (rowid, name) VALUES (?, ?)", words)
        last += len(batch)


def _delete(index: sqlite3.Connection, graph: str, names: Iterable[Name]) -> None:
    number = _graph(index, graph)
    for name in names:
        found = index.execute(_FIND_ENTRY, (name[0], number, name[1], name[2])).fetchone()
        if found is not None:
            said = (found[0], _spelt(name[1]))
            index.execute("INSERT INTO words (words, rowid, name) VALUES ('delete', ?, ?)", said)
            index.execute("DELETE FROM entry WHERE id = ?", found)


# --- searching ----------------------------------------------------------------------------------------------------------------


def no_names_error() -> StoreError:
    """Say that a generation was made before there was an index."""
    return StoreError(
        Text("Cette génération n'a pas d'index des noms : rien ne peut y être cherché.",
             "This generation has no index of names: nothing can be searched in it."),
        hint=Text("Publiez à nouveau : l'index sera fait.", "Publish again: the index will be made."),
    )  # fmt: skip


class Names:
    """The index of one generation, open for searching; raises FileNotFoundError for a generation without."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(path)  # a generation of an older version of this software
        self._index = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        self._index.execute("PRAGMA temp_store = MEMORY")
        self._graphs = {name: number for number, name in self._index.execute("SELECT id, name FROM graph")}
        self._names = {number: name for name, number in self._graphs.items()}

    def close(self) -> None:
        """Close the file."""
        self._index.close()

    def find(
        self, text: str, graphs: Sequence[str], most: int, *, language: str = "", apart: bool = False, of: int = -1
    ) -> list[Named]:
        """
        Find things by a name that one of these graphs gives them, nearest first, among the first names `of` all that match.

        `apart` lists a thing once for each graph.

        Every word must be in the name, in singular or plural, without regard to accents; of the last, the beginning is enough.
        """
        words = words_of(text)
        known = [self._graphs[name] for name in graphs if name in self._graphs]
        if not words or not known:
            return []
        tongue = language.lower()
        asked = len(" ".join(words))
        try:
            rows = self._index.execute(_FIND, (_match(words), of, str(known), tongue, tongue, tongue, apart, most)).fetchall()
        except sqlite3.Error as error:
            raise OSError(errno.EIO, str(error)) from error
        return [
            Named(self._names[graph], subject, round(min(1.0, asked / max(1, letters)), 3), name)
            for graph, subject, letters, name in rows
        ]


def _match(words: Sequence[str]) -> str:
    """
    Write what to look for in the language of the index; words are letters and digits only.

    >>> _match(("arrets", "gare"))
    '("arret" OR "arrets" OR "arretx") AND "gare" *'
    """
    stems = [word.rstrip("sx") if len(word) > 3 and word.rstrip("sx") else word for word in words]
    parts = [f'("{stem}" OR "{stem}s" OR "{stem}x")' for stem in stems[:-1]]
    return " AND ".join([*parts, f'"{stems[-1]}" *'])
