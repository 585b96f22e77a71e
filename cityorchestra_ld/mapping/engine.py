"""Run a plan: compile each source to one SELECT whose rows hold whole N-Quads lines, and stream them to a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import duckdb

from cityorchestra_ld.errors import CityOrchestraError, MappingError, Place, Text
from cityorchestra_ld.mapping.diagnose import explain_failure
from cityorchestra_ld.mapping.expressions import Check
from cityorchestra_ld.mapping.pieces import followed, join, line_ends
from cityorchestra_ld.mapping.plan import Plan, TriplesMap
from cityorchestra_ld.mapping.relations import Rows, UnknownReferenceError, ViewError
from cityorchestra_ld.mapping.sql import Lit, all_of, concat, text
from cityorchestra_ld.mapping.statements import Compiled, Line, MapCompiler
from cityorchestra_ld.mapping.vocabulary import nearest
from cityorchestra_ld.mapping.workspace import Piece, Workspace, workspace
from cityorchestra_ld.model import Table

_RAW: Final = "(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '', USE_TMP_FILE false)"


@dataclass(frozen=True, slots=True, kw_only=True)
class MapReport:
    """What a run of a plan read and wrote; duplicates are counted as often as they were written."""

    quads: int
    records: Mapping[str, int] = field(default_factory=dict)
    per_map: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Unit:
    """All triples maps over one relation: one scan."""

    source: str
    rows: Rows
    maps: list[Compiled]
    checks: list[Check]

    @property
    def statement(self) -> str:
        """Write the SELECT that gives, for each record, all its lines as one text."""
        lines = [line for compiled in self.maps for line in compiled.lines]
        some = self._some_line(lines)
        if some is None:  # ask the text itself; below an unnest a filter is not pushed, where it would make the text twice
            whole = f"unnest([concat_ws(chr(10), {', '.join(line.sql() for line in lines)})]) AS l"
            return f"SELECT l FROM ({self.rows.select(whole)}) WHERE l <> ''"
        always = self.rows.always
        sure = frozenset.intersection(*some) | always
        least = [guards - always for guards in some]
        where = " OR ".join(f"({all_of(sorted(guards))})" for guards in least) if all(least) else None
        return self.rows.select(f"{self._text(lines, sure)} AS l", where=where)

    @staticmethod
    def _text(lines: Sequence[Line], sure: frozenset[str]) -> str:
        """Write the text of all lines of a record; what it always has is put together without a copy of each line."""
        known = [(line, line.whole) for line in lines]
        there = [whole for _, whole in known if not whole.loops and sure.issuperset(whole.guards)]
        others = [line for line, whole in known if whole.loops or not sure.issuperset(whole.guards)]
        if not there:
            return f"concat_ws(chr(10), {', '.join(line.sql(sure) for line in others)})"
        pieces: list[str] = [*there[0].pieces]
        for whole in there[1:]:
            pieces += [Lit("\n"), *whole.pieces]
        return concat([*pieces, *(line.sql(sure, after=True) for line in others)])

    @staticmethod
    def _some_line(lines: Sequence[Line]) -> list[frozenset[str]] | None:
        """Return the least conditions under which a record gives a line, when plain columns decide it."""
        wholes = [line.whole for line in lines]
        plain = {frozenset(whole.guards) for whole in wholes if not whole.loops}
        least = [guards for guards in plain if not any(other < guards for other in plain)]
        if not least or not all(any(guards <= frozenset(whole.guards) for guards in least) for whole in wholes):
            return None
        return None if any("co$" in guard for guards in least for guard in guards) else sorted(least, key=sorted)

    @property
    def least(self) -> int | None:
        """Return how many records give a line, when the staging counted it."""
        some = self._some_line([line for compiled in self.maps for line in compiled.lines])
        return self.rows.known(sorted(some[0])) if some is not None and len(some) == 1 else None

    def known(self) -> list[int]:
        """Count for each triples map the lines that the staging counted already: they need not be read again."""
        return [sum(self._known(line) or 0 for line in compiled.lines) for compiled in self.maps]

    def _known(self, line: Line) -> int | None:
        return None if line.whole.loops else self.rows.known(line.whole.guards)

    @property
    def counting(self) -> str | None:
        """Write the SELECT that counts records, and the other lines of each triples map; nothing when none is left."""
        left = [[line.count for line in compiled.lines if self._known(line) is None] for compiled in self.maps]
        if self.least is not None and not any(left):
            return None
        columns = ["count(*)", *(" + ".join(f"coalesce(sum({sql}), 0)::BIGINT" for sql in some) or "0" for some in left)]
        return self.rows.select(", ".join(columns))


def compile_units(opened: Workspace, *, strict: bool, default_graph: str | None = None) -> list[Unit]:
    """Compile a plan over its sources; raise MappingError for what the sources do not have."""
    grouped: dict[object, list[TriplesMap]] = {}
    for item in filter(lambda item: opened.covers(item.source), opened.plan.maps):
        grouped.setdefault(opened.plan.source_key(item.source), []).append(item)
    units = []
    for items in grouped.values():
        unit = Unit(items[0].source, _named(opened, items[0]), [], [])
        for item in items:
            compiler = MapCompiler(
                opened.plan, item, unit.rows, opened.rows, unit.checks, strict=strict, default_graph=default_graph
            )  # fmt: skip
            try:
                unit.maps.append(compiler.compile())
            except UnknownReferenceError as error:
                raise unknown_reference(opened, item, error) from error
            except ValueError as error:
                raise bad_path(opened, item, str(error)) from error
        units.append(unit)
    return units


def _named(opened: Workspace, item: TriplesMap) -> Rows:
    try:
        return opened.mapped(item.source)
    except ViewError as error:
        place = Place(file=str(opened.plan.path), line=error.line or item.line, value=error.value, rule=item.name)
        raise MappingError(error.message, place=place) from error
    except UnknownReferenceError as error:
        raise unknown_reference(opened, item, error) from error
    except ValueError as error:
        raise bad_path(opened, item, str(error)) from error


def unknown_reference(opened: Workspace, item: TriplesMap, error: UnknownReferenceError) -> MappingError:
    """Say that a column or field does not exist, and which one is near."""
    source = opened.plan.logical.get(item.source)
    where = source.spec.name if source else item.source
    return MappingError(
        Text(f"Aucune colonne « {error.reference} » dans {where}.", f"No column '{error.reference}' in {where}."),
        place=Place(file=str(opened.plan.path), line=item.line, column=error.reference, rule=item.name),
        hint=nearest(error.reference, error.known),
    )


def bad_path(opened: Workspace, item: TriplesMap, path: str) -> MappingError:
    """Say that a reference is no JSONPath that can be followed."""
    return MappingError(
        Text("Référence JSONPath mal formée ou non prise en charge.", "Malformed or unsupported JSONPath reference."),
        place=Place(file=str(opened.plan.path), line=item.line, value=path, rule=item.name),
        hint=Text(
            "Par exemple $.nom, $.adresse.ville, $.membres[*].code.", "For example $.name, $.address.city, $.members[*].code."
        ),
    )


def materialize(
    plan: Plan,
    tables: Mapping[str, Table],
    out: Path,
    *,
    default_graph: str | None = None,
    threads: int = 2,
    memory_mb: int = 1024,
    piece: Piece | None = None,
    settle: Callable[[], None] | None = None,
) -> MapReport:
    """
    Write the graph of a plan as N-Quads; raise MappingError naming rule, file, row, column and value, and leave nothing behind.

    Triples without a graph of their own go to `default_graph`, or to the default graph when there is none. A triple that
    several records give is written several times: readers of RDF see a set. With a `piece`, its records alone are mapped.
    `settle` is asked when all is written, before the file appears: what it raises is raised here.
    """
    part = out.with_name(out.name + ".part")
    try:
        with workspace(plan, tables, out.parent, threads=threads, memory_mb=memory_mb, piece=piece) as opened:
            report = _run(opened, part, default_graph)
        if settle is not None:
            settle()
        part.replace(out)
    except OSError as error:
        raise disk_error(error, out) from error
    finally:
        part.unlink(missing_ok=True)
    return report


def _run(opened: Workspace, part: Path, default_graph: str | None) -> MapReport:
    records: dict[str, int] = {}
    per_map = {item.name: 0 for item in opened.plan.maps}
    pieces = []
    units = compile_units(opened, strict=True, default_graph=default_graph)
    for number, unit in enumerate(units):
        piece = opened.folder / f"quads{number}.nq"
        with ThreadPoolExecutor(1) as beside:
            for following in units[number + 1 : number + 2]:
                beside.submit(_get_ready, following)
            counts = _run_unit(opened, unit, piece, default_graph)
        name, expected = opened.expected(unit.source)
        records[name] = max(records.get(name, 0), expected if expected is not None else counts[0])
        if unit.source in opened.plan.logical and expected is not None and expected != counts[0]:
            raise _lost_records(opened.tables[name], counts[0], expected)
        per_map.update({compiled.map.name: count for compiled, count in zip(unit.maps, counts[1:], strict=True)})
        pieces.append(piece)
    join(pieces, part)
    return MapReport(quads=sum(per_map.values()), records=records, per_map=per_map)


def _get_ready(unit: Unit) -> None:
    """Split the document of a unit into records while another unit is mapped; an error is said when its turn comes."""
    unit.rows.scan(numbered=unit.rows.needs_number)


def _run_unit(opened: Workspace, unit: Unit, piece: Path, default_graph: str | None) -> tuple[int, ...]:
    try:
        return _execute(opened, unit, piece)
    except duckdb.Error as error:
        if opened.adapt(unit.rows, str(error)):
            again = compile_units(opened, strict=True, default_graph=default_graph)
            return _run_unit(opened, next(other for other in again if other.source == unit.source), piece, default_graph)
        raise explain_failure(opened, unit.source, error, compile_units) from error


def _execute(opened: Workspace, unit: Unit, piece: Path) -> tuple[int, ...]:
    known, counting = unit.known(), unit.counting
    with ThreadPoolExecutor(1) as beside:
        early = beside.submit(opened.beside(counting)) if counting and unit.rows.kind == "csv" else None
        written = None
        if any(compiled.lines for compiled in unit.maps):
            with followed(piece):
                written = opened.execute(f"COPY ({unit.statement}) TO {text(str(piece))} {_RAW}").fetchone()
    if counting is None:
        lost = (unit.least or 0) - int(written[0]) if written else 0
        return ((opened.expected(unit.source)[1] or 0) - lost, *known)
    if written and _one_line_each(opened, unit, int(written[0])):
        records = int(written[0])
        return (records, *(line_ends(piece) if compiled.lines else 0 for compiled in unit.maps))
    records, *counts = (early.result() if early else opened.execute(counting).fetchone()) or (0,)
    return (int(records), *(before + int(count) for before, count in zip(known, counts, strict=True)))


def _one_line_each(opened: Workspace, unit: Unit, written: int) -> bool:
    """Tell whether every JSON record gave lines, of one triples map: counting line ends is then cheaper than reading again."""
    speaking = sum(bool(compiled.lines) for compiled in unit.maps)
    return unit.rows.kind == "json" and speaking == 1 and written == opened.expected(unit.source)[1]


def _lost_records(table: Table, count: int, expected: int) -> MappingError:
    """Say that the reader did not see every record: the independent count of the staging disagrees."""
    return MappingError(
        Text(
            f"{count} enregistrements lus sur {expected} : le fichier n'est pas lu comme il est écrit.",
            f"{count} of {expected} records were read: the file is not read as it is written.",
        ),
        place=Place(file=table.label),
        hint=Text("Vérifiez le délimiteur et les guillemets du fichier.", "Check the delimiter and the quotes of the file."),
    )


def disk_error(error: Exception, path: Path) -> CityOrchestraError:
    """Say that the result cannot be written."""
    return MappingError(
        Text(f"Le résultat ne peut pas être écrit : {error}", f"The result cannot be written: {error}"),
        place=Place(file=str(path)),
        hint=Text("Libérez de la place sur le disque.", "Free some space on the disk."),
    )
