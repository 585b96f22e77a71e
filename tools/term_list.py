"""List the terms of published vocabularies that the territory uses, and where each is defined: writes tests/domain/terms.tsv.

    python tools/term_list.py            write the list (needs the folder of vocabulary files)
    python tools/term_list.py --check    write nothing; fail when the list is not what it should be

The vocabulary files are those of $CITYORCHESTRA_SUITES/vocab (default ../shared/suites/vocab). Terms that are seen elsewhere
only stand in tests/domain/terms-elsewhere.tsv, each with a reason.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import orjson
import pyoxigraph as ox
import yaml

from cityorchestra_ld.namespaces import DEFAULT_BASE, FN, OWL, RDF, RDFS, REUSED, SH

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "tests" / "domain" / "terms.tsv"
ELSEWHERE = ROOT / "tests" / "domain" / "terms-elsewhere.tsv"
FOLDERS = ("ontology", "shapes", "policies", "mappings", "queries")
Kind = Literal["class", "property", "datatype", "individual"]

# Namespaces that hold vocabulary (or code lists that somebody publishes), beside those that the product knows by a prefix.
PREFIXES: dict[str, str] = {
    **{name: iri for name, iri in REUSED.items() if name not in ("com", "dep", "reg")},
    "bot": "https://w3id.org/bot#",
    "eli": "http://data.europa.eu/eli/ontology#",
    "frequency": "http://publications.europa.eu/resource/authority/frequency/",
    "gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "geodcat": "http://data.europa.eu/930/",
    "mobap": "http://w3id.org/mobilitydcat-ap#",
    "ngsi": "https://uri.etsi.org/ngsi-ld/",
    "pd": "https://w3id.org/dpv/pd#",
    "plume": "http://registre.data.developpement-durable.gouv.fr/plume/CrpaAccessLimitations/",
    "quantitykind": "http://qudt.org/vocab/quantitykind/",
    "s4city": "https://saref.etsi.org/saref4city/",
    "saref": "https://saref.etsi.org/core/",
    "sdsc": "http://www.w3.org/ns/sparql-service-description#",
    "spdxl": "http://spdx.org/licenses/",
    "theme": "http://publications.europa.eu/resource/authority/data-theme/",
    "typeDIRIS": "http://id.insee.fr/codes/geo/typeDIRIS/",
    "vann": "http://purl.org/vocab/vann/",
    "wksp": "https://dataset-dl.liris.cnrs.fr/rdf-owl-urban-data-ontologies/Ontologies/Workspace/3.0/workspace#",
}
# Languages of mappings are checked by the mapping compiler, our own terms by the ontology.
NOT_OURS_TO_CHECK = (
    "http://w3id.org/rml/", "http://semweb.mmlab.be/ns/", "http://www.w3.org/ns/r2rml#", "http://w3id.org/function/", FN,
)  # fmt: skip
# Files that copy or redefine the terms of another vocabulary of the same folder.
COPIES = {"gtfs-bench-gtfs.ttl", "dcat2.ttl", "shacl-1.2-draft.ttl", "shacl-node-expr-1.2-draft.ttl", "shacl-shacl.ttl"}

_TOKEN = re.compile(
    r"(?P<iri><[^<>\"{}|^`\\\s]*>)"
    r"|(?P<text>\"\"\".*?\"\"\"|'''.*?'''|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')"
    r"|(?P<comment>\#[^\n]*)"
    r"|(?P<prefix>\bPREFIX\s+(?P<name>[\w-]*):\s*<(?P<space>[^>]*)>)"
    r"|(?P<curie>(?<![\w$?:@./-])(?P<short>[A-Za-z][\w-]*):(?P<local>[A-Za-z_0-9][\w.-]*))",
    re.DOTALL | re.IGNORECASE,
)
_FULL_IRI = re.compile(r"https?://[^\s\"'<>;,\\()\[\]{}$]+(?![$\w])")


@dataclass(slots=True)
class Use:
    """Where and how a term is used."""

    files: set[str] = field(default_factory=set)
    as_predicate: bool = False
    as_class: bool = False


class Uses(dict[str, Use]):
    """Terms in use, by IRI."""

    def note(self, iri: str, file: Path, *, predicate: bool = False, klass: bool = False) -> None:
        """Add one use."""
        use = self.setdefault(iri, Use())
        use.files.add(file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT) else file.name)
        use.as_predicate |= predicate
        use.as_class |= klass


def suites() -> Path:
    """Return the folder of vocabulary files."""
    return (ROOT / os.environ.get("CITYORCHESTRA_SUITES", "../shared/suites") / "vocab").resolve()


def namespace_of(iri: str) -> str | None:
    """Return the known namespace that an IRI is in."""
    found = [space for space in PREFIXES.values() if iri.startswith(space) and len(iri) > len(space)]
    return max(found, key=len, default=None)


def curie(iri: str) -> str:
    """Shorten an IRI with our prefixes."""
    space = namespace_of(iri)
    name = next((name for name, known in PREFIXES.items() if known == space), "")
    return f"{name}:{iri[len(space) :]}" if space else iri


def used_terms(root: Path = ROOT) -> Uses:
    """Collect every vocabulary IRI that the territory's files use, and every predicate and class whatever its namespace."""
    uses = Uses()
    for folder in FOLDERS:
        for file in sorted((root / folder).rglob("*")):
            read_file(file, uses)
    return uses


