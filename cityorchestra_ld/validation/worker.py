"""The child process of validation: confined, it runs one engine and prints results as lines of JSON."""

from __future__ import annotations

import contextlib
import ctypes
import json
import platform
import re
import resource
import signal
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

# This file runs as a script in an isolated interpreter: it imports nothing from the package and starts in milliseconds.

_SYSCALLS: Final[dict[str, tuple[int, tuple[int, ...]]]] = {
    # machine -> audit architecture; the numbers of socket, socketpair, connect, bind, listen, accept, accept4, sendto, sendmsg,
    # execve, execveat, ptrace and io_uring_setup
    "x86_64": (0xC000003E, (41, 53, 42, 49, 50, 43, 288, 44, 46, 59, 322, 101, 425)),
    "aarch64": (0xC00000B7, (198, 199, 203, 200, 201, 202, 242, 206, 211, 221, 281, 117, 425)),
}
_SH: Final = "http://www.w3.org/ns/shacl#"
_CANARY: Final = "urn:x-cityorchestra:canary"
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | 1  # EPERM


class Row(NamedTuple):
    """One raw result: terms as in N-Triples."""

    focus: str
    path: str | None
    value: str | None
    component: str
    severity: str
    shape: str
    messages: tuple[str, ...]


class RefusedError(Exception):
    """The engine does not do what these shapes ask for."""


# --- confinement --------------------------------------------------------------------------------------------------------------


def die_with_parent() -> None:
    """Have the kernel end this process when the one that asked is killed (Linux, prctl 1)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)


def limit(memory_mb: int, seconds: int) -> None:
    """Cap address space, processor time and core dumps of this process."""
    for kind, value in ((resource.RLIMIT_AS, memory_mb << 20), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        with contextlib.suppress(ValueError, OSError):  # some systems know the limit and refuse to set it
            resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def deny_network() -> str:
    """Refuse sockets and new programs from now on: in Python, and in the kernel where it can (seccomp); return how."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError("no network during validation")

    for name in ("socket", "create_connection", "getaddrinfo", "socketpair"):
        setattr(socket, name, refuse)
    machine = _SYSCALLS.get(platform.machine())
    if not sys.platform.startswith("linux") or machine is None:
        return "python"
    return "seccomp" if _install_filter(*machine) else "python"


def _install_filter(architecture: int, calls: tuple[int, ...]) -> bool:
    """Install a seccomp filter (Linux, prctl 22) that answers EPERM to the given system calls, on every thread to come."""
    count = len(calls)
    program = [
        (0x20, 0, 0, 4),  # load the architecture
        (0x15, 0, count + 3, architecture),
        (0x20, 0, 0, 0),  # load the number of the call
        (0x35, count + 1, 0, 0x40000000),  # the x32 variant of calls
        *((0x15, count - index, 0, number) for index, number in enumerate(calls)),
        (0x06, 0, 0, _ALLOW),
        (0x06, 0, 0, _REFUSE),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0):  # no new privileges
        return False
    answer: int = libc.prctl(22, 2, ctypes.byref(Program(len(program), ctypes.addressof(code))))
    return answer == 0


# --- the fast engine ----------------------------------------------------------------------------------------------------------


def run_fast(data: str, shapes: bytes, cap: int | None, *, blank: bool) -> Iterator[Row]:
    """Run the Rust engine `shacl`; results after the cap are not looked for."""
    import shacl

    try:
        compiled = shacl.Shapes.from_text(shapes.decode(), "ntriples")
    except ValueError as error:
        raise RefusedError(str(error)) from None
    naming = _blank_names(shacl, shapes.decode(), data) if blank else {}
    try:
        report = compiled.validate_file(data, max_results=cap)
    except ValueError as error:
        raise RefusedError(str(error)) from None
    for result in report.results:
        yield Row(
            _named(result.focus_node, naming),
            result.path,
            _named(result.value, naming) if result.value is not None else None,
            result.component_iri,
            result.severity_iri,
            result.source_shape or result.root_shape or "",
            tuple(result.messages),
        )


