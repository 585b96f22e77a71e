"""Drafts of stewards over HTTP: copies of graphs to change by SPARQL Update, look at, and publish or throw away."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response

from cityorchestra_ld.errors import Place, QueryError, StoreError, Text, UsageError
from cityorchestra_ld.formats import QUERY_GRAPH_FORMATS, RESULT_FORMATS, named, negotiate
from cityorchestra_ld.governance.edits import Body, Edit
from cityorchestra_ld.governance.tokens import Token
from cityorchestra_ld.store import inspect, open_store
from cityorchestra_ld.store.answers import gone_error, memory_error
from cityorchestra_ld.store.drafting import Order, Outcome
from cityorchestra_ld.store.searching import find_searches, refuse_searches
from cityorchestra_ld.store.syntax import syntax_error
from cityorchestra_ld.store.update_guard import inspect_update
from cityorchestra_ld.web.addresses import is_iri
from cityorchestra_ld.web.bodies import read_body
from cityorchestra_ld.web.children import ChildDiedError
from cityorchestra_ld.web.http_ import Ask, ask_from
from cityorchestra_ld.web.problems import (
    ConflictError,
    NotAcceptableError,
    NotFoundError,
    TooLargeError,
    UnprocessableError,
    Variant,
)
from cityorchestra_ld.web.protocol import read_request, read_update
from cityorchestra_ld.web.service import Service
from cityorchestra_ld.web.stewards import publish, require_target

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_MOST: Final = 20  # drafts of one installation
_GRAPHS: Final = 50
_ABANDONED: Final = 3600.0  # seconds after which a draft that was never finished is nobody's
_WORKER: Final = "cityorchestra_ld.store.drafting"


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a steward asks for: a name, and the graphs to copy."""

    name: str
    graphs: list[str] = []


class Draft(msgspec.Struct, frozen=True):
    """What is known of a draft."""

    name: str
    owner: str
    created: datetime
    generation: int
    graphs: dict[str, str]  # graph → hash of the content that was copied


