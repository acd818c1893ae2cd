"""Agreement of `lanner proxies` with the published values of other spaces than NAS-Bench-201, on so many random rows
of each table, with the published skeletons. $LANNER_DATA holds the tables and images. Standard library only.

    python benches/peers/proxies_other_spaces.py run 20 FOLDER      # draws, calls lanner, compares; spaces may follow
    python benches/peers/proxies_other_spaces.py compare FOLDER     # what is there already
    python benches/peers/proxies_other_spaces.py repeats            # what the tables say of their own chance
    python benches/peers/proxies_other_spaces.py draws fbnet 150 12 snip,grad_norm,fisher FOLDER   # what chance leaves
    python benches/peers/proxies_other_spaces.py enlarge FOLDER     # CIFAR-10's images at 256 pixels, as MNIST's files

Prints Spearman's correlation of each proxy with the published column, networks without a value on either side
left out. Published batches are told by jacov, which is about minus the batch. The images of TransNAS-Bench-101's
tasks are not at hand: random ones stand for them, and those of CIFAR-10 for those of CIFAR-100.

Below each space stands how far our values agree with our own when each network has weights and a minibatch of
its own, as the published ones had: what is to be expected of the published values, if they are the same proxy.
Below each of these lines, how far the values without their signs agree.

`draws` computes so many rows with so many seeds, of weights and minibatch. It prints how far the published values
agree with ours, and ours with our own, where each network has a seed of its own (means of 100 times); and how far
the published ones agree with the means of the logarithms over 1, 2, 4, ... seeds.
`repeats` compares published values with published ones: of two rows of the same cell, and of one network in two
tasks of TransNAS-Bench-101 that classify the same images.
"""

import csv
import json
import math
import os
import random
import struct
import subprocess
import sys

DATA = os.environ.get("LANNER_DATA", "../shared/data")
CIFAR = ["--dataset", f"cifar10:{DATA}/images"]
# Those that depend on chance, which the second run is of; all.
CHANCE = "epe_nas fisher grad_norm grasp jacov l2_norm nwot plain snip synflow zen".split()
ALL = "epe_nas fisher flops grad_norm grasp jacov l2_norm nwot params plain snip synflow zen".split()


def task(name):
    return lambda row: row["dataset"] == name


# File, column of architectures, prefix of the proxies' columns, which rows, options.
SPACES = {
    "nasbench301": ("nasbench301/accuracy_surrogate_and_proxies.csv", "arch", "", lambda row: True,
                    ["--space", "darts", "--channels", "32", "--cells", "8", "--pooling-norms", "--batch", "32",
                     *CIFAR]),
    "nasbench101": ("nasbench101/accuracy_and_proxies_500.csv", "arch", "", lambda row: True,
                    ["--space", "nasbench101", "--batch", "32", *CIFAR]),
    "fbnet": ("fbnet/latency_and_proxies.csv", "ops", "zcp_", lambda row: True,
              ["--space", "fbnet", "--channels", "1504", "--batch", "16", *CIFAR]),
    "transbench101-micro": ("transbench101/micro_proxies.csv", "arch", "", task("class_scene"),
                            ["--space", "transbench101-micro", "--classes", "63", "--batch", "32"]),
    "transbench101-macro": ("transbench101/macro_proxies.csv", "arch", "", task("class_scene"),
                            ["--space", "transbench101-macro", "--classes", "63", "--batch", "32"]),
}


def text(space, arch):
    """As lanner reads it: the macro space's tuples are filled up with zeros, and may repeat a network."""
    if space != "transbench101-macro":
        return arch
    return "".join(c for c in arch if c.isdigit() and c != "0")


def published(space):
    file, column, prefix, wanted, _ = SPACES[space]
    with open(f"{DATA}/{file}", newline="") as f:
        rows = [row for row in csv.DictReader(f) if wanted(row)]
    table = {}
    for row in rows:
        # A failure is published as a sentinel of -1e8.
        values = {p: float(row[prefix + p]) for p in ALL if row.get(prefix + p)}
        table.setdefault(text(space, row[column]), {p: v for p, v in values.items() if v > -1e7})
    return table


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    out, i = [0.0] * len(values), 0
    while i < len(order):
        j = i
        while j + 1 < len(order) and values[order[j + 1]] == values[order[i]]:
            j += 1
        for k in range(i, j + 1):
            out[order[k]] = (i + j) / 2
        i = j + 1
    return out


