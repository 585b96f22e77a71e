"""Small frozen values that cross the borders between stages."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal

from cityorchestra_ld.errors import CityOrchestraError, Place, Text

__all__ = [
    "Access", "Column", "Comparison", "Generation", "GraphChange", "GraphInfo", "GroupChange", "Level", "Limits", "OnError",
    "Origin", "Result", "ResultGroup", "SetAside", "Severity", "SourceSpec", "StoreServer", "Strictness", "Table", "Text",
    "ValidationReport", "View",
]  # fmt: skip


# --- sources ------------------------------------------------------------------------------------------------------------------

ColumnKind = Literal["text", "code", "integer", "decimal", "date", "datetime", "boolean"]
OnError = Literal["fail", "quarantine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What a partner promises about one column of a file."""

    name: str
    kind: ColumnKind = "text"
    required: bool = True
    aliases: tuple[str, ...] = ()
    pattern: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """Where a partner file is, how it is written and what it promises; `None` means: detect it and say so."""

    name: str  # the name that mappings use
    format: Literal["csv", "json"] = "csv"  # csv is any table: workbooks (XLSX) and Parquet files are recognised
    path: Path | None = None
    url: str | None = None
    member: str | None = None  # the file inside a zip archive
    sheet: str | None = None  # of a workbook; needed when it has several
    compression: Literal["gzip", "zip", "tar", "targz", "tarxz"] | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quote: str = '"'
    escape: str = '"'
    comment: str | None = None
    header: bool = True
    skip_until: str | None = None  # description rows may precede the header; it starts with this column name
    trim: bool = False
    nulls: tuple[str, ...] = ("",)
    decimal: str | None = None
    columns: tuple[Column, ...] = ()
    forbidden: tuple[str, ...] = ()  # names or patterns with * of columns that must not be mapped
    key: tuple[str, ...] = ()
    max_bytes: int | None = None
    on_error: OnError = "fail"  # what a row that breaks its contract does to the run; the dataset says it


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A row that was left out of a run because something in it is wrong, and what is wrong with it."""

    place: Place
    reason: Text
    hint: Text | None = None

    @classmethod
    def of(cls, error: CityOrchestraError) -> SetAside:
        """Keep the error of one row."""
        return cls(place=error.place or Place(), reason=error.message, hint=error.hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A staged source: a UTF-8 file without BOM that can be scanned, and what people call its parts."""

    name: str
    format: Literal["csv", "json"]
    path: Path
    original: Path  # the partner's bytes as received (after decompression)
    label: str  # how messages call the file
    sha256: str
    size: int  # bytes received
    records: int | None = None  # independent count for CSV; `None` for JSON, whose iterator decides
    filled: tuple[int, ...] | None = None  # for each column the cells that have a value, where they were counted
    columns: tuple[str, ...] = ()  # names that mappings use, in file order (CSV)
    labels: tuple[str, ...] = ()  # the same columns as the file names them
    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    header_row: int = 1  # spreadsheet row of the header in the original; 0 when there is none, neither there nor in `path`
    nulls: tuple[str, ...] = ("",)
    encoding: str = "utf-8"
    decimal: str | None = None
    notes: tuple[Text, ...] = ()  # what was detected, to be said out loud
    gaps: tuple[tuple[int, int], ...] = ()  # (record from which, rows left out so far): blank rows, comments, wrong rows
    before: int = 0  # records of the file that come before this part of it
    without: frozenset[tuple[str | int, ...]] = frozenset()  # places in a JSON document that are not read
    set_aside: tuple[SetAside, ...] = ()  # wrong rows that were left out

    def row(self, record: int) -> int:
        """Return the spreadsheet row of a record (counted from 1) in the partner's file."""
        place = bisect.bisect_right(self.gaps, record, key=lambda gap: gap[0])
        return self.header_row + record + (self.gaps[place - 1][1] if place else 0)


# --- lineage and validation ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The cell and the mapping rule that made a triple."""

    file: str
    row: int | None  # as a spreadsheet shows it; for JSON the number of the record, from 1
    column: str | None
    cell: str | None
    triples_map: str
    term_map: str | None = None
    pointer: str | None = None  # JSON Pointer of the record or of the value
    line: int | None = field(default=None, compare=False)  # of the rule in the mapping document


class Severity(StrEnum):
    """Severities of SHACL, section 2.1.4."""

    VIOLATION = "Violation"
    WARNING = "Warning"
    INFO = "Info"


