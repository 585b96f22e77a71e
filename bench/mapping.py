"""Measure mapping: speed against other engines with equal graphs, growth and memory, the way into a store, a small change."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parent))
import mapping_workloads as workloads
from mapping_workloads import Workload

from cityorchestra_ld.store.generations import Layout
from cityorchestra_ld.store.snapshots import Snapshot, compare, keep_snapshot

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OURS, PEERS = "cityorchestra", ("morph-kgc", "tarka-rdf", "sdm-rdfizer")
SPARK = "spark"  # this engine, on the workers of Spark
SMALLER = ("b", "c")  # workloads that the slowest peer gets with fewer rows
PARTS = ("a", "b", "c", "gtfs", "growth", "load", "change", "spark")
GOALS = {
    ("a", "morph-kgc"): 15, ("b", "morph-kgc"): 15, ("c", "morph-kgc"): 30, ("a", "tarka-rdf"): 3, ("a", "sdm-rdfizer"): 100,
}  # fmt: skip
LEXICAL = (
    "Graphs are compared as the store keeps them (sorted N-Triples): decimals, integers and booleans in canonical form; and\n"
    "non-ASCII characters of IRIs percent-encoded, because peers encode them though the template asks for an IRI, not a URI."
)


@dataclass(kw_only=True)
class Done:
    """What one run of one engine took and gave."""

    engine: str
    workload: str
    rows: int
    wall: float
    cpu: float
    user: float  # of it, outside of the kernel
    peak_mb: int
    failed: str = ""
    triples: int = 0
    rate: float = 0.0
    ratio: float | None = None
    graph: str = ""
    details: dict[str, float] = field(default_factory=dict)


class Bench:
    """Runs engines one after the other, each in a process of its own, and keeps what came out."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder, self.options = folder, options
        self.layout = Layout(folder / "graphs")
        self.done: list[Done] = []
        self.figures: dict[str, object] = {}
        self.python = dict.fromkeys((OURS, SPARK), sys.executable)
        self.number = 0

    # --- running ----------------------------------------------------------------------------------------------------------

    def run(self, engine: str, workload: Workload, target: Path, *, what: str = "", python: str = OURS) -> Done:
        """Run one engine when nothing waits to be written to the disk; what goes wrong is said in the result."""
        if target.is_file():
            target.unlink()
        os.sync()
        peak = self.folder / "peak"
        peak.write_text("0")
        script = str(HERE / "mapping_runners.py")
        command = [self.python[python], script, what or engine, str(workload.folder), str(target), str(peak)]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            start = time.perf_counter()
            process = subprocess.Popen(command, stdout=out, stderr=err, start_new_session=True)
            late = threading.Event()
            timer = threading.Timer(self.options.timeout, lambda: (late.set(), os.killpg(process.pid, signal.SIGKILL)))
            timer.start()
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - start
            timer.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            err.seek(0)
            said, wrong = out.read().decode(errors="replace"), err.read().decode(errors="replace")
        done = Done(
            engine=engine, workload=workload.name, rows=workload.rows, wall=wall, cpu=usage.ru_utime + usage.ru_stime,
            user=usage.ru_utime, peak_mb=int(peak.read_text()) >> 10,
        )  # fmt: skip
        if process.returncode:
            last = (wrong.strip().splitlines() or ["?"])[-1][:150]
            done.failed = f"more than {self.options.timeout:.0f} s" if late.is_set() else last
            return done
        with suppress(ValueError, IndexError):
            done.details = json.loads(said.strip().splitlines()[-1])
        return done

    def target(self, suffix: str = ".nt") -> Path:
        self.number += 1
        return self.folder / f"out{self.number}{suffix}"

    # --- comparing --------------------------------------------------------------------------------------------------------

    def graph(self, path: Path) -> Snapshot:
        """Sort what an engine wrote, in canonical form."""
        plain = path.with_suffix(".ascii")
        with path.open("rb") as source, plain.open("wb") as out:
            out.writelines(_ascii_iris(source))
        path.unlink()
        made = keep_snapshot(self.layout, plain, lambda label: f"urn:blank:{label}")
        plain.unlink()
        return made

    def engines(self, workload: Workload) -> Iterator[str]:
        slow = workload.rows > self.options.sdm_rows and workload.name.startswith("gtfs")
        for peer in PEERS:
            wanted = peer in self.options.engines.split(",") and peer in self.python
            if wanted and (peer != "tarka-rdf" or workload.tarql) and (peer != "sdm-rdfizer" or not slow):
                yield peer

    def compete(self, workload: Workload, small: Workload | None = None) -> None:
        """Run all engines on one workload; the slowest one on a smaller one."""
        reference = self.record(workload)
        for peer in self.engines(workload):
            if peer == "sdm-rdfizer" and small is not None:
                self.record(small, peer, self.record(small, quiet=True), reference)
            else:
                self.race(workload, peer, reference)

    def race(self, workload: Workload, peer: str, reference: tuple[Done, Snapshot]) -> None:
        """Run ours some times, the peer, and ours again: machines change their speed from one minute to the next."""
        walls = [self.middle(workload).wall]
        done, _ = self.record(workload, peer, reference, quiet=True)
        walls.append(self.middle(workload).wall)
        wall = sum(walls) / len(walls)
        done.ratio = self._ratio(done, replace(reference[0], wall=wall, rate=reference[0].triples / wall))
        done.details = {"ours before, s": walls[0], "ours after, s": walls[1]}
        self.done.append(done)
        _print(done)

    def middle(self, workload: Workload) -> Done:
        """Give the middle one of some runs of ours; a virtual machine may first have to get the memory from its host."""
        tries = []
        for _ in range(self.options.repeat):
            target = self.target()
            tries.append(self.run(OURS, workload, target))
            target.unlink(missing_ok=True)
        return sorted(tries, key=lambda one: one.wall)[len(tries) // 2]

    def record(self, workload: Workload, engine: str = OURS, reference: tuple[Done, Snapshot] | None = None,
               rates: tuple[Done, Snapshot] | None = None, *, quiet: bool = False) -> tuple[Done, Snapshot]:  # fmt: skip
        """Run one engine on one workload, compare its graph with ours, and print a line."""
        before = workload.mapping.read_text(encoding="utf-8")
        workload.mapping.write_text(before.replace(*workload.rewritten.get(engine, ("\0", ""))), encoding="utf-8")
        target = self.target()
        runs = self.options.repeat if engine == OURS else 1
        tries = [self.run(engine, workload, target, python=engine) for _ in range(runs)]
        done = sorted(tries, key=lambda one: one.wall)[len(tries) // 2]
        workload.mapping.write_text(before, encoding="utf-8")
        made = Snapshot("", 0)
        if not done.failed:
            made = self.graph(target)
            done.triples, done.rate = made.triples, made.triples / done.wall
        if reference is not None:
            done.ratio = self._ratio(done, (rates or reference)[0])
            done.graph = "" if done.failed else self._difference(reference[1], made)
        if not quiet:
            self.done.append(done)
            _print(done)
        return done, made

    def _ratio(self, done: Done, ours: Done) -> float:
        """Say how much faster we are; a peer that was stopped would have needed at least its time."""
        return ours.rate / done.rate if not done.failed else done.wall / ours.wall

    def _difference(self, ours: Snapshot, theirs: Snapshot) -> str:
        if ours.sha256 == theirs.sha256:
            return "equal"
        files = [self.layout.snapshot(one.sha256) for one in (ours, theirs)]
        found = compare(files[0], files[1], self.folder, "difference")
        examples = [path.read_text(encoding="utf-8").partition("\n")[0] for path in (found.removals, found.insertions)]
        self.figures.setdefault("differences", {})[f"{len(self.done)}"] = examples  # type: ignore[index]
        return f"{found.removed} only ours, {found.inserted} only theirs"

    # --- parts ------------------------------------------------------------------------------------------------------------

    def competition(self, wanted: list[str]) -> None:
        rows, small = self.options.scale, min(self.options.scale, self.options.sdm_rows)
        makers = {"a": (workloads.flat, 1), "b": (workloads.joined, 1), "c": (workloads.nested, 5)}
        for name, (make, divisor) in makers.items():
            if name in wanted:
                slower = make(self.folder / f"{name}-small", small // divisor) if small < rows and name in SMALLER else None
                self.compete(make(self.folder / name, rows // divisor), slower)
        suite = Path(os.environ.get("CITYORCHESTRA_SUITES", ROOT.parent / "shared" / "suites")) / "gtfs-madrid-bench"
        if "gtfs" in wanted and suite.is_dir():
            for scale in sorted({max(1, rows // 10_000), max(1, rows // 1_000)}):
                self.compete(workloads.madrid(self.folder / f"gtfs-{scale}", suite, scale))
        elif "gtfs" in wanted:
            print("GTFS-Madrid-Bench is not here: set CITYORCHESTRA_SUITES.")

    def growth(self) -> None:
        """Ten times the rows: time and memory."""
        times: list[Done] = []
        for factor in (1, 10):
            workload = workloads.flat(self.folder / f"grow{factor}", self.options.scale * factor)
            times.append(self.middle(workload))
            shutil.rmtree(workload.folder)
        one, ten = times
        self.say("growth", rows=ten.rows, seconds=(round(one.wall, 2), round(ten.wall, 2)), times=round(ten.wall / one.wall, 2),
                 cpu=(round(one.user, 1), round(ten.user, 1)), cpu_times=round(ten.user / one.user, 2),
                 peak_mb=(one.peak_mb, ten.peak_mb), failed=one.failed or ten.failed)  # fmt: skip

    def spark(self) -> None:
        """Both executors: the same graph of the same workloads."""
        for name, make, divisor in (("a", workloads.flat, 1), ("b", workloads.joined, 1), ("c", workloads.nested, 5)):
            workload = make(self.folder / f"spark-{name}", self.options.scale // divisor)
            self.record(workload, SPARK, self.record(workload))

    def load(self) -> None:
        """From CSV to a published store that answers, against the same store with ready-made N-Quads, and a bare bulk load."""
        workload = workloads.flat(self.folder / "load", self.options.scale)
        ready = self.target(".nq")
        mapped = self.run("ready", workload, ready, what="quads")
        file = Workload(**{**asdict(workload), "folder": ready})
        runs = []
        for what, start in (("publish", workload), ("publish", file), ("load", file)):
            store = self.target(".store")
            runs.append(self.run("load", start, store, what=what))
            shutil.rmtree(store, ignore_errors=True)
        from_csv, from_file, bare = runs
        self.say("load", from_csv=round(from_csv.wall, 1), from_file=round(from_file.wall, 1), bare_load=round(bare.wall, 1),
                 ratio=round(from_csv.wall / from_file.wall, 3), cpu_ratio=round(from_csv.cpu / from_file.cpu, 3),
                 bare_ratio=round(from_csv.wall / bare.wall, 3), peak_mb=[run.peak_mb for run in runs],
                 same=from_csv.details.get("triples") == from_file.details.get("triples"), goal="ratio <= 1.1",
                 failed=mapped.failed or from_csv.failed or from_file.failed or bare.failed)  # fmt: skip

    def change(self) -> None:
        """Publish, then publish again with one row of a hundred changed."""
        first = workloads.flat(self.folder / "first", self.options.scale)
        second = workloads.changed(first, self.folder / "second")
        store = self.target(".store")
        runs = [self.run("publish", workload, store) for workload in (first, second)]
        self.say("change", first=round(runs[0].wall, 1), again=round(runs[1].wall, 1),
                 ratio=round(runs[1].wall / runs[0].wall, 3), cpu_ratio=round(runs[1].cpu / runs[0].cpu, 3),
                 peak_mb=[run.peak_mb for run in runs], goal="< 0.2",
                 details=[run.details for run in runs], failed=runs[0].failed or runs[1].failed)  # fmt: skip

    def say(self, part: str, **figures: object) -> None:
        self.figures[part] = figures
        print(part + ": " + ", ".join(f"{name} {value}" for name, value in figures.items() if value != ""), flush=True)

    # --- peers ------------------------------------------------------------------------------------------------------------

    def set_up(self, place: Path) -> None:
        """Install the peers in their own environment, once for each list."""
        wanted = (HERE / "mapping_peers.txt").read_text(encoding="utf-8")
        kept = place / "installed.txt"
        if not kept.exists() or kept.read_text(encoding="utf-8") != wanted:
            print(f"Installing the peers in {place} …", flush=True)
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
            pip = [str(place / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "-r", str(HERE / "mapping_peers.txt")], check=True)
            kept.write_text(wanted, encoding="utf-8")
        self.python |= dict.fromkeys(PEERS, str(place / "bin" / "python"))


def _ascii_iris(lines: Iterator[bytes]) -> Iterator[bytes]:
    for line in lines:
        if line.isascii():
            yield line
            continue
        before, mark, literal = line.partition(b'"')
        yield line if before.isascii() else quote(before, safe="".join(map(chr, range(128)))).encode() + mark + literal


def _print(done: Done) -> None:
    ratio = f"{done.ratio:6.1f}x" if done.ratio is not None else "       "
    goal = GOALS.get((done.workload, done.engine))
    goal_text = f" (goal {goal}x: {'met' if (done.ratio or 0) >= goal else 'NOT MET'})" if goal else ""
    what = f"FAILED: {done.failed}" if done.failed else f"{done.triples:>9} triples  {done.rate / 1e3:8.0f} k/s"
    bound = "at least " if done.failed.startswith("more") else ""
    print(
        f"{done.workload:9} {done.engine:14} {done.rows:>9} rows {done.wall:7.1f} s {done.cpu:7.1f} CPU {done.peak_mb:5} MB  "
        f"{what}  {bound}{ratio} {done.graph}{goal_text}",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=int, default=1_000_000, help="rows of a and b; c has a fifth, gtfs the like")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, of {','.join(PARTS)}")
    parser.add_argument("--engines", default=",".join(PEERS), help="peers to run; empty for none")
    parser.add_argument("--timeout", type=float, default=600, help="seconds that one run may take")
    parser.add_argument("--repeat", type=int, default=3, help="runs of this engine, of which the middle one counts")
    parser.add_argument("--sdm-rows", type=int, default=100_000, help="rows of b for SDM-RDFizer, whose rate is compared")
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv" / "peers", help="where the peers are installed")
    parser.add_argument("--folder", type=Path, help="where to work; needs 15 GB for the growth part")
    options = parser.parse_args()
    wanted = [part for part in options.only.split(",") if part]
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"unknown part: {', '.join(unknown)}")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        bench = Bench(Path(name), options)
        if options.engines and set(wanted) & {"a", "b", "c", "gtfs"}:
            bench.set_up(options.peers)
        print(LEXICAL)
        if "sdm-rdfizer" in options.engines and options.scale > options.sdm_rows:
            print(f"SDM-RDFizer runs on {options.sdm_rows} rows of b and the like of c, and rates are compared.")
        bench.competition(wanted)
        for part in ("growth", "load", "change", "spark"):
            if part in wanted:
                getattr(bench, part)()
        report = ROOT / "reports" / "bench-mapping.json"
        report.parent.mkdir(exist_ok=True)
        result = {"scale": options.scale, "runs": [asdict(done) for done in bench.done], **bench.figures}
        report.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        own = any(done.engine == OURS and done.failed for done in bench.done)
        return 1 if own or any(done.engine == "morph-kgc" and done.graph not in ("equal", "") for done in bench.done) else 0


if __name__ == "__main__":
    sys.exit(main())
