"""Compile triples maps: each statement becomes pieces of one N-Quads line, with what must hold for it to be written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from cityorchestra_ld.errors import MappingError, Place, Text
from cityorchestra_ld.mapping import terms
from cityorchestra_ld.mapping.expressions import Check, Compiler, Rule
from cityorchestra_ld.mapping.plan import (
    Expression,
    Fixed,
    FunctionCall,
    Join,
    Plan,
    PredicateObject,
    TermMap,
    TriplesMap,
)
from cityorchestra_ld.mapping.relations import Rows
from cityorchestra_ld.mapping.sql import Lit, Loop, Value, all_of, combine, concat, counted, guarded, lines, listed
from cityorchestra_ld.mapping.term_maps import TermCompiler
from cityorchestra_ld.namespaces import REUSED, RML

_DEFAULT_GRAPH = RML + "defaultGraph"


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of statement of a triples map."""

    subject: Value
    predicate: Value
    object: Value
    graph: Value | None
    guards: tuple[str, ...] = ()
    part: str = ""
    line: int | None = None

    @property
    def whole(self) -> Value:
        """Return the statement as a value: a line of N-Quads without line end."""
        parts: list[str] = [*self.subject.pieces, Lit(" "), *self.predicate.pieces, Lit(" "), *self.object.pieces]
        used = [self.subject, self.predicate, self.object]
        if self.graph is not None:
            parts += [Lit(" "), *self.graph.pieces]
            used.append(self.graph)
        value = combine(used, [*parts, Lit(" .")])
        return replace(value, guards=tuple(dict.fromkeys((*self.guards, *value.guards))))

    def sql(self, sure: frozenset[str] = frozenset(), *, after: bool = False) -> str:
        """Return the text of all lines that one row gives, where some conditions are known to hold; `after` other lines."""
        whole = self.whole
        body = concat([Lit("\n"), *whole.pieces]) if after else whole.sql
        left = [guard for guard in whole.guards if guard not in sure]
        return lines(guarded(left, body), whole.loops, "''" if after else "chr(10)")

    @property
    def count(self) -> str:
        """Return how many lines one row gives."""
        whole = self.whole
        return counted(whole.guards, whole.loops)


@dataclass(slots=True)
class Compiled:
    """A triples map over its relation."""

    map: TriplesMap
    rows: Rows
    subject: Value
    prefix: str = ""  # every subject starts so
    conditions: tuple[str, ...] = ()
    lines: list[Line] = field(default_factory=list)


RowsFactory = Callable[[str], Rows]  # the relation of a source or view, by its name in the plan


