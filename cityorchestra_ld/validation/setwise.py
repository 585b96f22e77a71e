"""Rewrite SPARQL constraints so that one query judges all focus nodes at once, where that gives the same results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cityorchestra_ld.namespaces import SH
from cityorchestra_ld.validation.lint import prefixes_of, references
from cityorchestra_ld.validation.queries import Token, tokenize
from cityorchestra_ld.validation.shapes import Shape, ShapesGraph
from cityorchestra_ld.validation.worker import Row

MARK: Final = "urn:x-cityorchestra:focus:"  # predicate of the triples that point at chosen focus nodes
ALL: Final = f"<{MARK}>"  # the one target of rewritten constraints, and the subject of those triples
_FOCUS: Final = "x_focus"
_TAG: Final = "focus"  # the "language" of the message that brings the focus node back
# One query for all nodes and one for each differ when rows are counted, cut or ordered, or when a group cannot see $this.
_APART: Final = frozenset(
    {
        "GROUP", "HAVING", "LIMIT", "OFFSET", "ORDER", "UNION", "GRAPH", "COUNT", "SUM", "AVG", "MIN", "MAX", "SAMPLE",
        "GROUP_CONCAT", "REDUCED",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Setwise:
    """A constraint of a targeted shape, rewritten."""

    shape: str
    constraint: str
    query: str  # with a slot for the number of the mark
    has_value: bool

    def select(self, mark: int) -> str:
        """Return the query over the focus nodes that a mark points at."""
        return self.query.replace("\x00", str(mark))


def setwise(shapes: ShapesGraph) -> tuple[Setwise, ...]:
    """Return the constraints that can be judged set by set: those of targeted shapes that no other shape refers to."""
    referred = {str(term) for shape in shapes.shapes.values() for term in references(shape)}
    return tuple(
        found
        for shape in shapes.targeted
        if shape.id not in referred
        for constraint in shape.parameters.get("sparql", ())
        if (found := _rewrite(shapes, shape, constraint)) is not None
    )


def _rewrite(shapes: ShapesGraph, shape: Shape, constraint: object) -> Setwise | None:
    graph = shapes.graph
    select = graph.one(constraint, f"{SH}select")  # type: ignore[arg-type]
    if select is None or graph.objects(constraint, f"{SH}deactivated"):  # type: ignore[arg-type]
        return None
    words = list(tokenize(select.value))
    if not is_flat([word for word in words if word.kind != "space"]):
        return None
    if shape.path is None and any(word.variable == "PATH" for word in words):
        return None
    prefixes = "".join(f"PREFIX {name}: <{iri}>\n" for name, iri in prefixes_of(graph, constraint).items())  # type: ignore[arg-type]
    path = shape.path.sparql() if shape.path is not None else ""
    return Setwise(shape.id, str(constraint), prefixes + _text(words, path), _projects(words, "value"))


def _text(words: list[Token], path: str) -> str:
    """Write the query with another name for $this, which the marks bind; $this itself is what the engine asks for."""
    written, inside, depth = [], False, 0
    for word in words:
        depth += (word.text == "(") - (word.text == ")")
        if word.variable == "this":
            written.append(f"?{_FOCUS}" if inside or depth else f"$this ?{_FOCUS}")
        elif word.variable == "PATH":
            written.append(f"({path})")
        elif word.text == "{" and not inside:
            written.append(f"{{ {ALL} <{MARK}\x00> ?{_FOCUS} . ")
            inside = True
        else:
            written.append(word.text)
    return "".join(written)


def _projects(words: list[Token], name: str) -> bool:
    for word in words:
        if word.text == "{":
            return False
        if word.variable == name:
            return True
    return False


def is_flat(words: list[Token]) -> bool:
    """Tell whether every group sees $this: one SELECT, groups only after EXISTS and OPTIONAL, no BIND in the latter."""
    keywords = [word.word for word in words if word.word]
    if keywords.count("SELECT") != 1 or _APART & set(keywords):
        return False
    if {word.variable for word in words} & {"shapesGraph", "currentShape", _FOCUS}:
        return False
    opened: list[str] = []
    for before, word in zip([Token("other", ""), *words], words, strict=False):
        if word.text == "{":
            if opened and before.word not in ("EXISTS", "OPTIONAL"):
                return False
            opened.append(before.word)
        elif word.text == "}":
            opened.pop()
        elif (word.word == "BIND" and "OPTIONAL" in opened) or (word.text == "*" and not opened):
            return False
    return True


def bring_back(row: Row, found: Mapping[str, Setwise], shapes: ShapesGraph) -> Row:
    """Give a result of a rewritten constraint the shape, the focus node and the value that the original gives."""
    rewritten = found.get(row.shape)
    if rewritten is None:
        return row
    focus, rest = "", []
    for message in row.messages:
        if message.startswith(f"{_TAG}\x1f"):
            focus = f"<{message.partition(chr(31))[2]}>"
        else:
            rest.append(message)
    rest = [message.replace(MARK, focus[1:-1]) for message in rest]  # an engine may say what stands for $this there
    shape = shapes.shapes[rewritten.shape]
    value = row.value
    if value is None or value == ALL:
        value = focus if shape.path is None else None
    return row._replace(focus=focus, value=value, shape=rewritten.shape, messages=tuple(rest))


def focus_message() -> str:
    """Return the message that brings the focus node back."""
    return f"{_TAG}\x1f{{?{_FOCUS}}}"


def mention_focus(message: str) -> str:
    """Return an author's message with the new name for $this."""
    for sign in "?$":
        message = message.replace(f"{{{sign}this}}", f"{{?{_FOCUS}}}")
    return message
