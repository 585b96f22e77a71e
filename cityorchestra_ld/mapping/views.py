"""Logical views (RML-LV): named fields over a relation, records inside records, and joins, as nested SELECTs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cityorchestra_ld.errors import Text
from cityorchestra_ld.mapping import jsonpath
from cityorchestra_ld.mapping.plan import Expression, Field, Fixed, Reference, Template, View, ViewJoin
from cityorchestra_ld.mapping.relations import (
    ROW,
    JsonPaths,
    Rows,
    Shape,
    UnknownReferenceError,
    ViewError,
    json_pointer,
    json_value,
)
from cityorchestra_ld.mapping.sql import Lit, Loop, Value, all_of, combine, guarded, listed
from cityorchestra_ld.namespaces import XSD

Factory = Callable[[str], Rows]


class ViewRows(Rows):
    """A view: its fields are columns, made by unnesting lists one after the other."""

    kind = "view"

    def __init__(self, view: View, base: Rows, factory: Factory) -> None:
        super().__init__(base.names)
        self.view = view
        self.base = base
        self.factory = factory
        self._fields: dict[str, Value] = {}
        self._labels: dict[str, str] = {}
        self._relation = base.select(f"*, {ROW} - 1 AS co_index", numbered=True)
        index = self.names.column()
        self._relation = f"SELECT * EXCLUDE (co_index), co_index AS {index} FROM ({self._relation})"
        self._indexes: list[str] = []
        self._name("#", _index(index, "#"))
        for field in view.fields:
            self._add(field, "", base.resolve)
        for join in view.joins:
            self._join_view(join)

    def resolve(self, reference: str) -> Value:
        """Return a field of the view."""
        if reference not in self._fields:
            raise UnknownReferenceError(reference, self._fields)
        return self._fields[reference]

    def label(self, reference: str) -> str:
        """Return the column or path under a field."""
        return self._labels.get(reference, reference)

    def scan(self, *, numbered: bool) -> str:
        """Return the nested SELECTs; they always carry the number of the record that they come from."""
        return f"({self._relation})"

    @property
    def order(self) -> tuple[str, ...]:
        """Return the columns that put rows in the order of the file."""
        return (ROW, *self._indexes)

    @property
    def identity(self) -> str:
        """Return SQL that tells the rows of the view apart."""
        return "concat_ws('.', " + ", ".join([f"{ROW}::VARCHAR", *(f"{column}::VARCHAR" for column in self._indexes)]) + ")"

    # --- fields -------------------------------------------------------------------------------------------------------------

    def _name(self, name: str, value: Value) -> None:
        if name in self._fields:
            raise ViewError(
                Text(f"Deux champs s'appellent « {name} ».", f"Two fields are named '{name}'."),
                self.view.line,
                name,
            )
        self._fields[name] = replace(value, references=(name,))

    def _add(self, field: Field, prefix: str, resolve: Callable[[str], Value], around: str = "") -> None:
        name = prefix + field.name
        self._labels[name] = label = self._label_of(field, name, around)
        iterated = field.iterator is not None
        value = self._iterated(field, resolve) if iterated else _expression(field.expression, resolve)
        column, index, is_json = self._unnest(value)
        self._name(f"{name}.#", index)
        current = json_value(column, name) if is_json else Value((column,), (f"{column} IS NOT NULL",), natural=value.natural)
        if field.iterator is None or name in self._fields:
            self._name(name, current)
        if field.fields:
            inner = column if is_json and field.iterator is not None else _embedded(current)
            for child in field.fields:
                self._add(child, f"{name}.", self._inside(field, child, current, inner), label)

    def _inside(self, field: Field, child: Field, current: Value, inner: str) -> Callable[[str], Value]:
        """Return what references of a field mean inside the field around it: a path, a column, or the text itself for CSV."""
        if child.formulation == "csv":
            return lambda _: current
        if field.formulation == "csv":
            return lambda column: json_value(json_pointer(inner, (jsonpath.Key(column),)), column)
        return JsonPaths(self.names, inner, Shape(leaf=True)).resolve

    def _label_of(self, field: Field, name: str, around: str) -> str:
        written = field.iterator or (field.expression.text if isinstance(field.expression, Reference) else None)
        if written is None:
            return name
        if around:
            return around if written in ("$", "@") else f"{around}.{written.removeprefix('$.').removeprefix('$')}"
        return self.base.label(written)

    def _iterated(self, field: Field, resolve: Callable[[str], Value]) -> Value:
        if field.formulation == "csv" and field in self.view.fields:
            raise ViewError(
                Text(
                    "Du CSV à l'intérieur d'un enregistrement est dans un champ : mettez-le sous le champ qui le contient.",
                    "CSV inside a record is in a field: put it below the field that holds it.",
                ),
                self.view.line,
                field.name,
            )
        value = resolve(field.iterator or "$")
        if field.formulation == "csv":
            variable = self.names.variable()
            records = f"CASE WHEN {all_of(value.guards)} THEN co_csv({value.sql}) END"
            return Value((variable,), (), (*value.loops, Loop(variable, records)), raw=variable)
        if value.raw is None:
            value = replace(value, raw=_embedded(value))
        return value

    def _unnest(self, value: Value) -> tuple[str, Value, bool]:
        """Give each repetition of a value a row of its own; a record without value keeps one row."""
        is_json = value.raw is not None
        body = guarded(value.guards, value.raw if value.raw is not None else value.sql)
        column, index = self.names.column(), self.names.column()
        if not value.loops:
            self._relation = (
                f"SELECT *, {body} AS {column}, CASE WHEN ({body}) IS NOT NULL THEN 0 END AS {index} FROM ({self._relation})"
            )
            return column, _index(index, "#"), is_json
        kind = "JSON" if is_json else "VARCHAR"
        items = self.names.column()
        self._indexes.append(index)
        self._relation = f"SELECT *, {listed(body, value.loops)} AS {items} FROM ({self._relation})"
        empty = f"coalesce(len({items}), 0) = 0"
        self._relation = (
            f"SELECT * EXCLUDE ({items}), unnest(CASE WHEN {empty} THEN [NULL]::{kind}[] ELSE {items} END) AS {column}, "
            f"unnest(CASE WHEN {empty} THEN [NULL]::BIGINT[] ELSE range(len({items})) END) AS {index} FROM ({self._relation})"
        )
        return column, _index(index, "#"), is_json

    # --- joins --------------------------------------------------------------------------------------------------------------

    def _join_view(self, join: ViewJoin) -> None:
        parent = self.factory(join.parent)
        fields = [(field, _expression(field.expression, parent.resolve)) for field in join.fields]
        keys = [_expression(condition.parent, parent.resolve) for condition in join.conditions]
        children = [_expression(condition.child, self.resolve) for condition in join.conditions]
        columns = [self.names.column() for _ in fields]
        sides = [self.names.column() for _ in keys]
        made = [f"{_single(value)} AS {column}" for (_, value), column in zip(fields, columns, strict=True)]
        made += [f"{guarded(value.guards, value.sql)} AS {column}" for value, column in zip(keys, sides, strict=True)]
        order = [self.names.column() for _ in parent.order]
        made += [f"{column} AS {fresh}" for column, fresh in zip(parent.order, order, strict=True)]
        right = parent.select(", ".join(made), numbered=True)
        child_columns = [self.names.column() for _ in children]
        left = ", ".join(f"{guarded(v.guards, v.sql)} AS {c}" for v, c in zip(children, child_columns, strict=True))
        row, index = self.names.column(), self.names.column()
        on = " AND ".join(f"a.{c} = p.{s}" for c, s in zip(child_columns, sides, strict=True))
        kind = "JOIN" if join.inner else "LEFT JOIN"
        taken = ", ".join(f"p.{column}" for column in columns)
        self._relation = (
            f"SELECT a.* EXCLUDE ({', '.join([*child_columns, row])}), {taken}, "
            f"row_number() OVER (PARTITION BY a.{row} ORDER BY {', '.join(f'p.{column}' for column in order)}) - 1 AS {index} "
            f"FROM (SELECT *, {left}, row_number() OVER () AS {row} FROM ({self._relation})) a {kind} ({right}) p ON {on}"
        )
        self._indexes.append(index)
        for (field, value), column in zip(fields, columns, strict=True):
            natural = value.natural
            current = json_value(column, field.name) if value.raw is not None else Value(
                (column,), (f"{column} IS NOT NULL",), natural=natural
            )  # fmt: skip
            self._labels[field.name] = (
                parent.label(field.expression.text) if isinstance(field.expression, Reference) else field.name
            )
            self._name(field.name, current)
            self._name(f"{field.name}.#", _index(index, "#"))


def _single(value: Value) -> str:
    return guarded(value.guards, value.raw if value.raw is not None else value.sql)


def _index(column: str, name: str) -> Value:
    return Value((f"{column}::VARCHAR",), (f"{column} IS NOT NULL",), natural=XSD + "integer", references=(name,))


def _embedded(value: Value) -> str:
    """Return the JSON that a text holds; text that is no JSON gives nothing."""
    return f"try_cast({value.sql} AS JSON)"


def _expression(expression: Expression | None, resolve: Callable[[str], Value]) -> Value:
    if isinstance(expression, Fixed):
        return Value((Lit(expression.term.value),))
    if isinstance(expression, Reference):
        return resolve(expression.text)
    if isinstance(expression, Template):
        pieces: list[str] = []
        values: list[Value] = []
        for part in expression.parts:
            if isinstance(part, str):
                pieces.append(Lit(part))
            else:
                values.append(resolve(part.text))
                pieces += values[-1].pieces
        return combine(values, pieces)
    raise ViewError(Text("Un champ de vue n'appelle pas de fonction.", "A field of a view calls no function."), None)
