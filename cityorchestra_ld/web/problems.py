"""What went wrong, told in HTTP: problem details for machines (RFC 9457), a page for people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from cityorchestra_ld.errors import (
    BusyError,
    CityOrchestraError,
    Place,
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


class GoneError(CityOrchestraError):
    """There was something at this address; the tombstone says when it went away and why."""

    exit_code = 1
    http_status = 410

    def __init__(
        self, message: Text, tombstone: Mapping[str, str], *, hint: Text | None = None, links: Sequence[str] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.tombstone = tombstone
        self.links = tuple(links)


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
    profile: str | None = None


class NotAcceptableError(CityOrchestraError):
    """Nothing that we can send is acceptable to the client; names what there is."""

    exit_code = 2
    http_status = 406

    def __init__(self, variants: Sequence[Variant], asked: str = "") -> None:
        listed = ", ".join(dict.fromkeys(variant.media_type for variant in variants))
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
    accepted = "application/sparql-query, application/x-www-form-urlencoded"


class UnauthorizedError(CityOrchestraError):
    """Nobody, or somebody that we do not know, asks for what takes a token."""

    exit_code = 1
    http_status = 401

    def __init__(self, message: Text, *, invalid: bool = False) -> None:
        super().__init__(message, hint=Text("Envoyez « Authorization: Bearer JETON ».", "Send 'Authorization: Bearer TOKEN'."))
        self.invalid = invalid


class ConflictError(CityOrchestraError):
    """What was published in the meantime stands against the request."""

    exit_code = 1
    http_status = 409


class PreconditionError(CityOrchestraError):
    """A condition of the request does not hold."""

    exit_code = 1
    http_status = 412


class UnprocessableError(CityOrchestraError):
    """What was sent is well-formed and breaks the rules; lists the first things that do."""

    exit_code = 1
    http_status = 422

    def __init__(
        self, message: Text, *, place: Place | None = None, hint: Text | None = None, violations: Sequence[Complaint] = ()
    ) -> None:
        super().__init__(message, place=place, hint=hint)
        self.violations = tuple(violations)


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that shapes object to, for the answer."""

    message: Text
    focus: str
    path: str | None
    value: str | None


class TooManyError(BusyError):
    """A client has spent its budget."""

    http_status = 429

    def __init__(self, seconds: float) -> None:
        super().__init__(
            Text("Votre budget de requêtes est épuisé.", "Your budget of queries is spent."),
            hint=Text(
                f"Revenez dans {seconds:.0f} s, ou demandez un export (/exports).",
                f"Come back in {seconds:.0f} s, or ask for an export (/exports).",
            ),
        )
        self.retry_after = seconds


class ServiceError(CityOrchestraError):
    """Another service that a query asks (`SERVICE`) failed."""

    exit_code = 6
    http_status = 502


class ServiceTimeoutError(ServiceError):
    """Another service did not answer in time."""

    http_status = 504


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
    GoneError: Kind("gone", Text("Retiré", "Gone")),
    MethodError: Kind("method", Text("Méthode refusée", "Method not allowed")),
    NotAcceptableError: Kind("not-acceptable", Text("Forme indisponible", "Not acceptable")),
    TooLargeError: Kind("too-large", Text("Requête trop longue", "Request too large")),
    MediaTypeError: Kind("media-type", Text("Type de contenu refusé", "Unsupported media type")),
    UnauthorizedError: Kind("token", Text("Jeton demandé", "Token needed")),
    ConflictError: Kind("conflict", Text("Conflit", "Conflict")),
    PreconditionError: Kind("precondition", Text("Condition non remplie", "Precondition failed")),
    UnprocessableError: Kind("not-conforming", Text("Contenu refusé", "Content refused")),
    TooManyError: Kind("budget", Text("Budget épuisé", "Budget spent")),
    ServiceTimeoutError: Kind("service-timeout", Text("Un autre service est trop lent", "Another service is too slow")),
    ServiceError: Kind("service", Text("Un autre service a échoué", "Another service failed")),
    NotReadyError: Kind("not-ready", Text("Rien n'est encore publié", "Nothing is published yet")),
    BusyError: Kind("busy", Text("Service occupé", "Service busy")),
    QueryTimeoutError: Kind("timeout", Text("Requête interrompue", "Query stopped")),
    QueryError: Kind("query", Text("Requête SPARQL invalide", "Invalid SPARQL query")),
    RefusedError: Kind("refused", Text("Refusé", "Refused")),
    UsageError: Kind("request", Text("Demande mal formée", "Malformed request")),
    StoreError: Kind("store", Text("Données indisponibles", "Data unavailable")),
}


def not_found(ask: Ask) -> NotFoundError:
    """Make the error for an address where there is nothing."""
    address = ask.path if len(ask.path) <= 200 else ask.path[:199] + "…"
    return NotFoundError(
        Text(f"Rien n'est publié à l'adresse {address}", f"Nothing is published at {address}"),
        hint=Text(
            "Vérifiez l'adresse, ou partez de la liste des données.", "Check the address, or start from the list of data."
        ),
    )


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
    if isinstance(error, UnprocessableError) and error.violations:
        body["violations"] = [
            {"message": found.message.get(lang), "focus": found.focus, "path": found.path, "value": found.value}
            for found in error.violations
        ]
    if isinstance(error, GoneError):
        body["tombstone"] = dict(error.tombstone)
    if isinstance(error, NotAcceptableError):
        body["variants"] = [
            {"type": variant.media_type}
            | ({"href": variant.href} if variant.href else {})
            | ({"profile": variant.profile} if variant.profile else {})
            for variant in error.variants
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
    if isinstance(error, GoneError) and error.links:
        headers.append(("Link", ", ".join(error.links)))
    if isinstance(error, MediaTypeError):
        headers.append(("Accept-Post", error.accepted))
    if isinstance(error, UnauthorizedError):
        invalid = ', error="invalid_token"' if error.invalid else ""
        headers.append(("WWW-Authenticate", f'Bearer realm="cityorchestra"{invalid}'))
    if error.http_status in (429, 503):
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