def spearman(pairs):
    if len(pairs) < 3:
        return None
    a, b = (ranks([p[i] for p in pairs]) for i in (0, 1))
    mean = (len(pairs) - 1) / 2
    cov = sum((x - mean) * (y - mean) for x, y in zip(a, b))
    var = sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b)
    return cov / var**0.5 if var else None


def distinct(space, texts):
    """The first text of each network: the 500 rows of NAS-Bench-101 hold some in several spellings."""
    name = SPACES[space][-1][1]
    lines = subprocess.run(["lanner", "space", "check", name, *texts, "--json"], check=True,
                           capture_output=True, text=True).stdout
    seen = {}
    for text, facts in zip(texts, json.loads(lines)):
        seen.setdefault(facts["arch"], text)
    return list(seen.values())


def options(space, proxies):
    return [*SPACES[space][-1], "--proxies", ",".join(proxies)]


def run(folder, count, spaces):
    os.makedirs(f"{folder}/own", exist_ok=True)
    for space in spaces:
        archs = sorted(published(space))
        chosen = distinct(space, random.Random(0).sample(archs, min(count, len(archs))))
        with open(f"{folder}/{space}.txt", "w") as f:
            f.write("\n".join(chosen) + "\n")
        command = ["lanner", "proxies", "--threads", "1"]
        subprocess.run([*command, "--archs", f"{folder}/{space}.txt", "--out", f"{folder}/{space}.csv",
                        *options(space, ALL)], check=True)
        for i, arch in enumerate(chosen):
            one = f"{folder}/own/{space}-{i}"
            with open(f"{one}.txt", "w") as f:
                f.write(arch + "\n")
            subprocess.run([*command, "--archs", f"{one}.txt", "--out", f"{one}.csv", "--seed", str(1000 + i),
                            *options(space, CHANCE)], check=True, stdout=subprocess.DEVNULL)


def table(file):
    with open(file, newline="") as f:
        return list(csv.DictReader(line for line in f if not line.startswith("#")))


def line(name, count, correlations):
    cells = ["" if value is None else f"{value:.3f}" for value in correlations]
    print(f"| {name} | {count} | " + " | ".join(cells) + " |")


def compare(folder):
    print("| space | networks | " + " | ".join(ALL) + " |")
    print("|---" * (len(ALL) + 2) + "|")
    for space in SPACES:
        try:
            ours = table(f"{folder}/{space}.csv")
        except FileNotFoundError:
            continue
        # The order of our rows is that of the texts asked for.
        texts = open(f"{folder}/{space}.txt").read().split("\n")
        theirs = [published(space)[text] for text in texts[:len(ours)]]
        own = []
        for i in range(len(ours)):
            file = f"{folder}/own/{space}-{i}.csv"
            own.append(table(file)[0] if os.path.exists(file) else {})
        for name, others in (space, theirs), ("of our own", own):
            both = lambda p: [(float(a[p]), float(b[p])) for a, b in zip(ours, others) if a.get(p) and b.get(p)]
            line(name, len(ours), [spearman(both(p)) for p in ALL])
            line("magnitudes", len(ours), [spearman([(abs(a), abs(b)) for a, b in both(p)]) for p in ALL])


def draws(space, rows, seeds, proxies, folder):
    os.makedirs(folder, exist_ok=True)
    theirs = published(space)
    archs = distinct(space, random.Random(0).sample(sorted(theirs), rows))
    with open(f"{folder}/{space}.txt", "w") as f:
        f.write("\n".join(archs) + "\n")
    tables = []
    for seed in range(seeds):
        out = f"{folder}/{space}-{seed}.csv"
        subprocess.run(["lanner", "proxies", "--threads", "1", "--archs", f"{folder}/{space}.txt", "--out", out,
                        "--seed", str(seed), *options(space, proxies)], check=True, stdout=subprocess.DEVNULL)
        tables.append(table(out))
    chance = random.Random(0)
    for p in proxies:
        ours = [[math.log(float(t[i][p])) for t in tables] for i in range(len(archs))]
        known = [theirs[arch][p] for arch in archs]
        mean = lambda values: sum(values) / len(values)
        apart = mean([spearman([(chance.choice(o), k) for o, k in zip(ours, known)]) for _ in range(100)])
        own = mean([spearman([chance.sample(o, 2) for o in ours]) for _ in range(100)])
        counts = [2**k for k in range(10) if 2**k < seeds] + [seeds]
        means = [spearman([(mean(o[:n]), k) for o, k in zip(ours, known)]) for n in counts]
        print(f"{p}: published {apart:.4f}, our own {own:.4f}; means over", end=" ")
        print(", ".join(f"{n}: {m:.4f}" for n, m in zip(counts, means)))


