"""Refuse shapes that are not well-formed, not safe, or that no engine could run; each refusal names the file and the shape."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Place, ShapesError, Text
from cityorchestra_ld.namespaces import OWL, SH
from cityorchestra_ld.validation import patterns, queries
from cityorchestra_ld.validation.graph import TYPE, Graph, Node, Term, local_name
from cityorchestra_ld.validation.shapes import Shape, ShapesGraph
from cityorchestra_ld.validation.vocabulary import FORBIDDEN, OTHER_TERMS, PARAMETERS, SHAPE_LISTS, SHAPE_VALUES
from cityorchestra_ld.validation.wellformed import faults

_KNOWN: Final = frozenset(PARAMETERS) | OTHER_TERMS
_UNORDERED: Final = frozenset({"gYear", "gYearMonth", "gMonthDay", "gDay", "gMonth", "duration"})  # SPARQL has no `<` for them
_BOUNDS: Final = ("minExclusive", "minInclusive", "maxExclusive", "maxInclusive")


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one node of a shapes graph."""

    node: Term
    message: Text
    rule: str


def check_terms(triples: Sequence[tuple[Node, str, Term]], path: Path, *, strict: bool) -> None:
    """Refuse terms that fetch, run code or (when strict) do not exist; raise ShapesError with file, line and nearest term."""
    for subject, predicate, value in triples:
        if predicate == f"{OWL}imports" and strict:
            raise _refusal(
                path,
                "owl:imports",
                subject,
                Text(
                    "owl:imports n'est pas suivi : rien n'est téléchargé.", "owl:imports is not followed: nothing is fetched."
                ),
                Text("Retirez-le et donnez le fichier importé.", "Remove it and give the imported file."),
            )
        used = [predicate] + ([value.value] if predicate == TYPE and isinstance(value, ox.NamedNode) else [])
        for name in (term.removeprefix(SH) for term in used if term.startswith(SH)):
            if name in FORBIDDEN:
                raise _refusal(
                    path,
                    f"sh:{name}",
                    subject,
                    Text(f"sh:{name} n'est pas admis ici.", f"sh:{name} is not accepted here."),
                    Text("Écrivez cette règle avec SHACL Core ou sh:sparql.", "Write this rule with SHACL Core or sh:sparql."),
                )
            if strict and name not in _KNOWN:
                near = difflib.get_close_matches(name, _KNOWN, n=1)
                raise _refusal(
                    path,
                    f"sh:{name}",
                    subject,
                    Text(f"sh:{name} n'existe pas en SHACL.", f"sh:{name} does not exist in SHACL."),
                    Text(f"Le plus proche est sh:{near[0]}.", f"The nearest is sh:{near[0]}.") if near else None,
                )


def _refusal(path: Path, term: str, subject: Node, message: Text, hint: Text | None) -> ShapesError:
    return ShapesError(message, place=Place(file=str(path), line=_line(path, term), rule=_shown(subject)), hint=hint)