def _named(term: str, naming: dict[str, str]) -> str:
    return naming.get(term, term) if term.startswith("_:") else term


_LABEL: Final = re.compile(rb"^(?:(_:\S+)|<[^>]*>) <[^>]*> (?:(_:\S+) )?")


def _blank_names(engine: Any, shapes: str, data: str) -> dict[str, str]:
    """
    Map the engine's blank node labels to those of the file: it counts them as they first appear, from a number of its own.

    A canary finds that number and checks the order on every run, so that another way of counting is refused and not believed.
    """
    canary = "_:q <urn:p> _:z .\n_:z <urn:p> _:a .\n_:q <urn:p> <urn:x> .\n"
    rule = f"<{_CANARY}> <{_SH}targetSubjectsOf> <urn:p> .\n<{_CANARY}> <{_SH}property> <{_CANARY}p> .\n"
    rule += f"<{_CANARY}p> <{_SH}path> <urn:p> .\n<{_CANARY}p> <{_SH}nodeKind> <{_SH}Literal> .\n"
    results = engine.Shapes.from_text(shapes + rule, "ntriples").validate_text(canary, "nquads").results
    found = {(result.focus_node, result.value) for result in results if result.source_shape == f"<{_CANARY}p>"}
    first = min((int(match[1]) for pair in found for match in [re.fullmatch(r"_:0_b(\d+)", pair[0])] if match), default=0)
    q, z, a = (f"_:0_b{first + number}" for number in range(3))
    if found != {(q, z), (z, a), (q, "<urn:x>")}:
        raise RefusedError("the engine no longer counts blank nodes as they appear")
    names: dict[bytes, str] = {}
    with open(data, "rb") as lines:  # noqa: PTH123 - one import less
        for line in lines:
            match = _LABEL.match(line)
            for label in match.groups() if match else ():
                if label is not None and label not in names:
                    names[label] = f"_:0_b{first + len(names)}"
    return {new: old.decode() for old, new in names.items()}


# --- the reference engine -----------------------------------------------------------------------------------------------------


def run_reference(data: str, shapes: bytes, cap: int | None, *, blank: bool) -> Iterator[Row]:
    """Run pySHACL on exact terms, with nothing that could read or fetch another graph."""
    import logging
    import warnings

    import pyshacl
    import rdflib
    from pyshacl.errors import ReportableRuntimeError, ValidationFailure
    from pyshacl.monkey import rdflib_bool_patch, rdflib_bool_unpatch

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    raw = _prepare_rdflib()
    try:
        graph = _rdflib_graph(path=data)
    except SyntaxError as error:
        raise RefusedError(str(error)) from None
    rdflib_bool_patch()  # type: ignore[no-untyped-call]
    rules = _rdflib_graph(input=shapes)
    rdflib_bool_unpatch()  # type: ignore[no-untyped-call]
    rdflib.NORMALIZE_LITERALS = False
    options: Any = dict.fromkeys(("advanced", "js", "do_owl_imports", "meta_shacl"), False)
    try:
        _, report, text = pyshacl.validate(graph, shacl_graph=rules, inplace=True, inference="none", **options)
    except (ReportableRuntimeError, ValidationFailure, NotImplementedError, re.error) as error:
        raise RefusedError(str(error)) from None
    if not isinstance(report, rdflib.Graph):
        raise RefusedError(str(text))
    yield from _rdflib_rows(report, raw)


