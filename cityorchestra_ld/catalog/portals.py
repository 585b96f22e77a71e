"""Read the catalogues of portals: RUDI nodes and Opendatasoft by their JSON, all others by DCAT in RDF."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, Literal
from urllib.parse import urlencode, urljoin, urlsplit

import msgspec

from cityorchestra_ld.catalog.foreign import Described, Place, licence_of, theme_of, web_address
from cityorchestra_ld.errors import Place as Where
from cityorchestra_ld.errors import SourceError, Text
from cityorchestra_ld.iris import mint

Kind = Literal["rudi", "ods", "dcat"]
Get = Callable[[str], bytes]  # an address, and what is there
_PER_PAGE: Final = 100
_PAGES: Final = 500


class _Words(msgspec.Struct):
    text: str = ""
    lang: str = "fr"


class _Producer(msgspec.Struct):
    organization_id: str = ""
    organization_name: str = ""


class _Connector(msgspec.Struct):
    url: str = ""


class _Checksum(msgspec.Struct):
    algo: str = ""
    hash: str = ""


class _Format(msgspec.Struct):
    media_type: str = "FILE"
    media_id: str = ""
    media_name: str = ""
    connector: _Connector = msgspec.field(default_factory=_Connector)
    file_type: str | None = None
    file_size: int | None = None
    checksum: _Checksum | None = None


class _Licence(msgspec.Struct):
    licence_label: str = ""
    custom_licence_uri: str = ""


class _Confidentiality(msgspec.Struct):
    restricted_access: bool = False
    gdpr_sensitive: bool = False


class _Condition(msgspec.Struct):
    licence: _Licence = msgspec.field(default_factory=_Licence)
    confidentiality: _Confidentiality = msgspec.field(default_factory=_Confidentiality)


class _Dates(msgspec.Struct):
    created: str | None = None
    updated: str | None = None


class _Box(msgspec.Struct):
    west_longitude: float
    south_latitude: float
    east_longitude: float
    north_latitude: float


class _Geography(msgspec.Struct):
    bounding_box: _Box | None = None


class _Resource(msgspec.Struct):
    global_id: str
    resource_title: str
    summary: list[_Words] = []
    synopsis: list[_Words] = []
    theme: str = ""
    keywords: list[str] = []
    producer: _Producer = msgspec.field(default_factory=_Producer)
    dataset_dates: _Dates = msgspec.field(default_factory=_Dates)
    available_formats: list[_Format] = []
    access_condition: _Condition = msgspec.field(default_factory=_Condition)
    geography: _Geography | None = None


class _Items(msgspec.Struct):
    items: list[_Resource]


def rudi(url: str | None, content: bytes | None, get: Get, base: str) -> tuple[Described, ...]:
    """Read a RUDI node page by page, or a file of its records."""
    if content is not None:
        found = _resources(content, url or "")
    else:
        root = (url or "").rstrip("/")
        root = root if root.endswith("/resources") else f"{root}/api/v1/resources"
        found = [record for page in _pages(root, get) for record in _resources(page, root)]
    once = {record.global_id: record for record in found}
    return tuple(_from_rudi(record, base) for record in once.values())


def _pages(root: str, get: Get) -> Iterator[bytes]:
    for number in range(_PAGES):
        page = get(f"{root}?{urlencode({'limit': _PER_PAGE, 'offset': number * _PER_PAGE})}")
        yield page
        if len(_resources(page, root)) < _PER_PAGE:
            return


def _resources(content: bytes, where: str) -> list[_Resource]:
    try:
        found = _without_nulls(msgspec.json.decode(content))
        if isinstance(found, list):
            return msgspec.convert(found, list[_Resource], strict=False)
        return msgspec.convert(found, _Items, strict=False).items
    except msgspec.MsgspecError as error:
        raise _unreadable(where, str(error)) from None


def _without_nulls(value: object) -> object:
    """Leave out what is null: nodes write it where there is nothing."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value if inner is not None] if isinstance(value, list) else value


def _from_rudi(record: _Resource, base: str) -> Described:
    condition = record.access_condition
    sensitive, restricted = condition.confidentiality.gdpr_sensitive, condition.confidentiality.restricted_access
    unknown = record.producer.organization_name in ("", "Aucun contact")
    box = record.geography.bounding_box if record.geography else None
    licence = licence_of(condition.licence.licence_label) or licence_of(condition.licence.custom_licence_uri)
    return Described(
        iri=mint(f"{base}id/dataset/rudi/", record.global_id),
        identifier=record.global_id,
        title={"fr": record.resource_title},
        description={words.lang: words.text for words in reversed(record.summary or record.synopsis)},
        publisher=None if unknown else record.producer.organization_name,
        publisher_iri=None if unknown else mint(f"{base}id/org/", record.producer.organization_id),
        themes=theme_of([record.theme]),
        keywords=tuple(("fr", word.strip()) for word in record.keywords if word.strip()),
        licence=licence,
        issued=record.dataset_dates.created,
        modified=record.dataset_dates.updated,
        access="SENSITIVE" if sensitive else "RESTRICTED" if restricted else "PUBLIC",
        box=(box.west_longitude, box.south_latitude, box.east_longitude, box.north_latitude) if box else None,
        places=tuple(_rudi_place(one) for one in record.available_formats if web_address(one.connector.url)),
    )