Level = Literal["block", "warn", "inform"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strictness:
    """How severe a dataset is with what its shapes find: what warnings do, and what single shapes do."""

    warnings: Level = "warn"
    shapes: Mapping[str, Level] = field(default_factory=dict)  # local name of a shape → level


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One validation result (SHACL, section 3.6.2); terms are written as in N-Triples."""

    focus: str
    path: str | None  # a predicate IRI or a SPARQL property path; `None` for node constraints
    value: str | None
    component: str  # local name, for example MinCountConstraintComponent
    severity: Severity
    shape: str
    message: Text
    engine_message: str = ""
    origins: tuple[Origin, ...] = ()
    root_shape: str = ""  # the nearest shape that its author named; `shape` itself when it has a name


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultGroup:
    """Results of one shape, path and component: how many there are, and how many of them the report shows."""

    shape: str
    path: str | None
    component: str
    severity: Severity
    count: int
    shown: int
    title: Text  # what the shape is about, for people
    root_shape: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupChange:
    """One group of results now and in the run before."""

    group: ResultGroup
    new: int
    fixed: int
    remaining: int

    @property
    def state(self) -> str:
        """Tell new, fixed or remaining, for the group as a whole."""
        return "remaining" if self.remaining or (self.new and self.fixed) else "new" if self.new else "fixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What became of the results of the run before; result by result where both show all, else by counts of groups."""

    run: str
    groups: tuple[GroupChange, ...]

    @property
    def new(self) -> int:
        """Count results that were not there before."""
        return sum(group.new for group in self.groups)

    @property
    def fixed(self) -> int:
        """Count results that are gone."""
        return sum(group.fixed for group in self.groups)

    @property
    def remaining(self) -> int:
        """Count results that are still there."""
        return sum(group.remaining for group in self.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationReport:
    """What a shapes graph says about a data graph; `counts` are exact even when `results` is a bounded sample."""

    results: tuple[Result, ...]
    counts: Mapping[Severity, int]
    focus_nodes: int
    engine: str
    shapes: tuple[str, ...]  # shapes that looked at at least one node
    idle_shapes: tuple[str, ...] = ()  # shapes whose target matched nothing
    seconds: float = 0.0
    groups: tuple[ResultGroup, ...] = ()  # exact counts, what to fix first comes first
    focus_counts: Mapping[str, int] = field(default_factory=dict)  # shape → focus nodes that it looked at
    truncated: tuple[str, ...] = ()  # shapes whose count is a lower bound
    notes: tuple[Text, ...] = ()  # what was noticed about the shapes and the run
    triples: int = 0
    judged: int | None = None  # focus nodes that were judged again, when only a change was validated
    comparison: Comparison | None = None  # with the run before

    @property
    def conforms(self) -> bool:
        """Tell whether no result is a violation; warnings do not block."""
        return not self.counts.get(Severity.VIOLATION, 0)


# --- store --------------------------------------------------------------------------------------------------------------------


class Access(StrEnum):
    """EU access rights, the last part of `…/authority/access-right/…`."""

    PUBLIC = "PUBLIC"
    RESTRICTED = "RESTRICTED"
    NON_PUBLIC = "NON_PUBLIC"
    SENSITIVE = "SENSITIVE"
    CONFIDENTIAL = "CONFIDENTIAL"


Role = Literal["ontology", "shapes", "codelist", "catalog", "policy", "ref", "data", "live", "quality", "prov", "scenario"]
DEFAULT_ROLES: frozenset[Role] = frozenset(("ontology", "codelist", "catalog", "ref", "data", "live"))
"""Roles of the graphs that together make the default graph of a plain query, as far as they are visible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphInfo:
    """One named graph of a generation."""

    graph: str
    role: Role
    access: Access = Access.PUBLIC
    dataset: str | None = None  # partner/name
    version: str | None = None
    triples: int = 0
    sha256: str = ""  # of the canonical snapshot (sorted N-Triples)
    rewritten: str = ""  # digest of the triples that were not written as the store writes them; "" when all were


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphChange:
    """What a publication makes of one graph: its whole new content as N-Triples or N-Quads lines, or nothing to drop it."""

    info: GraphInfo
    content: Path | None  # N-Triples or N-Quads (graph names are ignored); any order, duplicates allowed; blank nodes allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """An immutable state of the store."""

    number: int
    path: Path
    created: datetime
    graphs: tuple[GraphInfo, ...]
    parent: int | None = None
    run: str | None = None
    meta: Mapping[str, str] = field(default_factory=dict)

    @property
    def triples(self) -> int:
        """Count the triples of all graphs."""
        return sum(graph.triples for graph in self.graphs)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What one principal may see: both graph lists of a SPARQL dataset (SPARQL 1.1 Protocol, section 2.1.4)."""

    default_graphs: tuple[str, ...]
    named_graphs: tuple[str, ...]
    name: str = "public"
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreServer:
    """Where a SPARQL server is that holds a copy of what is published, and how to speak with it."""

    query: str  # address of SPARQL 1.1 Query
    update: str  # address of SPARQL 1.1 Update
    data: str  # address of the Graph Store Protocol, without `?graph=`
    product: Literal["standard", "virtuoso"] = "standard"
    user: str | None = None
    password_env: str | None = None  # the environment variable that holds the password
    seconds: float = 600.0  # that it may take for one request


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteService:
    """A SPARQL service elsewhere that queries may ask (`SERVICE`), and how much it may take and bring."""

    name: str
    address: str
    private: bool = False  # in a network of ours: private addresses and http are allowed
    licence: str | None = None  # of what it answers
    seconds: float = 5.0
    rows: int = 10_000  # of one block
    max_bytes: int = 10_000_000
    at_once: int = 4  # questions


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one query or one file may cost."""

    query_seconds: float = 10.0
    query_memory_mb: int = 1024
    query_bytes: int = 100_000
    query_nesting: int = 200
    result_rows: int = 1_000_000
    body_bytes: int = 10_000_000
    source_bytes: int = 2_000_000_000
    compression_ratio: int = 200
    fetch_seconds: float = 120.0
    max_waiting: int = 64
    long_queries: int = 4  # that may run beside the others
    validation_seconds: float = 600.0
    validation_memory_mb: int = 4096
    report_samples: int = 20  # results shown of each group
    upload_bytes: int = 100_000_000  # one document that a steward sends
    write_seconds: float = 600.0  # to validate and publish what a steward sends
    draft_triples: int = 2_000_000
    update_seconds: float = 60.0
    client_seconds: float = 300.0  # of query time that one client may spend at once; 0 means no budget
    client_refill: float = 0.5  # seconds of query time that come back each second
    export_seconds: float = 900.0
    export_rows: int = 50_000_000
    export_hours: float = 24.0
