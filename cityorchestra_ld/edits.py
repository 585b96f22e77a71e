"""Publish what stewards write over HTTP: staged, parsed, validated, then one new version; a process of its own does it."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import pyoxigraph as ox

from cityorchestra_ld import pipeline
from cityorchestra_ld.catalog.snapshots import keep_source
from cityorchestra_ld.catalog.system import Labels
from cityorchestra_ld.errors import CityOrchestraError, Place, RefusedError, Text, UsageError
from cityorchestra_ld.governance.edits import Body, Done, Edit, Job, Refusal, Reported, Violation
from cityorchestra_ld.model import Generation, GraphChange, GraphInfo, Severity, ValidationReport
from cityorchestra_ld.prepare import Prepared
from cityorchestra_ld.runs import Run, RunFolder, SourceRecord, Status
from cityorchestra_ld.store import EmbeddedStore
from cityorchestra_ld.store.sandbox import limit_memory
from cityorchestra_ld.territory import Dataset, Territory, load_territory
from cityorchestra_ld.validation import load_shapes, validate, with_strictness

_ENTITIES: Final = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[{\]}]')
_DEEPEST: Final = 200  # brackets of JSON-LD, elements of RDF/XML
_SHOWN: Final = 20  # violations that an answer lists


class EditError(CityOrchestraError):
    """An edit cannot be published; knows the status that says so."""

    exit_code = 1

    def __init__(self, status: int, message: Text, *, place: Place | None = None, hint: Text | None = None) -> None:
        super().__init__(message, place=place, hint=hint)
        self.status = status


class DisagreeError(RefusedError):
    """The new content does not conform to the shapes of its dataset."""

    http_status = 422

    def __init__(self, dataset: Dataset, report: ValidationReport) -> None:
        count = report.counts.get(Severity.VIOLATION, 0) or report.counts.get(Severity.WARNING, 0)
        super().__init__(
            Text(
                f"Le contenu ne respecte pas les règles de {dataset.key} : {count} violation(s). Rien n'est publié.",
                f"The content does not conform to the shapes of {dataset.key}: {count} violation(s). Nothing is published.",
            )
        )
        self.report = report
        self.count = count


@dataclass(slots=True)
class _Editor:
    """One job, inside the lock of the pipeline."""

    territory: Territory
    job: Job
    done: list[Done] = field(default_factory=list)

    def make(self, store: EmbeddedStore, common: Sequence[Path], work: Path) -> pipeline.Edits:
        """Prepare every edit; whatever is wrong with one is raised before anything is published."""
        current = store.current()
        known = {info.graph: info for info in current.graphs} if current else {}
        for edit in self.job.edits:
            _require_state(edit, known.get(edit.graph), draft=self.job.draft)
        prepared: list[Prepared] = []
        removed: set[str] = set()
        changes: list[GraphChange] = []
        contents = {
            edit.graph: _content(store, edit, known.get(edit.graph), work / f"edit-{number}")
            for number, edit in enumerate(self.job.edits)
        }
        for edit in self.job.edits:
            info, content = known.get(edit.graph), contents[edit.graph]
            if edit.dataset is None:
                free = GraphInfo(graph=edit.graph, role="scenario")
                changes.append(GraphChange(info=free, content=content))
                found = store.snapshot(free, content) if content else free
                self._done(edit, info, found)
            elif content is None:
                removed.add(edit.dataset)
                self._done(edit, info, GraphInfo(graph=edit.graph, role="data"))
            else:
                made = self._version(store, edit, content, [*common, *self._context(store, edit, contents, work)], current)
                prepared.append(made)
                found = store.snapshot(made.info, content, scope=edit.dataset)
                version = f"{self.territory.dataset(edit.dataset).version}-{found.sha256[:8]}"
                self._done(edit, info, replace(found, version=version))
        return pipeline.Edits(prepared=prepared, removed=frozenset(removed), changes=changes)

    def _done(self, edit: Edit, before: GraphInfo | None, after: GraphInfo) -> None:
        created = before is None and edit.action != "delete"
        self.done.append(Done(edit.graph, edit.action, created, after.triples, after.version, after.sha256))

    def _context(self, store: EmbeddedStore, edit: Edit, contents: dict[str, Path | None], work: Path) -> Iterator[Path]:
        """Give shapes what they may look at besides: other datasets, as they are after this job."""
        for key in self.territory.dataset(edit.dataset or "").context:
            graph = self.territory.graph_of(self.territory.dataset(key))
            path = contents[graph] if graph in contents else store.export(graph, work)
            if path is not None:
                yield path

    def _version(
        self, store: EmbeddedStore, edit: Edit, content: Path, context: Sequence[Path], current: Generation | None
    ) -> Prepared:
        """Judge the new content of a dataset, and keep what was sent as the source of its version."""
        dataset, started = self.territory.dataset(edit.dataset or ""), datetime.now(UTC)
        shapes = load_shapes(self.territory.shapes_of(dataset), base_iri=self.territory.base_iri)
        shapes = with_strictness(shapes, dataset.validation)
        report = validate(content, shapes, context=context, limits=self.territory.limits)
        if not report.conforms:
            raise DisagreeError(dataset, report)
        folder = RunFolder(self.territory.state)
        before = current.meta.get(f"run:{dataset.key}") if current else None
        earlier = folder.load(before) if before and (folder.root / before / "run.json").exists() else None
        identity, _ = folder.start(dataset.key, started)
        kept = tuple(source for source in earlier.sources if source.name != _SOURCE) if earlier else ()
        run = Run(
            id=identity, dataset=dataset.key, status=Status.CHECKED, started=started, finished=datetime.now(UTC),
            fingerprint=current.meta.get(f"fingerprint:{dataset.key}", "") if current else "",
            records=earlier.records if earlier else {}, per_map=earlier.per_map if earlier else {},
            violations=report.counts.get(Severity.VIOLATION, 0), warnings=report.counts.get(Severity.WARNING, 0),
            infos=report.counts.get(Severity.INFO, 0), engine=report.engine, sources=(*kept, *self._sources(edit)),
            files=earlier.files if earlier else {},
        )  # fmt: skip
        info = GraphInfo(graph=edit.graph, role=dataset.graph, access=dataset.access, dataset=dataset.key)
        return Prepared(run=run, info=info, content=content, report=report)

    def _sources(self, edit: Edit) -> Iterator[SourceRecord]:
        for body in edit.bodies:
            path = Path(body.path)
            data = path.read_bytes()
            sha256 = hashlib.sha256(data).hexdigest()
            keep_source(self.territory.state, sha256, path)
            label = f"{edit.action.upper()}, {self.job.author}"
            yield SourceRecord(name=_SOURCE, label=label, sha256=sha256, size=len(data), records=None)


_SOURCE: Final = "graph-store"


def _require_state(edit: Edit, info: GraphInfo | None, *, draft: bool) -> None:
    """Hold the conditions of an edit against what is published now; raise EditError 404, 409 or 412."""
    if edit.action == "delete" and info is None:
        raise EditError(404, Text("Ce graphe n'existe pas.", "There is no such graph."), place=Place(value=edit.graph))
    changed = (edit.expected and (info is None or info.sha256 not in edit.expected)) or (edit.absent and info is not None)
    if changed:
        raise EditError(
            409 if draft else 412,
            Text("Le graphe publié a changé entre-temps.", "The published graph has changed in the meantime."),
            place=Place(value=edit.graph),
            hint=Text("Relisez-le, puis recommencez.", "Read it again, then start again."),
        )


def _content(store: EmbeddedStore, edit: Edit, info: GraphInfo | None, work: Path) -> Path | None:
    """Write the whole new content of a graph as N-Triples; nothing for a graph that goes."""
    if edit.action == "delete":
        return None
    work.mkdir()
    target = work / "content.nt"
    with target.open("wb") as out:
        if edit.action == "post" and info is not None:
            exported = store.export(edit.graph, work)
            if exported is not None:
                with exported.open("rb") as before:
                    shutil.copyfileobj(before, out)
        for body in edit.bodies:
            ox.serialize(_parsed(body, edit.graph), out, format=ox.RdfFormat.N_TRIPLES)
    return target


def _parsed(body: Body, base: str) -> Iterator[ox.Triple]:
    """Parse one document after looking at what could harm; raise UsageError with line and character of the first mistake."""
    path = Path(body.path)
    form = ox.RdfFormat.from_media_type(body.media_type)
    data = path.read_bytes()
    _harmless(data, form)
    label = Labels(f"p{hashlib.sha256(data).hexdigest()[:12]}")
    try:
        for quad in ox.parse(data, format=form, base_iri=base):
            if not isinstance(quad.graph_name, ox.DefaultGraph):
                raise UsageError(
                    Text("Le document contient des graphes nommés.", "The document holds named graphs."),
                    place=Place(value=quad.graph_name.value),
                    hint=Text("Envoyez un graphe à la fois.", "Send one graph at a time."),
                )
            yield label.apart(quad.triple)
    except SyntaxError as error:
        raise UsageError(
            Text(f"Document illisible : {error.msg}", f"The document cannot be read: {error.msg}"),
            place=Place(line=error.lineno, column_number=error.offset) if error.lineno else None,
            hint=Text("Rien n'a changé. Corrigez, puis renvoyez.", "Nothing has changed. Correct it, then send it again."),
        ) from None
    except (ValueError, RuntimeError, OSError) as error:
        raise UsageError(Text(f"Document illisible : {error}", f"The document cannot be read: {error}")) from None


def _harmless(data: bytes, form: ox.RdfFormat | None) -> None:
    """Refuse what kills or swells a parser: entities, deep nests, what is not UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            Text(f"Le corps n'est pas en UTF-8 (octet {error.start}).", f"The body is not UTF-8 (byte {error.start}).")
        ) from None
    if form == ox.RdfFormat.RDF_XML:
        if _ENTITIES.search(data):
            raise UsageError(
                Text("DOCTYPE et entités sont refusés en RDF/XML.", "DOCTYPE and entities are refused in RDF/XML."),
                hint=Text("Écrivez les adresses en entier.", "Write IRIs in full."),
            )
        _shallow(data, re.compile(rb"<!--.*?-->|<\?.*?\?>|<[^<>]*?/>|(</)|(<)", re.DOTALL), b"<")
    if form == ox.RdfFormat.JSON_LD:
        _shallow(data, _BRACKETS, b"{[")


