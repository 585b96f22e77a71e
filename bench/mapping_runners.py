"""One run of one engine for bench/mapping.py, in a process of its own: ENGINE FOLDER OUTPUT PEAK; a line of JSON at the end."""

from __future__ import annotations

import atexit
import json
import os
import runpy
import shutil
import sys
import time
import types
from pathlib import Path

BASE = "http://city.example/"
GRAPH = BASE + "graph/bench"


def ours(folder: Path, out: Path, graph: str | None = None, *, spark: bool = False) -> dict[str, object]:
    """Stage, check and map, as the command does."""
    from dataclasses import replace

    from cityorchestra_ld.mapping import materialize, read_mapping
    from cityorchestra_ld.model import Limits
    from cityorchestra_ld.sources import Checks, open_loose

    start = time.perf_counter()
    work = out.with_name(out.name + ".work")
    work.mkdir()
    plan = read_mapping(folder / "mapping.ttl", base_iri=BASE)
    specs = {source.spec.name: source.spec for source in plan.sources}
    limits = Limits(source_bytes=10**12)
    with Checks() as checks:
        tables = {n: open_loose(replace(spec, path=folder / n), work, limits, checks=checks) for n, spec in specs.items()}
        staged = time.perf_counter()
        if spark:
            from cityorchestra_ld.mapping.spark import materialize_on_spark as materialize
        report = materialize(plan, tables, out, default_graph=graph, settle=checks.settle)
    shutil.rmtree(work)
    return {"stage": staged - start, "map": time.perf_counter() - staged, "lines": report.quads}


def morph(folder: Path, out: Path) -> dict[str, object]:
    config = out.with_suffix(".ini")
    config.write_text(
        f"[CONFIGURATION]\noutput_file={out}\noutput_format=N-TRIPLES\nnumber_of_processes=1\nlogging_level=ERROR\n"
        "[DataSource]\nmappings=mapping.ttl\n"
    )
    os.chdir(folder)
    sys.argv = ["morph_kgc", str(config)]
    runpy.run_module("morph_kgc", run_name="__main__")
    return {}


def sdm(folder: Path, out: Path) -> dict[str, object]:
    sys.modules["pyodbc"] = types.ModuleType("pyodbc")  # wants a system library, for a database that is not used here
    from rdfizer import semantify

    made = out.with_suffix(".sdm")
    config = out.with_suffix(".ini")
    config.write_text(
        f"[default]\nmain_directory: {folder}\n[datasets]\nnumber_of_datasets: 1\noutput_folder: {made}\nall_in_one_file: no\n"
        "remove_duplicate: yes\nenrichment: yes\nordered: yes\nname: made\nlarge_file: true\n"
        "[dataset1]\nname: made\nmapping: ${default:main_directory}/mapping.ttl\n"
    )
    os.chdir(folder)
    semantify(str(config))
    with out.open("wb") as target:
        for path in sorted(made.glob("*.n*")):
            target.write(path.read_bytes())
    return {}


def tarka(folder: Path, out: Path) -> dict[str, object]:
    import tarka_rdf

    mapping = tarka_rdf.Mapping.tarql_file(str(folder / "mapping.tarql"))
    mapping.run_csv(str(folder / "a.csv"), str(out), format="ntriples")
    return {}


def load(folder: Path, out: Path) -> dict[str, object]:
    """Bulk-load ready-made N-Quads into a store on disk: nothing sorted, checked or kept for the next version."""
    import pyoxigraph as ox

    start = time.perf_counter()
    store = ox.Store(str(out))
    store.bulk_load(path=str(folder), format=ox.RdfFormat.N_QUADS)
    store.flush()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "triples": len(store)}


def publish(folder: Path, out: Path) -> dict[str, object]:
    """Map, or take ready-made N-Quads, and publish as the next generation of the store at `out`, beside a small graph."""
    from cityorchestra_ld.model import GraphChange, GraphInfo
    from cityorchestra_ld.store import open_store

    start = time.perf_counter()
    ready = folder.is_file()
    content = folder if ready else out.with_name(f"{folder.name}.nq")
    made = {} if ready else ours(folder, content, GRAPH)
    mapped = time.perf_counter()
    small = out.with_name("small.nt")
    small.write_text("".join(f'<{BASE}code/{n}> <http://www.w3.org/2004/02/skos/core#notation> "{n}" .\n' for n in range(1000)))
    with open_store(out, base_iri=BASE) as store:
        generation = store.publish(
            [
                GraphChange(info=GraphInfo(graph=GRAPH, role="data", dataset="bench/a"), content=content),
                GraphChange(info=GraphInfo(graph=BASE + "graph/code", role="codelist"), content=small),
            ]
        )
    if not ready:
        content.unlink()
    now = time.perf_counter()
    return {
        **made, "publish": now - mapped, "seconds": now - start, "generation": generation.number,
        "triples": generation.triples,
    }  # fmt: skip


def spark(folder: Path, out: Path) -> dict[str, object]:
    return ours(folder, out, spark=True)


def quads(folder: Path, out: Path) -> dict[str, object]:
    return ours(folder, out, GRAPH)


ENGINES = {
    "cityorchestra": ours, "quads": quads, "morph-kgc": morph, "sdm-rdfizer": sdm, "tarka-rdf": tarka, "load": load,
    "publish": publish, "spark": spark,
}  # fmt: skip


def note_peak(path: str) -> None:
    """Write the most memory that this process held: what the system tells the parent counts the parent's own copy."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            Path(path).write_text(line.split()[1])


def main() -> None:
    engine, folder, out, peak = sys.argv[1:5]
    atexit.register(note_peak, peak)
    begin = time.perf_counter()
    said = ENGINES[engine](Path(folder), Path(out))
    print(json.dumps({"inside": time.perf_counter() - begin, **said}), flush=True)


if __name__ == "__main__":
    main()
