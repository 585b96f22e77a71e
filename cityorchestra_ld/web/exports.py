"""Long exports: a query answered into a file, out of the way of everybody else, with its size, its checksum and an end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import re
import secrets
import shutil
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from cityorchestra_ld.errors import BusyError, CityOrchestraError, Place, Text, UsageError
from cityorchestra_ld.formats import QUERY_GRAPH_FORMATS, QUERY_RESULT_FORMATS, RESULT_FORMATS, Format, Offer, named, negotiate
from cityorchestra_ld.store import Inspected, Pool, inspect
from cityorchestra_ld.web.bodies import read_body
from cityorchestra_ld.web.callers import Caller
from cityorchestra_ld.web.dataset import decide
from cityorchestra_ld.web.http_ import Ask, ask_from
from cityorchestra_ld.web.problems import ConflictError, NotAcceptableError, NotFoundError, Variant
from cityorchestra_ld.web.protocol import SparqlRequest, read_request
from cityorchestra_ld.web.service import Service
from cityorchestra_ld.web.spooled import SPOOL_TYPE, SPOOLED, convert, row_limit, take_in
from cityorchestra_ld.web.truncation import noted

State = Literal["queued", "running", "done", "failed"]
_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_WAITING: Final = 20
_EACH: Final = 3  # exports of one client that are not done
_SWEEP_EVERY: Final = 600.0


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an export; kept beside its file."""

    id: str
    owner: str
    state: State
    made: datetime
    expires: datetime
    media_type: str
    suffix: str
    generation: int | None = None
    rows: int | None = None
    truncated: bool = False
    missing: tuple[str, ...] = ()  # services that failed a SERVICE SILENT
    size: int | None = None
    sha256: str | None = None
    failure: Text | None = None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An export that waits for its turn."""

    record: Record
    request: SparqlRequest
    inspected: Inspected
    offer: Offer
    caller: Caller


@dataclass(slots=True)
class Exports:
    """The exports of an installation; one runs at a time, on a worker of its own."""

    service: Service
    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    waiting: dict[str, str] = field(default_factory=dict)  # export → client

    @property
    def _root(self) -> Path:
        return self.service.site.territory.state / "exports"

    # --- life -------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Forget what an earlier server did not finish, and look after what expires."""
        for folder in self._root.glob("*"):
            record = self._load(folder.name)
            if record is None or record.state in ("queued", "running"):
                shutil.rmtree(folder, ignore_errors=True)
        self._keep(asyncio.get_running_loop().create_task(self._sweep()))

    async def stop(self) -> None:
        """Stop what runs."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _sweep(self) -> None:
        while True:
            for folder in list(self._root.glob("*")):
                record = self._load(folder.name)
                if record is None or record.expires < datetime.now(UTC):
                    shutil.rmtree(folder, ignore_errors=True)
            await asyncio.sleep(_SWEEP_EVERY)

    # --- routes -----------------------------------------------------------------------------------------------------------

    async def order(self, request: Request) -> Response:
        """Take an order: the fields of a SPARQL Protocol request; answer 202 with the address of its state."""
        ask = ask_from(request.scope)
        caller = self.service.caller(ask, request.client.host if request.client else "")
        limits = self.service.site.territory.limits
        wanted = read_request(ask, await read_body(request, limits.body_bytes))
        if wanted.query is None:
            raise UsageError(Text("Il manque la requête.", "The query is missing."))
        inspected = inspect(wanted.query, limits, may_leave=self.service.federation.open)
        if inspected.leaves:
            self.service.federation.blocks(inspected.text)
        offer = _offer(ask, wanted, inspected)
        if len(self.waiting) >= _WAITING or list(self.waiting.values()).count(caller.name) >= _EACH:
            raise BusyError(
                Text("Trop d'exports attendent.", "Too many exports are waiting."),
                hint=Text("Attendez la fin des vôtres.", "Wait until yours are done."),
            )
        now = datetime.now(UTC)
        record = Record(
            id=secrets.token_urlsafe(16), owner=caller.name if caller.token else "", state="queued", made=now,
            expires=now + timedelta(hours=limits.export_hours), media_type=offer.media_type, suffix=offer.format.suffix,
        )  # fmt: skip
        (self._root / record.id).mkdir(parents=True)
        self._save(record)
        self.waiting[record.id] = caller.name
        self._keep(asyncio.get_running_loop().create_task(self._run(_Wanted(record, wanted, inspected, offer, caller))))
        return self._told(ask, record, 202)

    async def state(self, request: Request) -> Response:
        """Tell how an export stands, or throw it away."""
        ask, record = self._asked(request)
        if ask.method == "DELETE":
            if record.state in ("queued", "running"):
                raise ConflictError(Text("Cet export n'est pas fini.", "This export is not done."))
            shutil.rmtree(self._root / record.id, ignore_errors=True)
            return Response(status_code=204)
        return self._told(ask, record, 200)

    async def file(self, request: Request) -> Response:
        """Send the file, whole or in parts (RFC 9110, section 14)."""
        _, record = self._asked(request)
        if record.state != "done" or record.sha256 is None:
            raise ConflictError(
                Text("Cet export n'est pas prêt.", "This export is not ready."),
                hint=Text("Son état dit quand il l'est.", "Its state says when it is."),
            )
        digest = base64.b64encode(bytes.fromhex(record.sha256)).decode()
        headers = {"Repr-Digest": f"sha-256=:{digest}:", "ETag": f'"{record.sha256}"', "Cache-Control": "private"}
        name = f"export-{record.made:%Y%m%dT%H%M%SZ}.{record.suffix}"
        path = self._root / record.id / "file"
        return FileResponse(path, media_type=record.media_type, filename=name, headers=headers)

    def _asked(self, request: Request) -> tuple[Ask, Record]:
        """Find the export of an address; one that was made with a token is shown to its bearer only."""
        ask = ask_from(request.scope)
        caller = self.service.caller(ask, request.client.host if request.client else "")
        record = self._load(request.path_params["id"])
        if record is None or (record.owner and (caller.token is None or caller.name != record.owner)):
            raise NotFoundError(
                Text("Cet export n'existe pas, ou plus.", "There is no such export, or no more."),
                place=Place(value=request.path_params["id"][:80]),
            )
        return ask, record

    def _told(self, ask: Ask, record: Record, status: int) -> Response:
        here = f"{ask.root}/exports/{record.id}"
        body: dict[str, object] = {
            "id": record.id, "state": record.state, "type": record.media_type,
            "made": record.made.isoformat(timespec="seconds"), "expires": record.expires.isoformat(timespec="seconds"),
        }  # fmt: skip
        if record.state == "done":
            body |= {
                "file": f"{here}/file", "size": record.size, "sha256": record.sha256, "generation": record.generation,
                "rows": record.rows, "truncated": record.truncated, "missing_services": record.missing,
            }  # fmt: skip
        if record.failure is not None:
            body["detail"] = record.failure.get(ask.language)
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
        if status == 202:
            headers["Location"] = here
        if record.state in ("queued", "running"):
            headers["Retry-After"] = "2"
        return Response(orjson.dumps(body, option=orjson.OPT_INDENT_2), status_code=status, headers=headers)

    # --- work -------------------------------------------------------------------------------------------------------------

    async def _run(self, wanted: _Wanted) -> None:
        record = wanted.record
        try:
            async with self.turn:
                self._save(msgspec.structs.replace(record, state="running"))
                record = await self._made(wanted)
        except (CityOrchestraError, OSError) as error:
            said = error.message if isinstance(error, CityOrchestraError) else Text(str(error), str(error))
            record = msgspec.structs.replace(record, state="failed", failure=said)
        finally:
            self.waiting.pop(record.id, None)
        self._save(record)

    async def _made(self, wanted: _Wanted) -> Record:
        site = self.service.site
        generation = self.service.pool.generation
        limits = site.territory.limits
        lasting = replace(limits, query_seconds=limits.export_seconds, result_rows=limits.export_rows)
        form = wanted.offer.format
        folder = self._root / wanted.record.id
        inspected, missing = wanted.inspected, tuple[str, ...]()
        if inspected.leaves:
            inspected, _, questions = await self.service.federation.join(inspected, None, wanted.caller.name, {})
            missing = tuple(questions.failed)
        async with Pool(generation, 1, lasting, prefixes=site.prefixes, base=f"{site.territory.base_iri}sparql") as pool:
            media_type = SPOOL_TYPE if form in SPOOLED else form.media_type
            stream = await pool.query(
                inspected,
                decide(wanted.request, wanted.inspected, wanted.caller, generation),
                media_type,
                client=wanted.caller.name,
                rows=row_limit(form),
            )
            if form in SPOOLED:
                await take_in(stream, folder / "rows.tsv")
                await asyncio.to_thread(convert, folder, form)
                (folder / "rows.tsv").unlink()
            else:
                with (folder / "out").open("wb") as out:
                    async for piece in noted(stream, form):
                        out.write(piece)
            end = stream.end
        sha256 = await asyncio.to_thread(_hash, folder / "out")
        size = (folder / "out").stat().st_size
        (folder / "out").rename(folder / "file")
        return msgspec.structs.replace(
            wanted.record, state="done", generation=generation.number, size=size, sha256=sha256,
            rows=end.rows if end else None, missing=missing,
            truncated=bool(end and (end.truncated or stream.head.search_limit)),
        )  # fmt: skip

    def _save(self, record: Record) -> None:
        target = self._root / record.id / "export.json"
        temporary = target.with_suffix(".tmp")
        with contextlib.suppress(FileNotFoundError):  # it was thrown away meanwhile
            temporary.write_bytes(msgspec.json.encode(record))
            temporary.replace(target)

    def _load(self, identity: str) -> Record | None:
        if not _ID.fullmatch(identity):
            return None
        try:
            return msgspec.json.decode((self._root / identity / "export.json").read_bytes(), type=Record)
        except (FileNotFoundError, msgspec.DecodeError):
            return None


def _offer(ask: Ask, wanted: SparqlRequest, inspected: Inspected) -> Offer:
    formats: tuple[Format, ...] = QUERY_GRAPH_FORMATS
    if inspected.kind != "graph":
        formats = QUERY_RESULT_FORMATS if inspected.kind == "solutions" else RESULT_FORMATS
    offer = named(wanted.format, formats) if wanted.format else negotiate(ask.accept, formats)
    if offer is None:
        raise NotAcceptableError([Variant(form.media_type) for form in formats], wanted.format or ask.accept or "")
    return offer


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
