"""Say where published triples come from: file, row, column, cell and mapping rule, from the kept sources of their version."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import pyoxigraph as ox

from cityorchestra_ld.catalog.snapshots import restore_source
from cityorchestra_ld.errors import CityOrchestraError, Place, RefusedError, StoreError, Text
from cityorchestra_ld.mapping import Plan, Wanted, read_mapping, trace
from cityorchestra_ld.model import Generation, GraphInfo, Origin, Role, SourceSpec, Table
from cityorchestra_ld.namespaces import prefixes
from cityorchestra_ld.runs import Run, RunFolder
from cityorchestra_ld.sources import stage
from cityorchestra_ld.store import Reader, current_generation
from cityorchestra_ld.territory import Dataset, Territory, load_dataset
from cityorchestra_ld.turtle import read_turtle

Made = Literal["mapping", "static", "file", "software", "unknown"]
MOST: Final = 500  # triples of one answer
_DATA: Final[frozenset[Role]] = frozenset({"data", "ref", "live"})
_FILES: Final[dict[Role, str]] = {
    "ontology": "ontology/",
    "codelist": "ontology/codelists/",
    "shapes": "shapes/",
    "policy": "policies/",
    "scenario": "scenarios/",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A place in a mapping document."""

    file: str
    triples_map: str
    line: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One published triple and where it comes from; terms are written as in N-Triples."""

    subject: str
    predicate: str
    object: str
    graph: str
    made_by: Made
    dataset: str | None = None
    version: str | None = None
    run: str | None = None
    origins: tuple[Origin, ...] = ()
    rules: tuple[Rule, ...] = ()
    note: Text | None = None


def explain(
    territory: Territory,
    subject: str,
    predicate: str | None = None,
    object: str | None = None,
    *,
    graphs: Collection[str] | None = None,
    run: str | None = None,
) -> tuple[Explained, ...]:
    """
    Say where each published triple of a subject (and predicate, and object) comes from.

    Terms are written as in N-Triples; `graphs` limits the answer to graphs that may be seen; `run` asks about the version
    that a past run made. Raises RefusedError when no such triple is published, UsageError for a run that does not exist.
    """
    wanted = Wanted(subject, predicate, object)
    if run is not None:
        made = RunFolder(territory.state).load(run)
        return tuple(_past(territory, made, wanted))
    generation = current_generation(territory.state / "store")
    if generation is None:
        raise StoreError(
            Text("Rien n'est encore publié.", "Nothing is published yet."),
            hint=Text("Lancez `cityorchestra run --all`.", "Run `cityorchestra run --all`."),
        )
    found = _published(generation, wanted, graphs)
    if not found:
        raise _nothing(generation, wanted, graphs)
    return tuple(item for info, triples in found for item in _explained(territory, generation, info, triples))


def explain_many(territory: Territory, dataset: str, triples: Sequence[Wanted]) -> tuple[Explained, ...]:
    """Say where many published triples of one dataset come from; its sources are read once. Raises as `explain` does."""
    generation = current_generation(territory.state / "store")
    known = territory.dataset(dataset)
    identity = generation.meta.get(f"run:{dataset}") if generation else None
    if identity is None:
        raise RefusedError(
            Text("Ce jeu de données n'est pas publié.", "This dataset is not published."), place=Place(value=dataset)
        )
    run = RunFolder(territory.state).load(identity)
    return tuple(_of_dataset(territory, known, run, territory.graph_of(known), triples))


# --- what is published --------------------------------------------------------------------------------------------------------


def _term(text: str | None) -> ox.NamedNode | ox.Literal | None:
    if text is None:
        return None
    parsed = next(iter(ox.parse(f"<urn:s> <urn:p> {text} .", format=ox.RdfFormat.N_TRIPLES))).object
    return parsed if isinstance(parsed, ox.NamedNode | ox.Literal) else None


def _published(generation: Generation, wanted: Wanted, graphs: Collection[str] | None) -> list[tuple[GraphInfo, list[Wanted]]]:
    """Look a pattern up in the current generation, graph by graph."""
    known = {info.graph: info for info in generation.graphs if graphs is None or info.graph in graphs}
    found: dict[str, list[Wanted]] = {}
    subject, predicate, value = _term(wanted.subject), _term(wanted.predicate), _term(wanted.object)
    if not isinstance(subject, ox.NamedNode) or not isinstance(predicate, ox.NamedNode | None):
        return []
    with Reader(generation) as reader:
        for count, quad in enumerate(reader.quads(subject, predicate, value)):
            if count >= MOST:
                break
            if isinstance(quad.graph_name, ox.NamedNode) and quad.graph_name.value in known:
                triple = Wanted(str(quad.subject), str(quad.predicate), str(quad.object))
                found.setdefault(quad.graph_name.value, []).append(triple)
    return [(known[graph], sorted(triples, key=_order)) for graph, triples in sorted(found.items())]


def _order(triple: Wanted) -> tuple[str, str]:
    return triple.predicate or "", triple.object or ""


def _nothing(generation: Generation, wanted: Wanted, graphs: Collection[str] | None) -> RefusedError:
    """Say that nothing of the kind is published, and what is."""
    hint = None
    if wanted.predicate is not None:
        about = _published(generation, Wanted(wanted.subject), graphs)
        names = sorted({_shorten(t.predicate or "") for _, triples in about for t in triples})
        if names:
            listed = ", ".join(names[:20])
            hint = Text(f"Ce sujet est publié avec : {listed}.", f"This subject is published with: {listed}.")
    written = " ".join(term for term in (wanted.subject, wanted.predicate, wanted.object) if term)
    return RefusedError(
        Text("Aucun triplet publié ne correspond.", "No published triple matches."), place=Place(value=written), hint=hint
    )


def _shorten(term: str) -> str:
    iri = term.strip("<>")
    for prefix, namespace in prefixes().items():
        if iri.startswith(namespace) and "/" not in iri.removeprefix(namespace):
            return f"{prefix}:{iri.removeprefix(namespace)}"
    return term


# --- where it comes from ------------------------------------------------------------------------------------------------------


def _explained(territory: Territory, generation: Generation, info: GraphInfo, triples: Sequence[Wanted]) -> Iterator[Explained]:
    dataset = territory.datasets.get(info.dataset or "")
    identity = generation.meta.get(f"run:{info.dataset}")
    if info.role not in _DATA or dataset is None or identity is None:
        yield from (_other(info, triple) for triple in triples)
        return
    run = RunFolder(territory.state).load(identity)
    yield from _of_dataset(territory, dataset, run, info.graph, triples)


def _other(info: GraphInfo, triple: Wanted) -> Explained:
    """Explain a triple that no mapping makes."""
    folder = _FILES.get(info.role)
    note = (
        Text(f"Écrit à la main dans {folder} du territoire.", f"Written by hand in {folder} of the territory.")
        if folder
        else Text("Écrit par le logiciel à la publication.", "Written by the software at publication.")
    )
    return Explained(
        subject=triple.subject, predicate=triple.predicate or "", object=triple.object or "", graph=info.graph,
        made_by="file" if folder else "software", dataset=info.dataset, version=info.version, note=note,
    )  # fmt: skip


def _of_dataset(territory: Territory, dataset: Dataset, run: Run, graph: str, triples: Sequence[Wanted]) -> Iterator[Explained]:
    with _restored(territory, dataset, run) as kept:
        origins = [kept.used(found) for found in _traced(kept, [_as_mapped(territory, dataset, t) for t in triples])]
        static = _static(dataset, territory)
        for triple, found in zip(triples, origins, strict=True):
            made: Made = "mapping" if found else "static" if _plain(triple) in static else "unknown"
            yield Explained(
                subject=triple.subject, predicate=triple.predicate or "", object=triple.object or "", graph=graph,
                made_by=made, dataset=dataset.key, version=run.version, run=run.id, origins=found,
                rules=tuple(kept.rules(found)), note=_note(made, kept),
            )  # fmt: skip


def _as_mapped(territory: Territory, dataset: Dataset, triple: Wanted) -> Wanted:
    """Give back their labels to blank nodes that were named when they were published (RDF 1.1 Concepts, section 3.5)."""
    start = f"<{territory.iris.genid(dataset.key, '')}"

    def label(term: str) -> str:
        return f"_:{term.removeprefix(start).removesuffix('>')}" if term.startswith(start) else term

    return Wanted(label(triple.subject), triple.predicate, label(triple.object or ""))


def _note(made: Made, kept: _Kept) -> Text | None:
    if made == "static":
        return Text(
            "Écrit à la main dans static.ttl, à côté de la correspondance.",
            "Written by hand in static.ttl, beside the mapping.",
        )
    if made == "unknown":
        return Text(
            "Aucune règle de la correspondance ne refait ce triplet à partir des sources gardées.",
            "No rule of the mapping makes this triple again from the kept sources.",
        )
    return kept.note


def _static(dataset: Dataset, territory: Territory) -> frozenset[tuple[str, str, str]]:
    path = dataset.folder / "static.ttl"
    if not path.exists():
        return frozenset()
    return frozenset((str(t.subject), str(t.predicate), str(t.object)) for t in read_turtle(path, territory.base_iri))


def _plain(triple: Wanted) -> tuple[str, str, str]:
    return triple.subject, triple.predicate or "", triple.object or ""


def _traced(kept: _Kept, triples: Sequence[Wanted]) -> list[tuple[Origin, ...]]:
    """Trace triples exactly; what the store wrote in another way is traced by its subject and predicate."""
    exact = trace(kept.plan, kept.tables, triples)
    missing = {
        triple: Wanted(triple.subject, triple.predicate) for triple in triples if not exact.get(triple) and _typed(triple)
    }
    loose = trace(kept.plan, kept.tables, list(missing.values()))
    return [exact.get(triple) or (loose.get(missing[triple], ()) if triple in missing else ()) for triple in triples]


def _typed(triple: Wanted) -> bool:
    return '"^^<' in (triple.object or "")


def _past(territory: Territory, run: Run, wanted: Wanted) -> Iterator[Explained]:
    """Ask a run that is not the published one: its triples are made again from its sources."""
    dataset = territory.dataset(run.dataset)
    with _restored(territory, dataset, run) as kept:
        origins = trace(kept.plan, kept.tables, [wanted])[wanted]
        if not origins:
            raise RefusedError(
                Text("Ce passage n'a pas fait ce triplet.", "That run did not make this triple."),
                place=Place(value=wanted.subject),
            )
        yield Explained(
            subject=wanted.subject, predicate=wanted.predicate or "", object=wanted.object or "",
            graph=territory.graph_of(dataset), made_by="mapping", dataset=dataset.key, version=run.version, run=run.id,
            origins=origins, rules=tuple(kept.rules(origins)), note=kept.note,
        )  # fmt: skip


# --- kept sources -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kept:
    """The mapping and the sources of a run, as they were."""

    plan: Plan
    tables: Mapping[str, Table]
    mapping: str  # where the mapping lies in the territory
    note: Text | None
    set_aside: frozenset[tuple[str | None, int | None, str | None]] = frozenset()  # file, row, pointer

    def used(self, origins: Iterable[Origin]) -> tuple[Origin, ...]:
        """Return the origins that are not in rows that the run set aside."""
        return tuple(o for o in origins if not self.set_aside & {(o.file, o.row, None), (o.file, o.row, _record(o))})

    def rules(self, origins: Iterable[Origin]) -> Iterator[Rule]:
        """Yield the places in the mapping of the rules behind origins, each once."""
        for name, line in dict.fromkeys((origin.triples_map, origin.line) for origin in origins):
            yield Rule(self.mapping, name, line)


@contextmanager
def _restored(territory: Territory, dataset: Dataset, run: Run) -> Iterator[_Kept]:
    """Bring back the sources and the mapping of a run; raise RefusedError when its sources were not kept."""
    with tempfile.TemporaryDirectory(prefix="lineage-") as folder:
        work = Path(folder)
        then, note = _rules_of(territory, dataset, run, work)
        plan = read_mapping(then.mapping, base_iri=territory.base_iri)
        specs = {spec.name: spec for spec in then.sources}
        tables = {}
        for number, record in enumerate(run.sources):
            spec = specs.get(record.name)
            if spec is None or record.name not in plan.names:
                continue
            target = work / f"{number}-{Path(record.label).name}"
            try:
                restore_source(territory.state, record.sha256, target)
            except FileNotFoundError:
                raise _not_kept(record.label, run) from None
            staged = stage(_plain_file(spec, target), work / "staged", territory.limits)
            tables[record.name] = replace(staged, label=record.label)
        aside = frozenset((row.place.file, row.place.row, row.place.pointer) for row in run.quarantine)
        yield _Kept(plan, tables, str(dataset.mapping), note, aside)


def _record(origin: Origin) -> str | None:
    """Return the pointer of the record that a value is in."""
    value = "/" + (origin.column or "").replace(".", "/")
    return origin.pointer.removesuffix(value) if origin.pointer else None


def _plain_file(spec: SourceSpec, path: Path) -> SourceSpec:
    return replace(spec, path=path, url=None, member=None, compression=None)


def _rules_of(territory: Territory, dataset: Dataset, run: Run, work: Path) -> tuple[Dataset, Text | None]:
    """Return the dataset as the run read it; as it is now when its files were not kept."""
    changed = Text(
        "La correspondance d'alors n'a pas été gardée : celle d'aujourd'hui a servi.",
        "The mapping of that time was not kept: the one of today was used.",
    )
    if not run.files:
        return dataset, changed
    folder = work.joinpath("mappings", *dataset.key.split("/"))
    folder.mkdir(parents=True)
    try:
        for name, sha256 in run.files.items():
            restore_source(territory.state, sha256, folder / Path(name).name)
        return load_dataset(folder / "dataset.toml", territory.root, territory.partners), None
    except (FileNotFoundError, CityOrchestraError):
        return dataset, changed


def _not_kept(label: str, run: Run) -> RefusedError:
    return RefusedError(
        Text(f"Le fichier « {label} » de ce passage n'a pas été gardé.", f"The file '{label}' of that run was not kept."),
        place=Place(value=run.id),
        hint=Text("Publiez à nouveau le jeu de données avec --force.", "Publish the dataset again with --force."),
    )