def read_file(file: Path, uses: Uses) -> None:
    """Collect the terms of one Turtle, SPARQL, YARRRML or JSON-LD context file."""
    match file.suffix:
        case ".ttl":
            _read_turtle(file, uses)
        case ".rq":
            _read_sparql(file.read_text(encoding="utf-8"), {}, file, uses)
        case ".yml" | ".yaml":
            _read_yarrrml(file, uses)
        case ".jsonld":
            _read_context(file, uses)


def _read_turtle(file: Path, uses: Uses) -> None:
    quads = list(ox.parse(path=str(file), format=ox.RdfFormat.TURTLE))
    declared: dict[str, str] = {}
    names = {q.subject: q.object.value for q in quads if q.predicate.value == f"{SH}prefix"}
    for quad in quads:
        if quad.predicate.value == f"{SH}namespace" and quad.subject in names:
            declared[names[quad.subject]] = quad.object.value
    classes = {f"{RDF}type", f"{SH}class", f"{SH}targetClass", f"{RDFS}subClassOf", f"{RDFS}domain", f"{OWL}equivalentClass"}
    paths = {f"{SH}path", f"{SH}targetSubjectsOf", f"{SH}targetObjectsOf", f"{RDFS}subPropertyOf", f"{SH}inversePath"}
    for quad in quads:
        uses.note(quad.predicate.value, file, predicate=True)
        for term in (quad.subject, quad.object):
            if isinstance(term, ox.NamedNode) and namespace_of(term.value):
                uses.note(term.value, file)
        if isinstance(quad.object, ox.NamedNode):
            if quad.predicate.value in classes:
                uses.note(quad.object.value, file, klass=True)
            elif quad.predicate.value in paths:
                uses.note(quad.object.value, file, predicate=True)
        elif isinstance(quad.object, ox.Literal):
            if quad.object.datatype.value != f"{RDF}langString":
                uses.note(quad.object.datatype.value, file)
            if quad.predicate.value in (f"{SH}select", f"{SH}ask"):
                _read_sparql(quad.object.value, declared, file, uses)


def _read_sparql(text: str, declared: Mapping[str, str], file: Path, uses: Uses) -> None:
    prefixes = dict(declared)
    for match in _TOKEN.finditer(text):
        if match["prefix"]:
            prefixes[match["name"]] = match["space"]
        elif match["iri"]:
            if namespace_of(match["iri"][1:-1]):
                uses.note(match["iri"][1:-1], file)
        elif match["curie"] and match["short"] in prefixes:
            uses.note(prefixes[match["short"]] + match["local"].rstrip("."), file)


