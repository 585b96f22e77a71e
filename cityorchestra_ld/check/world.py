"""Everything that will stand in the graph beside each other: the mapping's own nodes, and what the context brings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pyoxigraph as ox

from cityorchestra_ld.check.strings import Strings
from cityorchestra_ld.check.symbols import ClassSaid, Made, Node
from cityorchestra_ld.check.vocabulary import Vocabulary
from cityorchestra_ld.namespaces import RDF


@dataclass(slots=True, eq=False)
class Group:
    """Own nodes that are certainly the same resource, record by record."""

    nodes: list[Node]

    @property
    def first(self) -> Node:
        """Return the node that was written first."""
        return self.nodes[0]

    @property
    def classes(self) -> list[ClassSaid]:
        """Return the classes that any of the nodes is given."""
        return [said for node in self.nodes for said in node.classes]

    @property
    def name(self) -> str:
        """Return what people call the group: the rule that gives the class, else the first rule."""
        return next((said.triples_map for said in self.classes), self.first.name)

    @property
    def line(self) -> int | None:
        """Return where the group is said to be what it is."""
        return next((said.line for said in self.classes if said.line), self.first.line)

    @property
    def term(self) -> Made:
        """Return the subject as a term."""
        node = self.first
        return Made(kind=node.kind, strings=node.strings, triples_map=self.name, part="subject", line=node.line)

    def statements(self, predicate: str) -> list[Made]:
        """Return what the rules of the group say with one property."""
        return [made for node in self.nodes for made in node.statements.get(predicate, ())]

    @property
    def predicates(self) -> list[str]:
        """Return the properties of the group, in the order they are written."""
        return list(dict.fromkeys(predicate for node in self.nodes for predicate in node.statements))


@dataclass(slots=True)
class World:
    """Own nodes, and nodes around them; `complete` means that everything around could be read."""

    own: Sequence[Node]
    around: Sequence[Node]
    vocabulary: Vocabulary
    complete: bool = True
    groups: list[Group] = field(init=False)
    _constants: dict[str, list[Node]] = field(init=False)
    _templates: list[Node] = field(init=False)
    _alike: dict[int, list[Node]] = field(init=False, default_factory=dict)
    _reached: dict[Strings, list[Node]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        together: dict[object, Group] = {}
        for node in self.own:
            identity = (node.kind, node.strings, node.source) if node.strings.constants is None else (node.kind, node.strings)
            together.setdefault(identity, Group([])).nodes.append(node)
        self.groups = list(together.values())
        self._constants, self._templates = {}, []
        for node in (*self.own, *self.around):
            if node.strings.constants is None:
                self._templates.append(node)
            for text in node.strings.constants or ():
                self._constants.setdefault(text, []).append(node)

    def alike(self, group: Group) -> list[Node]:
        """Return the nodes that may describe the same resource as a group, its own nodes first."""
        key = id(group)
        if key not in self._alike:
            node = group.first
            others = [n for n in self._templates if n not in group.nodes and node.may_be(n)]
            if node.kind == "iri":
                others += [n for n in self._named(node.strings) if n not in group.nodes and n not in others]
            self._alike[key] = [*group.nodes, *others]
        return self._alike[key]

    def _named(self, strings: Strings) -> Iterator[Node]:
        if strings.constants is not None:
            for text in strings.constants:
                yield from self._constants.get(text, ())
            return
        for text, nodes in self._constants.items():
            if strings.holds(text):
                yield from nodes

    def reached(self, made: Made) -> list[Node] | None:
        """Return the nodes that a term may stand for; nothing is known (`None`) of an IRI that a cell brings as it is."""
        if made.kind == "literal":
            return []
        if made.strings.unknown:
            return None
        if made.strings not in self._reached:
            found = [node for node in self._templates if node.kind == made.kind and node.strings.meets(made.strings)]
            if made.kind == "iri":
                found += [node for node in self._named(made.strings) if node not in found]
            self._reached[made.strings] = found
        return self._reached[made.strings]

    def is_a(self, nodes: Iterable[Node], wanted: str) -> bool:
        """Tell whether one of the nodes is of a class, by everything that vocabularies say of classes."""
        return any(self.vocabulary.is_a(said.iri, wanted) for node in nodes for said in node.classes)

    def is_instance(self, nodes: Iterable[Node], wanted: str) -> bool:
        """Tell whether one of the nodes is of a class as SHACL sees it: by the ontology files of the territory."""
        return any(self.vocabulary.is_instance(said.iri, wanted) for node in nodes for said in node.classes)


# --- what is written in Turtle ------------------------------------------------------------------------------------------------

Term = ox.NamedNode | ox.BlankNode | ox.Literal


def resources(triples: Iterable[tuple[Term, str, Term]], *, name: str) -> list[Node]:
    """Turn triples of a file into nodes, one for each resource that has a name."""
    found: dict[str, Node] = {}
    for subject, predicate, value in triples:
        if not isinstance(subject, ox.NamedNode):
            continue
        node = found.setdefault(
            subject.value, Node(kind="iri", strings=Strings.of(subject.value), name=name, own=False)
        )  # fmt: skip
        if predicate == RDF + "type":
            node.classes.append(ClassSaid(value.value, name, None))
        node.add(predicate, constant(value, name))
    return list(found.values())


def constant(value: Term, name: str) -> Made:
    """Turn a term into the symbol of itself."""
    if isinstance(value, ox.Literal):
        return Made(
            kind="literal", strings=Strings.of(value.value), datatypes=frozenset({value.datatype.value}),
            languages=frozenset({value.language.lower()} if value.language else set()), sure=True, triples_map=name,
        )  # fmt: skip
    kind = "iri" if isinstance(value, ox.NamedNode) else "blank"
    return Made(kind=kind, strings=Strings.of(value.value), sure=True, triples_map=name)  # type: ignore[arg-type]