def _shallow(data: bytes, tokens: re.Pattern[bytes], opening: bytes) -> None:
    depth = 0
    for match in tokens.finditer(data):
        text = match.group()
        if len(text) == 1 and text in opening:
            depth += 1
        elif text in (b"</", b"}", b"]"):
            depth -= 1
        if depth > _DEEPEST:
            raise UsageError(
                Text(
                    f"Le document est imbriqué sur plus de {_DEEPEST} niveaux.",
                    f"The document is nested deeper than {_DEEPEST} levels.",
                )
            )


def publish(territory: Territory, job: Job) -> Reported:
    """Publish a job as one generation; what is refused is told in the report, not raised."""
    editor = _Editor(territory, job)
    try:
        outcome = pipeline.publish_edits(territory, editor.make)
    except CityOrchestraError as error:
        return Reported(refusal=refusal(error))
    number = outcome.generation.number if outcome.generation else None
    return Reported(generation=number, published=outcome.published, done=tuple(editor.done))


def refusal(error: CityOrchestraError) -> Refusal:
    """Say an error in the form that crosses the border between processes."""
    status = error.status if isinstance(error, EditError) else error.http_status
    violations: tuple[Violation, ...] = ()
    if isinstance(error, DisagreeError):
        found = [result for result in error.report.results if result.severity is Severity.VIOLATION] or error.report.results
        violations = tuple(Violation(r.message, r.focus, r.path, r.value) for r in found[:_SHOWN])
    count = error.count if isinstance(error, DisagreeError) else 0
    return Refusal(status, error.message, error.place, error.hint, violations, count)


def main() -> int:
    """Read a job on standard input, publish it, and report on standard output."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    territory = load_territory(Path(job.root), state=Path(job.state))
    limit_memory(territory.limits.validation_memory_mb)

    sys.stdout.buffer.write(msgspec.json.encode(publish(territory, job)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
