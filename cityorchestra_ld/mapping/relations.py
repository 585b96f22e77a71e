"""Relations: a staged CSV or JSON file as rows of DuckDB, and what a reference of the mapping is in them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Final

from cityorchestra_ld.errors import Text
from cityorchestra_ld.mapping import jsonpath
from cityorchestra_ld.mapping.sql import Loop, Value, name, text
from cityorchestra_ld.model import Table

ROW: Final = '"co$n"'  # number of the record, from 1
_TOKEN = re.compile(r'"co\$(\d+)"')


class UnknownReferenceError(LookupError):
    """A reference names nothing in the source."""

    def __init__(self, reference: str, known: Iterable[str]) -> None:
        super().__init__(reference)
        self.reference = reference
        self.known = tuple(known)


class ViewError(Exception):
    """A logical view cannot be laid out over its source."""

    def __init__(self, message: Text, line: int | None, value: str | None = None) -> None:
        super().__init__(message.en)
        self.message = message
        self.line = line
        self.value = value


class Names:
    """Fresh names for variables and columns of one compilation."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def variable(self) -> str:
        """Return a name for a lambda variable."""
        return f"v{next(self._numbers)}"

    def column(self) -> str:
        """Return a quoted name for a computed column."""
        return f'"co${next(self._numbers)}"'


@dataclass(frozen=True, slots=True)
class Joined:
    """A parent relation grouped by key: for each combination of keys the list of its terms."""

    relation: str
    keys: tuple[str, ...]  # SQL on the child
    column: str
    single: str


class Rows(ABC):
    """
    One relation with expressions that are computed once per row.

    Expressions build on each other, so they are laid out in levels of nested SELECTs; a join stands at the level of its keys.
    """

    kind: str
    names: Names

    def __init__(self, names: Names) -> None:
        self.names = names
        self._lets: dict[str, str] = {}
        self._levels: dict[str, int] = {}
        self._joins: list[tuple[int, Joined]] = []
        self.needs_number = False

    @property
    def identity(self) -> str:
        """Return SQL that tells records apart."""
        self.needs_number = True
        return f"{ROW}::VARCHAR"

    @property
    def order(self) -> tuple[str, ...]:
        """Return the columns that put rows in the order of the file."""
        return (ROW,)

    @abstractmethod
    def resolve(self, reference: str) -> Value:
        """Return what a reference gives; raise UnknownReferenceError."""

    @abstractmethod
    def scan(self, *, numbered: bool) -> str:
        """Return the relation as SQL for FROM, with the number of the record when asked."""

    @property
    def always(self) -> frozenset[str]:
        """Return conditions that are known to hold for every record."""
        return frozenset()

    def known(self, guards: Sequence[str]) -> int | None:
        """Return for how many records all conditions hold, when that is known without reading them."""
        return None

    def cell(self, reference: str) -> str | None:
        """Return SQL for the text of a reference as the source has it; `None` when a record has several."""
        value = self.resolve(reference)
        if value.loops:
            return None
        if value.raw is None:
            return value.sql
        return f"CASE WHEN starts_with({value.raw}::VARCHAR, '\"') THEN co_json_text({value.raw}) ELSE {value.raw}::VARCHAR END"

    def label(self, reference: str) -> str:
        """Return how the source itself names what a reference means."""
        return reference

    def level_of(self, sql: str) -> int:
        """Return the level after which an expression can be computed."""
        return max((self._levels.get(token, 0) for token in _TOKEN.findall(sql)), default=0)

    def let(self, sql: str) -> str:
        """Compute an expression once per row and return its column."""
        if sql not in self._lets:
            column = self.names.column()
            self._levels[column[4:-1]] = self.level_of(sql) + 1
            self._lets[sql] = column
        return self._lets[sql]

    def join(self, relation: str, keys: tuple[str, ...]) -> tuple[str, str]:
        """
        Look up the list of a grouped parent relation (columns k0, k1, … and u).

        Return the column of the list, NULL where it has one value, and the column of that value.
        """
        for _, joined in self._joins:
            if joined.relation == relation and joined.keys == keys:
                return joined.column, joined.single
        columns = self.names.column(), self.names.column()
        level = max((self.level_of(key) for key in keys), default=0) + 1
        self._levels |= {column[4:-1]: level for column in columns}
        self._joins.append((level, Joined(relation, keys, *columns)))
        return columns

    def select(self, columns: str, *, numbered: bool = False, where: str | None = None) -> str:
        """Write a SELECT of columns over the relation with everything that was computed."""
        source = self.scan(numbered=numbered or self.needs_number)
        top = max([*self._levels.values(), 0])
        for level in range(1, top + 1):
            lets = [f"{sql} AS {column}" for sql, column in self._lets.items() if self._levels[column[4:-1]] == level]
            joins = []
            for number, (at, joined) in enumerate(self._joins):
                if at == level:
                    alias = f"j{number}"
                    on = " AND ".join(f"({key}) = {alias}.k{position}" for position, key in enumerate(joined.keys))
                    parts = "CASE WHEN len(u) > 1 THEN u END AS m, CASE WHEN len(u) = 1 THEN u[1] END AS s"
                    joins.append(f"LEFT JOIN (SELECT * EXCLUDE u, {parts} FROM ({joined.relation})) {alias} ON {on}")
                    lets += [f"{alias}.m AS {joined.column}", f"{alias}.s AS {joined.single}"]
            source = f"(SELECT b.*, {', '.join(lets)} FROM {source} b {' '.join(joins)})"
        condition = f" WHERE {where}" if where else ""
        return f"SELECT {columns} FROM {source} b{condition}"


