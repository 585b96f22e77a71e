"""Read a territory folder: `territory.toml` and one `dataset.toml` for each dataset, into frozen values."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from cityorchestra_ld.errors import Place, UsageError
from cityorchestra_ld.iris import Iris
from cityorchestra_ld.model import Access, Column, Limits, OnError, RemoteService, SourceSpec, StoreServer, Strictness, Text

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_KEY = re.compile(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*")
_PLAIN = ("languages", "publisher", "licence", "spatial", "limits", "serving", "log")  # read as they are written
GraphKind = Literal["data", "ref", "live"]
Resident = Literal["auto", "never", "always"] | Annotated[int, msgspec.Meta(ge=0)]  # or megabytes that copies may take


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """An organisation that supplies data."""

    id: str
    name: str
    iri: str
    identifier: str | None = None  # SIREN or SIRET
    homepage: str | None = None
    kind: str | None = None  # of publisher: NationalAuthority, LocalAuthority, Company…


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Datasets that are published together, one after the other or side by side."""

    id: str
    title: Text
    description: Text
    publisher: str
    frequency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What `mappings/<partner>/<dataset>/dataset.toml` says."""

    key: str
    folder: Path
    title: Text
    description: Text
    publisher: Partner
    licence: str
    attribution: str
    policy: str
    access: Access = Access.PUBLIC
    graph: GraphKind = "data"
    version: str = "1"
    issued: str | None = None
    themes: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    frequency: str | None = None
    hvd: str | None = None
    series: str | None = None  # one of those in territory.toml
    provenance: Text | None = None  # how the figures came to be, before the file was made
    mobility_theme: str | None = None  # this and the next: codes of mobilityDCAT-AP
    transport_modes: tuple[str, ...] = ()
    spatial: tuple[str, ...] = ()
    temporal: tuple[str, str] | None = None
    landing_page: str | None = None
    illustration: Text | None = None  # set when the figures are synthetic or written by hand
    sources: tuple[SourceSpec, ...] = ()
    context: tuple[str, ...] = ()  # datasets whose current triples the shapes may look at
    allow_empty: tuple[str, ...] = ()  # triples maps that may yield nothing
    validation: Strictness = field(default_factory=Strictness)
    on_error: OnError = "fail"  # a wrong row ends the run, or is set aside, counted and reported
    quarantine_max: float = 0.05  # share of the rows of a source that may be set aside
    example: str | None = None  # IRI of a resource to show first
    coverage: Text | None = None
    additive: bool | None = None
    areas: bool = False  # it draws areas, and we say of public things in which of them they lie
    derived_from: tuple[str, ...] = ()  # datasets that this one was made from; it is never more open than they are
    release_approved_by: str | None = None  # IRI of who signed that it may be

    @property
    def mapping(self) -> Path:
        """Return the mapping document: YARRRML if there is one, else RML."""
        yarrrml = self.folder / "mapping.yml"
        return yarrrml if yarrrml.exists() else self.folder / "mapping.rml.ttl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How the service behaves towards those who operate it."""

    metrics: Literal["loopback", "token"] = "loopback"  # who may read /-/metrics: the machine itself and tokens, or tokens
    stop_seconds: int = 10  # that answers under way may still take when the service is asked to stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What the service writes down of requests."""

    format: Literal["json", "text"] = "json"
    queries: bool = False  # the text of queries too


@dataclass(frozen=True, slots=True, kw_only=True)
class Territory:
    """A territory folder; nothing in it is read again after this."""

    root: Path
    base_iri: str
    name: Text
    state: Path
    languages: tuple[str, ...] = ("fr", "en")
    publisher: str = ""
    licence: str | None = None  # of the catalogue itself
    spatial: tuple[str, ...] = ()
    workers: int = 2
    resident: Resident = "auto"  # the generation is answered from memory: when it fits in half of it
    keep_generations: int = 5
    keep_downloads_mb: int = 2_000  # files of older versions are deleted beyond this
    executor: Literal["duckdb", "spark"] = "duckdb"  # where mappings run
    server: StoreServer | None = None  # that holds what is published, beside the folder of this machine
    read_only: bool = False  # no steward may change anything through this service
    limits: Limits = field(default_factory=Limits)
    serving: Serving = field(default_factory=Serving)
    log: Log = field(default_factory=Log)
    services: tuple[RemoteService, ...] = ()  # that queries may ask
    partners: Mapping[str, Partner] = field(default_factory=dict)
    series: Mapping[str, Series] = field(default_factory=dict)
    datasets: Mapping[str, Dataset] = field(default_factory=dict)

    @property
    def iris(self) -> Iris:
        """Return the minting rules of this territory."""
        return Iris(self.base_iri)

    def dataset(self, key: str) -> Dataset:
        """Return one dataset; raise UsageError with the nearest key when there is none."""
        if key in self.datasets:
            return self.datasets[key]
        near = difflib.get_close_matches(key, self.datasets, n=1, cutoff=0.4)
        raise UsageError(
            Text(
                f"Le jeu de données « {key} » n'existe pas dans ce territoire.",
                f"There is no dataset '{key}' in this territory.",
            ),
            place=Place(file=str(self.root / "mappings")),
            hint=Text(f"Le plus proche est « {near[0]} ».", f"The nearest is '{near[0]}'.") if near else None,
        )

    def graph_of(self, dataset: Dataset) -> str:
        """Name the graph that holds the current triples of a dataset (stable, without a version)."""
        return self.iris.graph(dataset.graph, *dataset.key.split("/"))

    def shapes_of(self, dataset: Dataset) -> tuple[Path, ...]:
        """List the shapes files of a dataset: its own, then those that hold for every dataset."""
        own = self.root / "shapes" / f"{dataset.key}.ttl"
        return ((own,) if own.exists() else ()) + tuple(sorted((self.root / "shapes" / "core").glob("*.ttl")))