def _rudi_place(one: _Format) -> Place:
    checksum = (one.checksum.algo, one.checksum.hash) if one.checksum and _is_hex(one.checksum.hash) else None
    return Place(
        url=one.connector.url,
        title=one.media_name,
        media_type=one.file_type,
        size=one.file_size,
        checksum=checksum,
        is_file=one.media_type == "FILE",
    )


def _is_hex(text: str) -> bool:
    return bool(re.fullmatch(r"(?:[0-9a-fA-F]{2})+", text))


# --- Opendatasoft -----------------------------------------------------------------------------------------------------------


class _Default(msgspec.Struct):
    title: str | None = None
    description: str | None = None
    theme: list[str] | str | None = None
    keyword: list[str] | str | None = None
    license: str | None = None
    license_url: str | None = None
    publisher: str | None = None
    modified: str | None = None


class _Metas(msgspec.Struct):
    default: _Default = msgspec.field(default_factory=_Default)


class _OdsDataset(msgspec.Struct):
    dataset_id: str
    metas: _Metas = msgspec.field(default_factory=_Metas)
    has_records: bool = True
    features: list[str] = []


class _Results(msgspec.Struct):
    results: list[_OdsDataset]
    total_count: int = 0


_EXPORTS: Final = (("csv", "text/csv"), ("json", "application/json"), ("parquet", "application/vnd.apache.parquet"))


def ods(url: str | None, content: bytes | None, get: Get, base: str, name: str) -> tuple[Described, ...]:
    """Read an Opendatasoft portal by its Explore API 2.1, or a file with an answer of it."""
    root = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" if url else ""
    api = f"{root}/api/explore/v2.1/catalog/datasets"
    found = _results(content, "").results if content is not None else list(_ods_pages(api, get))
    return tuple(_from_ods(record, root, base, name) for record in found)


def _ods_pages(api: str, get: Get) -> Iterator[_OdsDataset]:
    for number in range(_PAGES):
        page = _results(get(f"{api}?{urlencode({'limit': _PER_PAGE, 'offset': number * _PER_PAGE})}"), api)
        yield from page.results
        if len(page.results) < _PER_PAGE or (number + 1) * _PER_PAGE >= page.total_count:
            return


def _results(content: bytes, where: str) -> _Results:
    try:
        return msgspec.convert(_without_nulls(msgspec.json.decode(content)), _Results, strict=False)
    except msgspec.MsgspecError as error:
        raise _unreadable(where, str(error)) from None


def _from_ods(record: _OdsDataset, root: str, base: str, name: str) -> Described:
    said, identity = record.metas.default, record.dataset_id
    exports = f"{root}/api/explore/v2.1/catalog/datasets/{identity}/exports"
    forms = [*_EXPORTS, ("geojson", "application/geo+json")] if "geo" in record.features else list(_EXPORTS)
    places = [Place(url=f"{exports}/{form}", title=f"{identity}.{form}", media_type=media) for form, media in forms]
    return Described(
        iri=mint(f"{base}id/dataset/", name, identity),
        identifier=identity,
        title={"fr": said.title or identity},
        description={"fr": said.description or said.title or identity},
        publisher=said.publisher,
        themes=theme_of(_listed(said.theme)),
        keywords=tuple(("fr", word) for word in _listed(said.keyword)),
        licence=licence_of(said.license) or licence_of(said.license_url),
        modified=said.modified,
        landing_page=web_address(f"{root}/explore/dataset/{identity}/"),
        places=tuple(place for place in places if record.has_records and web_address(place.url)),
    )


def _listed(value: list[str] | str | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []


def _unreadable(where: str, why: str) -> SourceError:
    return SourceError(
        Text(f"Ce n'est pas le catalogue attendu : {why}", f"This is not the catalogue that was expected: {why}"),
        place=Where(file=where) if where else None,
        hint=Text("Vérifiez l'adresse, et --kind (rudi, ods ou dcat).", "Check the address, and --kind (rudi, ods or dcat)."),
    )


def same_site(start: str, link: str) -> str:
    """Return the address of a following page; raise SourceError when it leads to another site."""
    target = urljoin(start, link)
    if urlsplit(target).netloc != urlsplit(start).netloc:
        raise SourceError(
            Text("La page suivante est sur un autre site : refusé.", "The next page is on another site: refused."),
            place=Where(file=target),
        )
    return target
