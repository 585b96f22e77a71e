"""Have what stewards send published by a process of its own, and tell what became of it."""

from __future__ import annotations

import msgspec

from cityorchestra_ld.errors import BusyError, CityOrchestraError, Place, RefusedError, StoreError, Text, UsageError
from cityorchestra_ld.governance.edits import Edit, Job, Refusal, Reported
from cityorchestra_ld.governance.tokens import Target, Token, may_write
from cityorchestra_ld.web.children import ChildDiedError
from cityorchestra_ld.web.problems import (
    Complaint,
    ConflictError,
    NotFoundError,
    PreconditionError,
    UnprocessableError,
)
from cityorchestra_ld.web.service import Service

_PUBLISHER = "cityorchestra_ld.edits"


def require_target(service: Service, token: Token, graph: str) -> Target:
    """Return what a steward may change under this name; raise RefusedError when that is nothing."""
    target = may_write(token, service.site.territory, graph)
    if target is None:
        raise RefusedError(
            Text("Ce jeton ne permet pas de modifier ce graphe.", "This token does not allow changes of this graph."),
            place=Place(value=graph),
            hint=Text(
                "Un jeton nomme ses jeux de données ou ses graphes : `cityorchestra token new NOM --write …`.",
                "A token names its datasets or graphs: `cityorchestra token new NAME --write …`.",
            ),
        )
    return target


async def publish(service: Service, author: str, edits: tuple[Edit, ...], *, draft: bool = False) -> Reported:
    """Publish edits as one new generation and open it; raise what the publisher refuses, with its status."""
    territory = service.site.territory
    job = Job(str(territory.root), str(territory.state), author, edits, draft)
    try:
        said = await service.children.run(_PUBLISHER, msgspec.json.encode(job), territory.limits.write_seconds)
    except ChildDiedError:
        raise UnprocessableError(
            Text("La lecture de ce contenu a échoué ; rien n'a changé.", "Reading this content failed; nothing has changed."),
            hint=Text("Il est sans doute trop grand ou trop imbriqué.", "It is probably too large or nested too deep."),
        ) from None
    reported = msgspec.json.decode(said, type=Reported)
    if reported.refusal is not None:
        raise _error(reported.refusal)
    await service.refresh()
    return reported


def _error(refusal: Refusal) -> CityOrchestraError:
    """Turn what the publisher refuses into an error of the web."""
    if refusal.status == 422:
        complaints = [Complaint(v.message, v.focus, v.path, v.value) for v in refusal.violations]
        return UnprocessableError(refusal.message, place=refusal.place, hint=refusal.hint, violations=complaints)
    kinds: dict[int, type[CityOrchestraError]] = {
        400: UsageError, 403: RefusedError, 404: NotFoundError, 409: ConflictError, 412: PreconditionError, 503: BusyError,
    }  # fmt: skip
    return kinds.get(refusal.status, StoreError)(refusal.message, place=refusal.place, hint=refusal.hint)
