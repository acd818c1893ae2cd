"""Measures networks of families.py on several runtimes beside ONNX Runtime with one thread, as ratios.

    pip install torch onnx onnxruntime openvino
    cargo build --release -p lanner-evaluate --example runs
    python latbench/measure_paired.py OUT --prepare [--count 100]
    python latbench/measure_paired.py OUT --passes 3 --core 1 --runs target/release/examples/runs

The first command writes OUT/models/FAMILY-NNN.onnx and its quantised FAMILY-NNN.int8.onnx. The second one measures
each network once a pass and appends a row a runtime to OUT/paired.csv; a stopped run goes on where it was. Nothing
else should run meanwhile.

The time of a network on a shared machine changes by tens of per cent within seconds, and that of another runtime
with it. So blocks of 8 ms of ONNX Runtime (f32, one thread) and of the other runtime follow each other, and what is
kept is the median of the ratios of neighbours. Models that are loaded anew in a later pass lie elsewhere in memory,
which changes their time as well: the median over passes has less of that.
"""

import argparse
import csv
import io
import itertools
import json
import math
import os
import pathlib
import random
import statistics
import subprocess
import tarfile
import time
from concurrent.futures import ProcessPoolExecutor

import measure_families as one

BLOCK, ROUNDS, LEAST, MOST = 0.008, 6, 3, 1.5  # seconds of a block; rounds of a network, and its seconds
COLUMNS = ["network", "runtime", "pass", "ratio", "base_ms", "fastest_base_ms", "fastest_ms"]


def prepare(family, number, models):
    """Writes a network in floats and in 8-bit integers; returns why it has no integers, or `None`."""
    path, refused = models / f"{family}-{number:03}.onnx", None
    if path.exists():
        return None
    part, int8 = str(models / f"{family}-{number:03}.part"), str(models / f"{family}-{number:03}.int8.onnx")
    example, drawn = one.export(family, number, part, str(models.parent / "graphs" / path.name))
    try:
        one.quantise(part, example, int8)
    except Exception as error:
        refused = f"{path.stem}: {str(error)[:200]}"
    path.with_suffix(".json").write_text(json.dumps(drawn))
    os.replace(part, path)
    return refused


def prepare_all(out, count):
    import families

    (out / "models").mkdir(parents=True, exist_ok=True)
    (out / "graphs").mkdir(exist_ok=True)
    jobs = [(f.__name__, n) for n in range(count) for f in families.FAMILIES]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        work = [pool.submit(prepare, *job, out / "models") for job in jobs]
        for number, future in enumerate(work, 1):
            if refused := future.result():
                print(refused, flush=True)
            if number % 100 == 0:
                print(f"{number} of {len(jobs)} networks prepared", flush=True)


def inputs(path):
    """Draws an input of the model: zeros for integers, else numbers of a normal distribution."""
    import numpy
    import onnx

    value = onnx.load(path).graph.input[0].type.tensor_type
    shape = [dim.dim_value for dim in value.shape.dim]
    if value.elem_type == onnx.TensorProto.INT64:
        return numpy.zeros(shape, "int64")
    return numpy.random.default_rng(0).standard_normal(shape).astype("float32")


