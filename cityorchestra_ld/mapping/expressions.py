"""Compile expressions of the plan to SQL: constants, references, templates and functions, with checks of the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

from cityorchestra_ld.errors import Text
from cityorchestra_ld.mapping import functions
from cityorchestra_ld.mapping.plan import Expression, Fixed, FunctionCall, Reference, Template
from cityorchestra_ld.mapping.relations import Rows
from cityorchestra_ld.mapping.sql import Lit, Loop, Value, all_of, combine, guarded, is_name, listed, text

FAILED = "co$failed"  # what the fast pass says when a check fails; the diagnosing pass then finds the row


@dataclass(frozen=True, slots=True)
class Rule:
    """The place in the plan that an expression belongs to, for messages."""

    triples_map: str
    part: str  # subject, predicate <…>, graph…
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """Something that data must satisfy: `bad` is SQL that gives the first value that does not, or NULL."""

    bad: str
    message: Text
    hint: Text | None
    references: tuple[str, ...]
    rule: Rule


class Compiler:
    """
    Compiles expressions over one relation.

    A `strict` compiler stops the query at bad data; one that is not gives NULL there, and keeps the checks for the diagnosing
    pass.
    """

    def __init__(self, rows: Rows, rule: Rule, checks: list[Check], *, strict: bool) -> None:
        self.rows = rows
        self.rule = rule
        self.checks = checks
        self.strict = strict
        self.conditions: tuple[str, ...] = ()

    @contextmanager
    def under(self, *conditions: str) -> Iterator[None]:
        """Compile what follows for rows where the conditions hold."""
        before = self.conditions
        self.conditions = (*before, *conditions)
        try:
            yield
        finally:
            self.conditions = before

    # --- checks -------------------------------------------------------------------------------------------------------------

    def checked(self, value: Value, subject: str, ok: str, result: str, message: Text, hint: Text | None = None,
                quick: tuple[str, str] | None = None) -> str:  # fmt: skip
        """
        Return `result` where `ok` holds; else fail with the value of `subject`.

        `quick` is a condition that most values satisfy, all of which are `ok`, and their result.
        """
        first = f"WHEN {quick[0]} THEN {quick[1]} " if quick else ""
        if not self.strict:
            body = f"CASE WHEN {all_of((*self.conditions, *value.guards))} AND NOT ({ok}) THEN ({subject})::VARCHAR END"
            bad = body if not value.loops else f"list_extract({listed(body, value.loops)}, 1)"
            self.checks.append(Check(bad, message, hint, value.references, self.rule))
            return f"CASE {first}WHEN {ok} THEN {result} END"
        return f"CASE {first}WHEN {ok} THEN {result} ELSE error({text(FAILED)}) END"

    def scalar(self, value: Value, kind: Literal["text", "quoted", "natural"] = "text") -> Value:
        """Return a JSON value as text, in quotes, or as a literal of its own type; check that it is no object and no array."""
        raw = value.raw
        if raw is None:
            return value
        ok = f"NOT starts_with({raw}::VARCHAR, '{{') AND NOT starts_with({raw}::VARCHAR, '[')"
        message = Text(
            f"« {value.references[0]} » désigne un objet ou une liste JSON, pas une valeur.",
            f"'{value.references[0]}' is a JSON object or array, not a value.",
        )
        hint = Text(
            "Nommez un champ de l'objet, ou ajoutez [*] pour les éléments.",
            "Name a field of the object, or add [*] for the elements.",
        )
        string = "co_json_string" if kind == "text" else "co_natural_string"
        other = {"quoted": f"concat('\"', {raw}, '\"')", "natural": f"co_natural_other({raw})"}.get(kind, f"{raw}::VARCHAR")
        quick = (f"starts_with({raw}::VARCHAR, '\"')", f"{string}({raw})")
        return replace(value, pieces=(self.checked(value, raw, ok, other, message, hint, quick),))

    # --- expressions --------------------------------------------------------------------------------------------------------

    def value(self, expression: Expression) -> Value:
        """Compile any expression to text."""
        if isinstance(expression, Fixed):
            return Value((Lit(expression.term.value),))
        if isinstance(expression, Reference):
            return self.scalar(self.rows.resolve(expression.text))
        if isinstance(expression, Template):
            return self.template(expression)
        return self.call(expression)

    def template(self, template: Template, encode: Callable[[str], str] | None = None) -> Value:
        """Compile a template; with `encode`, each value in it is encoded and the text around is not."""
        values: list[Value] = []
        pieces: list[str] = []
        for part in template.parts:
            if isinstance(part, str):
                pieces.append(Lit(part))
                continue
            value = self.scalar(self.rows.resolve(part.text))
            values.append(value)
            pieces += [encode(value.sql)] if encode else value.pieces
        return combine(values, pieces)

    def simple(self, value: Value) -> Value:
        """Return the value as one column or variable, so that it can be written several times."""
        if value.loops:
            column = self.rows.let(listed(guarded((*self.conditions, *value.guards), value.sql), value.loops))
            variable = self.rows.names.variable()
            return Value(
                (variable,), (f"{variable} IS NOT NULL",), (Loop(variable, column),), value.natural, None, value.references
            )
        if value.constant is not None or is_name(value.sql):
            return value
        column = self.rows.let(guarded((*self.conditions, *value.guards), value.sql))
        return Value((column,), (f"{column} IS NOT NULL",), (), value.natural, None, value.references)

    # --- functions ----------------------------------------------------------------------------------------------------------

    def call(self, call: FunctionCall) -> Value:
        """Compile a function of the allow-list to a value that is computed once per row."""
        bound = functions.resolve_function(call)
        result = self._applied(bound)
        function = bound.function
        if function.returns == "boolean":
            result = result.with_pieces(f"({result.sql})::VARCHAR")
        if function.returns == "list":
            return self._elements(result)
        simple = self.simple(result)
        return Value(simple.pieces, simple.guards, simple.loops, function.datatype, None, simple.references)

    def _elements(self, result: Value) -> Value:
        body = guarded((*self.conditions, *result.guards), result.sql)
        for loop in reversed(result.loops):
            body = f"flatten(list_transform({loop.items}, lambda {loop.variable}: {body}))"
        column = self.rows.let(body)
        variable = self.rows.names.variable()
        return Value((variable,), (f"{variable} IS NOT NULL",), (Loop(variable, column),), references=result.references)

    def _applied(self, bound: functions.Bound) -> Value:
        function = bound.function
        used: list[Value] = []
        written: list[str] = []
        for position, (parameter, given) in enumerate(bound.arguments):
            for argument in given:
                with self.under(*self._branch(function, position, written)):
                    sql, value = self._argument(parameter, argument, strict=function.strict)
                written.append(sql)
                if value is not None:
                    used.append(value)
            if not given:
                written.append(parameter.default or "" if parameter.kind == "constant" else text(parameter.default or ""))
        result = combine(used, (function.build(*written),))
        if not function.strict:
            result = Value(result.pieces, (), result.loops, references=result.references)
        if function.check is not None:
            expects = function.expects or Text("", "")
            name = function.names[0].rpartition("#")[2]
            message = Text(f"fn:{name} attend {expects.fr}.", f"fn:{name} expects {expects.en}.")
            subject = written[0] if used else "NULL"
            sql = self.checked(result, subject, f"coalesce({function.check(*written)}, false)", result.sql, message)
            result = result.with_pieces(sql)
        return result

    @staticmethod
    def _branch(function: functions.Function, position: int, written: Sequence[str]) -> tuple[str, ...]:
        """Return when an argument is looked at: the branches of a choice only when they are chosen."""
        if not function.lazy or position == 0:
            return ()
        return (written[0],) if position == 1 else (f"NOT ({written[0]})",)

    def _argument(self, parameter: functions.Parameter, argument: Expression, *, strict: bool) -> tuple[str, Value | None]:
        if parameter.kind == "constant":
            return argument.term.value if isinstance(argument, Fixed) else "", None
        if parameter.kind == "boolean":
            return self.boolean_value(argument)
        if parameter.kind == "json" and isinstance(argument, Reference):
            value = self._json_text(self.rows.resolve(argument.text))
        else:
            value = self.value(argument)
        value = self.simple(value)
        if strict or not value.guards:
            return value.sql, value
        return value.sql if is_name(value.sql) else guarded(value.guards, value.sql), value

    @staticmethod
    def _json_text(value: Value) -> Value:
        if value.raw is None:
            return value
        whole = (
            f"CASE WHEN starts_with({value.raw}::VARCHAR, '\"') THEN co_json_text({value.raw}) ELSE {value.raw}::VARCHAR END"
        )
        return Value((whole,), value.guards, value.loops, references=value.references)

    # --- conditions ---------------------------------------------------------------------------------------------------------

    def boolean_value(self, expression: Expression) -> tuple[str, Value | None]:
        """Compile an expression to SQL of type BOOLEAN that is never NULL."""
        if isinstance(expression, FunctionCall):
            bound = functions.resolve_function(expression)
            if bound.function.returns == "boolean":
                result = self._applied(bound)
                return f"coalesce({guarded(result.guards, result.sql)}, false)", result
        value = self.simple(self.value(expression))
        return f"coalesce(lower({guarded(value.guards, value.sql)}) IN ('true', '1'), false)", value

    def condition(self, call: FunctionCall) -> str:
        """Compile a condition to a column; over several values, one that holds is enough."""
        sql, value = self.boolean_value(call)
        for loop in reversed(value.loops if value is not None else ()):
            sql = f"coalesce(list_bool_or(list_transform({loop.items}, lambda {loop.variable}: {sql})), false)"
        return self.rows.let(guarded(self.conditions, sql))
