"""VoID: what each public dataset holds, counted on its content, and what it links to."""

from __future__ import annotations

from collections.abc import Mapping

import pyoxigraph as ox

from cityorchestra_ld.catalog.dcat import Published, described
from cityorchestra_ld.catalog.distributions import file_address
from cityorchestra_ld.catalog.facts import Facts
from cityorchestra_ld.catalog.triples import Graph, both, lit
from cityorchestra_ld.model import Access, GraphInfo, Text
from cityorchestra_ld.territory import Territory

N = ox.NamedNode
_LINKSETS = 40


def void(territory: Territory, graphs: tuple[GraphInfo, ...], known: Mapping[str, Published]) -> Graph:
    """Describe the public datasets as RDF datasets (VoID, sections 2 to 5)."""
    graph = Graph(territory.base_iri)
    facts = {
        key: published.made.facts
        for key, info in described(graphs).items()
        if info.access is Access.PUBLIC and (published := known.get(key)) is not None and published.made is not None
    }
    owners = _owners(facts)
    top = f"{territory.base_iri}.well-known/void"
    graph.add(
        top,
        ["void:DatasetDescription"],
        dct_title=both(Text(f"Contenu : {territory.name.fr}", f"Content: {territory.name.en}")),
        foaf_primaryTopic=N(f"{top}#all"),
    )
    graph.add(
        f"{top}#all",
        ["void:Dataset"],
        dct_title=both(territory.name),
        void_sparqlEndpoint=N(f"{territory.base_iri}sparql"),
        void_uriSpace=lit(territory.base_iri),
        void_triples=lit(sum(found.triples for found in facts.values())),
        void_subset=[N(territory.iris.dataset(key)) for key in facts],
    )
    for key, found in facts.items():
        _dataset(graph, territory, key, found, known[key])
        _linksets(graph, territory, key, found, owners)
    return graph


def _owners(facts: Mapping[str, Facts]) -> dict[str, str]:
    """Say for each namespace which dataset describes most of its things."""
    best: dict[str, tuple[int, str]] = {}
    for key, found in facts.items():
        for space, number in found.spaces.items():
            best[space] = max(best.get(space, (0, "")), (number, key))
    return {space: key for space, (_, key) in best.items()}


def _part(territory: Territory, key: str, *names: str) -> str:
    return territory.iris.id("void", *key.split("/"), *names)


def _dataset(graph: Graph, territory: Territory, key: str, facts: Facts, published: Published) -> None:
    dataset, made = territory.datasets[key], published.made
    iri = territory.iris.dataset(key)
    dumps = [file for file in made.files if file.form in ("nquads", "turtle")] if made else []
    classes = {kind: _part(territory, key, "class", str(place)) for place, kind in enumerate(facts.classes)}
    properties = {name: _part(territory, key, "property", str(place)) for place, name in enumerate(facts.properties)}
    graph.add(
        iri,
        ["void:Dataset"],
        dct_title=both(dataset.title),
        void_triples=lit(facts.triples),
        void_entities=lit(facts.entities),
        void_distinctSubjects=lit(facts.subjects),
        void_distinctObjects=lit(facts.objects) if facts.objects is not None else None,
        void_classes=lit(len(facts.classes)),
        void_properties=lit(len(facts.properties)),
        void_sparqlEndpoint=N(f"{territory.base_iri}sparql"),
        void_dataDump=[N(file_address(territory, key, made.version, file.name)) for file in dumps] if made else None,
        void_uriSpace=[lit(space) for space, number in facts.spaces.items() if number * 10 >= facts.entities],
        void_exampleResource=[N(thing) for thing in dict.fromkeys([dataset.example, *facts.examples.values()]) if thing],
        void_vocabulary=[N(name) for name in _vocabularies(facts)],
        void_classPartition=[N(part) for part in classes.values()],
        void_propertyPartition=[N(part) for part in properties.values()],
    )
    for kind, part in classes.items():
        graph.add(part, ["void:Dataset"], void_class=N(kind), void_entities=lit(facts.classes[kind]))
    for name, part in properties.items():
        graph.add(part, ["void:Dataset"], void_property=N(name), void_triples=lit(facts.properties[name]))


def _vocabularies(facts: Facts) -> list[str]:
    """List the namespaces of the classes and properties in use."""
    names = [*facts.classes, *facts.properties]
    return sorted({name[: max(name.rfind("/"), name.rfind("#")) + 1] for name in names})


def _linksets(graph: Graph, territory: Territory, key: str, facts: Facts, owners: Mapping[str, str]) -> None:
    """Describe the links to other datasets, ours or not, by property and namespace."""
    iri = territory.iris.dataset(key)
    for place, link in enumerate(facts.links[:_LINKSETS]):
        owner = owners.get(link.space)
        if owner == key:
            continue
        target = territory.iris.dataset(owner) if owner else territory.iris.id("void", "space", link.space)
        if not owner:
            graph.add(target, ["void:Dataset"], void_uriSpace=lit(link.space))
        graph.add(
            _part(territory, key, "link", str(place)),
            ["void:Linkset"],
            void_subjectsTarget=N(iri),
            void_objectsTarget=N(target),
            void_linkPredicate=N(link.property),
            void_uriSpace=lit(link.space),
            void_triples=lit(link.triples),
        )
        graph.add(iri, void_subset=N(_part(territory, key, "link", str(place))))