def _read_yarrrml(file: Path, uses: Uses) -> None:
    text = re.sub(r"(^|\s)#.*$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    prefixes: Mapping[str, str] = yaml.safe_load(text).get("prefixes", {})
    head, _, body = text.partition("\nsources:")
    for match in re.finditer(r"(?<![\w$./:-])([A-Za-z][\w-]*):([A-Za-z_][\w.-]*)", body or head):
        if match[1] in prefixes and not body.startswith("$", match.end()) and not body.startswith("/", match.end()):
            uses.note(prefixes[match[1]] + match[2].rstrip(".-"), file)
    for match in _FULL_IRI.finditer(body):
        iri = match.group().rstrip("|\\")
        if namespace_of(iri) and "/$" not in iri:
            uses.note(iri, file)


def _read_context(file: Path, uses: Uses) -> None:
    context = orjson.loads(file.read_bytes())["@context"]
    for value in context.values():
        parts = (value.get("@id"), value.get("@type")) if isinstance(value, dict) else (value,)
        for part in parts:
            short, colon, local = str(part).partition(":")
            if colon and local and not local.startswith("//") and isinstance(context.get(short), str):
                uses.note(context[short] + local, file)


# --- what vocabularies define ------------------------------------------------------------------------------------------------

_KINDS: tuple[tuple[Kind, frozenset[str]], ...] = (
    ("datatype", frozenset({f"{RDFS}Datatype"})),
    ("class", frozenset({f"{OWL}Class", f"{RDFS}Class"})),
    (
        "property",
        frozenset(
            {f"{RDF}Property"}
            | {f"{OWL}{name}" for name in ("ObjectProperty", "DatatypeProperty", "AnnotationProperty", "OntologyProperty",
                                           "FunctionalProperty", "TransitiveProperty", "SymmetricProperty")}
        ),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Definition:
    """A term of a vocabulary and the file that defines it."""

    kind: Kind
    source: str


def published_terms(folder: Path) -> dict[str, Definition]:
    """
    Read every vocabulary file; a term is what has a type, or an inverse, in a file of its own vocabulary.

    A vocabulary that repeats the terms of another one does not define them: where a namespace has files of its own (those in
    which it is the commonest), only these count.
    """
    files: dict[str, dict[str, set[str]]] = {}
    for file in sorted(folder.rglob("*.ttl")):
        source = file.relative_to(folder).as_posix()
        if file.name in COPIES or "tests" in source:
            continue
        terms: dict[str, set[str]] = {}
        data = file.read_bytes().removeprefix(b"\xef\xbb\xbf")
        for quad in ox.parse(data, format=ox.RdfFormat.TURTLE, base_iri="http://base.invalid/"):
            if not isinstance(quad.subject, ox.NamedNode):
                continue
            if quad.predicate.value == f"{RDF}type":
                terms.setdefault(quad.subject.value, set()).add(quad.object.value)
            elif quad.predicate.value == f"{OWL}inverseOf":  # DCAT 3 defines its inverse properties in this way only
                terms.setdefault(quad.subject.value, set()).add(f"{OWL}ObjectProperty")
        files[source] = terms
    homes: dict[str, set[str]] = {}
    for source, terms in files.items():
        for space, _ in Counter(map(_space, terms)).most_common(1):
            homes.setdefault(space, set()).add(source)
    found: dict[str, tuple[set[str], str]] = {}
    for source, terms in files.items():
        for iri, types in terms.items():
            if source in homes.get(_space(iri), {source}):
                found.setdefault(iri, (set(), source))[0].update(types)
    return {iri: Definition(_kind(types), source) for iri, (types, source) in found.items()}


def _space(iri: str) -> str:
    return iri[: max(iri.rfind("#"), iri.rfind("/")) + 1]


def _kind(types: set[str]) -> Kind:
    return next((kind for kind, known in _KINDS if types & known), "individual")


# --- the list ----------------------------------------------------------------------------------------------------------------


def elsewhere() -> dict[str, dict[str, str]]:
    """Return the terms that are seen elsewhere only, with the reason to use them."""
    with ELSEWHERE.open(encoding="utf-8", newline="") as stream:
        return {row["iri"]: row for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)}


def listed() -> dict[str, Definition]:
    """Return the checked-in list."""
    with LIST.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {row["iri"]: Definition(row["kind"], row["source"]) for row in rows}  # type: ignore[arg-type]


def ours(iri: str) -> bool:
    """Tell whether a term is ours, or of a mapping language."""
    return iri.startswith((DEFAULT_BASE, *NOT_OURS_TO_CHECK))


def wanted(uses: Uses) -> Iterator[str]:
    """Go through the IRIs that must be somebody's published term."""
    for iri, use in sorted(uses.items()):
        if not ours(iri) and (use.as_predicate or use.as_class or namespace_of(iri)):
            yield iri


def build(uses: Uses, published: Mapping[str, Definition]) -> tuple[str, list[str]]:
    """Make the list; return it with the terms that nobody defines."""
    out, missing, known = io.StringIO(), [], elsewhere()
    out.write("curie\tiri\tkind\tsource\n")
    for iri in wanted(uses):
        if iri in published:
            definition = published[iri]
        elif iri in known:
            definition = Definition(known[iri]["kind"], "elsewhere")  # type: ignore[arg-type]
        else:
            missing.append(f"{curie(iri)}  <{iri}>  in {', '.join(sorted(uses[iri].files))}")
            continue
        out.write(f"{curie(iri)}\t{iri}\t{definition.kind}\t{definition.source}\n")
    return out.getvalue(), missing


def main() -> int:
    """Run the tool."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    if not suites().is_dir():
        print(f"no vocabulary files at {suites()}: set CITYORCHESTRA_SUITES", file=sys.stderr)
        return 2
    text, missing = build(used_terms(), published_terms(suites()))
    for line in missing:
        print(f"no published vocabulary defines {line}", file=sys.stderr)
    if missing:
        return 1
    if check:
        same = LIST.exists() and LIST.read_text(encoding="utf-8") == text
        print("the list is up to date" if same else "the list is out of date: run tools/term_list.py", file=sys.stderr)
        return 0 if same else 1
    LIST.write_text(text, encoding="utf-8")
    print(f"{LIST.relative_to(ROOT)}: {len(text.splitlines()) - 1} terms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