class Rten:
    """A process that runs the model, on the cores that this one is bound to."""

    def __init__(self, program, path):
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.process = subprocess.Popen([program, path, "1"], **pipes)
        self.block(1)

    def block(self, runs):
        self.process.stdin.write(f"{runs}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("rten refuses the model")
        return float(answer)


class Call:
    """A call, whose runs are timed by this process on the given cores."""

    def __init__(self, run, cores):
        self.run, self.cores = run, cores

    def block(self, runs):
        os.sched_setaffinity(0, self.cores)
        start = time.perf_counter()
        for _ in range(runs):
            self.run()
        ms = (time.perf_counter() - start) / runs * 1e3
        if len(self.cores) > 1:
            time.sleep(0.01)  # the other threads of a runtime look for work for a while
        return ms


def load(path, core, program):
    """Loads the model on all runtimes; returns them by name, "base" among them, and what was refused."""
    both, alone, given = range(os.cpu_count()), {core}, inputs(path)
    int8 = path.with_suffix(".int8.onnx")
    makers = {
        "base": lambda: Call(one.ort(str(path), given, 1), alone),
        "int8_1": lambda: Call(one.ort(str(int8), given, 1), alone),
        "openvino_1": lambda: Call(one.openvino(str(path), given, 1), alone),
        "rten_1": lambda: Rten(program, str(path)),
        "ort_2": lambda: Call(one.ort(str(path), given, 2), both),
    }
    loaded, refused = {}, []
    for name, make in makers.items():
        os.sched_setaffinity(0, both if name == "ort_2" else alone)
        try:
            loaded[name] = make()
        except Exception as error:
            refused.append(f"{path.stem} {name}: refused: {str(error)[:150]}")
    return loaded, refused


def measure(loaded):
    """Alternates blocks of the base and of each other runtime; returns a row for each of these."""
    runs = {}
    for name, it in loaded.items():
        it.block(2)
        runs[name] = max(1, round(BLOCK * 1e3 / it.block(1)))
    blocks, base = {name: [] for name in loaded if name != "base"}, []
    start, block = time.perf_counter(), lambda name: loaded[name].block(runs[name])
    while len(base) <= LEAST * len(blocks) or (len(base) <= ROUNDS * len(blocks) and time.perf_counter() < start + MOST):
        if not base:
            base.append(block("base"))
        for name, times in blocks.items():
            times.append((len(base), block(name)))
            base.append(block("base"))
    rows = {}
    for name, times in blocks.items():
        ratios = [ms / ((base[at - 1] + base[at]) / 2) for at, ms in times]
        rows[name] = [statistics.median(ratios), statistics.median(base), min(base), min(ms for _, ms in times)]
    return rows


def measure_all(out, passes, core, program):
    table = out / "paired.csv"
    if not table.exists():
        table.write_text(",".join(COLUMNS) + "\n")
    done = {(row["network"], int(row["pass"])) for row in csv.DictReader(table.open())}
    models = sorted(p for p in (out / "models").glob("*.onnx") if not p.stem.endswith(".int8"))
    told = time.perf_counter()
    for number in range(1, passes + 1):
        random.Random(number).shuffle(models)
        for at, path in enumerate(models):
            if (path.stem, number) in done:
                continue
            loaded, refused = load(path, core, program)
            try:
                rows = measure(loaded)
            except Exception as error:
                rows, refused = {}, [*refused, f"{path.stem}: {str(error)[:150]}"]
            for it in loaded.values():
                if isinstance(it, Rten):
                    it.process.kill(), it.process.wait()
            with table.open("a", newline="") as file:
                for name, row in rows.items():
                    csv.writer(file).writerow([path.stem, name, number, *(f"{value:.5g}" for value in row)])
            print(*refused, sep="\n", end="\n" if refused else "", flush=True)
            if time.perf_counter() > told + 60:
                told = time.perf_counter()
                print(f"pass {number}: {at + 1} of {len(models)} networks", flush=True)


def pack(out, folder):
    """Writes families-ratios.csv and families.tar.xz; prints by how much passes differ, and the days."""
    runs = {}
    for row in csv.DictReader((out / "paired.csv").open()):
        runs.setdefault((row["network"], row["runtime"]), []).append((float(row["ratio"]), float(row["base_ms"])))
    names, runtimes = sorted({name for name, _ in runs}), ["ort_2", "int8_1", "openvino_1", "rten_1"]
    ratios = {key: [ratio for ratio, _ in of] for key, of in runs.items()}
    base = {n: statistics.median(ms for r in runtimes for _, ms in runs.get((n, r), [])) for n in names}
    before = {row["network"]: row for row in csv.DictReader((folder / "families.csv").open())}
    with (folder / "families-ratios.csv").open("w", newline="") as file:
        write = csv.writer(file, lineterminator="\n")
        columns = [f"{runtime}_{part}" for runtime in runtimes for part in ("ratio", "ratio_spread", "ms")]
        write.writerow(["network", "family", "ort_1_ms", *columns, "drawn"])
        for name in names:
            cells = [name, name[:-4], f"{base[name]:.5g}"]
            steady = float(before[name]["ort_1_ms"]) if name in before else None
            for of in (ratios.get((name, runtime)) for runtime in runtimes):
                ratio = statistics.median(of) if of else None
                cells += [f"{ratio:.4g}", f"{(max(of) - min(of)) / 2:.2g}"] if of else ["", ""]
                cells.append(f"{ratio * steady:.4g}" if of and steady else "")
            write.writerow([*cells, json.dumps(json.loads((out / "models" / f"{name}.json").read_text()))])
    with tarfile.open(folder / "families.tar.xz", "w:xz", preset=9) as archive:
        for name in names:
            entry = tarfile.TarInfo(f"{name}.onnx")
            content = (out / "graphs" / f"{name}.onnx").read_bytes()
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    for runtime in runtimes:
        told(runtime, [ratios.get((name, runtime), []) for name in names])
    told("ort_1_ms", [[ms for _, ms in runs.get((name, runtimes[0]), [])] for name in names])
    against("ort_1_ms", [base[name] / float(row["ort_1_ms"]) for name, row in before.items()])
    known = [(n, float(row["openvino_1_ms"]) / float(row["ort_1_ms"])) for n, row in before.items() if row["openvino_1_ms"]]
    against("openvino_1_ratio", [statistics.median(ratios[n, "openvino_1"]) / ratio for n, ratio in known])


def against(name, quotients):
    """Prints how values of another day differ from those of families.csv: by a factor, and by themselves."""
    middle = statistics.median(quotients)
    apart = [abs(math.log(quotient / middle)) for quotient in quotients]
    mean = math.fsum(abs(quotient / middle - 1) for quotient in quotients) / len(quotients)
    print(
        f"{name} is {middle:.2f} times that of families.csv; beside this factor, networks differ by "
        f"{statistics.median(apart):.1%} in the middle, {mean:.1%} in the mean"
    )


def told(name, values):
    """Prints by how much any two passes differ."""
    apart = [abs(math.log(a / b)) for of in values for a, b in itertools.combinations(of, 2)]
    tenths = statistics.quantiles(apart, n=10)
    print(f"{name}: passes differ by {tenths[4]:.1%} in the middle, {tenths[8]:.1%} at the 90th percentile")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--prepare", action="store_true", help="write the models, and end")
    parser.add_argument("--count", type=int, default=100, help="networks of each family")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--core", type=int, default=1, help="core of the runs with one thread")
    parser.add_argument("--runs", default="target/release/examples/runs", help="the program that runs rten")
    parser.add_argument("--pack", type=pathlib.Path, metavar="FOLDER", help="write the tables, and end")
    args = parser.parse_args()
    if args.pack:
        return pack(args.out, args.pack)
    if args.prepare:
        return prepare_all(args.out, args.count)
    measure_all(args.out, args.passes, args.core, args.runs)


if __name__ == "__main__":
    main()
