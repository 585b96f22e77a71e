"""Read the small languages inside YARRRML texts: prefixed names, templates with references, and their suffixes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from cityorchestra_ld.errors import Text
from cityorchestra_ld.mapping.yaml_ import Value, nearest
from cityorchestra_ld.namespaces import FN, RML

TermType = Literal["IRI", "Literal", "BlankNode"]

GREL: Final = "http://users.ugent.be/~bjdmeest/function/grel.ttl#"
IDLAB: Final = "https://w3id.org/imec/idlab/function#"

# The RDFa 1.1 initial context, which YARRRML section 4 predefines, and what our own documents may use without saying so.
PREDEFINED: Final[dict[str, str]] = {
    "as": "https://www.w3.org/ns/activitystreams#",
    "cc": "http://creativecommons.org/ns#",
    "csvw": "http://www.w3.org/ns/csvw#",
    "ctag": "http://commontag.org/ns#",
    "dc": "http://purl.org/dc/terms/",
    "dc11": "http://purl.org/dc/elements/1.1/",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcterms": "http://purl.org/dc/terms/",
    "dqv": "http://www.w3.org/ns/dqv#",
    "duv": "https://www.w3.org/ns/duv#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "gr": "http://purl.org/goodrelations/v1#",
    "grddl": "http://www.w3.org/2003/g/data-view#",
    "ical": "http://www.w3.org/2002/12/cal/icaltzd#",
    "jsonld": "http://www.w3.org/ns/json-ld#",
    "ldp": "http://www.w3.org/ns/ldp#",
    "ma": "http://www.w3.org/ns/ma-ont#",
    "oa": "http://www.w3.org/ns/oa#",
    "odrl": "http://www.w3.org/ns/odrl/2/",
    "og": "http://ogp.me/ns#",
    "org": "http://www.w3.org/ns/org#",
    "owl": "http://www.w3.org/2002/07/owl#",
    "prov": "http://www.w3.org/ns/prov#",
    "qb": "http://purl.org/linked-data/cube#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfa": "http://www.w3.org/ns/rdfa#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "rev": "http://purl.org/stuff/rev#",
    "rif": "http://www.w3.org/2007/rif#",
    "rr": "http://www.w3.org/ns/r2rml#",
    "schema": "http://schema.org/",
    "sd": "http://www.w3.org/ns/sparql-service-description#",
    "sioc": "http://rdfs.org/sioc/ns#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "skosxl": "http://www.w3.org/2008/05/skos-xl#",
    "sosa": "http://www.w3.org/ns/sosa/",
    "ssn": "http://www.w3.org/ns/ssn/",
    "time": "http://www.w3.org/2006/time#",
    "v": "http://rdf.data-vocabulary.org/#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "void": "http://rdfs.org/ns/void#",
    "wdr": "http://www.w3.org/2007/05/powder#",
    "wdrs": "http://www.w3.org/2007/05/powder-s#",
    "xhv": "http://www.w3.org/1999/xhtml/vocab#",
    "xml": "http://www.w3.org/XML/1998/namespace",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "fn": FN,
    "grel": GREL,
    "idlab-fn": IDLAB,
    "rml": RML,
}
_SCHEMES: Final = frozenset({"urn", "mailto", "tel", "tag", "data", "info", "doi", "geo", "did", "ni", "ark", "about"})
_PREFIXED = re.compile(r"([A-Za-z_][\w.-]*)?:(?=[^\s/]|/[^/\s])")
_BARE_PREFIX = re.compile(r"([A-Za-z_][\w.-]*)?:$")
_SUFFIX = re.compile(r"~(iri|lang|literal|blank)$")
_SUFFIXES: Final[dict[str, TermType]] = {"iri": "IRI", "literal": "Literal", "blank": "BlankNode"}


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference to data: a column or a JSONPath."""

    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """Constant texts and references, in order; no empty texts."""

    parts: tuple[str | Reference, ...]

    @property
    def constant(self) -> str | None:
        """Return the text when there is no reference."""
        if not self.parts:
            return ""
        return self.parts[0] if len(self.parts) == 1 and isinstance(self.parts[0], str) else None

    @property
    def reference(self) -> str | None:
        """Return the reference when there is nothing else."""
        return self.parts[0].name if len(self.parts) == 1 and isinstance(self.parts[0], Reference) else None

    def rml(self) -> str:
        """Write the template as RML does (RML-Core, section 'Template'): references in braces, other braces escaped."""
        return "".join("{" + _braces(p.name) + "}" if isinstance(p, Reference) else _braces(p) for p in self.parts)


