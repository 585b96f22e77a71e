"""The SPARQL 1.1 Graph Store HTTP Protocol: graphs read by everybody who may, written by stewards as new versions."""

from __future__ import annotations

import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from cityorchestra_ld.errors import Place, RefusedError, Text, UsageError
from cityorchestra_ld.formats import JSON_LD, N_TRIPLES, QUERY_GRAPH_FORMATS, RDF_XML, TURTLE, named, negotiate
from cityorchestra_ld.governance.edits import Action, Body, Edit
from cityorchestra_ld.governance.tokens import principal
from cityorchestra_ld.governance.views import view
from cityorchestra_ld.model import DEFAULT_ROLES, Generation, View
from cityorchestra_ld.store import inspect
from cityorchestra_ld.web.addresses import is_iri
from cityorchestra_ld.web.bodies import pieces, save_body
from cityorchestra_ld.web.callers import Caller
from cityorchestra_ld.web.http_ import CACHED, Ask, ask_from, etag, is_fresh, single
from cityorchestra_ld.web.problems import (
    MediaTypeError,
    NotAcceptableError,
    NotFoundError,
    PreconditionError,
    TooLargeError,
    Variant,
)
from cityorchestra_ld.web.service import Service
from cityorchestra_ld.web.stewards import publish, require_target

PATH: Final = "/graph-store"
_READ: Final = (TURTLE, JSON_LD, N_TRIPLES, RDF_XML)
_WHOLE: Final = inspect("CONSTRUCT { ?s ?p ?o } WHERE { ?s ?p ?o }")
_FILES: Final = 20
_VARY: Final = ("Vary", "Accept, Authorization")


class DocumentTypeError(MediaTypeError):
    """A document is of a type that we do not read as a graph."""

    accepted = ", ".join(form.media_type for form in _READ) + ", multipart/form-data"


@dataclass(frozen=True, slots=True)
class _Named:
    """The graph that a request is about; without a name, the default graph."""

    graph: str | None
    new: bool = False


