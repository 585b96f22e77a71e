"""Datasets of other catalogues, described here and not loaded: one value for every kind of portal, and its DCAT-AP record."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.catalog.authority import IANA, Authorities
from cityorchestra_ld.catalog.triples import Graph, both, lit, typed
from cityorchestra_ld.iris import slug
from cityorchestra_ld.model import Access, Text
from cityorchestra_ld.territory import Territory

N = ox.NamedNode
_PERSONAL: Final = re.compile(
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"  # a mailbox
    r"|(?<!\d)(?:\+33[ .]?|0)[1-9](?:[ .-]?\d{2}){4}(?!\d)"  # a French telephone number
)
_THEMES: Final = (  # words of portals, slugged, and the European theme they mean; the first that fits wins
    ("agri aliment", "AGRI"), ("econom entreprise emploi financ budget commerce tourisme", "ECON"),
    ("educ cultur sport patrimoine enfance jeunesse loisir", "EDUC"), ("energ", "ENER"),
    ("environnement eau air climat biodiversite dechet nature meteo", "ENVI"), ("sante health", "HEAL"),
    ("securite justice", "JUST"), ("transport mobilit deplacement stationnement velo", "TRAN"),
    ("citoyen administration election gouvern institution vie-publique donnees-publiques", "GOVE"),
    ("social population demograph logement habitat societe", "SOCI"), ("science numerique recherche", "TECH"),
    ("urbanis amenagement territoire referentiel espace-public geograph cadastre batiment ville", "REGI"),
)  # fmt: skip
_LICENCES: Final = (
    ("odbl", "ODbL-1.0"), ("open-database", "ODbL-1.0"), ("etalab-1", "https://www.etalab.gouv.fr/licence-ouverte-open-licence"),
    ("licence-ouverte-v1", "https://www.etalab.gouv.fr/licence-ouverte-open-licence"),
    ("etalab", "etalab-2.0"),
    ("licence-ouverte", "etalab-2.0"), ("open-licence", "etalab-2.0"),
    ("cc-by-sa", "CC-BY-SA-4.0"), ("cc-by-nd", "CC-BY-ND-4.0"),
    ("cc-by", "CC-BY-4.0"), ("cc0", "CC0-1.0"), ("public-domain", "CC0-1.0"), ("eupl", "EUPL-1.2"), ("apache-2", "Apache-2.0"),
    ("gpl-3", "GPL-3.0-only"), ("mit", "MIT"),
)  # fmt: skip
_POLICIES: Final = {"ODbL-1.0": "open-odbl", "etalab-2.0": "open-etalab", "EUPL-1.2": "open-eupl"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One way to the data: a file or a service of the portal."""

    url: str
    title: str = ""
    media_type: str | None = None
    size: int | None = None
    checksum: tuple[str, str] | None = None  # algorithm, hexadecimal
    is_file: bool = True
    licence: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A dataset as another catalogue describes it; texts by language."""

    iri: str
    identifier: str
    title: dict[str, str]
    description: dict[str, str]
    publisher: str | None = None
    publisher_iri: str | None = None
    themes: tuple[str, ...] = ()
    keywords: tuple[tuple[str, str], ...] = ()  # language, word
    licence: str | None = None
    issued: str | None = None  # as xsd:dateTime or xsd:date
    modified: str | None = None
    landing_page: str | None = None
    access: str = "PUBLIC"
    box: tuple[float, float, float, float] | None = None  # west, south, east, north
    places: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A whole catalogue of others."""

    name: str
    title: str
    url: str | None
    datasets: tuple[Described, ...]


def theme_of(words: Iterable[str]) -> tuple[str, ...]:
    """
    Find the European themes that a portal's own words mean.

    >>> theme_of(["Mobilité, Transport"]), theme_of(["Transports"]), theme_of(["Divers"])
    (('TRAN',), ('TRAN',), ())
    """
    found = []
    for word in words:
        folded = slug(word)
        code = next((code for stems, code in _THEMES if any(f"-{stem}" in f"-{folded}" for stem in stems.split())), None)
        if code:
            found.append(code)
    return tuple(dict.fromkeys(found))


def licence_of(text: str | None) -> str | None:
    """
    Find the SPDX identifier that a portal's words or address for a licence mean; an unknown address stays one.

    >>> licence_of("Open Database License (ODbL)"), licence_of("Licence Ouverte v2.0 (Etalab)"), licence_of("?")
    ('ODbL-1.0', 'etalab-2.0', None)
    """
    if not text:
        return None
    folded = slug(text.removeprefix("http://spdx.org/licenses/").replace(".", "-"))
    known = next((code for stem, code in _LICENCES if stem in folded), None)
    return known or (text if text.startswith(("http://", "https://")) and _is_iri(text) else None)


