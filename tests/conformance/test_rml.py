"""The official RML suites, counted: cases, expected errors, and every case that does not pass with its reason."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyoxigraph as ox
import pytest

from cityorchestra_ld.errors import CityOrchestraError
from cityorchestra_ld.mapping import materialize, read_mapping
from cityorchestra_ld.mapping.targets import write_targets
from cityorchestra_ld.model import Limits
from cityorchestra_ld.sources import open_loose

from .reporting import record

SUITES = Path(os.environ.get("CITYORCHESTRA_SUITES", Path(__file__).parents[3] / "shared" / "suites"))
LOCK = tomllib.loads(Path(__file__).with_name("suites.toml").read_text(encoding="utf-8"))
XSD = "http://www.w3.org/2001/XMLSchema#"

pytestmark = pytest.mark.skipif(
    not (SUITES / "rml").exists() and not os.environ.get("CI"), reason=f"NO CONFORMANCE SUITES at {SUITES}"
)


@dataclass(frozen=True)
class Case:
    """One case: a folder with its mapping, and the graph or the error expected of it."""

    name: str
    folder: Path
    base: str
    expected: bytes | None  # `None`: an error is expected

    @property
    def mapping(self) -> Path:
        return self.folder / "mapping.ttl"


# --- the cases of each suite --------------------------------------------------------------------------------------------------


def current(suite: str, pattern: str = "*") -> Iterator[Case]:
    """Read a suite of the current vocabulary; its README files say what is expected."""
    for folder in sorted((SUITES / "rml" / suite / "test-cases").glob(pattern)):
        if not (folder / "mapping.ttl").exists():
            continue
        readme = (folder / "README.md").read_text(encoding="utf-8")
        base = re.search(r"Default Base IRI\*\*:\s*(\S+)", readme)
        error = re.search(r"Error expected\?\*\*\s*Yes", readme)
        output = next((folder / name for name in ("output.nq", "default.nq") if (folder / name).exists()), None)
        expected = None if error or output is None else output.read_bytes()
        yield Case(folder.name, folder, base[1] if base else "http://example.com/", expected)


def legacy(kind: str) -> Iterator[Case]:
    """Read the suite of the old vocabulary; an error is expected where its table says so."""
    root = SUITES / "rml" / "rml-legacy"
    rows = csv.DictReader(io.StringIO((root / "metadata.csv").read_text(encoding="utf-8"), newline=""))
    says = {row["RML id"]: f"{row['error expected?']} {row['title']} {row['purpose']}" for row in rows}
    for folder in sorted((root / "test-cases").glob(f"*-{kind}")):
        output = (folder / "output.nq").read_bytes() if (folder / "output.nq").exists() else b""
        words = says.get(folder.name, "")
        error = words.startswith("true") or (not output.strip() and "an error" in words)
        yield Case(folder.name, folder, "http://example.com/base/", None if error else output)


def as_csv(case: Case, folder: Path) -> Case:
    """Rewrite a JSON case for CSV: records become rows, `$.name` becomes `name`, natural types go."""
    folder.mkdir()
    for file in case.folder.glob("*.json"):
        document = json.loads(file.read_text(encoding="utf-8"))
        rows = next(iter(document.values())) if isinstance(document, dict) else document
        asked = re.findall(r"\$\.(\w+)", case.mapping.read_text(encoding="utf-8"))
        columns = list(dict.fromkeys([*(key for row in rows for key in row), *([] if rows else asked)]))
        with (folder / f"{file.stem}.csv").open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([["" if row.get(c) is None else _cell(row[c]) for c in columns] for row in rows])
    mapping = case.mapping.read_text(encoding="utf-8")
    mapping = re.sub(r'rml:iterator\s+"[^"]*"\s*;?', "", mapping).replace("rml:JSONPath", "rml:CSV").replace(".json", ".csv")
    mapping = re.sub(r"\$\['([^']+)'\]", r"\1", mapping)
    mapping = re.sub(r"\$\.([^}\"]+)", r"\1", mapping)
    mapping = mapping.replace("rml:path ", 'rml:null "" ; rml:path ')
    (folder / "mapping.ttl").write_text(mapping, encoding="utf-8")
    expected = case.expected
    if expected is not None and "atatype" not in mapping and '"^^' not in mapping:
        expected = expected.replace(f"^^<{XSD}integer>".encode(), b"").replace(f"^^<{XSD}double>".encode(), b"")
    return Case(case.name, folder, case.base, expected)


def _cell(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# --- running ------------------------------------------------------------------------------------------------------------------


def graph(data: bytes) -> set[ox.Quad]:
    """Read quads with canonical names for blank nodes, so that equal graphs are equal sets."""
    dataset = ox.Dataset(ox.parse(data, ox.RdfFormat.N_QUADS))
    dataset.canonicalize(ox.CanonicalizationAlgorithm.UNSTABLE)
    return set(dataset)


def run(case: Case, folder: Path) -> bytes:
    """Run one case from files to N-Quads, through the staging and the engine that everything else uses."""
    folder.mkdir(exist_ok=True)
    plan = read_mapping(case.mapping, base_iri=case.base)
    tables = {}
    for number, source in enumerate(plan.sources):
        spec = replace(source.spec, path=case.folder / source.spec.name)
        tables[spec.name] = open_loose(spec, folder / f"s{number}", Limits())
    materialize(plan, tables, folder / "out.nq", threads=1)
    return (folder / "out.nq").read_bytes()


def judge(case: Case, folder: Path) -> str | None:
    """Return why a case does not pass, or None when it does."""
    try:
        got = run(case, folder)
    except CityOrchestraError as error:
        return None if case.expected is None else f"error: {error.message.en}"
    if case.expected is None:
        return "no error"
    try:
        wanted = graph(case.expected)
    except SyntaxError as error:
        return f"the expected graph does not parse: {error.msg}"
    made = graph(got)
    return None if made == wanted else f"{len(wanted - made)} missing, {len(made - wanted)} too many"


def check(suite: str, cases: list[Case], tmp_path: Path) -> None:
    """Hold a suite against its lock: the same number of cases, and no failure but the known ones."""
    lock = LOCK[suite]
    failures = {case.name: reason for case in cases if (reason := judge(case, tmp_path / case.name))}
    known = lock["known_failures"]
    assert len(cases) == lock["cases"]
    assert sum(case.expected is None for case in cases) == lock["errors"]
    assert failures.keys() == known.keys(), failures
    record(suite, len(cases), len(cases) - len(failures), known)


@pytest.mark.slow
def test_rml_core(tmp_path):
    check("rml-core", list(current("rml-core")), tmp_path)


@pytest.mark.slow
def test_rml_core_as_csv(tmp_path):
    skipped = LOCK["rml-core-csv"]["not_run"]
    cases = [as_csv(case, tmp_path / f"csv-{case.name}") for case in current("rml-core") if case.name not in skipped]
    check("rml-core-csv", cases, tmp_path)


@pytest.mark.slow
def test_rml_io_sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check("rml-io-sources", list(current("rml-io", "RMLSTC*")), tmp_path)


# --- targets ------------------------------------------------------------------------------------------------------------------

_DUMPS = {
    "nq": ox.RdfFormat.N_QUADS, "nt": ox.RdfFormat.N_TRIPLES, "ttl": ox.RdfFormat.TURTLE, "n3": ox.RdfFormat.N3,
    "jsonld": ox.RdfFormat.JSON_LD, "rdfxml": ox.RdfFormat.RDF_XML,
}  # fmt: skip


def dump(path: Path) -> set[ox.Quad]:
    """Read what a target got, whatever its compression, encoding and serialization."""
    data, name = path.read_bytes(), path.name
    if name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            data = archive.read(archive.namelist()[0])
    elif ".tar." in name:
        with tarfile.open(path) as tar:
            member = tar.extractfile(next(entry for entry in tar if entry.isfile()))
            assert member is not None
            data = member.read()
    elif name.endswith(".gz"):
        data = gzip.decompress(data)
    kind = name.split(".")[1]
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = data.decode("utf-16").encode()
    if kind == "rdfjson":
        return set(_rdf_json(json.loads(data)))
    return set(ox.parse(data, _DUMPS[kind], base_iri="http://example.com/"))


def _rdf_json(document: dict[str, dict[str, list[dict[str, str]]]]) -> Iterator[ox.Quad]:
    for subject, pairs in document.items():
        for predicate, values in pairs.items():
            for value in values:
                datatype = ox.NamedNode(value["datatype"]) if "datatype" in value else None
                literal = ox.Literal(value["value"], datatype=datatype)
                yield ox.Quad(ox.NamedNode(subject), ox.NamedNode(predicate), literal)


def judge_targets(case: Case, folder: Path) -> str | None:
    """Return why the targets of a case do not get what they must, or None when they do."""
    folder.mkdir()
    plan = read_mapping(case.mapping, base_iri=case.base)
    tables = {}
    for number, source in enumerate(plan.sources):
        spec = replace(source.spec, path=case.folder / source.spec.name)
        tables[spec.name] = open_loose(spec, folder / f"s{number}", Limits())
    write_targets(plan, tables, folder / "default.nq", folder / "targets")
    wrong = [] if graph((folder / "default.nq").read_bytes()) == graph(case.expected or b"") else ["default.nq"]
    files = sorted(case.folder.glob("dump*"))
    wrong += [file.name for file in files if dump(file) != dump(folder / "targets" / file.name)]
    extra = {path.name for path in (folder / "targets").iterdir()} - {file.name for file in files}
    return ", ".join([*wrong, *sorted(extra)]) or None


@pytest.mark.slow
def test_rml_io_targets(tmp_path):
    cases = list(current("rml-io", "RMLTTC*"))
    lock = LOCK["rml-io-targets"]
    failures = {case.name: why for case in cases if (why := judge_targets(case, tmp_path / case.name))}
    assert (len(cases), sum(case.expected is None for case in cases)) == (lock["cases"], lock["errors"])
    assert failures.keys() == lock["known_failures"].keys(), failures
    record("rml-io-targets", len(cases), len(cases) - len(failures), lock["known_failures"])


@pytest.mark.slow
def test_rml_logical_views(tmp_path):
    check("rml-lv", list(current("rml-lv")), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["CSV", "JSON"])
def test_rml_legacy(kind, tmp_path):
    check(f"rml-legacy-{kind.lower()}", list(legacy(kind)), tmp_path)


def test_gtfs_madrid_bench(tmp_path):
    """Both forms of the mapping give the graph of the oracle; it writes booleans as 0 and 1, we as false and true."""
    root = SUITES / "gtfs-madrid-bench"
    data = root / "sample-data-morph-kgc" / "data"
    oracle = (root / "expected" / "sample-data.gtfs-csv-rml.morph-kgc-2.10.0.nt").read_text(encoding="utf-8")
    boolean = f'"^^<{XSD}boolean>'
    oracle = oracle.replace(f'"0{boolean}', f'"false{boolean}').replace(f'"1{boolean}', f'"true{boolean}')
    for name in ("gtfs-csv.rml.ttl", "gtfs-csv.yml"):
        folder = tmp_path / Path(name).suffix[1:]
        folder.mkdir()
        mapping = folder / name
        mapping.write_text((root / "mappings" / name).read_text(encoding="utf-8").replace("/data/", ""), encoding="utf-8")
        plan = read_mapping(mapping, base_iri="http://example.com/")
        specs = {source.spec.name: source.spec for source in plan.sources}
        tables = {n: open_loose(replace(spec, path=data / n), folder / n, Limits()) for n, spec in specs.items()}
        materialize(plan, tables, folder / "out.nq")
        assert graph((folder / "out.nq").read_bytes()) == graph(oracle.encode())
    record("gtfs-madrid-bench", 2, 2, {})
