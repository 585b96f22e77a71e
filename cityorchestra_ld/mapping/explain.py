"""Answer which file, row, column and rule made a triple, by running the plan backwards as a filter on the source."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyoxigraph as ox

from cityorchestra_ld.errors import Place, Text, UsageError
from cityorchestra_ld.mapping import jsonpath
from cityorchestra_ld.mapping.diagnose import places_of, spreadsheet_row
from cityorchestra_ld.mapping.engine import compile_units
from cityorchestra_ld.mapping.plan import Plan
from cityorchestra_ld.mapping.relations import ROW
from cityorchestra_ld.mapping.sql import Value, concat, guarded, listed, unique_loops
from cityorchestra_ld.mapping.statements import Compiled, Line
from cityorchestra_ld.mapping.term_maps import constant_term
from cityorchestra_ld.mapping.workspace import Workspace, workspace
from cityorchestra_ld.model import Origin, Table


@dataclass(frozen=True, slots=True)
class Wanted:
    """A triple, or all triples of a subject, or of a subject and predicate; terms are written as in N-Triples."""

    subject: str
    predicate: str | None = None
    object: str | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    wanted: int
    record: int
    line: Line | None
    cells: tuple[str | None, ...]
    object: str | None


def trace(
    plan: Plan, tables: Mapping[str, Table], wanted: Sequence[Wanted], *, most: int = 50
) -> Mapping[Wanted, tuple[Origin, ...]]:
    """
    Return the cells and rules that made each wanted triple; nothing when no rule of the plan makes it.

    Without an object, every triple of the subject and predicate is traced; without a predicate, the records that make the
    subject. Of what a rule makes from many rows, the first `most` are named.
    """
    unique = list(dict.fromkeys(wanted))
    found: dict[Wanted, dict[Origin, None]] = {item: {} for item in unique}
    if not unique:
        return {}
    with tempfile.TemporaryDirectory(prefix="trace-") as folder, workspace(plan, tables, Path(folder)) as opened:
        _load(opened, unique)
        for unit in compile_units(opened, strict=False):
            source = plan.base_source(unit.source)
            hits = [(compiled, hit) for compiled in unit.maps for hit in _hits(opened, compiled, unique, most)]
            places = places_of(opened, source, {hit.record for _, hit in hits})
            for compiled, hit in hits:
                origin = _origin(opened.tables[source.spec.name], compiled, hit, places)
                found[unique[hit.wanted]][origin] = None
    return {item: tuple(found[item]) for item in wanted}


# --- what is wanted ---------------------------------------------------------------------------------------------------------


def _normal(terms: Sequence[str]) -> list[str]:
    """Write terms as the engine does: the same escapes, no xsd:string, small language tags."""
    document = "".join(f"<co:s> <co:p> {term} .\n" for term in terms)
    try:
        # blank nodes keep their labels only when they are not parsed
        parsed = iter(ox.parse(document, ox.RdfFormat.N_TRIPLES)) if not any(t.startswith("_:") for t in terms) else None
        if parsed is not None:
            return [_written(quad.object) for quad in parsed]
    except SyntaxError as error:
        raise _no_term(error.text or "") from error
    return [term if term.startswith("_:") else _normal([term])[0] for term in terms]


def _written(term: object) -> str:
    if isinstance(term, ox.Literal):
        value = term.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
        if term.language:
            return f'"{value}"@{term.language.lower()}'
        plain = term.datatype.value == "http://www.w3.org/2001/XMLSchema#string"
        return f'"{value}"' if plain else f'"{value}"^^<{term.datatype.value}>'
    if isinstance(term, ox.NamedNode):
        return constant_term(term)
    raise _no_term(str(term))


def _no_term(written: str) -> UsageError:
    return UsageError(
        Text("Ce n'est pas un terme RDF écrit comme en N-Triples.", "This is no RDF term written as in N-Triples."),
        place=Place(value=written),
        hint=Text('Une IRI s\'écrit <https://…>, un littéral "…".', 'An IRI is written <https://…>, a literal "…".'),
    )


def _load(opened: Workspace, wanted: Sequence[Wanted]) -> None:
    subjects = _normal([item.subject for item in wanted])
    predicates = [item.predicate for item in wanted]
    known = list(dict.fromkeys(item.object for item in wanted if item.object is not None))
    objects = dict(zip(known, _normal(known), strict=True))
    opened.execute("CREATE TEMP TABLE co_wanted (i BIGINT, s VARCHAR, p VARCHAR, o VARCHAR)")
    rows = [
        [number, subject, predicate, objects[item.object] if item.object is not None else None]
        for number, (item, subject, predicate) in enumerate(zip(wanted, subjects, predicates, strict=True))
    ]
    for start in range(0, len(rows), 1000):
        batch = rows[start : start + 1000]
        marks = ", ".join("(?, ?, ?, ?)" for _ in batch)
        opened.execute(f"INSERT INTO co_wanted VALUES {marks}", [value for row in batch for value in row])


# --- running backwards ------------------------------------------------------------------------------------------------------


def _references(line: Line) -> tuple[str, ...]:
    return line.object.references or line.subject.references


def _hits(opened: Workspace, compiled: Compiled, wanted: Sequence[Wanted], most: int) -> Iterator[_Found]:
    """Run one triples map backwards: keep the rows of wanted subjects, make their triples, keep the wanted ones."""
    if not any(item.subject.startswith(compiled.prefix) for item in wanted):
        return
    predicates = {item.predicate for item in wanted if item.predicate}
    lines = [line for line in compiled.lines if line.predicate.constant is None or line.predicate.constant in predicates]
    subject_only = any(item.predicate is None for item in wanted)
    items = [_entry(compiled, position, line) for position, line in enumerate(lines)]
    if subject_only:
        items.append(_entry(compiled, len(lines), None))
    if not items:
        return
    subject = compiled.subject
    known = "SELECT s FROM co_wanted"
    if subject.loops:
        where = f"list_has_any({subject.loops[-1].items}, (SELECT list(s) FROM co_wanted))"
    else:
        where = f"{subject.sql} IN ({known})"
    inner = compiled.rows.select(f"{ROW} AS n, unnest(flatten([{', '.join(items)}])) AS t", numbered=True, where=where)
    query = (
        f"SELECT DISTINCT w.i, x.n, x.t.k, x.t.c, x.t.o FROM ({inner}) x JOIN co_wanted w ON w.s = x.t.s "
        f"AND w.p IS NOT DISTINCT FROM (CASE WHEN w.p IS NULL THEN NULL ELSE x.t.p END) AND (w.o IS NULL OR w.o = x.t.o) "
        f"AND ((w.p IS NULL) = (x.t.k = {len(lines)})) "
        f"QUALIFY dense_rank() OVER (PARTITION BY w.i ORDER BY x.n) <= {most} ORDER BY x.n, x.t.k"
    )
    for number, record, position, cells, value in opened.execute(query).fetchall():
        line = lines[position] if position < len(lines) else None
        yield _Found(number, record, line, tuple(cells), value)


def _entry(compiled: Compiled, position: int, line: Line | None) -> str:
    """Write the list of triples that one line gives for a row, as structs."""
    subject = compiled.subject
    used: list[Value] = [subject] if line is None else [line.subject, line.predicate, line.object]
    references = subject.references if line is None else _references(line)
    cells = []
    for reference in references:
        cell = compiled.rows.cell(reference)
        cells.append(f"({cell})::VARCHAR" if cell is not None else "NULL::VARCHAR")
    predicate, value = ("''", "''") if line is None else (concat(line.predicate.pieces), concat(line.object.pieces))
    packed = (
        f"struct_pack(s := ({concat(subject.pieces)})::VARCHAR, p := ({predicate})::VARCHAR, o := ({value})::VARCHAR, "
        f"k := {position}, c := [{', '.join(cells)}]::VARCHAR[])"
    )
    guards = [guard for item in used for guard in item.guards]
    guards += compiled.conditions if line is None else line.guards
    return listed(guarded(list(dict.fromkeys(guards)), packed), unique_loops(*(item.loops for item in used)))


# --- origins ----------------------------------------------------------------------------------------------------------------


def _origin(table: Table, compiled: Compiled, hit: _Found, places: Mapping[int, tuple[str | int, ...]]) -> Origin:
    references = compiled.subject.references if hit.line is None else _references(hit.line)
    labels = [compiled.rows.label(reference) for reference in references]
    cells = [cell for cell in hit.cells if cell is not None]
    looped = hit.object is not None and any(compiled.rows.cell(reference) is None for reference in references)
    cell = ", ".join(cells) if cells else _lexical(hit.object) if looped and hit.object else None
    return Origin(
        file=table.label,
        row=spreadsheet_row(table, hit.record),
        column=", ".join(labels) or None,
        cell=cell,
        triples_map=compiled.map.name,
        term_map=hit.line.part if hit.line is not None else "subject",
        pointer=_pointer(places.get(hit.record), labels),
        line=(hit.line.line if hit.line is not None else None) or compiled.map.line,
    )


def _pointer(place: tuple[str | int, ...] | None, labels: Sequence[str]) -> str | None:
    """Point at the value when one path without wildcard leads to it, else at the record."""
    if place is None:
        return None
    if len(labels) == 1:
        path = jsonpath.parse(labels[0]) if labels[0] != "#" else ()
        if all(isinstance(step, jsonpath.Key) for step in path):
            place = (*place, *(step.name for step in path if isinstance(step, jsonpath.Key)))
    return jsonpath.pointer(place)


def _lexical(term: str) -> str:
    parsed = next(iter(ox.parse(f"<co:s> <co:p> {term} .", ox.RdfFormat.N_TRIPLES)), None)
    value = parsed.object if parsed is not None else None
    return value.value if isinstance(value, ox.Literal | ox.NamedNode) else term