def _braces(text: str) -> str:
    return re.sub(r"([\\{}])", r"\\\1", text)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The prefixes and external references of one document."""

    prefixes: dict[str, str]
    external: dict[str, str]

    def term(self, value: Value, what: str, *, iri: bool) -> tuple[Template, TermType | None]:
        """Read a template with its optional suffix (`~iri`); `iri` is what the term is when no suffix says otherwise."""
        text = value.as_text(what)
        suffix = _SUFFIX.search(text)
        kind: TermType | None = None
        if suffix and suffix[1] != "lang" and not text[: suffix.start()].endswith("\\"):
            text, kind = text[: suffix.start()], _SUFFIXES[suffix[1]]
        return self.template(text, value, iri=kind == "IRI" or (iri and kind is None)), kind

    def language(self, value: Value) -> Template | None:
        """Read `fr~lang`; return nothing when the suffix is not there."""
        text = value.as_text("language")
        return self.template(text[:-5], value, iri=False) if text.endswith("~lang") else None

    def iri(self, value: Value, what: str) -> str:
        """Read a constant IRI or prefixed name."""
        template, _ = self.term(value, what, iri=True)
        found = template.constant
        if not found or ":" not in found:
            raise value.error(
                f"« {value.text} » n’est pas un nom préfixé ni une adresse ({what}).",
                f"'{value.text}' is neither a prefixed name nor an IRI ({what}).",
                hint=Text(f"Écrivez par exemple foaf:{value.text}.", f"Write for example foaf:{value.text}."),
            )
        return found

    def template(self, text: str, value: Value, *, iri: bool) -> Template:
        """Read `$(reference)`, escapes and a leading prefix (YARRRML, sections 4 and 6)."""
        return Template(tuple(self._parts(self._expand(text, value, iri=iri), value)))

    def _expand(self, text: str, value: Value, *, iri: bool) -> str:
        found = _PREFIXED.match(text) or (_BARE_PREFIX.match(text) if iri else None)
        if not found:
            return text
        prefix, rest = found[1] or "", text[found.end() :]
        if prefix in self.prefixes:
            return self.prefixes[prefix] + rest
        if iri and prefix not in _SCHEMES:
            raise value.error(
                f"Le préfixe « {prefix} » n’est pas déclaré.", f"The prefix '{prefix}' is not declared.",
                hint=nearest(prefix, self.prefixes),
            )  # fmt: skip
        return text

    def _parts(self, text: str, value: Value) -> list[str | Reference]:
        parts: list[str | Reference] = []
        constant: list[str] = []
        position = 0
        while position < len(text):
            if text.startswith("$(", position):
                name, position = self._reference(text, position + 2, value)
                if isinstance(name, str):
                    constant.append(name)
                    continue
                if constant:
                    parts.append("".join(constant))
                    constant.clear()
                parts.append(name)
                continue
            escaped = re.compile(r"\\(\$(?=\()|[:~])").match(text, position)
            constant.append(escaped[1] if escaped else text[position])
            position += 2 if escaped else 1
        if constant:
            parts.append("".join(constant))
        return parts

    def _reference(self, text: str, start: int, value: Value) -> tuple[Reference | str, int]:
        found = re.compile(r"((?:\\.|[^\\)])*)\)", re.DOTALL).match(text, start)
        if not found or not found[1]:
            raise value.error(
                "Une référence « $(…) » est vide ou n’est pas fermée.", "A reference '$(…)' is empty or not closed.",
                hint=Text(r"Une parenthèse dans un nom s’écrit \).", r"A bracket inside a name is written \)."),
            )  # fmt: skip
        written = found[1]
        if written.startswith("_") and written[1:] in self.external:
            return self.external[written[1:]], found.end()
        return Reference(re.sub(r"^\\(_)|\\([():])", lambda m: m[1] or m[2], written)), found.end()
