"""Speak with a SPARQL 1.1 server: query, update, and whole graphs in files; whatever is not a whole answer is an error."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import pyoxigraph as ox
import requests
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth

from cityorchestra_ld.errors import Place, StoreError, Text, UsageError
from cityorchestra_ld.model import StoreServer

_CONNECT: Final = 5.0  # seconds
_BLOCK: Final = 1 << 20
_SAID: Final = 300  # characters of what a server answers that a message repeats
_UPDATE: Final = "application/sparql-update; charset=utf-8"
_RESULTS: Final = "application/sparql-results+json"
_GRAPHS: Final = {"application/n-triples": ox.RdfFormat.N_TRIPLES, "text/turtle": ox.RdfFormat.TURTLE}
_IRI: Final = re.compile(r"""[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>"{}|^`\\]*""")


@dataclass(frozen=True, slots=True)
class Product:
    """What differs from one server to the next."""

    authentication: type[HTTPBasicAuth | HTTPDigestAuth]
    upload: str  # the media type of N-Triples that it takes
    exact: bool  # whether it tells apart literals of equal value, such as 1 and 1.0
    direct: bool  # whether an update goes as it is, whatever its length, and not in a form


PRODUCTS: Final[Mapping[str, Product]] = {
    "standard": Product(HTTPBasicAuth, "application/n-triples", exact=True, direct=True),
    "virtuoso": Product(HTTPDigestAuth, "text/turtle", exact=False, direct=False),
}


class _Term(msgspec.Struct):
    value: str
    type: str


class _Bindings(msgspec.Struct):
    bindings: list[dict[str, _Term]]


class _Results(msgspec.Struct):
    results: _Bindings


def iri(name: str) -> str:
    """Write an IRI for a query; raise StoreError for what is none, since it could say something else there."""
    if not _IRI.fullmatch(name):
        raise StoreError(Text(f"« {name} » n'est pas une adresse.", f"'{name}' is not an IRI."))
    return f"<{name}>"


