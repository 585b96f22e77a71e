"""Read the logical sources and the logical views of a mapping (RML-IO, RML-LV, and their older forms)."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final, Literal, cast

import pyoxigraph as ox

from cityorchestra_ld.errors import Text
from cityorchestra_ld.mapping import jsonpath
from cityorchestra_ld.mapping.plan import Formulation, LogicalSource
from cityorchestra_ld.mapping.vocabulary import CSVW, Document, Node, Term, short_name
from cityorchestra_ld.model import SourceSpec
from cityorchestra_ld.namespaces import DCAT, RML

_FORMULATIONS: Final[dict[str, Formulation]] = {"CSV": "csv", "JSONPath": "json"}
_JSON_SUFFIXES: Final = {".json", ".geojson", ".jsonld"}
_COMPRESSIONS: Final = ("gzip", "zip", "tar", "targz", "tarxz")
Compression = Literal["gzip", "zip", "tar", "targz", "tarxz"]


def read_source(document: Document, node: Node) -> LogicalSource:
    """Read a logical source; raise MappingError for a format or an access that we do not know."""
    access = document.one(node, "source")
    if access is None:
        raise document.error(
            "La source logique ne dit pas quel fichier lire (rml:source).",
            "The logical source does not say which file to read (rml:source).",
            node,
        )
    name = _path(document, access, node)
    formulation = _formulation(document, node, name)
    iterator = document.text(node, "iterator")
    if formulation == "json":
        iterator = iterator or "$"
        _check_path(document, iterator, node)
    elif iterator:
        raise document.error(
            "Un fichier CSV n'a pas d'itérateur (rml:iterator).",
            "A CSV file has no iterator (rml:iterator).",
            node,
            value=iterator,
        )
    return LogicalSource(
        name=node.value,
        spec=_spec(document, access, name, formulation),
        formulation=formulation,
        iterator=iterator,
        natural=not document.legacy,
        line=document.line(node),
    )


def _check_path(document: Document, text: str, node: Node) -> None:
    try:
        jsonpath.parse(text)
    except ValueError as error:
        raise document.error("Itérateur JSONPath mal formé.", "Malformed JSONPath iterator.", node, value=text) from error


def _path(document: Document, access: Term, node: Node) -> str:
    if isinstance(access, ox.Literal):
        return access.value
    path = document.text(access, "path", CSVW + "url", DCAT + "downloadURL", "tableName")
    if path is None:
        raise document.error(
            "Seuls les fichiers CSV et JSON sont pris en charge (rml:path, csvw:url, dcat:downloadURL).",
            "Only CSV and JSON files are supported (rml:path, csvw:url, dcat:downloadURL).",
            node,
        )
    return path


def _formulation(document: Document, node: Node, path: str) -> Formulation:
    said = document.one(node, "referenceFormulation")
    if said is None:
        return "json" if PurePosixPath(path).suffix.lower() in _JSON_SUFFIXES else "csv"
    known = _FORMULATIONS.get(short_name(said)) if said.value.startswith(RML) else None
    if known is None:
        raise document.error(
            f"Format « {short_name(said)} » non pris en charge : rml:CSV ou rml:JSONPath.",
            f"Reference formulation '{short_name(said)}' is not supported: rml:CSV or rml:JSONPath.",
            node,
            hint=Text("Convertissez le fichier en CSV ou en JSON.", "Convert the file to CSV or JSON."),
        )
    return known


def _spec(document: Document, access: Term, name: str, formulation: Formulation) -> SourceSpec:
    nulls = tuple(term.value for term in document.all(access, "null"))
    if document.empty_is_null or isinstance(access, ox.Literal) or document.has(access, CSVW + "url"):
        nulls = nulls or ("",)  # before RML-IO, an empty cell gave no term
    compression = document.one(access, "compression")
    encoding = document.one(access, "encoding")
    dialect = document.one(access, CSVW + "dialect")
    packed = short_name(compression) if compression is not None else "none"
    if packed != "none" and packed not in _COMPRESSIONS:
        raise document.error(
            f"Compression « {packed} » inconnue.",
            f"Unknown compression '{packed}'.",
            access,
            hint=Text(", ".join(_COMPRESSIONS), ", ".join(_COMPRESSIONS)),
        )
    said: dict[str, str] = {}
    if dialect is not None:
        for key in ("delimiter", "quoteChar", "encoding", "commentPrefix", "header", "trim"):
            value = document.text(dialect, CSVW + key)
            if value is not None:
                said[key] = value
    comment = said.get("commentPrefix")
    return SourceSpec(
        name=name,
        format=formulation,
        url=name if "://" in name else None,
        compression=None if packed == "none" else cast(Compression, packed),
        encoding=short_name(encoding).lower() if encoding is not None else said.get("encoding"),
        delimiter=said.get("delimiter"),
        quote=said.get("quoteChar", '"'),
        comment=comment,
        header=said.get("header", "true") not in ("false", "0"),
        trim=said.get("trim", "false") in ("true", "1"),
        nulls=nulls,
    )
