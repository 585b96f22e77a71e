"""Write the list of terms of the vocabularies that we reuse, from their published files, for the static check of mappings.

`CITYORCHESTRA_SUITES` names the folder of the published files. Of each term we keep facts: its name, its kind, what it is a
kind of, its domain and range, what it excludes, and what replaces it. No label and no definition is taken.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyoxigraph as ox

from cityorchestra_ld.namespaces import OWL, RDF, RDFS, REUSED

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "cityorchestra_ld" / "check" / "vocabularies.tsv"
PREFIXES = REUSED | {
    "dc11": "http://purl.org/dc/elements/1.1/",
    "dpv-pd": "https://w3id.org/dpv/pd#",
    "ldp": "http://www.w3.org/ns/ldp#",
    "m8g": "http://data.europa.eu/m8g/",
    "prof": "http://www.w3.org/ns/dx/prof/",
    "rov": "http://www.w3.org/ns/regorg#",
    "sc": "http://purl.org/linked-data/sdmx/2009/code#",
    "sdsc": "http://www.w3.org/ns/sparql-service-description#",
    "sf": "http://www.opengis.net/ont/sf#",
    "ssn": "http://www.w3.org/ns/ssn/",
    "vann": "http://purl.org/vocab/vann/",
}
# file or folder under vocab/ → prefixes of the namespaces that it defines in full
FILES = {
    "adms-w3c.ttl": ["adms"], "cpsv-ap-3.2.0.ttl": [], "dcat3.ttl": ["dcat"], "dcterms.ttl": ["dct"],
    "dc11.ttl": ["dc11"], "dpv-2.3.ttl": ["dpv"], "dpv-pd-2.3.ttl": ["dpv-pd"], "dqv.ttl": ["dqv"], "foaf.ttl": ["foaf"],
    "geosparql-1.1-geo.ttl": ["geo"], "geosparql-sf.ttl": ["sf"], "insee-geo.ttl": ["igeo"], "ldp.ttl": ["ldp"],
    "linked-gtfs.ttl": ["gtfs"], "locn-w3c.ttl": ["locn"], "odrl22.ttl": ["odrl", "cc"], "org.ttl": ["org"],
    "owl-time.ttl": ["time"], "owl.ttl": ["owl"], "prof.ttl": ["prof"], "prov-o.ttl": ["prov"], "qb/cube.ttl": ["qb"],
    "qb/sdmx-attribute.ttl": ["sa"], "qb/sdmx-dimension.ttl": ["sd"], "qb/sdmx-measure.ttl": ["sm"], "qb/sdmx-code.ttl": ["sc"],
    "rdf.ttl": ["rdf"], "rdfs.ttl": ["rdfs"], "regorg.ttl": ["rov"], "schemaorg-30.0-current-https.ttl": ["schema"],
    "shacl.ttl": ["sh"], "skos.ttl": ["skos"], "sosa-ssn-2023-edition": ["sosa"], "sosa.ttl": ["sosa"], "ssn.ttl": ["ssn"],
    "sparql-service-description.ttl": ["sdsc"], "vann.ttl": ["vann"], "vcard.ttl": ["vcard"], "void.ttl": ["void"],
    "wgs.ttl": ["wgs"], "xsd.ttl": ["xsd"],
}  # fmt: skip
FULL = {prefix for prefixes in FILES.values() for prefix in prefixes} - {"cc"}
FORMATS = {".ttl": ox.RdfFormat.TURTLE, ".rdf": ox.RdfFormat.RDF_XML}

# Terms that were looked up one by one. Their namespaces are not listed in full: another term there is "not verified".
SINGLE = """
qudt:QuantityValue class
qudt:Quantity class
qudt:Unit class
qudt:QuantityKind class
qudt:hasUnit object
qudt:hasQuantityKind object
qudt:numericValue data
qudt:uneceCommonCode data
qudt:symbol data
qudt:unit property replaced-by=qudt:hasUnit
sosa:ObservableProperty class replaced-by=sosa:Property
spdx:Checksum class
spdx:checksum object
spdx:algorithm object
spdx:checksumValue data
cpsv:PublicService class
cpsv:Rule class
dcatap:availability object
dcatap:applicableLegislation object
dcatap:hvdCategory object
""".strip()

CLASS_TYPES = {RDFS + "Class", OWL + "Class", RDFS + "Datatype"}
OBJECT, DATA, ANNOTATION = OWL + "ObjectProperty", OWL + "DatatypeProperty", OWL + "AnnotationProperty"
PROPERTY_TYPES = {
    RDF + "Property", OBJECT, DATA, ANNOTATION, OWL + "FunctionalProperty", OWL + "InverseFunctionalProperty",
    OWL + "TransitiveProperty", OWL + "SymmetricProperty", OWL + "OntologyProperty", OWL + "DeprecatedProperty",
    "http://purl.org/linked-data/cube#DimensionProperty", "http://purl.org/linked-data/cube#MeasureProperty",
    "http://purl.org/linked-data/cube#AttributeProperty", "http://purl.org/linked-data/cube#CodedProperty",
}  # fmt: skip
TERM_STATUS = "http://www.w3.org/2003/06/sw-vocab-status/ns#term_status"
REPLACED = ("http://purl.org/dc/terms/isReplacedBy", "https://schema.org/supersededBy")
Values = dict[str, dict[str, list[ox.NamedNode | ox.BlankNode | ox.Literal]]]


def curie(iri: str) -> str | None:
    """Write a term with its prefix, or nothing when it is in no namespace of ours."""
    for prefix, namespace in PREFIXES.items():
        local = iri.removeprefix(namespace)
        if local != iri and local and not set(local) & set("/# "):
            return f"{prefix}:{local}"
    return None


def read(files: Iterable[tuple[Path, list[str]]]) -> Values:
    """Read files into subject → predicate → objects; a namespace that is listed in full is only heard from its own files."""
    values: Values = defaultdict(lambda: defaultdict(list))
    for number, (path, own) in enumerate(files):
        for quad in ox.parse(path.read_bytes(), format=FORMATS[path.suffix], base_iri="urn:x:"):
            subject = quad.subject.value if isinstance(quad.subject, ox.NamedNode) else f"_:{number}{quad.subject.value}"
            prefix = (curie(subject) or "").partition(":")[0]
            if prefix in FULL and prefix not in own:
                continue
            value = ox.BlankNode(f"{number}{quad.object.value}") if isinstance(quad.object, ox.BlankNode) else quad.object
            if value not in values[subject][quad.predicate.value]:
                values[subject][quad.predicate.value].append(value)
    return values


def kind(types: set[str]) -> str:
    """Say what a term is; properties are told apart where the vocabulary does."""
    if types & CLASS_TYPES:
        return "class"
    if not types & PROPERTY_TYPES:
        return "value"
    if OBJECT in types and DATA not in types:
        return "object"
    if DATA in types and OBJECT not in types:
        return "data"
    return "annotation" if ANNOTATION in types and not types & {OBJECT, DATA, RDF + "Property"} else "property"


def members(values: Values, node: ox.NamedNode | ox.BlankNode | ox.Literal) -> Iterator[str]:
    """Yield the named classes that a domain or range admits: itself, or the members of a union."""
    if isinstance(node, ox.NamedNode):
        yield node.value
    elif isinstance(node, ox.BlankNode):
        head = next(iter(values[f"_:{node.value}"][OWL + "unionOf"]), None)
        while isinstance(head, ox.BlankNode):
            inner = values[f"_:{head.value}"]
            yield from (item.value for item in inner[RDF + "first"] if isinstance(item, ox.NamedNode))
            head = next(iter(inner[RDF + "rest"]), None)


def named(values: Values, iri: str, predicate: str) -> list[str]:
    """List the terms that a predicate leads to, as CURIEs, `|` between those of a union; what we cannot read is left out."""
    found = []
    for node in values[iri][predicate]:
        names = [curie(name) for name in members(values, node)]
        if names and None not in names:
            found.append("|".join(name for name in names if name))
    return sorted(set(found))


def is_deprecated(values: Values, iri: str) -> bool:
    """Tell whether the vocabulary itself says not to use the term any more."""
    said = values[iri]
    types = {node.value for node in said[RDF + "type"]}
    return (
        any(node.value == "true" for node in said[OWL + "deprecated"])
        or bool(types & {OWL + "DeprecatedClass", OWL + "DeprecatedProperty"})
        or any(node.value in ("archaic", "deprecated") for node in said[TERM_STATUS])
        or any(said[predicate] for predicate in REPLACED)
    )


def rows(suites: Path) -> Iterator[str]:
    """Yield the lines of the list: a header, the namespaces that are listed in full, then the terms in order."""
    files = []
    for name, own in FILES.items():
        path = suites / "vocab" / name
        files += [(file, own) for file in (sorted(path.glob("*.ttl")) if path.is_dir() else [path])]
    values = read(files)
    yield "# Terms of reused vocabularies, made by tools/vocabulary_terms.py."
    yield "# Columns: term, kind, parents, domain, range, excludes, status."
    for prefix in sorted(PREFIXES):
        yield f"@{'full' if prefix in FULL else 'partial'}\t{prefix}\t{PREFIXES[prefix]}"
    lines = {}
    for iri in list(values):
        name = curie(iri) if not iri.startswith("_:") else None
        types = {node.value for node in values[iri][RDF + "type"] if isinstance(node, ox.NamedNode)}
        if name is None or not types or OWL + "Ontology" in types:
            continue
        found = kind(types)
        prefix = name.partition(":")[0]
        if found == "value" and prefix in ("schema", "dpv", "dpv-pd", "odrl", "sh"):
            continue
        parents = [*named(values, iri, RDFS + "subClassOf"), *named(values, iri, RDFS + "subPropertyOf")]
        excludes = [*named(values, iri, OWL + "disjointWith"), *named(values, iri, OWL + "propertyDisjointWith")]
        loose = prefix == "schema"  # its domains and ranges are examples, not limits
        status = ""
        if is_deprecated(values, iri):
            by = next((c for p in REPLACED for node in values[iri][p] if (c := curie(node.value))), "")
            status = f"deprecated {by}".strip()
        lines[name] = "\t".join(
            [
                name, found, " ".join(p for p in parents if p != name),
                "" if loose else " ".join(named(values, iri, RDFS + "domain")),
                "" if loose else " ".join(named(values, iri, RDFS + "range")), " ".join(excludes), status,
            ]
        ).rstrip("\t")  # fmt: skip
    for single in SINGLE.splitlines():
        name, found, *rest = single.split()
        status = f"deprecated {rest[0].partition('=')[2]}" if rest else ""
        if status or name not in lines:
            lines[name] = "\t".join([name, found, "", "", "", "", status]).rstrip("\t")
    yield from (lines[name] for name in sorted(lines))


def main() -> int:
    """Write the list."""
    suites = Path(os.environ.get("CITYORCHESTRA_SUITES", ROOT.parent / "shared" / "suites"))
    if not (suites / "vocab").is_dir():
        print(f"{suites / 'vocab'} does not exist: set CITYORCHESTRA_SUITES", file=sys.stderr)
        return 2
    TARGET.write_text("\n".join(rows(suites)) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
