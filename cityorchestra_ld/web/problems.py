"""What went wrong, told in HTTP: problem details for machines (RFC 9457), a page for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from cityorchestra_ld.errors import (
    BusyError,
    CityOrchestraError,
    QueryError,
    QueryTimeoutError,
    RefusedError,
    StoreError,
    Text,
    UsageError,
)
from cityorchestra_ld.formats import HTML, Format, Offer, negotiate
from cityorchestra_ld.web.http_ import Answer, Ask, Headers

PROBLEM: Final = Format(
    name="problem", label="Problem", media_type="application/problem+json", suffix="json", aliases=("application/json",)
)


class NotFoundError(CityOrchestraError):
    """There is nothing at this address, or nothing that this client may see."""

    exit_code = 1
    http_status = 404


class MethodError(CityOrchestraError):
    """The address exists and does not take this method."""

    exit_code = 2
    http_status = 405

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(
            Text(f"Méthode {method} refusée ici.", f"The method {method} is not allowed here."),
            hint=Text(f"Méthodes possibles : {allowed}.", f"Allowed methods: {allowed}."),
        )
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Variant:
    """One form in which a resource can be had."""

    media_type: str
    href: str | None = None


class NotAcceptableError(CityOrchestraError):
    """Nothing that we can send is acceptable to the client; names what there is."""

    exit_code = 2
    http_status = 406

    def __init__(self, variants: Sequence[Variant], asked: str = "") -> None:
        listed = ", ".join(variant.media_type for variant in variants)
        super().__init__(
            Text("Aucune des formes demandées n'est disponible.", "None of the requested forms is available."),
            hint=Text(f"Formes disponibles : {listed}.", f"Available forms: {listed}."),
        )
        self.variants = tuple(variants)
        self.asked = asked


class TooLargeError(CityOrchestraError):
    """The body of a request is longer than we take."""

    exit_code = 2
    http_status = 413


class MediaTypeError(CityOrchestraError):
    """The body of a request is of a type that we do not read."""

    exit_code = 2
    http_status = 415


class NotReadyError(StoreError):
    """Nothing is published yet, or the store is being opened."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of problem: its name in addresses and its title."""

    name: str
    title: Text


_INTERNAL = Kind("internal", Text("Erreur interne", "Internal error"))
KINDS: Final[dict[type[CityOrchestraError], Kind]] = {  # the most specific class first
    NotFoundError: Kind("not-found", Text("Introuvable", "Not found")),
    MethodError: Kind("method", Text("Méthode refusée", "Method not allowed")),
    NotAcceptableError: Kind("not-acceptable", Text("Forme indisponible", "Not acceptable")),
    TooLargeError: Kind("too-large", Text("Requête trop longue", "Request too large")),
    MediaTypeError: Kind("media-type", Text("Type de contenu refusé", "Unsupported media type")),
    NotReadyError: Kind("not-ready", Text("Rien n'est encore publié", "Nothing is published yet")),
    BusyError: Kind("busy", Text("Service occupé", "Service busy")),
    QueryTimeoutError: Kind("timeout", Text("Requête interrompue", "Query stopped")),
    QueryError: Kind("query", Text("Requête SPARQL invalide", "Invalid SPARQL query")),
    RefusedError: Kind("refused", Text("Refusé", "Refused")),
    UsageError: Kind("request", Text("Demande mal formée", "Malformed request")),
    StoreError: Kind("store", Text("Données indisponibles", "Data unavailable")),
}


def kind_of(error: CityOrchestraError) -> Kind:
    """Name the type of problem that an error is."""
    return next((kind for cls, kind in KINDS.items() if isinstance(error, cls)), _INTERNAL)


def internal(request_id: str) -> CityOrchestraError:
    """Make the error that stands for a bug of ours: it says nothing of the inside, and how to find it in the log."""
    return CityOrchestraError(
        Text("Une erreur inattendue s'est produite.", "An unexpected error occurred."),
        hint=Text(
            f"Signalez le numéro de demande {request_id}.", f"Report the request id {request_id}."
        ),
    )  # fmt: skip


def details(error: CityOrchestraError, ask: Ask, base: str) -> dict[str, Any]:
    """Write an error as problem details (RFC 9457, section 3); this dictionary is the JSON document itself."""
    kind = kind_of(error)
    lang = ask.language
    body: dict[str, Any] = {
        "type": f"{base}def/problem#{kind.name}",
        "title": kind.title.get(lang),
        "status": error.http_status,
        "detail": error.message.get(lang),
        "instance": ask.path,
        "request_id": ask.request_id,
    }
    if error.place is not None:
        place = error.place
        position = {"line": place.line, "column": place.column_number, "parameter": place.column, "value": place.value}
        body["position"] = {key: value for key, value in position.items() if value is not None}
    if error.hint is not None:
        body["hint"] = error.hint.get(lang)
    if isinstance(error, NotAcceptableError):
        body["variants"] = [
            {"type": variant.media_type} | ({"href": variant.href} if variant.href else {}) for variant in error.variants
        ]
    return body


def problem_headers(error: CityOrchestraError) -> Headers:
    """List the headers that belong to an error rather than to its form."""
    headers: list[tuple[str, str]] = [("Cache-Control", "no-store"), ("Vary", "Accept")]
    if isinstance(error, MethodError):
        headers.append(("Allow", error.allowed))
    if isinstance(error, NotAcceptableError):
        headers += [
            ("Link", f'<{variant.href}>; rel="alternate"; type="{variant.media_type}"')
            for variant in error.variants
            if variant.href
        ]
    if isinstance(error, MediaTypeError):
        headers.append(("Accept-Post", "application/sparql-query, application/x-www-form-urlencoded"))
    if error.http_status == 503:
        seconds = error.retry_after if isinstance(error, BusyError) else None
        headers.append(("Retry-After", str(math.ceil(seconds or 5))))
    return tuple(headers)


def wants_page(ask: Ask) -> bool:
    """Tell whether the one who asked reads pages: a browser does, a program does not."""
    offer: Offer | None = negotiate(ask.accept, (PROBLEM, HTML))
    return offer is not None and offer.format is HTML


def problem_json(error: CityOrchestraError, ask: Ask, base: str) -> Answer:
    """Answer a program."""
    headers = (("Content-Type", PROBLEM.media_type), ("Content-Language", ask.language), *problem_headers(error))
    return Answer(error.http_status, headers, orjson.dumps(details(error, ask, base), option=orjson.OPT_INDENT_2))