# --- CSV --------------------------------------------------------------------------------------------------------------------


class CsvRows(Rows):
    """A CSV file: every cell is text, columns have positions, so that any header is possible."""

    kind = "csv"

    def __init__(self, names: Names, table: Table, *, longest: int) -> None:
        super().__init__(names)
        self.table = table
        self.longest = longest
        self._labels = dict(zip(table.columns, table.labels, strict=False))
        self._columns = {column: f"c{position}" for position, column in reversed(list(enumerate(table.columns)))}

    def resolve(self, reference: str) -> Value:
        """Return the cell of a column; NULL where the table says that a cell is no value."""
        if reference not in self._columns:
            raise UnknownReferenceError(reference, self.table.columns)
        column = self._columns[reference]
        return Value((column,), (f"{column} IS NOT NULL",), references=(reference,))

    def known(self, guards: Sequence[str]) -> int | None:
        """Return for how many records all conditions hold: the staging counted the cells of each column."""
        if self.table.filled is None:
            return None
        filled = {f"c{position} IS NOT NULL": count for position, count in enumerate(self.table.filled)}
        counts = {filled.get(guard) for guard in guards} - {self.table.records}
        return counts.pop() if len(counts) == 1 else None if counts else self.table.records

    @property
    def always(self) -> frozenset[str]:
        """Return conditions that are known to hold for every record: the staging found no empty cell in the column."""
        full = enumerate(self.table.filled or ())
        return frozenset(f"c{position} IS NOT NULL" for position, count in full if count == self.table.records)

    def label(self, reference: str) -> str:
        """Return the column's name as the file writes it."""
        return self._labels.get(reference, reference)

    def scan(self, *, numbered: bool) -> str:
        """Read the file without guessing anything."""
        table = self.table
        columns = ", ".join(f"c{position}: 'VARCHAR'" for position in range(len(table.columns)))
        options = [
            text(str(table.path)), "auto_detect = false", "header = false", f"skip = {1 if table.header_row else 0}",
            f"columns = {{{columns}}}", f"delim = {text(table.delimiter)}", f"quote = {text(table.quote)}",
            f"escape = {text(table.escape)}", f"max_line_size = {self.longest}", "null_padding = false",
        ]  # fmt: skip
        if table.nulls:
            options.append(f"nullstr = [{', '.join(text(null) for null in table.nulls)}]")
        if "" not in table.nulls:
            everything = ", ".join(text(f"c{position}") for position in range(len(table.columns)))
            options.append(f"force_not_null = [{everything}]")
        read = f"read_csv({', '.join(options)})"
        number = f"row_number() OVER () + {table.before}" if table.before else "row_number() OVER ()"
        return f"(SELECT *, {number} AS {ROW} FROM {read})" if numbered else read


# --- JSON -------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Shape:
    """What the references ask of a value: members, elements, or the value itself."""

    keys: dict[str, Shape] = field(default_factory=dict)
    items: Shape | None = None
    leaf: bool = False

    def add(self, path: jsonpath.Path) -> None:
        """Note one path."""
        if not path:
            self.leaf = True
            return
        step, rest = path[0], path[1:]
        if isinstance(step, jsonpath.Key):
            self.keys.setdefault(step.name, Shape()).add(rest)
        else:
            self.items = self.items or Shape()
            self.items.add(rest)

    @property
    def opaque(self) -> bool:
        """Tell whether the value must be kept as JSON: asked for as a whole, or as object and array at once."""
        folded = {key.lower() for key in self.keys}
        return self.leaf or bool(self.keys and self.items) or len(folded) < len(self.keys) or not (self.keys or self.items)

    @property
    def sql(self) -> str:
        """Write the type in which DuckDB reads the value; leaves stay JSON, so that their types are not lost."""
        if self.opaque:
            return "JSON"
        if self.items is not None:
            return f"{self.items.sql}[]"
        members = ", ".join(f"{name(key)} {shape.sql}" for key, shape in self.keys.items())
        return f"STRUCT({members})"


def json_pointer(sql: str, steps: jsonpath.Path) -> str:
    """Write the extraction of a path without wildcards from a JSON value."""
    pointer = ""
    for step in steps:
        if isinstance(step, jsonpath.Key):
            pointer += "/" + step.name.replace("~", "~0").replace("/", "~1")
        elif isinstance(step, jsonpath.Index) and step.number >= 0:
            pointer += f"/{step.number}"
        elif isinstance(step, jsonpath.Index):
            inner = f"json_extract({sql}, {text(pointer)})" if pointer else sql
            sql, pointer = f"json_extract({inner}, '$[#{step.number}]')", ""
    return f"json_extract({sql}, {text(pointer)})" if pointer else sql


