"""The words of SHACL: parameters, what they expect, the components they belong to, and the terms that exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Expect = Literal[
    "iri", "term", "literal", "integer", "boolean", "string", "text", "shape", "property-shape", "shapes", "iris", "strings",
    "terms", "node-kind", "iri-or-literal", "constraint",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parameter:
    """What the syntax rules of SHACL say about one property of a shape (SHACL, appendix A)."""

    expect: Expect
    component: str = ""  # local name; nothing when the property is no constraint of its own
    single: bool = False
    property_only: bool = False
    node_only: bool = False


_P = Parameter

PARAMETERS: Final[dict[str, Parameter]] = {
    "class": _P("iri", "ClassConstraintComponent"),
    "datatype": _P("iri", "DatatypeConstraintComponent", single=True),
    "nodeKind": _P("node-kind", "NodeKindConstraintComponent", single=True),
    "minCount": _P("integer", "MinCountConstraintComponent", single=True, property_only=True),
    "maxCount": _P("integer", "MaxCountConstraintComponent", single=True, property_only=True),
    "minExclusive": _P("literal", "MinExclusiveConstraintComponent", single=True),
    "minInclusive": _P("literal", "MinInclusiveConstraintComponent", single=True),
    "maxExclusive": _P("literal", "MaxExclusiveConstraintComponent", single=True),
    "maxInclusive": _P("literal", "MaxInclusiveConstraintComponent", single=True),
    "minLength": _P("integer", "MinLengthConstraintComponent", single=True),
    "maxLength": _P("integer", "MaxLengthConstraintComponent", single=True),
    "pattern": _P("string", "PatternConstraintComponent", single=True),
    "flags": _P("string", single=True),
    "languageIn": _P("strings", "LanguageInConstraintComponent", single=True),
    "uniqueLang": _P("boolean", "UniqueLangConstraintComponent", single=True, property_only=True),
    "equals": _P("iri", "EqualsConstraintComponent"),
    "disjoint": _P("iri", "DisjointConstraintComponent"),
    "lessThan": _P("iri", "LessThanConstraintComponent", property_only=True),
    "lessThanOrEquals": _P("iri", "LessThanOrEqualsConstraintComponent", property_only=True),
    "not": _P("shape", "NotConstraintComponent"),
    "and": _P("shapes", "AndConstraintComponent"),
    "or": _P("shapes", "OrConstraintComponent"),
    "xone": _P("shapes", "XoneConstraintComponent"),
    "node": _P("shape", "NodeConstraintComponent"),
    "property": _P("property-shape", "PropertyConstraintComponent"),
    "qualifiedValueShape": _P("shape", single=True, property_only=True),
    "qualifiedMinCount": _P("integer", "QualifiedMinCountConstraintComponent", single=True),
    "qualifiedMaxCount": _P("integer", "QualifiedMaxCountConstraintComponent", single=True),
    "qualifiedValueShapesDisjoint": _P("boolean", single=True),
    "closed": _P("boolean", "ClosedConstraintComponent", single=True),
    "ignoredProperties": _P("iris", single=True),
    "hasValue": _P("term", "HasValueConstraintComponent"),
    "in": _P("terms", "InConstraintComponent", single=True),
    "sparql": _P("constraint", "SPARQLConstraintComponent"),
    "severity": _P("iri", single=True),
    "message": _P("text"),
    "deactivated": _P("boolean", single=True),
    "name": _P("text"),
    "description": _P("text"),
    "targetClass": _P("iri"),
    "targetNode": _P("iri-or-literal"),
    "targetSubjectsOf": _P("iri"),
    "targetObjectsOf": _P("iri"),
}

COMPONENTS: Final[dict[str, str]] = {p.component: name for name, p in PARAMETERS.items() if p.component}

NODE_KINDS: Final = ("BlankNode", "IRI", "Literal", "BlankNodeOrIRI", "BlankNodeOrLiteral", "IRIOrLiteral")
TARGETS: Final = ("targetClass", "targetNode", "targetSubjectsOf", "targetObjectsOf")
SHAPE_VALUES: Final = ("property", "node", "not", "qualifiedValueShape")
SHAPE_LISTS: Final = ("and", "or", "xone")
PATH_STEPS: Final = ("inversePath", "alternativePath", "zeroOrMorePath", "oneOrMorePath", "zeroOrOnePath")

# Other terms of the SHACL namespace that a shapes graph may use: SHACL-SPARQL, non-validating properties, reports.
OTHER_TERMS: Final = frozenset(
    {
        "NodeShape", "PropertyShape", "Shape", "path", *PATH_STEPS, "order", "group", "defaultValue", "PropertyGroup",
        "declare", "prefix", "namespace", "prefixes", "PrefixDeclaration", "select", "ask", "SPARQLConstraint",
        "SPARQLAskValidator", "SPARQLSelectValidator", "ConstraintComponent", "Parameter", "Parameterizable", "Validator",
        "parameter", "optional", "labelTemplate", "validator", "nodeValidator", "propertyValidator", "entailment",
        "suggestedShapesGraph", "Violation", "Warning", "Info", "Severity", "NodeKind", *NODE_KINDS, "ValidationReport",
        "ValidationResult", "conforms", "result", "focusNode", "resultPath", "value", "sourceShape", "sourceConstraint",
        "sourceConstraintComponent", "resultSeverity", "resultMessage", "detail", "resultAnnotation", "annotationProperty",
        "annotationVarName", "annotationValue", "ResultAnnotation", "shapesGraphWellFormed", "SPARQLExecutable",
        "SPARQLSelectExecutable", "SPARQLAskExecutable",
    }
)  # fmt: skip

# Terms that would run code, fetch something or change data while validating; refused by name.
FORBIDDEN: Final = frozenset(
    {
        "js", "jsFunctionName", "jsLibrary", "jsLibraryURL", "JSConstraint", "JSValidator", "JSFunction", "JSLibrary",
        "JSRule", "JSTarget", "JSTargetType", "JSExecutable", "rule", "TripleRule", "SPARQLRule", "SPARQLFunction",
        "SPARQLTarget", "SPARQLTargetType", "target", "Target", "TargetType", "Rule", "Function", "construct", "update",
        "SPARQLConstructExecutable", "SPARQLUpdateExecutable", "shapesGraph", "expression", "values", "condition",
        "filterShape", "returnType",
    }
)  # fmt: skip