def plain(html: str) -> str:
    """
    Take the text out of HTML, without mailboxes and telephone numbers of people.

    >>> plain("<p>Les <b>arrêts</b>.</p><script>x</script> Voir jean.dupont@ville.fr")
    'Les arrêts. Voir […]'
    """
    reader = _Text()
    reader.feed(html)
    reader.close()
    return _PERSONAL.sub("[…]", " ".join("".join(reader.parts).split()))


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in ("script", "style")
        if tag in ("p", "br", "li", "div", "tr"):
            self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style") and self._silent > 0
        if tag in ("p", "li", "div", "tr"):
            self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def graph_of(territory: Territory, foreign: Foreign) -> Graph:
    """Write a harvested catalogue as DCAT-AP records, each marked as described and not loaded."""
    graph = Graph(territory.base_iri)
    codes = Authorities(graph)
    iris = territory.iris
    catalog = iris.id("catalog", foreign.name)
    graph.add(iris.id("catalog", "main"), dcat_catalog=N(catalog))
    graph.add(
        catalog,
        ["dcat:Catalog"],
        dct_title=lit(plain(foreign.title) or foreign.name),
        dct_description=both(
            Text(
                "Fiches reprises d'un autre catalogue ; les données restent à l'adresse qu'elles donnent.",
                "Records taken over from another catalogue; the data stay at the address that they give.",
            )
        ),
        dct_publisher=N(territory.partners[territory.publisher].iri) if territory.publisher in territory.partners else None,
        dct_source=N(foreign.url) if foreign.url and _is_iri(foreign.url) else None,
        dcat_dataset=[N(dataset.iri) for dataset in foreign.datasets],
    )
    for dataset in foreign.datasets:
        _dataset(graph, codes, territory, foreign, dataset)
    return graph


def _dataset(graph: Graph, codes: Authorities, territory: Territory, foreign: Foreign, dataset: Described) -> None:
    iris = territory.iris
    publisher = dataset.publisher_iri or (iris.id("org", foreign.name, slug(dataset.publisher)) if dataset.publisher else None)
    if publisher and dataset.publisher:
        graph.add(publisher, ["foaf:Agent"], foaf_name=lit(dataset.publisher), rdfs_label=lit(dataset.publisher))
    policy = _POLICIES.get(dataset.licence or "", "as-licensed")
    access = dataset.access if dataset.access in Access.__members__ else "PUBLIC"
    where = f"{dataset.iri}/spatial"
    graph.add(
        dataset.iri,
        ["dcat:Dataset"],
        dct_title=_texts(dataset.title),
        dct_description=_texts(dataset.description) or _texts(dataset.title),
        dct_identifier=lit(dataset.identifier),
        dct_publisher=N(publisher) if publisher and dataset.publisher else None,
        dct_accessRights=codes.access(access),
        odrl_hasPolicy=codes.policy(iris.id("policy", policy)),
        adms_status=N(iris.id("code", "catalog-status", "described")),
        dcat_theme=[codes.theme(theme) for theme in dataset.themes],
        dcat_keyword=[ox.Literal(plain(word), language=language) for language, word in dataset.keywords],
        dct_issued=_moment(dataset.issued),
        dct_modified=_moment(dataset.modified),
        dcat_landingPage=N(dataset.landing_page) if dataset.landing_page else None,
        dct_spatial=N(where) if dataset.box else None,
        dcat_distribution=[N(_place_iri(territory, foreign, dataset, number)) for number in range(len(dataset.places))],
    )
    if dataset.landing_page:
        graph.add(dataset.landing_page, ["foaf:Document"])
    if dataset.box:
        graph.add(where, ["dct:Location"], dcat_bbox=_box(dataset.box))
    for number, place in enumerate(dataset.places):
        _place(graph, codes, _place_iri(territory, foreign, dataset, number), dataset, place)


def _place_iri(territory: Territory, foreign: Foreign, dataset: Described, number: int) -> str:
    return territory.iris.id("distribution", foreign.name, dataset.identifier, str(number + 1))


def _place(graph: Graph, codes: Authorities, iri: str, dataset: Described, place: Place) -> None:
    licence = place.licence or dataset.licence
    checksum = f"{iri}/checksum" if place.checksum else None
    graph.add(
        iri,
        ["dcat:Distribution"],
        dct_title=lit(plain(place.title)) if plain(place.title) else _texts(dataset.title),
        dcat_accessURL=N(place.url),
        dcat_downloadURL=N(place.url) if place.is_file else None,
        dcat_mediaType=codes.media(place.media_type) if place.media_type and _is_iri(IANA + place.media_type) else None,
        dcat_byteSize=typed(str(place.size), "nonNegativeInteger") if place.size is not None and place.size >= 0 else None,
        spdx_checksum=N(checksum) if checksum else None,
        dct_license=codes.licence(licence) if licence else None,
    )
    if place.checksum and checksum:
        algorithm = f"http://spdx.org/rdf/terms#checksumAlgorithm_{slug(place.checksum[0]).replace('-', '')}"
        graph.add(
            checksum, ["spdx:Checksum"], spdx_algorithm=N(algorithm), spdx_checksumValue=typed(place.checksum[1], "hexBinary")
        )
        graph.add(algorithm, ["spdx:ChecksumAlgorithm"])


def _texts(texts: dict[str, str]) -> Sequence[ox.Literal]:
    found = [(language, plain(text)) for language, text in texts.items()]
    return [ox.Literal(text, language=language) if language else lit(text) for language, text in found if text]


def _moment(text: str | None) -> ox.Literal | None:
    if text is None:
        return None
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return typed(text, "date")
    return typed(text, "dateTime") if re.match(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}", text) else None


def _box(box: tuple[float, float, float, float]) -> ox.Literal:
    west, south, east, north = box
    ring = f"{west} {south}, {east} {south}, {east} {north}, {west} {north}, {west} {south}"
    return ox.Literal(f"POLYGON(({ring}))", datatype=N("http://www.opengis.net/ont/geosparql#wktLiteral"))


def _is_iri(text: str) -> bool:
    try:
        N(text)
    except ValueError:
        return False
    return True


def web_address(text: str | None) -> str | None:
    """Return an address when it is one of the web, and nothing else may become a link."""
    return text if text and text.startswith(("http://", "https://")) and _is_iri(text) else None