def json_value(sql: str, reference: str, loops: tuple[Loop, ...] = (), *, typed: bool = False) -> Value:
    """Return a JSON value as text; null is SQL's own NULL where the value was `typed` by the reader."""
    guard = f"{sql} IS NOT NULL" if typed else f"{sql} IS NOT NULL AND {sql}::VARCHAR <> 'null'"
    return Value((f"co_json_text({sql})",), (guard,), loops, natural="json", raw=sql, references=(reference,))


class JsonPaths:
    """Follows the paths of references in a JSON value."""

    def __init__(self, names: Names, root: str, shape: Shape) -> None:
        self.names = names
        self.root = root
        self.shape = shape

    def resolve(self, reference: str) -> Value:
        """Return what a path gives: one value, or one for each element."""
        path = jsonpath.parse(reference)
        if not jsonpath.is_plain(path):
            raise ValueError(reference)
        current, shape, loops = self.root, self.shape, []
        position = 0
        while position < len(path) and not shape.opaque:
            step = path[position]
            position += 1
            if isinstance(step, jsonpath.Key):
                current, shape = f"struct_extract({current}, {text(step.name)})", shape.keys[step.name]
            elif shape.items is not None:
                if isinstance(step, jsonpath.Index):
                    current = f"list_extract({current}, {step.number + 1 if step.number >= 0 else step.number})"
                else:
                    variable = self.names.variable()
                    loops.append(Loop(variable, current))
                    current = variable
                shape = shape.items
        typed = position == len(path) and not (shape.opaque and position == 0)
        rest: list[jsonpath.Step] = []
        for step in path[position:]:
            if isinstance(step, jsonpath.Wild):
                inner = json_pointer(current, tuple(rest))
                variable = self.names.variable()
                loops.append(Loop(variable, f"co_elements({inner})"))
                current, rest = variable, []
            else:
                rest.append(step)
        return json_value(json_pointer(current, tuple(rest)), reference, tuple(loops), typed=typed)


class JsonRows(Rows):
    """The records of a JSON file, one line each, read in parallel into exactly the members that the mapping asks for."""

    kind = "json"

    def __init__(
        self, names: Names, lines: Callable[[bool], tuple[Path, int]], references: Iterable[str], *, typed: bool, natural: bool
    ) -> None:
        super().__init__(names)
        self.natural = natural
        self.lines = lines  # the file of the records, with their numbers or without, and the bytes of the longest line
        self.shape = Shape(leaf=not typed)
        for reference in references:
            path = jsonpath.parse(reference)
            if jsonpath.is_plain(path):
                self.shape.add(path)
        self.paths = JsonPaths(names, "r", self.shape)

    def resolve(self, reference: str) -> Value:
        """Return what a path gives in a record."""
        value = self.paths.resolve(reference)
        return value if self.natural else replace(value, natural=None)

    def scan(self, *, numbered: bool) -> str:
        """Read the records; `n` was written with them when asked."""
        path, largest = self.lines(numbered)
        columns = ("{n: 'BIGINT', r: " if numbered else "{r: ") + text(self.shape.sql) + "}"
        size = max(1_048_576, 2 * largest + 1024)
        options = f"format = 'newline_delimited', columns = {columns}, maximum_object_size = {size}"
        read = f"read_json({text(str(path))}, {options})"
        return f"(SELECT *, n AS {ROW} FROM {read})" if numbered else read


JSON_MACROS: Final = (
    """CREATE MACRO co_elements(x) AS
        CASE WHEN json_type(x) = 'OBJECT' THEN json_extract(x, '$.*') ELSE json_extract(x, '$[*]') END""",
    # CSV in a text (RFC 4180): cells with what ends them, where rows end, and each row as a JSON object
    r"""CREATE MACRO co_csv_cells(x) AS
        regexp_extract_all(rtrim(x, chr(13) || chr(10)) || chr(10), '(?:"(?:[^"]|"")*"|[^,\r\n"]*)(?:,|\r?\n)')""",
    r"""CREATE MACRO co_csv_ends(c) AS list_filter(range(1, len(c) + 1), lambda i: ends_with(c[i], chr(10)))""",
    r"""CREATE MACRO co_csv_cell(t) AS CASE WHEN starts_with(t, '"')
        THEN replace(regexp_extract(t, '^"((?:[^"]|"")*)"', 1), '""', '"') ELSE regexp_replace(t, '(,|\r?\n)$', '') END""",
    r"""CREATE MACRO co_csv_row(c, a, b) AS list_transform(c[a:b], lambda t: co_csv_cell(t))""",
    r"""CREATE MACRO co_csv_rows(c, e) AS list_transform(range(2, len(e) + 1), lambda k: to_json(
        MAP(co_csv_row(c, 1, e[1]), list_resize(co_csv_row(c, e[k - 1] + 1, e[k]), e[1]))))""",
    r"""CREATE MACRO co_csv(x) AS
        list_transform([co_csv_cells(x)], lambda c: list_transform([co_csv_ends(c)], lambda e: co_csv_rows(c, e))[1])[1]""",
)