class SparqlServer:
    """One server; every method raises StoreError when it cannot be reached, refuses, or does not answer whole."""

    def __init__(self, settings: StoreServer) -> None:
        self.settings = settings
        self.product = PRODUCTS[settings.product]
        self._session = requests.Session()
        self._session.trust_env = False  # neither proxies nor passwords that nobody named
        self._session.auth = self._authentication()

    def _authentication(self) -> AuthBase | None:
        name = self.settings.password_env
        if self.settings.user is None or name is None:
            return None
        if name not in os.environ:
            raise UsageError(
                Text(
                    f"Le mot de passe du serveur SPARQL manque : la variable {name} n'est pas définie.",
                    f"The password of the SPARQL server is missing: the variable {name} is not set.",
                ),
                hint=Text("Son nom est dans territory.toml, [store.server].", "It is named in territory.toml, [store.server]."),
            )
        return self.product.authentication(self.settings.user, os.environ[name])

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def select(self, query: str) -> list[dict[str, str]]:
        """Ask a SELECT query whose answer is small; return the text of the terms of each row (SPARQL 1.1 Protocol, 2.1.2)."""
        with self._asked("POST", self.settings.query, data={"query": query}, headers={"Accept": _RESULTS}) as answer:
            try:
                rows = msgspec.json.decode(answer.content, type=_Results).results.bindings
            except msgspec.DecodeError as error:
                raise self._not_whole(self.settings.query, str(error)) from None
        return [{name: term.value for name, term in row.items()} for row in rows]

    def count(self, graph: str) -> int:
        """Count the triples of a graph."""
        rows = self.select(f"SELECT (COUNT(*) AS ?n) WHERE {{ GRAPH {iri(graph)} {{ ?s ?p ?o }} }}")
        if len(rows) != 1 or not rows[0].get("n", "").isdecimal():
            raise self._not_whole(self.settings.query, str(rows))
        return int(rows[0]["n"])

    def update(self, text: str) -> None:
        """Send one update request, which servers run as one transaction (SPARQL 1.1 Protocol, 2.2)."""
        data, headers = ({"update": text}, None) if not self.product.direct else (text.encode(), {"Content-Type": _UPDATE})
        with self._asked("POST", self.settings.update, data=data, headers=headers) as answer:
            answer.content  # noqa: B018  # an answer that breaks off is no answer

    def put(self, graph: str, content: Path) -> None:
        """Replace a graph by a file of N-Triples (Graph Store Protocol, 5.3); the file is never whole in memory."""
        with content.open("rb") as file:
            headers = {"Content-Type": self.product.upload}
            with self._asked("PUT", self.settings.data, params={"graph": graph}, data=file, headers=headers) as answer:
                answer.content  # noqa: B018

    def get(self, graph: str, target: Path) -> None:
        """Write a graph into a file as N-Triples (Graph Store Protocol, 5.2); a graph that is not there is empty."""
        raw = target.with_suffix(".received")
        wanted = {"Accept": "application/n-triples, text/turtle;q=0.5"}
        with self._asked("GET", self.settings.data, params={"graph": graph}, headers=wanted, missing=True) as answer:
            if answer.status_code == 404:
                target.write_bytes(b"")
                return
            form = _GRAPHS.get(answer.headers.get("Content-Type", "").partition(";")[0].strip().lower())
            if form is None:
                raise self._not_whole(self.settings.data, answer.headers.get("Content-Type", ""))
            with raw.open("wb") as out:
                for block in answer.iter_content(_BLOCK):
                    out.write(block)
        try:
            with target.open("wb") as out:
                ox.serialize((quad.triple for quad in ox.parse(path=str(raw), format=form)), out, ox.RdfFormat.N_TRIPLES)
        except SyntaxError as error:
            raise self._not_whole(self.settings.data, str(error)) from None
        finally:
            raw.unlink()

    @contextmanager
    def _asked(
        self,
        method: str,
        address: str,
        *,
        params: Mapping[str, str] | None = None,
        data: object = None,
        headers: Mapping[str, str] | None = None,
        missing: bool = False,
    ) -> Iterator[requests.Response]:
        try:
            with self._session.request(
                method,
                address,
                params=params,
                data=data,  # type: ignore[arg-type]
                headers=headers,
                timeout=(_CONNECT, self.settings.seconds),
                allow_redirects=False,
                stream=True,
            ) as answer:
                if not 200 <= answer.status_code < 300 and not (missing and answer.status_code == 404):
                    raise self._refused(address, answer)
                yield answer
        except requests.Timeout:
            raise StoreError(
                Text("Le serveur SPARQL ne répond pas à temps.", "The SPARQL server does not answer in time."),
                place=Place(file=address),
                hint=Text("Voyez [store.server] seconds dans territory.toml.", "See [store.server] seconds in territory.toml."),
            ) from None
        except (requests.RequestException, OSError) as error:
            raise StoreError(
                Text(f"Le serveur SPARQL est injoignable : {error}", f"The SPARQL server cannot be reached: {error}"),
                place=Place(file=address),
            ) from None

    def _refused(self, address: str, answer: requests.Response) -> StoreError:
        said = re.sub(r"\s+", " ", re.sub(r"<[^<>]*>", " ", answer.text)).strip()[:_SAID]
        hint = Text("Voyez le nom et le mot de passe.", "See the name and the password.")
        return StoreError(
            Text(
                f"Le serveur SPARQL refuse ({answer.status_code}) : {said}",
                f"The SPARQL server refuses ({answer.status_code}): {said}",
            ),
            place=Place(file=address),
            hint=hint if answer.status_code in (401, 403) else None,
        )

    def _not_whole(self, address: str, what: str) -> StoreError:
        return StoreError(
            Text(
                f"La réponse du serveur SPARQL est tronquée ou n'est pas ce qui fut demandé : {what[:_SAID]}",
                f"The answer of the SPARQL server is cut off, or not what was asked for: {what[:_SAID]}",
            ),
            place=Place(file=address),
        )