class Drafts:
    """The drafts of an installation, each in a folder; only its owner sees a draft."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._territory = service.site.territory
        self._root = self._territory.state / "drafts"

    # --- all drafts -------------------------------------------------------------------------------------------------------

    async def collection(self, request: Request) -> Response:
        """List the drafts of a steward, or make one."""
        ask, token = self._steward(request)
        if ask.method in ("GET", "HEAD"):
            mine = [draft for draft in self._all() if draft.owner == token.name]
            return _json({"drafts": [self._facts(draft) for draft in mine]})
        body = await read_body(request, self._territory.limits.body_bytes)
        try:
            wanted = msgspec.json.decode(body, type=Wanted)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UsageError(
                Text(f"Corps illisible : {error}", f"The body cannot be read: {error}"),
                hint=Text('Envoyez {"name": "…", "graphs": ["…"]}.', 'Send {"name": "…", "graphs": ["…"]}.'),
            ) from None
        draft = await self._create(wanted, token)
        return _json(self._facts(draft), 201, {"Location": f"{ask.root}/drafts/{draft.name}"})

    def _all(self) -> list[Draft]:
        files = sorted(self._root.glob("[!.]*/draft.json"))
        return [msgspec.json.decode(file.read_bytes(), type=Draft) for file in files]

    async def _create(self, wanted: Wanted, token: Token) -> Draft:
        if not _NAME.fullmatch(wanted.name) or len(wanted.graphs) > _GRAPHS:
            raise UsageError(
                Text("Nom ou graphes impossibles.", "Impossible name or graphs."),
                hint=Text("Un nom : minuscules, chiffres et tirets.", "A name: lower-case letters, digits and hyphens."),
            )
        for graph in wanted.graphs:
            require_target(self._service, token, graph)
        folder = self._root / wanted.name
        if folder.exists() or len(self._all()) >= _MOST:
            raise ConflictError(
                Text("Ce brouillon existe déjà, ou il y en a trop.", "This draft exists already, or there are too many."),
                hint=Text("Publiez-le ou supprimez-le d'abord.", "Publish or delete it first."),
            )
        self._root.mkdir(parents=True, exist_ok=True)
        for leftover in self._root.glob(".*"):
            if time.time() - leftover.stat().st_mtime > _ABANDONED:
                shutil.rmtree(leftover, ignore_errors=True)
        making = Path(tempfile.mkdtemp(dir=self._root, prefix="."))
        try:
            draft = await self._service.build(lambda: self._copied(making, wanted, token))
            loads = tuple((graph, str(making / f"load-{number}.nt")) for number, graph in enumerate(draft.graphs))
            await self._work(making, Order(folder=str(making), what="create", loads=loads))
            for _, path in loads:
                Path(path).unlink()
            making.rename(folder)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
        return draft

    def _copied(self, making: Path, wanted: Wanted, token: Token) -> Draft:
        """Write the published content of the wanted graphs into the folder of a new draft."""
        graphs: dict[str, str] = {}
        with open_store(self._territory.state / "store", base_iri=self._territory.base_iri) as store:
            current = store.current()
            infos = {info.graph: info for info in current.graphs} if current else {}
            for graph in dict.fromkeys(wanted.graphs):
                if graph in infos:
                    exported = store.export(graph, making)
                    if exported is not None:
                        exported.rename(making / f"load-{len(graphs)}.nt")
                        graphs[graph] = infos[graph].sha256
        number = current.number if current else 0
        draft = Draft(wanted.name, token.name, datetime.now(UTC), number, graphs)
        (making / "draft.json").write_bytes(msgspec.json.encode(draft))
        return draft

    # --- one draft --------------------------------------------------------------------------------------------------------

    async def one(self, request: Request) -> Response:
        """Show how a draft differs from what is published, or throw it away."""
        ask, token = self._steward(request)
        draft, folder = self._find(request, token)
        if ask.method == "DELETE":
            shutil.rmtree(folder)
            return Response(status_code=204)
        compared = await self._work(folder, Order(folder=str(folder), what="compare"))
        changes = [
            {
                "graph": change.graph, "before": change.before, "after": change.after, "added": change.added,
                "removed": change.removed, "first_added": change.first_added, "first_removed": change.first_removed,
            }
            for change in compared.changes
        ]  # fmt: skip
        return _json(self._facts(draft) | {"triples": compared.triples, "loose": compared.loose, "changes": changes})

    async def update(self, request: Request) -> Response:
        """Change a draft by SPARQL Update (SPARQL 1.1 Protocol, section 2.2)."""
        ask, token = self._steward(request)
        _, folder = self._find(request, token)
        limits = self._territory.limits
        wanted = read_update(ask, await read_body(request, limits.body_bytes))
        text = inspect_update(wanted.text, limits, using=wanted.default_graphs, using_named=wanted.named_graphs)
        refuse_searches(text, f"{self._territory.base_iri}def/co#", self._base(ask))
        order = Order(folder=str(folder), what="update", text=text, base=self._base(ask))
        outcome = await self._work(folder, order, wanted.text)
        headers = {"X-Triples": str(outcome.triples)}
        if outcome.loose:
            headers["X-Loose-Triples"] = str(outcome.loose)  # in no graph: these cannot be published
        return Response(status_code=204, headers=headers)

    async def query(self, request: Request) -> Response:
        """Query a draft as the published data are queried."""
        ask, token = self._steward(request)
        _, folder = self._find(request, token)
        limits = self._territory.limits
        wanted = read_request(ask, await read_body(request, limits.body_bytes))
        if wanted.query is None:
            raise UsageError(Text("Il manque la requête.", "The query is missing."))
        inspected = inspect(wanted.query, limits)
        formats = QUERY_GRAPH_FORMATS if inspected.kind == "graph" else RESULT_FORMATS
        offer = named(wanted.format, formats) if wanted.format else negotiate(ask.accept, formats)
        if offer is None:
            raise NotAcceptableError([Variant(form.media_type) for form in formats], wanted.format or ask.accept or "")
        with tempfile.TemporaryDirectory(prefix="draft-") as name:
            out = Path(name) / "answer"
            order = Order(
                folder=str(folder), what="query", text=inspected.capped(limits.result_rows), base=self._base(ask),
                media_type=offer.format.media_type, out=str(out),
                default_graphs=wanted.default_graphs or inspected.from_default,
                named_graphs=wanted.named_graphs or inspected.from_named,
                searches=find_searches(inspected.text, f"{self._territory.base_iri}def/co#", self._base(ask)),
            )  # fmt: skip
            await self._work(folder, order, wanted.query)
            return Response(out.read_bytes(), headers={"Content-Type": offer.content_type, "Cache-Control": "no-store"})

    async def publish(self, request: Request) -> Response:
        """Publish what a draft changes as new versions, all or none, and end the draft."""
        _, token = self._steward(request)
        draft, folder = self._find(request, token)
        compared = await self._work(folder, Order(folder=str(folder), what="compare"))
        if compared.loose:
            raise UnprocessableError(
                Text(f"{compared.loose} triplets ne sont dans aucun graphe.", f"{compared.loose} triples are in no graph."),
                hint=Text("Écrivez GRAPH <…> { … } dans la mise à jour.", "Write GRAPH <…> { … } in the update."),
            )
        edits = []
        for change in compared.changes:
            target = require_target(self._service, token, change.graph)
            known = draft.graphs.get(change.graph)
            gone = not change.after and known is not None
            edits.append(
                Edit(
                    graph=change.graph,
                    action="delete" if gone else "put",
                    bodies=() if gone else (Body(change.file, "application/n-triples"),),
                    dataset=target.dataset.key if target.dataset else None,
                    expected=(known,) if known else (),
                    absent=known is None,
                )
            )
        if not edits:
            raise ConflictError(Text("Ce brouillon ne change rien.", "This draft changes nothing."))
        reported = await publish(self._service, token.name, tuple(edits), draft=True)
        shutil.rmtree(folder)
        return _json({"generation": reported.generation, "graphs": [msgspec.to_builtins(done) for done in reported.done]})

    # --- common -----------------------------------------------------------------------------------------------------------

    def _steward(self, request: Request) -> tuple[Ask, Token]:
        ask = ask_from(request.scope)
        return ask, self._service.caller(ask, request.client.host if request.client else "").steward()

    def _find(self, request: Request, token: Token) -> tuple[Draft, Path]:
        name = request.path_params["name"]
        folder = self._root / name
        if _NAME.fullmatch(name) and (folder / "draft.json").exists():
            draft = msgspec.json.decode((folder / "draft.json").read_bytes(), type=Draft)
            if draft.owner == token.name:
                return draft, folder
        raise NotFoundError(
            Text("Vous n'avez pas de brouillon de ce nom.", "You have no draft of that name."), place=Place(value=name)
        )

    def _base(self, ask: Ask) -> str:
        base = f"{self._territory.base_iri}sparql"
        return base if is_iri(base) else ask.origin

    def _facts(self, draft: Draft) -> dict[str, object]:
        """Tell what is known of a draft; this dictionary is the JSON document itself."""
        return {
            "name": draft.name, "created": draft.created.isoformat(timespec="seconds"), "generation": draft.generation,
            "graphs": list(draft.graphs),
        }  # fmt: skip

    async def _work(self, folder: Path, order: Order, text: str = "") -> Outcome:
        """Have an order done; raise what the engine refuses, with its place in `text`."""
        limits = self._territory.limits
        seconds = limits.query_seconds if order.what == "query" else limits.update_seconds
        whole = msgspec.structs.replace(order, triples=limits.draft_triples, memory_mb=limits.query_memory_mb)
        try:
            said = await self._service.children.run(_WORKER, msgspec.json.encode(whole), seconds)
        except ChildDiedError:
            raise gone_error(memory=False) from None  # by its memory limit or by something else: nobody can tell
        outcome = msgspec.json.decode(said, type=Outcome)
        if outcome.error == "syntax":
            raise syntax_error(text, outcome.message)
        if outcome.error == "memory":
            raise memory_error()
        if outcome.error == "size":
            most = limits.draft_triples
            raise TooLargeError(
                Text(f"Un brouillon a au plus {most} triplets.", f"A draft has at most {most} triples."),
                hint=Text("Rien n'a changé.", "Nothing has changed."),
            )
        if outcome.error:
            raise QueryError(
                Text(f"Le moteur refuse : {outcome.message}", f"The engine refuses: {outcome.message}"),
                hint=Text("Rien n'a changé.", "Nothing has changed."),
            )
        if not folder.exists():
            raise StoreError(Text("Le brouillon a disparu.", "The draft is gone."))
        return outcome


def _json(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        orjson.dumps(body, option=orjson.OPT_INDENT_2),
        status_code=status,
        headers={"Content-Type": "application/json", "Cache-Control": "no-store", **(headers or {})},
    )