def _unknown(given: Mapping[str, Any], known: set[str], file: Path) -> None:
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise UsageError(
                Text(f"Réglage inconnu : « {key} ».", f"Unknown setting: '{key}'."),
                place=Place(file=str(file)),
                hint=Text(f"Vouliez-vous dire « {near[0]} » ?", f"Did you mean '{near[0]}'?") if near else None,
            )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            Text("Fichier de configuration introuvable.", "Configuration file not found."),
            place=Place(file=str(path)),
            hint=Text("Donnez le dossier du territoire avec --territory.", "Give the territory folder with --territory."),
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            Text(f"Fichier TOML illisible : {error}", f"Not valid TOML: {error}"), place=Place(file=str(path))
        ) from None


_T = TypeVar("_T")


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    raise NotImplementedError(f"no way to read {kind}")


def _convert(values: Mapping[str, Any], kind: type[_T], file: Path) -> _T:
    """Build a frozen value from a TOML table; unknown names and wrong types are named."""
    _unknown(values, {f.name for f in fields(kind)}, file)  # type: ignore[arg-type]
    try:
        return msgspec.convert(dict(values), kind, strict=True, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise UsageError(
            Text(f"Réglage mal écrit : {error}.", f"Setting not well written: {error}."),
            place=Place(file=str(file)),
            hint=Text(
                'Un texte pour les gens s\'écrit { fr = "…", en = "…" }.',
                'A text for people is written { fr = "…", en = "…" }.',
            )
            if "Text" in str(error) or "fr" in str(error) or "en`" in str(error)
            else None,
        ) from None


def _source(raw: Mapping[str, Any], file: Path, root: Path) -> SourceSpec:
    columns = [_convert(column, Column, file) for column in raw.get("column", [])]
    values: dict[str, Any] = {k: v for k, v in raw.items() if k not in {"column", "columns"}}
    if "name" not in values or ("path" in values) == ("url" in values):
        raise UsageError(
            Text(
                "Une source a un nom (name) et soit un fichier (path), soit une adresse (url).",
                "A source has a name, and either a path or a url.",
            ),
            place=Place(file=str(file)),
        )
    if "path" in values:
        path = (root / str(values["path"])).resolve()
        if not path.is_relative_to(root.resolve()):
            raise UsageError(
                Text("Le fichier source sort du dossier du territoire.", "The source file is outside the territory folder."),
                place=Place(file=str(file), value=str(values["path"])),
            )
        values["path"] = path
    return replace(_convert(values, SourceSpec, file), columns=tuple(columns))


def load_dataset(file: Path, root: Path, partners: Mapping[str, Partner]) -> Dataset:
    """Read one `dataset.toml`; raise UsageError naming the file and the nearest setting."""
    raw = _read(file)
    _unknown(raw, {f.name for f in fields(Dataset)} - {"key", "folder", "sources"} | {"source"}, file)
    key = f"{file.parent.parent.name}/{file.parent.name}"
    if not _KEY.fullmatch(key):
        raise UsageError(
            Text(
                f"« {key} » : minuscules, chiffres et tirets seulement.",
                f"'{key}': lower-case letters, digits and hyphens only.",
            ),
            place=Place(file=str(file)),
        )
    missing = sorted({"title", "description", "publisher", "licence", "attribution", "policy"} - raw.keys())
    if missing:
        raise UsageError(
            Text(f"Réglages manquants : {', '.join(missing)}.", f"Missing settings: {', '.join(missing)}."),
            place=Place(file=str(file)),
        )
    if raw["publisher"] not in partners:
        near = difflib.get_close_matches(raw["publisher"], partners, n=1)
        raise UsageError(
            Text(f"Partenaire inconnu : « {raw['publisher']} ».", f"Unknown partner: '{raw['publisher']}'."),
            place=Place(file=str(file)),
            hint=Text(f"Le plus proche est « {near[0]} » ; les partenaires sont dans territory.toml.",
                      f"The nearest is '{near[0]}'; partners are in territory.toml.") if near else None,
        )  # fmt: skip
    values = {k: v for k, v in raw.items() if k != "source"}
    values |= {"key": key, "folder": file.parent, "publisher": asdict(partners[raw["publisher"]])}
    sources = tuple(_source(source, file, root) for source in raw.get("source", []))
    dataset = _convert(values, Dataset, file)
    return replace(dataset, sources=tuple(replace(source, on_error=dataset.on_error) for source in sources))


def load_territory(root: Path, *, state: Path | None = None) -> Territory:
    """Read a territory folder; raise UsageError for the first thing that is wrong."""
    file = root / "territory.toml"
    raw = _read(file)
    _unknown(raw, {"base_iri", "name", "languages", "publisher", "licence", "spatial", "store", "limits", "partners",
                   "series", "serving", "log", "sparql"}, file)  # fmt: skip
    base = str(raw.get("base_iri", ""))
    if not re.fullmatch(r"https?://[^\s<>\"{}|^`\\#?]+/", base):
        raise UsageError(
            Text(
                "« base_iri » doit être une adresse http(s) terminée par « / ».",
                "'base_iri' must be an http(s) IRI that ends with '/'.",
            ),
            place=Place(file=str(file), value=base),
        )
    store = dict(raw.get("store", {}))
    known = {"state", "workers", "resident", "keep_generations", "keep_downloads_mb", "executor", "kind", "server"}
    _unknown(store, known, file)
    server = _server(store.pop("kind", "embedded"), store.pop("server", None), file)
    for name, table in (("limits", Limits), ("serving", Serving), ("log", Log)):
        _unknown(raw.get(name, {}), {f.name for f in fields(table)}, file)
    partners: dict[str, Partner] = {}
    for identity, partner in raw.get("partners", {}).items():
        iri = partner.get("iri") or Iris(base).id("org", partner.get("identifier", identity))
        partners[identity] = _convert(partner | {"id": identity, "iri": iri}, Partner, file)
    datasets = {}
    for path in sorted(root.glob("mappings/*/*/dataset.toml")):
        dataset = load_dataset(path, root, partners)
        datasets[dataset.key] = dataset
    values: dict[str, Any] = {
        "root": root,
        "base_iri": base,
        "name": raw.get("name"),
        **store,
        "server": server,
        "services": [asdict(service) for service in _services(raw.get("sparql", {}), file)],
        "state": state or root / str(store.get("state", "var")),
        **{name: raw[name] for name in _PLAIN if name in raw},
    }
    series = {name: _convert(one | {"id": name}, Series, file) for name, one in raw.get("series", {}).items()}
    _require_series(datasets, series, partners, file)
    return replace(_convert(values, Territory, file), partners=partners, series=series, datasets=datasets)


def _server(kind: object, given: Mapping[str, Any] | None, file: Path) -> dict[str, Any] | None:
    """Return the settings of the SPARQL server, if the store has one."""
    if kind not in ("embedded", "sparql") or (kind == "sparql") != (given is not None):
        raise UsageError(
            Text(
                '[store] kind est "embedded", ou "sparql" avec une table [store.server].',
                '[store] kind is "embedded", or "sparql" with a table [store.server].',
            ),
            place=Place(file=str(file), value=str(kind)),
        )
    if given is None:
        return None
    server = _convert(given, StoreServer, file)
    for address in (server.query, server.update, server.data):
        if not re.fullmatch(r"https?://[^\s/?#@]+/[^\s#]*", address):
            raise UsageError(
                Text("Une adresse de [store.server] n'est pas http(s).", "An address of [store.server] is not http(s)."),
                place=Place(file=str(file), value=address),
                hint=Text("Le mot de passe va dans password_env.", "The password goes to password_env."),
            )
    return asdict(server)


def _services(raw: Mapping[str, Any], file: Path) -> list[RemoteService]:
    """Read the services that queries may ask; raise UsageError for one that could not be asked safely."""
    _unknown(raw, {"service"}, file)
    found = [_convert(one, RemoteService, file) for one in raw.get("service", ())]
    for one in found:
        known = [other for other in found if one.name == other.name or one.address == other.address]
        kind = "https?" if one.private else "https"
        address = re.fullmatch(kind + r"://[^\s/?#@<>\"{}|^`\\]+(?:[/?][^\s#<>\"{}|^`\\]*)?", one.address)
        if address is None or len(known) > 1 or not _NAME.fullmatch(one.name):
            raise UsageError(
                Text(
                    "[[sparql.service]] a un nom (minuscules, chiffres, tirets) et une adresse https, une seule fois.",
                    "[[sparql.service]] has a name (lower-case letters, digits, hyphens) and an https address, each once.",
                ),
                place=Place(file=str(file), value=one.name),
                hint=Text("Dans votre propre réseau : private = true.", "In your own network: private = true."),
            )
        if min(one.seconds, one.rows, one.max_bytes, one.at_once) <= 0:
            raise UsageError(
                Text("Les limites d'un service sont plus grandes que zéro.", "The limits of a service are greater than zero."),
                place=Place(file=str(file), value=one.name),
            )
    return found


def _require_series(
    datasets: Mapping[str, Dataset], series: Mapping[str, Series], partners: Mapping[str, Partner], file: Path
) -> None:
    """Raise UsageError for a series that nobody declared, or one of an unknown partner."""
    for dataset in datasets.values():
        if dataset.series is not None:
            _unknown({dataset.series: None}, set(series), dataset.folder / "dataset.toml")
    for one in series.values():
        _unknown({one.publisher: None}, set(partners), file)