def _prepare_rdflib() -> dict[Any, tuple[Any, Any]]:
    """Close the doors of rdflib, keep literals as written, and note focus and value of each result before it is copied."""
    import rdflib
    from pyshacl.constraints.constraint_component import ConstraintComponent
    from rdflib.plugins import sparql
    from rdflib.plugins.sparql import evaluate

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError("SERVICE is refused")

    raw: dict[Any, tuple[Any, Any]] = {}
    original = getattr(ConstraintComponent.make_v_result, "original", ConstraintComponent.make_v_result)

    def keep(self: Any, datagraph: Any, focus_node: Any, value_node: Any = None, *rest: Any, **options: Any) -> Any:
        made = original(self, datagraph, focus_node, value_node, *rest, **options)
        raw[made[1]] = (focus_node, value_node)
        return made

    keep.original = original  # type: ignore[attr-defined]
    setattr(ConstraintComponent, "make_v_result", keep)  # noqa: B010 - said aloud: this replaces a method
    setattr(evaluate, "evalServiceQuery", refuse)  # noqa: B010
    sparql.SPARQL_LOAD_GRAPHS = False
    rdflib.NORMALIZE_LITERALS = False
    return raw


def _rdflib_graph(**source: Any) -> Any:
    import pyoxigraph as ox
    import rdflib

    def term(value: Any) -> Any:
        if isinstance(value, ox.NamedNode):
            return rdflib.URIRef(value.value)
        if isinstance(value, ox.BlankNode):
            return rdflib.BNode(value.value)
        if value.language:
            return rdflib.Literal(value.value, lang=value.language)
        datatype = value.datatype.value  # rdflib takes "a" and "a"^^xsd:string for two terms; queries write the first
        return rdflib.Literal(value.value, datatype=None if datatype == str(rdflib.XSD.string) else rdflib.URIRef(datatype))

    graph = rdflib.Graph()
    for quad in ox.parse(**source, format=ox.RdfFormat.N_QUADS):
        graph.add((term(quad.subject), term(quad.predicate), term(quad.object)))
    return graph


def _rdflib_rows(report: Any, raw: dict[Any, tuple[Any, Any]]) -> Iterator[Row]:
    import rdflib

    sh = rdflib.Namespace(_SH)
    for result in report.objects(None, sh.result):
        focus, value = raw[result]
        path = report.value(result, sh.resultPath)
        yield Row(
            _written(focus),
            _written(path) if isinstance(path, rdflib.URIRef) else None,
            _written(value) if value is not None else None,
            str(report.value(result, sh.sourceConstraintComponent)),
            str(report.value(result, sh.resultSeverity)),
            _written(report.value(result, sh.sourceShape)),
            tuple(str(message) for message in report.objects(result, sh.resultMessage)),
        )


def _written(term: Any) -> str:
    """Write an rdflib term as N-Triples, with the very characters of its lexical form."""
    import pyoxigraph as ox
    import rdflib

    if isinstance(term, rdflib.URIRef):
        return str(ox.NamedNode(str(term)))
    if isinstance(term, rdflib.BNode):
        return f"_:{term}"
    if term.language:
        return str(ox.Literal(str(term), language=term.language))
    return str(ox.Literal(str(term), datatype=ox.NamedNode(str(term.datatype)) if term.datatype else None))


ENGINES: Final = {"fast": run_fast, "pyshacl": run_reference}


def main() -> int:
    """Read a request from standard input, answer on standard output: one line per result, then one that says how it ended."""
    request = json.loads(sys.stdin.buffer.readline())
    shapes = sys.stdin.buffer.read()
    die_with_parent()
    limit(request["memory_mb"], request["seconds"])
    if request["engine"] == "pyshacl":
        import pyshacl  # noqa: F401 - imports may want what confinement forbids
    confined = deny_network()
    out = sys.stdout
    try:
        for row in ENGINES[request["engine"]](request["data"], shapes, request["cap"], blank=request["blank"]):
            out.write(json.dumps(row, ensure_ascii=True) + "\n")
        ending = {"end": "done", "confined": confined}
    except RefusedError as error:
        ending = {"end": "refused", "why": str(error)}
    except ImportError as error:
        ending = {"end": "missing", "why": str(error)}
    except MemoryError:
        ending = {"end": "memory", "why": ""}
    out.write(json.dumps(ending) + "\n")
    out.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
