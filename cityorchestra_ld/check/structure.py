"""Look at the IRIs that a mapping makes, at identifiers that mean two things, and at rules that are of no use."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Final

from cityorchestra_ld.check.findings import Finding, finding, near
from cityorchestra_ld.check.symbols import Made
from cityorchestra_ld.check.world import World
from cityorchestra_ld.errors import Place, Text
from cityorchestra_ld.mapping.plan import Fixed, Join, Plan, Template, TermMap, TriplesMap
from cityorchestra_ld.mapping.terms import has_scheme
from cityorchestra_ld.namespaces import REUSED

_SCHEMES: Final = frozenset({"http", "https", "urn", "mailto", "tel", "geo", "info", "ftp", "tag", "did", "doi", "ark", "file"})
_SCHEME: Final = re.compile("([A-Za-z][-A-Za-z0-9+.]*):")


def check_structure(plan: Plan, world: World) -> Iterator[Finding]:
    """Yield findings about IRIs, contradictory identifiers and useless rules."""
    yield from _iris(plan, world)
    yield from _contradictions(plan, world)
    yield from _useless(plan)


# --- IRIs ---------------------------------------------------------------------------------------------------------------------


def _iris(plan: Plan, world: World) -> Iterator[Finding]:
    for group in world.groups:
        yield from _scheme(plan, group.term)
        for predicate in group.predicates:
            for made in group.statements(predicate):
                yield from _scheme(plan, made)
    for item in plan.maps:
        for term, line in _templates(item):
            yield from _relative(plan, item, term, line)


def _scheme(plan: Plan, made: Made) -> Iterator[Finding]:
    if made.kind != "iri":
        return
    found = _SCHEME.match(made.strings.prefix)
    if found and found[1].lower() not in _SCHEMES:
        place = Place(file=str(plan.path), line=made.line, value=made.strings.shown, rule=made.triples_map)
        shown, prefix = made.strings.shown, found[1]
        message = Text(
            f"« {shown} » : « {prefix}: » n'est ni un préfixe déclaré ni un protocole connu.",
            f"'{shown}': '{prefix}:' is neither a declared prefix nor a known scheme.",
        )
        yield finding("MAP-401", place, hint=near(REUSED.get(prefix.lower())), message=message)


def _templates(item: TriplesMap) -> Iterator[tuple[TermMap, int | None]]:
    yield item.subject, item.line
    for pair in item.predicate_objects:
        for term in (*pair.predicates, *(target for target in pair.objects if not isinstance(target, Join))):
            yield term, term.line or pair.line or item.line


def _relative(plan: Plan, item: TriplesMap, term: TermMap, line: int | None) -> Iterator[Finding]:
    expression = term.expression
    if not term.type.is_iri or not isinstance(expression, Template | Fixed):
        return
    parts = expression.parts if isinstance(expression, Template) else (expression.term.value,)
    first = parts[0] if parts else ""
    if isinstance(first, str) and first and not has_scheme(first):
        shown = "".join(part if isinstance(part, str) else f"$({part.text})" for part in parts)
        place = Place(file=str(plan.path), line=line, value=shown, rule=item.name)
        yield finding("MAP-403", place, given=shown, base=item.base_iri)


# --- contradictions -----------------------------------------------------------------------------------------------------------


def _contradictions(plan: Plan, world: World) -> Iterator[Finding]:
    """Compare the classes that the same identifier is given, in this mapping and around it."""
    vocabulary = world.vocabulary
    for group in world.groups:
        everyone = [said for node in world.alike(group) if node.strings.key == group.first.strings.key for said in node.classes]
        for said, other in itertools.product(group.classes, everyone):
            found = vocabulary.disjoint(said.iri, other.iri)
            if found is not None and (said.iri < other.iri or other not in group.classes):
                place = Place(file=str(plan.path), line=said.line or group.line, rule=said.triples_map)
                one, two = vocabulary.shorten(said.iri), vocabulary.shorten(other.iri)
                yield finding("MAP-404", place, given=group.first.strings.shown, one=one, other=f"{two} ({other.triples_map})")


# --- useless rules ------------------------------------------------------------------------------------------------------------


def _useless(plan: Plan) -> Iterator[Finding]:
    aims = {
        target.parent
        for item in plan.maps
        for pair in item.predicate_objects
        for target in pair.objects
        if isinstance(target, Join)
    }
    for item in plan.maps:
        if not item.classes and not item.predicate_objects and item.name not in aims:
            yield finding("MAP-405", Place(file=str(plan.path), line=item.line, rule=item.name), rule=item.name)
