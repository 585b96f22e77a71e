"""Write the expressions of YARRRML (templates, functions, languages, datatypes) as RML quads that remember their line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Literal
from urllib.parse import quote

import pyoxigraph as ox

from cityorchestra_ld.errors import Text
from cityorchestra_ld.mapping.yaml_ import Value, nearest
from cityorchestra_ld.mapping.yarrrml_terms import GREL, IDLAB, Template, TermType, Vocabulary
from cityorchestra_ld.namespaces import RDF, RML

Side = Literal["s", "o"]

FUNCTION_KEYS: Final = {
    "function": "function", "fn": "function", "f": "function",
    "parameters": "parameters", "pms": "parameters", "ps": "parameters",
}  # fmt: skip
TERM_KEYS: Final = FUNCTION_KEYS | {
    "value": "value", "v": "value", "type": "type", "datatype": "datatype", "language": "language",
    "targets": "targets", "target": "targets", "t": "targets",
}  # fmt: skip
_PARAMETER_KEYS: Final = {
    "parameter": "parameter", "pm": "parameter", "p": "parameter", "value": "value", "v": "value", "from": "from",
}  # fmt: skip
_TYPES: Final[dict[str, TermType]] = {"iri": "IRI", "literal": "Literal", "blank": "BlankNode", "blanknode": "BlankNode"}
_SHORT_FUNCTIONS: Final = {"equal": IDLAB + "equal", "notEqual": IDLAB + "notEqual"}
_SHORT_PARAMETERS: Final = {"str1": GREL + "valueParameter", "str2": GREL + "valueParameter2"}
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")
_ONE_LINE = re.compile(r"\s*([^()\s]+)\s*\((.*)\)\s*", re.DOTALL)
_ARGUMENTS = re.compile(r"""(?:\$\((?:\\.|[^\\)])*\)|"[^"]*"|'[^']*'|[^,])+""")
_QUOTED = re.compile(r"""(["'])(.*)\1""", re.DOTALL)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a function call and, in a join, the side that its value comes from."""

    iri: str
    value: Value
    side: Side | None


@dataclass(slots=True)
class Writer:
    """Collect quads; every node has a name, and every name the line that it comes from."""

    base: str
    vocabulary: Vocabulary
    quads: list[ox.Quad] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)

    def node(self, value: Value, *path: str | int, kind: str | None = None) -> ox.NamedNode:
        """Name a node after its place in the document."""
        name = ox.NamedNode(self.base + "/".join(quote(str(part), safe="") for part in path))
        self.lines[name.value] = value.line
        if kind:
            self.add(name, RDF + "type", ox.NamedNode(RML + kind))
        return name

    def below(self, node: ox.NamedNode, value: Value, *path: str | int, kind: str | None = None) -> ox.NamedNode:
        """Name a node after the node that it belongs to."""
        name = ox.NamedNode(node.value + "/" + "/".join(quote(str(part), safe="") for part in path))
        self.lines[name.value] = value.line
        if kind:
            self.add(name, RDF + "type", ox.NamedNode(RML + kind))
        return name

    def add(self, node: ox.NamedNode, predicate: str, value: ox.NamedNode | ox.Literal | str) -> None:
        """Add one quad; a predicate without colon is a term of RML, a plain text is a literal."""
        name = ox.NamedNode(predicate if ":" in predicate else RML + predicate)
        self.quads.append(ox.Quad(node, name, ox.Literal(value) if isinstance(value, str) else value))

    # --- expressions ----------------------------------------------------------------------------------------------------------

    def expression(self, node: ox.NamedNode, template: Template) -> None:
        """Write constant, reference or template (RML-Core, section 'Expression maps')."""
        if template.constant is not None:
            self.add(node, "constant", template.constant)
        elif template.reference is not None:
            self.add(node, "reference", template.reference)
        else:
            self.add(node, "template", template.rml())

    def term(self, node: ox.NamedNode, template: Template, kind: TermType, value: Value) -> None:
        """Write an expression that yields terms of one kind."""
        constant = template.constant
        if kind == "IRI" and constant is not None and _ABSOLUTE.match(constant):
            self.add(node, "constant", _iri(constant, value))
            return
        if (
            kind != "Literal" and constant is not None
        ):  # a relative IRI, or the label of a blank node: as a template without reference
            self.add(node, "template", template.rml())
        else:
            self.expression(node, template)
        self.add(node, "termType", ox.NamedNode(RML + kind))

    def term_map(self, node: ox.NamedNode, value: Value, what: str, *, default: TermType = "IRI") -> None:
        """Write a subject, predicate or graph: a template or a function."""
        if value.entries is None:
            template, kind = self.vocabulary.term(value, what, iri=default == "IRI")
            self.term(node, template, kind or default, value)
            return
        entries = value.known(what, TERM_KEYS)
        refuse_targets(entries)
        self._entries_term(node, value, entries, default)

    def _entries_term(self, node: ox.NamedNode, value: Value, entries: dict[str, Value], default: TermType) -> TermType:
        kind = self._kind(entries) or default
        if "function" in entries:
            self.function(node, entries)
            self.add(node, "termType", ox.NamedNode(RML + kind))
        elif "value" in entries:
            template, suffix = self.vocabulary.term(entries["value"], "value", iri=kind == "IRI")
            kind = suffix or kind
            self.term(node, template, kind, entries["value"])
        elif kind == "BlankNode":
            self.add(node, "termType", ox.NamedNode(RML + kind))
        else:
            raise value.error("Il manque « value » ou « function ».", "'value' or 'function' is missing.")
        return kind

    @staticmethod
    def _kind(entries: dict[str, Value]) -> TermType | None:
        if "type" not in entries:
            return None
        kind = entries["type"].as_text("type")
        if kind.lower() not in _TYPES:
            raise entries["type"].error(f"Type inconnu : « {kind} ».", f"Unknown type: '{kind}'.", hint=nearest(kind, _TYPES))
        return _TYPES[kind.lower()]

    def object_map(self, node: ox.NamedNode, value: Value, third: Value | None, default: TermType) -> None:
        """Write an object with its datatype or language; `third` is the third element of a short form."""
        language: Template | None = None
        datatype: Value | None = None
        if third is not None:
            language = self.vocabulary.language(third)
            datatype = third if language is None else None
        entries: dict[str, Value] = {}
        if value.entries is not None:
            entries = value.known("objects", TERM_KEYS | {"condition": "condition"})
            refuse_targets(entries)
            if "language" in entries:
                said = entries["language"]
                language = self.vocabulary.language(said) or self.vocabulary.template(said.as_text("language"), said, iri=False)
            elif "datatype" in entries:
                datatype = entries["datatype"]
        if language is None and datatype is None:
            self._plain(node, value, entries, default)
        else:
            self._literal(node, value, entries, language, datatype)

    def _plain(self, node: ox.NamedNode, value: Value, entries: dict[str, Value], default: TermType) -> None:
        if entries:
            self._entries_term(node, value, entries, default)
            return
        template, kind = self.vocabulary.term(value, "objects", iri=default == "IRI")
        self.term(node, template, kind or default, value)

    def _literal(
        self, node: ox.NamedNode, value: Value, entries: dict[str, Value], language: Template | None, datatype: Value | None
    ) -> None:
        constant: str | None = None
        if "function" in entries:
            kind = self._kind(entries) or "Literal"
            self.function(node, entries)
        else:
            written = entries.get("value", value)
            template, suffix = self.vocabulary.term(written, "objects", iri=False)
            kind = suffix or self._kind(entries) or "Literal"
            constant = template.constant
            if constant is None:
                self.expression(node, template)
        if kind != "Literal":
            raise value.error(
                "Une adresse n’a ni langue ni type de donnée.", "An IRI has neither a language nor a datatype.",
                hint=Text("Retirez le troisième élément, ou « ~iri ».", "Remove the third element, or '~iri'."),
            )  # fmt: skip
        if constant is not None:
            self._constant_literal(node, value, constant, language, datatype)
            return
        self.add(node, "termType", ox.NamedNode(RML + "Literal"))
        if language is not None:
            self._language(node, value, language)
        elif datatype is not None:
            self._datatype(node, datatype)

    def _constant_literal(
        self, node: ox.NamedNode, value: Value, constant: str, language: Template | None, datatype: Value | None
    ) -> None:
        if language is not None and language.constant is not None:
            self.add(node, "constant", ox.Literal(constant, language=self._tag(language.constant, value)))
        elif datatype is not None and self.vocabulary.term(datatype, "datatype", iri=True)[0].constant is not None:
            iri = _iri(self.vocabulary.iri(datatype, "datatype"), datatype)
            self.add(node, "constant", ox.Literal(constant, datatype=iri))
        else:
            self.add(node, "constant", constant)
            self.add(node, "termType", ox.NamedNode(RML + "Literal"))
            if language is not None:
                self._language(node, value, language)
            elif datatype is not None:
                self._datatype(node, datatype)

    @staticmethod
    def _tag(tag: str, value: Value) -> str:
        if not _LANGUAGE.fullmatch(tag):
            raise value.error(
                f"« {tag} » n’est pas une étiquette de langue (BCP 47).", f"'{tag}' is not a language tag (BCP 47).",
                hint=Text("Par exemple fr, fr-FR, br.", "For example fr, fr-FR, br."),
            )  # fmt: skip
        return tag

    def _language(self, node: ox.NamedNode, value: Value, language: Template) -> None:
        if language.constant is not None:
            self.add(node, "language", self._tag(language.constant, value))
            return
        name = self.below(node, value, "language", kind="LanguageMap")
        self.add(node, "languageMap", name)
        self.expression(name, language)

    def _datatype(self, node: ox.NamedNode, datatype: Value) -> None:
        template, _ = self.vocabulary.term(datatype, "datatype", iri=True)
        if template.constant is not None:
            self.add(node, "datatype", _iri(self.vocabulary.iri(datatype, "datatype"), datatype))
            return
        name = self.below(node, datatype, "datatype", kind="DatatypeMap")
        self.add(node, "datatypeMap", name)
        self.expression(name, template)

    # --- functions ------------------------------------------------------------------------------------------------------------

    def function(self, node: ox.NamedNode, entries: dict[str, Value]) -> None:
        """Write a function execution on a term map (RML-FNML, section 'Function execution')."""
        iri, parameters = self.call(entries)
        value = entries["function"]
        execution = self.below(node, value, "function", kind="FunctionExecution")
        self.add(node, "functionExecution", execution)
        self.add(execution, "function", _iri(iri, value))
        for number, parameter in enumerate(parameters, 1):
            given = self.below(execution, parameter.value, "input", number, kind="Input")
            self.add(execution, "input", given)
            self.add(given, "parameter", _iri(parameter.iri, parameter.value))
            input_map = self.below(given, parameter.value, "value", kind="InputValueMap")
            self.add(given, "inputValueMap", input_map)
            self.input_value(input_map, parameter.value)

    def input_value(self, node: ox.NamedNode, value: Value) -> None:
        """Write the value of a parameter, or one side of a join: a template or another function."""
        if value.entries is not None:
            entries = value.known("value", TERM_KEYS | {"mapping": "mapping"})
            if "function" in entries:
                self.function(node, entries)
                return
            value = entries.get("value", value)
        template, kind = self.vocabulary.term(value, "value", iri=False)
        if kind is None or kind == "Literal":
            self.expression(node, template)
        else:
            self.term(node, template, kind, value)

    def call(self, entries: dict[str, Value]) -> tuple[str, list[Parameter]]:
        """Read a function call in its long, short or one-line form (YARRRML, section 'Functions')."""
        value = entries["function"]
        name = value.as_text("function")
        one_line = _ONE_LINE.fullmatch(name)
        given = entries.get("parameters")
        if one_line and given is not None:
            raise value.error("Les paramètres sont donnés deux fois.", "The parameters are given twice.")
        if one_line:
            value = replace(value, text=one_line[1])
            arguments = list(_one_line_arguments(value, one_line[2]))
        else:
            arguments = [self._argument(member) for member in (given.as_list() if given else ())]
        iri = _SHORT_FUNCTIONS.get(value.text or "") or self.vocabulary.iri(value, "function")
        return iri, [Parameter(self._parameter(name, iri, value), argument, side) for name, argument, side in arguments]

    def _parameter(self, name: Value, function: str, called: Value) -> str:
        text = name.as_text("parameter")
        if text in _SHORT_PARAMETERS:
            return _SHORT_PARAMETERS[text]
        if ":" in text:
            return self.vocabulary.iri(name, "parameter")
        prefix = (called.text or "").partition(":")[0]
        return self.vocabulary.prefixes.get(prefix, re.sub(r"[^/#]*$", "", function)) + text

    @staticmethod
    def _argument(member: Value) -> tuple[Value, Value, Side | None]:
        if member.entries is not None:
            entries = member.known("parameters", _PARAMETER_KEYS)
            if "parameter" not in entries or "value" not in entries:
                raise member.error("Un paramètre a « parameter » et « value ».", "A parameter has 'parameter' and 'value'.")
            name, argument, side = entries["parameter"], entries["value"], entries.get("from")
        elif member.items is not None and len(member.items) in (2, 3):
            name, argument = member.items[:2]
            side = member.items[2] if len(member.items) == 3 else None
        else:
            raise member.error(
                "Un paramètre s’écrit [paramètre, valeur].", "A parameter is written [parameter, value].",
                hint=Text("Par exemple [fn:value, $(code)].", "For example [fn:value, $(code)]."),
            )  # fmt: skip
        if argument.is_null or argument.items is not None:
            raise argument.error(
                "La valeur d’un paramètre est un texte ou une fonction.", "The value of a parameter is a text or a function.",
                hint=Text("Un texte vide s’écrit \"\".", 'An empty text is written "".'),
            )  # fmt: skip
        if side is None:
            return name, argument, None
        if side.text in {"s", "subject"}:
            return name, argument, "s"
        if side.text in {"o", "object"}:
            return name, argument, "o"
        raise side.error("Le côté d’un paramètre est s ou o.", "The side of a parameter is s or o.")


def _one_line_arguments(value: Value, text: str) -> Iterator[tuple[Value, Value, Side | None]]:
    """Split `a = $(x), b = "y, z"`; a comma inside a reference or quotes does not separate."""
    for part in _ARGUMENTS.findall(text):
        name, equals, argument = part.partition("=")
        if not equals or not name.strip():
            raise value.error(
                f"« {part.strip()} » n’est pas de la forme paramètre = valeur.",
                f"'{part.strip()}' is not parameter = value.",
            )
        quoted = _QUOTED.fullmatch(argument.strip())
        yield replace(value, text=name.strip()), replace(value, text=quoted[2] if quoted else argument.strip()), None


def refuse_targets(entries: dict[str, Value]) -> None:
    """Refuse targets: where triples go is decided by the dataset, not by its mapping."""
    if "targets" in entries:
        raise entries["targets"].error(
            "Les cibles (targets) ne sont pas prises en charge.", "Targets are not supported.",
            hint=Text("Retirez-les : c’est le jeu de données qui dit où vont les triplets.",
                      "Remove them: the dataset says where triples go."),
        )  # fmt: skip


def _iri(text: str, value: Value) -> ox.NamedNode:
    try:
        return ox.NamedNode(text)
    except ValueError as error:
        raise value.error(f"Adresse (IRI) mal formée : « {text} ».", f"Not a well-formed IRI: '{text}'.") from error
