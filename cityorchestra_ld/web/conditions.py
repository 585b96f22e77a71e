"""Say the conditions of use of a dataset in plain words, from its ODRL policy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.namespaces import REUSED
from cityorchestra_ld.web.http_ import Language
from cityorchestra_ld.web.labels import best
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.terms import clean, shorten, show_literal

_ODRL: Final = REUSED["odrl"]
_ABOUT: Final = ox.NamedNode(REUSED["dct"] + "description")
_POLICY, _DUTY, _ASSIGNEE, _CONSTRAINT = (
    ox.NamedNode(_ODRL + name) for name in ("hasPolicy", "duty", "assignee", "constraint")
)
_PERMISSION, _PROHIBITION, _OBLIGATION = (ox.NamedNode(_ODRL + name) for name in ("permission", "prohibition", "obligation"))
_LEFT, _RIGHT = ox.NamedNode(_ODRL + "leftOperand"), ox.NamedNode(_ODRL + "rightOperand")


@dataclass(frozen=True, slots=True)
class Clause:
    """One thing that is allowed, forbidden or due."""

    label: str
    about: str
    limits: tuple[str, ...] = ()  # for whom, for what, until when


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """A policy, for people."""

    iri: str
    label: str
    about: str
    allowed: tuple[Clause, ...]
    due: tuple[Clause, ...]
    forbidden: tuple[Clause, ...]


def conditions(snapshot: Snapshot, dataset: str, lang: Language) -> Conditions | None:
    """Read the policy of a dataset; `None` when it has none that may be seen."""
    return next((_read(snapshot, policy, lang) for policy in _objects(snapshot, ox.NamedNode(dataset), _POLICY)), None)


def _read(snapshot: Snapshot, policy: ox.NamedNode | ox.BlankNode, lang: Language) -> Conditions:
    allowed = list(_objects(snapshot, policy, _PERMISSION))
    duties = [*_objects(snapshot, policy, _OBLIGATION), *(duty for one in allowed for duty in _objects(snapshot, one, _DUTY))]
    return Conditions(
        iri=policy.value,
        label=clean(snapshot.labels.of(policy.value, lang)),
        about=_about(snapshot, policy, lang),
        allowed=_clauses(snapshot, allowed, lang),
        due=_clauses(snapshot, duties, lang),
        forbidden=_clauses(snapshot, list(_objects(snapshot, policy, _PROHIBITION)), lang),
    )


def _clauses(snapshot: Snapshot, nodes: list[ox.NamedNode | ox.BlankNode], lang: Language) -> tuple[Clause, ...]:
    found = [
        Clause(clean(snapshot.labels.of(node.value, lang)), _about(snapshot, node, lang), tuple(_limits(snapshot, node, lang)))
        for node in nodes
    ]
    return tuple(dict.fromkeys(sorted(found, key=lambda clause: clause.label)))


def _limits(snapshot: Snapshot, node: ox.NamedNode | ox.BlankNode, lang: Language) -> Iterator[str]:
    for assignee in _objects(snapshot, node, _ASSIGNEE):
        yield clean(snapshot.labels.of(assignee.value, lang))
    for constraint in _objects(snapshot, node, _CONSTRAINT):
        left = next(_objects(snapshot, constraint, _LEFT), None)
        right = next(iter(snapshot.all(constraint, _RIGHT, None)), None)
        if left is None or right is None:
            continue
        value = right.object
        text = snapshot.labels.of(value.value, lang) if isinstance(value, ox.NamedNode) else ""
        if isinstance(value, ox.Literal):
            text = show_literal(value, lang).text
        yield f"{clean(snapshot.labels.of(left.value, lang))} : {clean(text)}"


def _about(snapshot: Snapshot, node: ox.NamedNode | ox.BlankNode, lang: Language) -> str:
    literals = (quad.object for quad in snapshot.all(node, _ABOUT, None) if isinstance(quad.object, ox.Literal))
    chosen = best(literals, lang)
    return clean(shorten(chosen.value, 600)[0]) if chosen else ""


def _objects(
    snapshot: Snapshot, subject: ox.NamedNode | ox.BlankNode, predicate: ox.NamedNode
) -> Iterator[ox.NamedNode | ox.BlankNode]:
    found = {
        quad.object.value: quad.object
        for quad in snapshot.all(subject, predicate, None)
        if isinstance(quad.object, ox.NamedNode | ox.BlankNode)
    }
    return iter([found[key] for key in sorted(found)])