class MapCompiler:
    """Compiles one triples map over its relation."""

    def __init__(self, plan: Plan, item: TriplesMap, rows: Rows, factory: RowsFactory, checks: list[Check], *, strict: bool,
                 default_graph: str | None = None) -> None:  # fmt: skip
        self.plan = plan
        self.item = item
        self.rows = rows
        self.factory = factory
        self.default_graph = default_graph
        self.prefix = ""
        self.compiler = TermCompiler(rows, Rule(item.name, "", item.line), checks, strict=strict, base_iri=item.base_iri)

    def compile(self) -> Compiled:
        """Compile every statement of the rule."""
        item = self.item
        conditions = self._conditions(item.condition, "condition")
        with self.compiler.under(*conditions):
            subject = self.subject(conditions)
            graphs = self._graphs(item.graphs, "graph")
            compiled = Compiled(item, self.rows, subject, self.prefix, conditions)
            kind = Value((Lit(terms.RDF_TYPE),))
            for iri in item.classes:
                term = Value((Lit(f"<{iri}>"),))
                compiled.lines += [
                    Line(subject, kind, term, graph, conditions, f"rdf:type <{iri}>", item.line)
                    for graph in graphs or [self._default_graph()]
                ]
            for pair in item.predicate_objects:
                compiled.lines += self._pair(pair, subject, graphs, conditions)
        return compiled

    def subject(self, conditions: tuple[str, ...] = ()) -> Value:
        """Compile the subject to one column; its guards stay those of what it is made of, so that counting need not make it."""
        self._at("subject", self.item.subject.line)
        value = self.compiler.term(self.item.subject)
        self.prefix = value.pieces[0] if value.pieces and isinstance(value.pieces[0], Lit) else ""
        if value.loops or value.constant is not None:
            return self.compiler.simple(value)
        column = self.rows.let(guarded((*conditions, *value.guards), value.sql))
        return Value((column,), value.guards, (), references=value.references)

    def _at(self, part: str, line: int | None) -> None:
        self.compiler.rule = Rule(self.item.name, part, line or self.item.line)

    def _conditions(self, call: FunctionCall | None, part: str) -> tuple[str, ...]:
        if call is None:
            return ()
        self._at(part, call.line)
        return (self.compiler.condition(call),)

    def _graphs(self, maps: tuple[TermMap, ...], part: str) -> list[Value | None]:
        found: list[Value | None] = []
        for term in maps:
            self._at(part, term.line)
            default = isinstance(term.expression, Fixed) and term.expression.term.value == _DEFAULT_GRAPH
            found.append(self._default_graph() if default else self.compiler.term(term))
        return found

    def _default_graph(self) -> Value | None:
        return Value((Lit(f"<{self.default_graph}>"),)) if self.default_graph else None

    def _pair(
        self, pair: PredicateObject, subject: Value, graphs: list[Value | None], before: tuple[str, ...]
    ) -> Iterator[Line]:
        conditions = before + self._conditions(pair.condition, "condition")
        with self.compiler.under(*conditions):
            own = graphs + self._graphs(pair.graphs, "graph")
            for predicate in pair.predicates:
                label = _label(predicate)
                self._at(label, predicate.line or pair.line)
                name = self.compiler.term(predicate)
                for target in pair.objects:
                    self._at(label, target.line or pair.line)
                    value = self._joined(target) if isinstance(target, Join) else self.compiler.term(target)
                    line = target.line or pair.line or self.item.line
                    yield from (
                        Line(subject, name, value, graph, conditions, label, line) for graph in own or [self._default_graph()]
                    )

    # --- joins --------------------------------------------------------------------------------------------------------------

    def _joined(self, join: Join) -> Value:
        parent = self.plan.triples_map(join.parent)
        if not join.conditions:
            return self._same_row(parent, join)
        children = [self.compiler.value(condition.child) for condition in join.conditions]
        relation = self._grouped(parent, [condition.parent for condition in join.conditions], self.compiler)
        references = tuple(dict.fromkeys(ref for value in children for ref in value.references))
        if any(value.loops for value in children):
            several, single = self._joined_many(relation, [condition.child for condition in join.conditions])
        else:
            keys = tuple(guarded((*self.compiler.conditions, *value.guards), value.sql) for value in children)
            several, single = self.rows.join(relation, keys)
        variable = self.rows.names.variable()
        items = f"CASE WHEN {single} IS NULL THEN {several} ELSE [{single}] END"
        loop = Loop(variable, items, single)
        return Value((variable,), (f"{variable} IS NOT NULL",), (loop,), references=references)

    def _same_row(self, parent: TriplesMap, join: Join) -> Value:
        """Without condition, the parent's subject is made from the child's own record (RML-Core, joins)."""
        if self.plan.source_key(parent.source) != self.plan.source_key(self.item.source):
            raise MappingError(
                Text("Une jointure sans condition ne peut lier que deux règles de la même source.",
                     "A join without condition can only link two rules of the same source."),
                place=Place(file=str(self.plan.path), line=join.line or self.item.line, rule=self.item.name),
                hint=Text("Ajoutez rml:joinCondition.", "Add rml:joinCondition."),
            )  # fmt: skip
        other = MapCompiler(self.plan, parent, self.rows, self.factory, self.compiler.checks, strict=self.compiler.strict)
        conditions = other._conditions(parent.condition, "condition")
        with other.compiler.under(*self.compiler.conditions, *conditions):
            value = other.compiler.term(parent.subject)
        return replace(value, guards=(*conditions, *value.guards))

    def _grouped(self, parent: TriplesMap, keys: list[Expression], compiler: Compiler) -> str:
        """Write the parent's subjects grouped by key: k0, k1, … and the list u."""
        rows = self.factory(parent.source)
        other = MapCompiler(self.plan, parent, rows, self.factory, [], strict=compiler.strict)
        conditions = other._conditions(parent.condition, "condition")
        with other.compiler.under(*conditions):
            values = [other.compiler.value(key) for key in keys]
            values.append(other.subject(conditions))
        names = [f"k{number}" for number in range(len(keys))] + ["u"]
        return f"SELECT {', '.join(names[:-1])}, list(DISTINCT u) AS u FROM ({exploded(rows, names, values)}) GROUP BY ALL"

    def _joined_many(self, relation: str, keys: list[Expression]) -> tuple[str, str]:
        """Join on keys that a record has several of: explode them beside, and bring the parents back to the record."""
        rows = self.factory(self.item.source)
        other = MapCompiler(self.plan, self.item, rows, self.factory, [], strict=self.compiler.strict)
        values = [other.compiler.value(key) for key in keys]
        names = [f"c{number}" for number in range(len(keys))] + ["i"]
        children = exploded(rows, names, [*values, Value((rows.identity,))])
        on = " AND ".join(f"c.c{number} = p.k{number}" for number in range(len(keys)))
        both = f"({children}) c JOIN ({relation}) p ON {on}"
        found = f"SELECT c.i AS k0, list_distinct(flatten(list(p.u))) AS u FROM {both} GROUP BY 1"
        return self.rows.join(found, (self.rows.identity,))


def exploded(rows: Rows, names: Sequence[str], values: Sequence[Value]) -> str:
    """Write a relation with one row for each combination of the values, without those where one is missing."""
    columns = []
    for column, value in zip(names, values, strict=True):
        sql = listed(guarded(value.guards, value.sql), value.loops) if value.loops else guarded(value.guards, value.sql)
        columns.append(f"{sql} AS {column}")
    guards = [guard for value in values if not value.loops for guard in value.guards]
    relation = rows.select(", ".join(columns), where=all_of(guards) if guards else None)
    for column, value in zip(names, values, strict=True):
        if value.loops:
            others = ", ".join(name for name in names if name != column)
            relation = f"SELECT {others}, unnest({column}) AS {column} FROM ({relation})"
    return relation


def _label(predicate: TermMap) -> str:
    expression = predicate.expression
    if isinstance(expression, Fixed):
        iri = expression.term.value
        known = {namespace: prefix for prefix, namespace in REUSED.items()}
        cut = max(iri.rfind("#"), iri.rfind("/")) + 1
        return f"{known[iri[:cut]]}:{iri[cut:]}" if iri[:cut] in known else f"<{iri}>"
    return "predicate"