def enlarge(folder, size=256):
    """The first CIFAR-10 images, grey and bilinearly enlarged, in the files of MNIST."""
    places = [min(max((x + 0.5) * 32 / size - 0.5, 0), 31) for x in range(size)]
    steps = [(min(int(x), 30), x - min(int(x), 30)) for x in places]
    blend = lambda a, b, f: a + (b - a) * f
    os.makedirs(folder, exist_ok=True)
    for source, name, count in ("train_4000", "train", 256), ("test_1000", "t10k", 64):
        data = open(f"{DATA}/images/cifar10_{source}.bin", "rb").read(count * 3073)
        labels, pixels = bytearray(), bytearray()
        for image in (data[at:at + 3073] for at in range(0, len(data), 3073)):
            labels.append(image[0])
            grey = [sum(image[1 + c * 1024 + i] for c in range(3)) / 3 for i in range(1024)]
            wide = [[blend(row[i], row[i + 1], f) for i, f in steps]
                    for row in (grey[32 * y:32 * y + 32] for y in range(32))]
            for i, f in steps:
                pixels += bytes(round(blend(a, b, f)) for a, b in zip(wide[i], wide[i + 1]))
        sizes = struct.pack(">IIII", 0x803, len(labels), size, size)
        with open(f"{folder}/{name}-images-idx3-ubyte", "wb") as f:
            f.write(sizes + pixels)
        with open(f"{folder}/{name}-labels-idx1-ubyte", "wb") as f:
            f.write(struct.pack(">II", 0x801, len(labels)) + labels)


def repeats():
    """Pairs of published rows whose values differ by chance alone, or nearly."""
    def agreement(name, pairs):
        columns = []
        for p in ALL:
            values = [tuple(float(row.get(p) or "nan") for row in pair) for pair in pairs]
            columns.append(spearman([v for v in values if min(v) > -1e7]))
        line(name, len(pairs), columns)

    def pairs(rows, kind):
        """Of each kind two rows at random."""
        kinds = {}
        for row in rows:
            kinds.setdefault(kind(row), []).append(row)
        chance = random.Random(0)
        return [chance.sample(k, 2) for k in kinds.values() if len(k) > 1]

    print("| pairs | number | " + " | ".join(ALL) + " |")
    print("|---" * (len(ALL) + 2) + "|")
    classes = {row["idx"]: row["iso_class"] for row in table(f"{DATA}/nasbench201/accuracy.csv")}
    rows = table(f"{DATA}/nasbench201/proxies_cifar10.csv")
    agreement("nasbench201, the same cell", pairs(rows, lambda r: (classes[r["idx"]], r["flops"], r["params"])))
    rows = table(f"{DATA}/nasbench101/accuracy_and_proxies_500.csv")
    facts = subprocess.run(["lanner", "space", "check", "nasbench101", *(r["arch"] for r in rows), "--json"],
                           check=True, capture_output=True, text=True).stdout
    cell = {row["arch"]: facts["arch"] for row, facts in zip(rows, json.loads(facts))}
    agreement("nasbench101, the same cell", pairs(rows, lambda r: cell[r["arch"]]))
    for kind in "micro", "macro":
        rows = table(f"{DATA}/transbench101/{kind}_proxies.csv")
        scene, objects = ({r["arch"]: r for r in rows if r["dataset"] == f"class_{t}"} for t in ("scene", "object"))
        agreement(f"transbench101-{kind}, class_scene and class_object",
                  [(row, objects[arch]) for arch, row in scene.items() if arch in objects])


if __name__ == "__main__":
    if sys.argv[1] == "run":
        folder = sys.argv[3]
        run(folder, int(sys.argv[2]), sys.argv[4:] or list(SPACES))
        compare(folder)
    elif sys.argv[1] == "draws":
        draws(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5].split(","), sys.argv[6])
    elif sys.argv[1] == "enlarge":
        enlarge(sys.argv[2])
    elif sys.argv[1] == "repeats":
        repeats()
    else:
        compare(sys.argv[2])