class GraphStore:
    """Answers requests to graphs (SPARQL 1.1 Graph Store HTTP Protocol, section 5)."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._territory = service.site.territory

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        ask = ask_from(request.scope)
        caller = self._service.caller(ask, request.client.host if request.client else "")
        asked = self._named(ask)
        if ask.method in ("GET", "HEAD"):
            return await self._read(ask, caller, asked)
        return await self._write(request, ask, caller, asked)

    def _named(self, ask: Ask) -> _Named:
        """Read which graph is meant: by the path, by `graph=`, or `default` (sections 4.1 and 4.2)."""
        fields = ask.fields()
        path = ask.path.removeprefix(PATH).strip("/")
        graph = single(fields, "graph")
        if sum((bool(path), graph is not None, "default" in fields)) > 1:
            raise UsageError(Text("Plusieurs graphes sont nommés.", "More than one graph is named."))
        if path:
            return _Named(f"{self._territory.base_iri}graph/{path}")
        if graph is not None:
            if not is_iri(graph):
                raise UsageError(
                    Text("« graph » n'est pas une adresse absolue.", "'graph' is not an absolute IRI."),
                    place=Place(column="graph", value=graph[:200]),
                )
            return _Named(graph)
        if "default" in fields:
            return _Named(None)
        if ask.method == "POST":
            return _Named(self._territory.iris.graph("scenario", uuid.uuid4().hex), new=True)
        raise UsageError(
            Text("Aucun graphe n'est nommé.", "No graph is named."),
            hint=Text("Ajoutez ?graph=ADRESSE ou ?default.", "Add ?graph=IRI or ?default."),
        )

    # --- reading ----------------------------------------------------------------------------------------------------------

    async def _read(self, ask: Ask, caller: Caller, asked: _Named) -> Response:
        word = ask.one("format")
        offer = named(word, QUERY_GRAPH_FORMATS) if word else negotiate(ask.accept, QUERY_GRAPH_FORMATS)
        if offer is None:
            raise NotAcceptableError([Variant(form.media_type) for form in QUERY_GRAPH_FORMATS], word or ask.accept or "")
        pool, limits = self._service.pool, self._territory.limits
        generation = pool.generation
        _, hashes, triples = self._content(generation, caller, asked)
        tag = _tag(hashes, offer.media_type)
        cached = CACHED if caller.token is None else "private, no-cache"
        headers = {"Content-Type": offer.content_type, "ETag": tag, "Cache-Control": cached, _VARY[0]: _VARY[1]}
        if is_fresh(ask, tag):
            return Response(status_code=304, headers=headers)
        if ask.method == "HEAD":
            return Response(headers=headers)
        if triples > limits.result_rows:
            raise TooLargeError(
                Text(f"Ce graphe a {triples} triplets.", f"This graph has {triples} triples."),
                hint=Text("Demandez un export : POST /exports.", "Ask for an export: POST /exports."),
            )
        self._service.budget.require(caller.name)

        def spent(seconds: float) -> None:
            self._service.budget.charge(caller.name, seconds)

        def content(published: Generation) -> View:
            return self._content(published, caller, asked)[0]

        stream = await pool.query(_WHOLE, content, offer.format.media_type, client=caller.name, spent=spent)
        headers["ETag"] = _tag(self._content(stream.generation, caller, asked)[1], offer.media_type)
        return StreamingResponse(stream, headers=headers | dict(self._service.budget.headers(caller.name)))

    def _content(self, generation: Generation, caller: Caller, asked: _Named) -> tuple[View, tuple[str, ...], int]:
        """Say what to read, what it depends on, and how much it is; raise NotFoundError for what is not there to see."""
        seen = view(generation.graphs, principal=principal(caller.token, generation.graphs))
        infos = {info.graph: info for info in generation.graphs}
        if asked.graph is None:
            members = [infos[name] for name in seen.default_graphs if infos[name].role in DEFAULT_ROLES]
        elif asked.graph in seen.named_graphs:
            members = [infos[asked.graph]]
        else:
            raise NotFoundError(
                Text("Ce graphe n'existe pas.", "There is no such graph."),
                place=Place(value=asked.graph),
                hint=Text("/sparql sans requête énumère les graphes.", "/sparql without a query lists the graphs."),
            )
        names = tuple(info.graph for info in members)
        content = View(default_graphs=names, named_graphs=(), name=f"graphs-{etag(names)}")
        return content, tuple(info.sha256 for info in members), sum(info.triples for info in members)

    # --- writing ----------------------------------------------------------------------------------------------------------

    async def _write(self, request: Request, ask: Ask, caller: Caller, asked: _Named) -> Response:
        token = caller.steward()
        if asked.graph is None:
            raise RefusedError(
                Text("Le graphe par défaut réunit les graphes publics.", "The default graph is the union of public graphs."),
                hint=Text("Écrivez dans un graphe nommé.", "Write to a named graph."),
            )
        target = require_target(self._service, token, asked.graph)
        expected, absent = self._conditions(ask, caller, asked)
        actions: dict[str, Action] = {"PUT": "put", "POST": "post", "DELETE": "delete"}
        action = actions[ask.method]
        with tempfile.TemporaryDirectory(prefix="graph-") as folder:
            bodies = () if action == "delete" else await self._bodies(request, ask, Path(folder))
            key = target.dataset.key if target.dataset else None
            edit = Edit(asked.graph, action, bodies, key, expected, absent)
            reported = await publish(self._service, token.name, (edit,))
        done = reported.done[0]
        headers = {"X-Generation": str(reported.generation), "Cache-Control": "no-store"}
        if done.version:
            headers["X-Version"] = done.version
        if action != "delete":
            headers["ETag"] = _tag((done.sha256,), "")
        if not done.created:
            return Response(status_code=204, headers=headers)
        return Response(status_code=201, headers=headers | {"Location": self._address(ask, asked.graph)})

    def _address(self, ask: Ask, graph: str) -> str:
        own = f"{self._territory.base_iri}graph/"
        if graph.startswith(own):
            return f"{ask.root}{PATH}/{quote(graph.removeprefix(own), safe='/%')}"
        return f"{ask.root}{PATH}?graph={quote(graph, safe='')}"

    def _conditions(self, ask: Ask, caller: Caller, asked: _Named) -> tuple[tuple[str, ...], bool]:
        """Read If-Match and If-None-Match into what must hold under the lock (RFC 9110, section 13)."""
        match, none = ask.headers.get("if-match"), ask.headers.get("if-none-match")
        absent = none is not None and none.strip() == "*"
        if match is None:
            return (), absent
        generation = self._service.generation
        info = next((info for info in generation.graphs if info.graph == asked.graph), None) if generation else None
        start = _tag((info.sha256,), "")[:-1] if info else ""
        tags = [tag.strip().removeprefix("W/") for tag in match.split(",")]
        if info is None or not ("*" in tags or any(tag.startswith(start) for tag in tags)):
            raise PreconditionError(
                Text("Le graphe publié a changé entre-temps.", "The published graph has changed in the meantime."),
                hint=Text("Relisez-le, puis recommencez.", "Read it again, then start again."),
            )
        return (info.sha256,), absent

    async def _bodies(self, request: Request, ask: Ask, folder: Path) -> tuple[Body, ...]:
        limit = self._territory.limits.upload_bytes
        declared = ask.headers.get("content-type", "")
        kind = declared.partition(";")[0].strip().lower()
        if kind == "multipart/form-data" and ask.method == "POST":
            return await self._parts(request, folder, limit)
        media_type = _readable(declared)
        await save_body(request, folder / "body", limit)
        return (Body(str(folder / "body"), media_type),)

    async def _parts(self, request: Request, folder: Path, limit: int) -> tuple[Body, ...]:
        """Read the documents of a form (section 5.5)."""
        parser = MultiPartParser(request.headers, pieces(request, limit), max_files=_FILES, max_fields=0)  # type: ignore[arg-type]
        try:
            form = await parser.parse()
        except (MultiPartException, KeyError) as error:
            said = error.message if isinstance(error, MultiPartException) else "boundary"
            raise UsageError(Text(f"Formulaire illisible : {said}", f"The form cannot be read: {said}")) from None
        found: list[Body] = []
        for number, (_, part) in enumerate(form.multi_items()):
            if isinstance(part, UploadFile):
                path = folder / f"part-{number}"
                path.write_bytes(await part.read())
                found.append(Body(str(path), _readable(part.content_type or "")))
        await form.close()
        if not found:
            raise UsageError(Text("Le formulaire ne contient aucun document.", "The form holds no document."))
        return tuple(found)


def _tag(hashes: tuple[str, ...], media_type: str) -> str:
    """Make a tag that starts with the content and ends with the form, so that If-Match takes any form."""
    content = etag(hashes).strip('"')
    return f'"{content}-{media_type}"' if media_type else f'"{content}-"'


def _readable(content_type: str) -> str:
    """Return the media type of a document; raise MediaTypeError for one that is not a graph in UTF-8."""
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charset = next((p.partition("=")[2].strip('"') for p in parameters if p.startswith("charset=")), "utf-8")
    offered = next((form for form in _READ if kind in (form.media_type, *form.aliases)), None)
    if offered is None or charset not in ("utf-8", "utf8", "us-ascii"):
        raise DocumentTypeError(
            Text(f"Type de contenu « {content_type} » refusé.", f"Content type '{content_type}' is not accepted."),
            hint=Text(f"Types possibles : {DocumentTypeError.accepted}.", f"Accepted types: {DocumentTypeError.accepted}."),
        )
    return offered.media_type