def _line(path: Path, term: str) -> int | None:
    """Find the first line that writes a term; parsers give no positions for triples that are in order."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    wanted = re.compile(rf"(?<![\w-]){re.escape(term)}(?![\w-])|[#/]{re.escape(term.rpartition(':')[2])}>")
    return next((number for number, line in enumerate(text.splitlines(), 1) if wanted.search(line)), None)


def _shown(node: Term) -> str:
    return local_name(node.value) if isinstance(node, ox.NamedNode) else str(node)


def check(loaded: ShapesGraph) -> ShapesGraph:
    """Refuse shapes that are ill-formed, recursive, unsafe or aimless; return the same shapes with what is worth saying."""
    finding = next(_findings(loaded), None)
    if finding is not None:
        shape = _owner(loaded, finding.node)
        file = shape.file if shape else (loaded.files[0] if loaded.files else None)
        shown = shape.describe() if shape else _shown(finding.node)
        term = local_name(shape.root) if shape else None
        raise ShapesError(
            finding.message,
            place=Place(file=file, line=_line(Path(file), term) if file and term else None, rule=f"{shown} ({finding.rule})"),
        )
    if loaded.shapes and not any(shape.targets for shape in loaded.shapes.values()):
        raise ShapesError(
            Text(
                "Aucune forme ne vise quoi que ce soit : rien ne serait vérifié.",
                "No shape targets anything: nothing would be checked.",
            ),
            place=Place(file=", ".join(loaded.files)),
            hint=Text("Ajoutez sh:targetClass à une forme.", "Add sh:targetClass to a shape."),
        )
    return replace(loaded, notes=tuple(_notes(loaded)))


def _findings(loaded: ShapesGraph) -> Iterator[Finding]:
    graph = loaded.graph
    for shape in loaded.shapes.values():
        for message, rule in faults(graph, _node(shape)):
            yield Finding(_node(shape), message, rule)
    yield from _recursion(loaded)
    yield from _patterns(loaded)
    yield from _queries(graph)


def _node(shape: Shape) -> Node:
    return ox.NamedNode(shape.id[1:-1]) if shape.id.startswith("<") else ox.BlankNode(shape.id[2:])


def _owner(loaded: ShapesGraph, node: Term) -> Shape | None:
    """Return the shape that a node belongs to: itself, or the one that refers to it."""
    seen: set[Term] = set()
    todo: list[Term] = [node]
    while todo:
        current = todo.pop()
        if (shape := loaded.shape(str(current))) is not None:
            return shape
        seen.add(current)
        todo += [subject for subject, _ in loaded.graph.links(current) if subject not in seen]
    return None


# --- recursion ----------------------------------------------------------------------------------------------------------------


def references(shape: Shape) -> Iterator[Term]:
    """Return the shapes that a shape refers to."""
    for name in (*SHAPE_VALUES, *SHAPE_LISTS):
        yield from shape.parameters.get(name, ())


def _recursion(loaded: ShapesGraph) -> Iterator[Finding]:
    """Find shapes that refer to themselves, which SHACL leaves undefined (SHACL, section 3.4.3)."""
    done: set[str] = set()
    for start in loaded.shapes.values():
        stack: list[tuple[Shape, Iterator[Term]]] = [(start, references(start))]
        on_path = {start.id}
        while stack:
            shape, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                on_path.discard(shape.id)
                done.add(shape.id)
            elif str(following) in on_path:
                trail = " → ".join(s.describe() for s, _ in stack)
                yield Finding(
                    _node(start),
                    Text(f"Cette forme renvoie à elle-même : {trail}.", f"This shape refers to itself: {trail}."),
                    "recursion",
                )
                return
            elif str(following) not in done and (inner := loaded.shape(str(following))) is not None:
                stack.append((inner, references(inner)))
                on_path.add(inner.id)


# --- patterns and queries -----------------------------------------------------------------------------------------------------


def _patterns(loaded: ShapesGraph) -> Iterator[Finding]:
    for shape in loaded.shapes.values():
        flags = "".join(value.value for value in shape.parameters.get("flags", ()))
        for pattern in shape.parameters.get("pattern", ()):
            fault = patterns.judge(pattern.value, flags)
            if fault is not None:
                yield Finding(
                    _node(shape),
                    Text(f"sh:pattern « {pattern.value} » : {fault.fr}.", f"sh:pattern '{pattern.value}': {fault.en}."),
                    "sh:pattern",
                )


def _queries(graph: Graph) -> Iterator[Finding]:
    for kind in ("select", "ask"):
        for node, query in graph.pairs(SH + kind):
            fault = queries.judge(query.value, prefixes_of(graph, node), kind=kind, prebound=_parameters_of(graph, node))
            if fault is not None:
                yield Finding(node, Text(f"sh:{kind} : {fault.fr}.", f"sh:{kind}: {fault.en}."), f"sh:{kind}")


def prefixes_of(graph: Graph, node: Term) -> dict[str, str]:
    """Return the prefixes that a query declares through sh:prefixes (SHACL, section 5.2.1)."""
    found: dict[str, str] = {}
    for holder in graph.objects(node, f"{SH}prefixes"):
        for declaration in graph.objects(holder, f"{SH}declare"):
            prefix, namespace = graph.one(declaration, f"{SH}prefix"), graph.one(declaration, f"{SH}namespace")
            if prefix is not None and namespace is not None:
                found[prefix.value] = namespace.value
    return found


def _parameters_of(graph: Graph, validator: Term) -> frozenset[str]:
    """Return the names that a validator of a custom component receives (SHACL, section 6.2)."""
    names: set[str] = set()
    for predicate in ("validator", "nodeValidator", "propertyValidator"):
        for component in graph.referrers(validator, SH + predicate):
            for parameter in graph.objects(component, f"{SH}parameter"):
                path = graph.one(parameter, f"{SH}path")
                names |= {local_name(path.value)} if path is not None else set()
    return frozenset(names)


# --- worth saying -------------------------------------------------------------------------------------------------------------


def _notes(loaded: ShapesGraph) -> Iterator[Text]:
    if any(True for _ in loaded.graph.pairs(f"{OWL}imports")):
        yield Text(
            "owl:imports n'a pas été suivi : rien n'est téléchargé.", "owl:imports was not followed: nothing is fetched."
        )
    referred = {str(term) for shape in loaded.shapes.values() for term in references(shape)}
    for shape in loaded.shapes.values():
        if shape.named and not shape.targets and shape.id not in referred and not shape.deactivated:
            yield Text(
                f"La forme {shape.describe()} ne vise rien et rien n'y renvoie : elle ne sert pas.",
                f"Shape {shape.describe()} has no target and nothing refers to it: it is not used.",
            )
        if (
            shape.parameters.keys() & {"qualifiedMinCount", "qualifiedMaxCount"}
            and "qualifiedValueShape" not in shape.parameters
        ):
            yield Text(
                f"La forme {shape.describe()} compte des valeurs qualifiées sans dire lesquelles (sh:qualifiedValueShape).",
                f"Shape {shape.describe()} counts qualified values without saying which (sh:qualifiedValueShape).",
            )
        yield from _date_notes(shape)


def _date_notes(shape: Shape) -> Iterator[Text]:
    bounds = (value for name in _BOUNDS for value in shape.parameters.get(name, ()) if isinstance(value, ox.Literal))
    kinds = {local_name(value.datatype.value) for value in bounds}
    if kinds & _UNORDERED:
        kind = min(kinds & _UNORDERED)
        yield Text(
            f"La forme {shape.describe()} borne un {kind} : SPARQL ne sait pas les comparer, toute valeur sera refusée.",
            f"Shape {shape.describe()} puts a bound on {kind}: SPARQL cannot compare these, every value will be refused.",
        )
