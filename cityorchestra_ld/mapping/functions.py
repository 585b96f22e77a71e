"""The functions that a mapping may call: an allow-list, one decorated SQL expression each; nothing in data can name code."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from cityorchestra_ld.errors import Text
from cityorchestra_ld.mapping.plan import Expression, Fixed, FunctionCall
from cityorchestra_ld.namespaces import FN

GREL: Final = "http://users.ugent.be/~bjdmeest/function/grel.ttl#"
IDLAB: Final = "https://w3id.org/imec/idlab/function#"

Kind = Literal["text", "boolean", "constant", "json"]
Returns = Literal["text", "boolean", "list"]
Build = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: `text` and `json` arrive as SQL of type VARCHAR, `boolean` as SQL, `constant` as plain Python text."""

    name: str
    kind: Kind = "text"
    default: str | None = None
    repeated: bool = False
    aliases: tuple[str, ...] = ()

    def called(self, iri: str) -> bool:
        """Tell whether a parameter IRI means this parameter; the namespace is free, the local name is not."""
        local = iri.rstrip("/").replace("#", "/").rpartition("/")[2]
        return local.lower() in {known.lower() for known in (self.name, *self.aliases)}


@dataclass(frozen=True, slots=True)
class Function:
    """
    One function of the allow-list.

    A `strict` function gives nothing when an argument is missing. A `lazy` one is a choice: its first argument decides which of
    the next two is looked at. `check` is SQL that says whether the arguments are
    acceptable, `expects` says so to people. `datatype` is what a literal made of the result has when the mapping names none.
    """

    names: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    build: Build
    returns: Returns = "text"
    strict: bool = True
    check: Build | None = None
    expects: Text | None = None
    datatype: str | None = None
    lazy: bool = False
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Bound:
    """A function with the expression of each parameter, in the order of the parameters."""

    function: Function
    arguments: tuple[tuple[Parameter, tuple[Expression, ...]], ...]


REGISTRY: Final[dict[str, Function]] = {}


def function(
    *names: str,
    parameters: tuple[Parameter, ...],
    returns: Returns = "text",
    strict: bool = True,
    check: Build | None = None,
    expects: Text | None = None,
    datatype: str | None = None,
    lazy: bool = False,
) -> Callable[[Build], Build]:
    """Register a function under its names; a name without colon is ours (`fn:`)."""
    iris = tuple(name if ":" in name else FN + name for name in names)

    def register(build: Build) -> Build:
        entry = Function(
            iris, parameters, build, returns, strict, check, expects, datatype, lazy, (build.__doc__ or "").strip()
        )
        for iri in iris:
            if iri in REGISTRY:
                raise ValueError(iri)
            REGISTRY[iri] = entry
        return build

    return register


@cache
def _load() -> None:
    from cityorchestra_ld.mapping import functions_data, functions_text  # noqa: F401 - they register themselves


def _nearest(iri: str) -> Text:
    shown = {_short(known): known for known in REGISTRY}
    close = difflib.get_close_matches(_short(iri), shown, n=1, cutoff=0.4)
    if close:
        return Text(f"La plus proche est {close[0]}.", f"The nearest is {close[0]}.")
    names = ", ".join(sorted(name for name in shown if name.startswith("fn:")))
    return Text(f"Fonctions permises : {names}", f"Allowed functions: {names}")


def _short(iri: str) -> str:
    for prefix, namespace in (("fn:", FN), ("grel:", GREL), ("idlab-fn:", IDLAB)):
        if iri.startswith(namespace):
            return prefix + iri.removeprefix(namespace)
    return iri


def resolve_function(call: FunctionCall) -> Bound:
    """Find a function and put its arguments in order; raise LookupError(fr, en, hint) when it may not be called so."""
    _load()
    found = REGISTRY.get(call.function)
    if found is None:
        raise LookupError(
            f"La fonction {_short(call.function)} n'est pas permise.",
            f"The function {_short(call.function)} is not allowed.",
            _nearest(call.function),
        )
    return Bound(found, tuple(_arguments(call, found)))


def _arguments(call: FunctionCall, found: Function) -> Iterator[tuple[Parameter, tuple[Expression, ...]]]:
    name = _short(call.function)
    signature = f"{name}({', '.join(parameter.name for parameter in found.parameters)})"
    known = Text(f"La forme est {signature}.", f"The form is {signature}.")
    for item in call.inputs:
        if not any(parameter.called(item.parameter) for parameter in found.parameters):
            raise LookupError(
                f"{name} n'a pas de paramètre {_short(item.parameter)}.",
                f"{name} has no parameter {_short(item.parameter)}.",
                known,
            )
    for parameter in found.parameters:
        given = tuple(item.value for item in call.inputs if parameter.called(item.parameter))
        if not given and parameter.default is None:
            raise LookupError(f"Il manque {parameter.name} à {name}.", f"{name} lacks {parameter.name}.", known)
        if len(given) > 1 and not parameter.repeated:
            raise LookupError(
                f"{parameter.name} est donné {len(given)} fois à {name}.",
                f"{name} is given {parameter.name} {len(given)} times.",
                known,
            )
        if parameter.kind == "constant" and given and not isinstance(given[0], Fixed):
            raise LookupError(
                f"{parameter.name} de {name} doit être une constante.", f"{parameter.name} of {name} must be a constant.", known
            )
        yield parameter, given
