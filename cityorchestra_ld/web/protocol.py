"""Read a SPARQL Protocol request: the three ways to send a query, decoded once, judged before anything runs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cityorchestra_ld.errors import Place, QueryError, RefusedError, Text, UsageError
from cityorchestra_ld.web.addresses import is_iri
from cityorchestra_ld.web.http_ import Ask, read_fields, single
from cityorchestra_ld.web.problems import MediaTypeError

FORM: Final = "application/x-www-form-urlencoded"
QUERY: Final = "application/sparql-query"
_UPDATE: Final = "application/sparql-update"
_GRAPHS: Final = 500
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?([1-9]\d{0,5})\"?(?=$|[,;\s])", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SparqlRequest:
    """One query as a client asks it (SPARQL 1.1 Protocol, section 2.1)."""

    query: str | None
    default_graphs: tuple[str, ...] = ()
    named_graphs: tuple[str, ...] = ()
    format: str | None = None
    timeout: float | None = None
    waiting: float | None = None  # what a Prefer header asks for
    explain: bool = False

    @property
    def deadline(self) -> float | None:
        """Return the shortest deadline that the client wants."""
        return min((seconds for seconds in (self.timeout, self.waiting) if seconds is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRequest:
    """One update as a client asks it (SPARQL 1.1 Protocol, section 2.2)."""

    text: str
    default_graphs: tuple[str, ...] = ()
    named_graphs: tuple[str, ...] = ()


class UpdateTypeError(MediaTypeError):
    """A body is not an update."""

    accepted = "application/sparql-update, application/x-www-form-urlencoded"


def _media_type(content_type: str) -> tuple[str, str]:
    """Take a Content-Type apart: the type, and its charset."""
    name, *parameters = content_type.split(";")
    charset = "utf-8"
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset":
            charset = value.strip().strip('"').lower()
    return name.strip().lower(), charset


def _decode(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            Text(f"Le corps n'est pas en UTF-8 (octet {error.start}).", f"The body is not UTF-8 (byte {error.start})."),
            hint=Text("Envoyez la requête en UTF-8.", "Send the query in UTF-8."),
        ) from None


def _refuse_update(fields: Mapping[str, tuple[str, ...]]) -> None:
    if "update" in fields or "using-graph-uri" in fields or "using-named-graph-uri" in fields:
        raise RefusedError(
            Text("Les mises à jour sont refusées ici.", "Updates are refused here."),
            hint=Text(
                "Une mise à jour travaille sur un brouillon : POST /drafts/{nom}/update.",
                "An update works on a draft: POST /drafts/{name}/update.",
            ),
        )


def _graphs(fields: Mapping[str, tuple[str, ...]], name: str) -> tuple[str, ...]:
    values = tuple(dict.fromkeys(fields.get(name, ())))
    if len(values) > _GRAPHS:
        raise UsageError(Text(f"Trop de « {name} ».", f"Too many '{name}'."))
    for value in values:
        if not is_iri(value):
            raise UsageError(
                Text(f"« {name} » n'est pas une adresse absolue.", f"'{name}' is not an absolute IRI."),
                place=Place(column=name, value=value),
            )
    return values


def _timeout(fields: Mapping[str, tuple[str, ...]]) -> float | None:
    text = single(fields, "timeout")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise UsageError(
            Text("« timeout » doit être un nombre de secondes.", "'timeout' must be a number of seconds."),
            place=Place(column="timeout", value=text),
        )
    return seconds


def _waiting(prefer: str) -> float | None:
    """Read `Prefer: wait=10` (RFC 7240, section 4.3); a preference that is not well-formed is not one."""
    match = _WAIT.search(prefer)
    return float(match.group(1)) if match else None


def _query(fields: Mapping[str, tuple[str, ...]], body_query: str | None) -> str | None:
    if body_query is not None and "query" in fields:
        raise UsageError(
            Text(
                "La requête est à la fois dans l'adresse et dans le corps.", "The query is both in the address and in the body."
            ),
            hint=Text("Donnez-la une seule fois.", "Give it once."),
        )
    query = body_query if body_query is not None else single(fields, "query")
    if query is not None and not query.strip():
        raise QueryError(Text("La requête est vide.", "The query is empty."), place=Place(line=1, column_number=1))
    return query


def read_request(ask: Ask, body: bytes = b"") -> SparqlRequest:
    """
    Read a request (SPARQL 1.1 Protocol, section 2.1.1 to 2.1.3); form bodies are decoded exactly once.

    Raises UsageError (400), RefusedError (403) for an update, MediaTypeError (415) for a body that is not a query.
    """
    fields = dict(ask.fields())
    body_query: str | None = None
    if ask.method in ("POST", "QUERY"):
        media_type, charset = _media_type(ask.headers.get("content-type", ""))
        if media_type not in (FORM, QUERY, _UPDATE) or charset not in ("utf-8", "utf8", "us-ascii"):
            raise MediaTypeError(
                Text(
                    f"Type de contenu « {ask.headers.get('content-type', '')} » refusé.",
                    f"Content type '{ask.headers.get('content-type', '')}' is not accepted.",
                ),
                hint=Text(f"Envoyez {QUERY} ou {FORM}, en UTF-8.", f"Send {QUERY} or {FORM}, in UTF-8."),
            )
        if media_type == _UPDATE:
            _refuse_update({"update": ()})
        if media_type == QUERY:
            body_query = _decode(body)
        else:
            for name, values in read_fields(_decode(body)).items():
                fields[name] = (*fields.get(name, ()), *values)
    _refuse_update(fields)
    query = _query(fields, body_query)
    if query is None and ask.method in ("POST", "QUERY"):
        raise UsageError(
            Text("Il manque la requête.", "The query is missing."),
            hint=Text("Envoyez le paramètre « query ».", "Send the parameter 'query'."),
        )
    return SparqlRequest(
        query=query,
        default_graphs=_graphs(fields, "default-graph-uri"),
        named_graphs=_graphs(fields, "named-graph-uri"),
        format=single(fields, "format") or None,
        timeout=_timeout(fields),
        waiting=_waiting(ask.headers.get("prefer", "")),
        explain=single(fields, "explain") not in (None, "", "0", "false"),
    )


def read_update(ask: Ask, body: bytes) -> UpdateRequest:
    """
    Read an update (SPARQL 1.1 Protocol, section 2.2.1 and 2.2.2); form bodies are decoded exactly once.

    Raises UsageError (400), or UpdateTypeError (415) for a body that is not an update.
    """
    fields = dict(ask.fields())
    declared = ask.headers.get("content-type", "")
    media_type, charset = _media_type(declared)
    if media_type not in (FORM, _UPDATE) or charset not in ("utf-8", "utf8", "us-ascii"):
        raise UpdateTypeError(
            Text(f"Type de contenu « {declared} » refusé.", f"Content type '{declared}' is not accepted."),
            hint=Text(f"Envoyez {_UPDATE} ou {FORM}, en UTF-8.", f"Send {_UPDATE} or {FORM}, in UTF-8."),
        )
    if media_type == _UPDATE:
        fields["update"] = (*fields.get("update", ()), _decode(body))
    else:
        for name, values in read_fields(_decode(body)).items():
            fields[name] = (*fields.get(name, ()), *values)
    text = single(fields, "update")
    if not text or not text.strip() or "query" in fields:
        raise UsageError(
            Text("Il manque la mise à jour.", "The update is missing."),
            hint=Text("Envoyez le paramètre « update », et lui seul.", "Send the parameter 'update', and no query."),
        )
    return UpdateRequest(
        text=text,
        default_graphs=_graphs(fields, "using-graph-uri"),
        named_graphs=_graphs(fields, "using-named-graph-uri"),
    )
