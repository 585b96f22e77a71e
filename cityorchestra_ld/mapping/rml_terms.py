"""Read term maps, expression maps and function executions of a mapping (RML-Core, RML-FNML)."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Text
from cityorchestra_ld.mapping.functions import resolve_function
from cityorchestra_ld.mapping.plan import Expression, Fixed, FunctionCall, Input, Reference, Template, TermMap, TermType
from cityorchestra_ld.mapping.terms import has_scheme, is_absolute_iri, is_language, parse_template
from cityorchestra_ld.mapping.vocabulary import OLD_FNML, Document, Term, short_name
from cityorchestra_ld.namespaces import RML

EXECUTES: Final = ("http://w3id.org/function/ontology#executes", "https://w3id.org/function/ontology#executes")


class Role(Enum):
    """The place of a term in a statement, which decides what kinds of terms may stand there."""

    SUBJECT = "subject"
    PREDICATE = "predicate"
    OBJECT = "object"
    GRAPH = "graph"
    DATATYPE = "datatype"
    LANGUAGE = "language"


_ALLOWED: Final = {
    Role.SUBJECT: "IRI ou nœud anonyme / IRI or blank node",
    Role.PREDICATE: "IRI",
    Role.GRAPH: "IRI ou nœud anonyme / IRI or blank node",
    Role.DATATYPE: "IRI",
}


class TermReader:
    """Reads the term maps of one document, with the base IRI of one triples map."""

    def __init__(self, document: Document, base_iri: str) -> None:
        self.document = document
        self.base_iri = base_iri

    # --- terms --------------------------------------------------------------------------------------------------------------

    def maps(self, node: Term, short: str, full: str, role: Role) -> tuple[TermMap, ...]:
        """Read the constants of a shortcut and the full term maps of one role."""
        constants = tuple(self.constant(value, node, role) for value in self.document.all(node, short))
        return constants + tuple(self.term_map(value, role) for value in self.document.all(node, full))

    def constant(self, value: Term, node: Term, role: Role) -> TermMap:
        """Read a constant term; raise MappingError when such a term may not stand there."""
        kind = _kind(value)
        if isinstance(value, ox.BlankNode) and self.document.predicates(value):
            raise self.document.error(
                f"Une constante est attendue ({role.value}), pas une expression.",
                f"A constant is expected ({role.value}), not an expression.",
                value,
                hint=Text(f"Écrivez rml:{role.value}Map.", f"Write rml:{role.value}Map."),
            )
        self._check_role(kind, role, node)
        return TermMap(expression=Fixed(value), type=kind, line=self.document.line(node))

    def term_map(self, node: Term, role: Role) -> TermMap:
        """Read a full term map and its targets; raise MappingError when its parts contradict each other."""
        return replace(self._term_map(node, role), targets=self.targets(node))

    def targets(self, node: Term) -> tuple[str, ...]:
        """Name the targets of statements that have a term of this map (RML-IO, logical targets)."""
        return tuple(target.value for target in self.document.all(node, "logicalTarget"))

    def _term_map(self, node: Term, role: Role) -> TermMap:
        document = self.document
        said = self._term_type(node)
        expression = self.expression(node, required=said is not TermType.BLANK_NODE)
        language = self._extra(node, "language", "languageMap", Role.LANGUAGE)
        datatype = self._extra(node, "datatype", "datatypeMap", Role.DATATYPE)
        if language is not None and datatype is not None:
            raise document.error(
                "Un terme a une langue ou un type de donnée, pas les deux.",
                "A term has a language or a datatype, not both.",
                node,
            )
        if isinstance(expression, Fixed) and language is None and datatype is None:
            return self._constant_map(node, expression, said, role)
        kind = said or self._default(expression, role, typed=language is not None or datatype is not None)
        self._check_role(kind, role, node)
        if kind is not TermType.LITERAL and (language is not None or datatype is not None):
            raise document.error(
                "Seul un littéral a une langue ou un type de donnée.", "Only a literal has a language or a datatype.", node
            )
        if kind in (TermType.IRI, TermType.URI) and isinstance(expression, Template):
            self._check_template_iri(expression, node)
        return TermMap(expression=expression, type=kind, datatype=datatype, language=language, line=document.line(node))

    def _constant_map(self, node: Term, expression: Fixed, said: TermType | None, role: Role) -> TermMap:
        kind = _kind(expression.term)
        if said is not None and said is not kind:
            if kind is TermType.LITERAL and said.is_iri and is_absolute_iri(expression.term.value):
                expression, kind = Fixed(ox.NamedNode(expression.term.value)), TermType.IRI
            else:
                raise self.document.error(
                    f"La constante n'est pas du type rml:{said.value}.", f"The constant is not an rml:{said.value}.", node,
                    value=expression.term.value,
                )  # fmt: skip
        self._check_role(kind, role, node)
        return TermMap(expression=expression, type=kind, line=self.document.line(node))

    def _term_type(self, node: Term) -> TermType | None:
        value = self.document.one(node, "termType")
        if value is None:
            return None
        try:
            if not value.value.startswith(RML):
                raise ValueError(value.value)
            return TermType(short_name(value))
        except ValueError as error:
            names = ", ".join(f"rml:{kind.value}" for kind in TermType)
            raise self.document.error(
                "rml:termType inconnu.", "Unknown rml:termType.", node, value=value.value, hint=Text(names, names)
            ) from error

    @staticmethod
    def _default(expression: Expression | None, role: Role, *, typed: bool) -> TermType:
        if role is Role.OBJECT and (typed or isinstance(expression, Reference | FunctionCall)):
            return TermType.LITERAL
        if role is Role.LANGUAGE:
            return TermType.LITERAL
        return TermType.IRI

    def _check_role(self, kind: TermType, role: Role, node: Term) -> None:
        literal = kind is TermType.LITERAL and role not in (Role.OBJECT, Role.LANGUAGE)
        blank = kind is TermType.BLANK_NODE and role in (Role.PREDICATE, Role.DATATYPE)
        if literal or blank:
            raise self.document.error(
                f"rml:{kind.value} ne convient pas ici ({role.value}) : {_ALLOWED[role]}.",
                f"rml:{kind.value} may not stand here ({role.value}): {_ALLOWED[role]}.",
                node,
            )

    def _check_template_iri(self, template: Template, node: Term) -> None:
        sample = "".join(part if isinstance(part, str) else "x" for part in template.parts)
        if is_absolute_iri(sample if has_scheme(sample) else self.base_iri + sample):
            return
        raise self.document.error(
            "Le gabarit ne peut pas donner une IRI valide.", "The template cannot give a valid IRI.", node, value=sample,
            hint=Text("Une IRI n'a ni espace, ni guillemets, ni < > { } | ^ ` \\.",
                      "An IRI has no space, no quotes, none of < > { } | ^ ` \\."),
        )  # fmt: skip

    def _extra(self, node: Term, short: str, full: str, role: Role) -> TermMap | None:
        found = self.maps(node, short, full, role)
        if len(found) > 1:
            raise self.document.error(f"rml:{short} est donné plusieurs fois.", f"rml:{short} is given several times.", node)
        if not found:
            return None
        expression = found[0].expression
        if role is Role.LANGUAGE and isinstance(expression, Fixed) and not is_language(expression.term.value):
            raise self.document.error(
                f"« {expression.term.value} » n'est pas une étiquette de langue (BCP 47).",
                f"'{expression.term.value}' is not a language tag (BCP 47).",
                node,
                value=expression.term.value,
                hint=Text("Par exemple fr, en, fr-FR.", "For example fr, en, fr-FR."),
            )
        return found[0]

    # --- expressions --------------------------------------------------------------------------------------------------------

    def expression(self, node: Term, *, required: bool = True) -> Expression | None:
        """Read the expression of a node: constant, reference, template or function; raise MappingError when not exactly one."""
        document = self.document
        kinds = ("constant", "reference", "template", "functionExecution", OLD_FNML + "functionValue")
        found = [(kind, value) for kind in kinds for value in document.all(node, kind)]
        if not found and not required:
            return None
        if len(found) != 1:
            raise document.error(
                f"Il faut une expression et une seule (constante, référence, gabarit ou fonction) ; ici {len(found)}.",
                f"Exactly one expression is needed (constant, reference, template or function); here {len(found)}.",
                node,
            )
        kind, value = found[0]
        if kind == "constant":
            return Fixed(value)
        if kind == "reference":
            return self.reference(value.value, node)
        if kind == "template":
            return self.template(value.value, node)
        return self._function(value) if kind == "functionExecution" else self._old_function(value)

    def reference(self, text: str, node: Term) -> Reference:
        """Read a reference; raise MappingError when it is empty."""
        if not text:
            raise self.document.error("La référence est vide.", "The reference is empty.", node)
        return Reference(text)

    def template(self, text: str, node: Term) -> Template:
        """Read a template; raise MappingError when its braces do not match."""
        try:
            return parse_template(text)
        except ValueError as error:
            raise self.document.error(
                "Gabarit mal formé.", "Malformed template.", node, value=text,
                hint=Text("Chaque { a sa } ; une accolade du texte s'écrit \\\\{.",
                          "Each { has its }; a brace of the text is written \\\\{."),
            ) from error  # fmt: skip

    def condition(self, node: Term, predicate: str) -> FunctionCall | None:
        """Read the condition of a rule: a function that answers yes or no."""
        found = self.document.one(node, predicate)
        if found is None:
            return None
        expression = self.expression(found)
        if not isinstance(expression, FunctionCall):
            raise self.document.error("Une condition est une fonction.", "A condition is a function.", found)
        return expression

    # --- functions ----------------------------------------------------------------------------------------------------------

    def _function(self, node: Term) -> FunctionCall:
        function = self.document.one(node, "function")
        if function is None:
            full = self.document.one(node, "functionMap")
            expression = self.expression(full) if full is not None else None
            function = expression.term if isinstance(expression, Fixed) else None
        if function is None:
            raise self.document.error("Il manque rml:function.", "rml:function is missing.", node)
        inputs = tuple(self._input(item) for item in self.document.all(node, "input"))
        return self._checked(FunctionCall(function.value, inputs, self.document.line(node)), node)

    def _input(self, node: Term) -> Input:
        parameter = self.document.one(node, "parameter")
        if parameter is None:
            full = self.document.one(node, "parameterMap")
            expression = self.expression(full) if full is not None else None
            parameter = expression.term if isinstance(expression, Fixed) else None
        if parameter is None:
            raise self.document.error("Il manque rml:parameter.", "rml:parameter is missing.", node)
        constant = self.document.one(node, "inputValue")
        full = self.document.one(node, "inputValueMap")
        value: Expression | None = (
            Fixed(constant) if constant is not None else self.expression(full) if full is not None else None
        )
        if value is None:
            raise self.document.error("Il manque rml:inputValueMap.", "rml:inputValueMap is missing.", node)
        return Input(parameter.value, value)

    def _old_function(self, node: Term) -> FunctionCall:
        """Read a function written as a triples map whose predicates are parameters (FNML before 2023)."""
        function: Term | None = None
        inputs: list[Input] = []
        for pom in self.document.all(node, "predicateObjectMap"):
            predicates = self.maps(pom, "predicate", "predicateMap", Role.PREDICATE)
            objects = self.maps(pom, "object", "objectMap", Role.OBJECT)
            for predicate in predicates:
                name = predicate.expression.term.value if isinstance(predicate.expression, Fixed) else ""
                for item in objects:
                    if name in EXECUTES and isinstance(item.expression, Fixed):
                        function = item.expression.term
                    elif item.expression is not None:
                        inputs.append(Input(name, item.expression))
        if function is None:
            raise self.document.error(
                "La fonction n'est pas nommée (fno:executes).", "The function has no name (fno:executes).", node
            )
        return self._checked(FunctionCall(function.value, tuple(inputs), self.document.line(node)), node)

    def _checked(self, call: FunctionCall, node: Term) -> FunctionCall:
        try:
            resolve_function(call)
        except LookupError as error:
            fr, en, hint = error.args
            raise self.document.error(fr, en, node, hint=hint) from error
        return call


def _kind(term: Term) -> TermType:
    if isinstance(term, ox.Literal):
        return TermType.LITERAL
    return TermType.BLANK_NODE if isinstance(term, ox.BlankNode) else TermType.IRI
