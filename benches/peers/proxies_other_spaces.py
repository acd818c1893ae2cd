"""Agreement of `lanner proxies` with the published values of other spaces than NAS-Bench-201, on so many random rows
of each table, with the published skeletons. $LANNER_DATA holds the tables and images. Standard library only.

    python benches/peers/proxies_other_spaces.py run 20 FOLDER      # draws, calls lanner, compares; spaces may follow
    python benches/peers/proxies_other_spaces.py compare FOLDER     # what is there already

Prints Spearman's correlation of each proxy with the published column, networks without a value on either side
left out. Published batches are told by jacov, which is about minus the batch. The images of TransNAS-Bench-101's
tasks and of CIFAR-100 are not at hand: random ones stand for them.
"""

import csv
import json
import os
import random
import subprocess
import sys

DATA = os.environ.get("LANNER_DATA", "../shared/data")
CIFAR = ["--dataset", f"cifar10:{DATA}/images"]
ALL = "epe_nas fisher flops grad_norm grasp jacov l2_norm nwot params plain snip synflow zen".split()


def task(name):
    return lambda row: row["dataset"] == name


# File, column of architectures, prefix of the proxies' columns, which rows, options.
SPACES = {
    "nasbench301": ("nasbench301/accuracy_surrogate_and_proxies.csv", "arch", "", lambda row: True,
                    ["--space", "darts", "--channels", "32", "--cells", "8", "--batch", "32", *CIFAR]),
    "nasbench101": ("nasbench101/accuracy_and_proxies_500.csv", "arch", "", lambda row: True,
                    ["--space", "nasbench101", "--batch", "32", *CIFAR]),
    "fbnet": ("fbnet/latency_and_proxies.csv", "ops", "zcp_", lambda row: True,
              ["--space", "fbnet", "--channels", "1504", "--resolution", "32", "--classes", "100", "--batch", "16"]),
    "transbench101-micro": ("transbench101/micro_proxies.csv", "arch", "", task("class_scene"),
                            ["--space", "transbench101-micro", "--classes", "63", "--batch", "32"]),
    # A network of 20 GFLOPs an image: a small batch, and no Hessian.
    "transbench101-macro": ("transbench101/macro_proxies.csv", "arch", "", task("class_scene"),
                            ["--space", "transbench101-macro", "--classes", "63", "--batch", "8",
                             "--proxies", ",".join(p for p in ALL if p != "grasp")]),
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


def run(folder, count, spaces):
    os.makedirs(folder, exist_ok=True)
    for space in spaces:
        archs = sorted(published(space))
        chosen = distinct(space, random.Random(0).sample(archs, min(count, len(archs))))
        with open(f"{folder}/{space}.txt", "w") as f:
            f.write("\n".join(chosen) + "\n")
        options = SPACES[space][-1]
        subprocess.run(["lanner", "proxies", "--archs", f"{folder}/{space}.txt", "--out",
                        f"{folder}/{space}.csv", *options], check=True)


def compare(folder):
    print("| space | networks | " + " | ".join(ALL) + " |")
    print("|---" * (len(ALL) + 2) + "|")
    for space in SPACES:
        try:
            ours = [r for r in csv.DictReader(
                line for line in open(f"{folder}/{space}.csv") if not line.startswith("#"))]
        except FileNotFoundError:
            continue
        theirs = published(space)
        # The order of our rows is that of the texts asked for.
        texts = open(f"{folder}/{space}.txt").read().split("\n")
        cells = []
        for proxy in ALL:
            pairs = [(float(row[proxy]), theirs[t][proxy]) for row, t in zip(ours, texts)
                     if row.get(proxy) and proxy in theirs[t]]
            value = spearman(pairs)
            cells.append("" if value is None else f"{value:.3f}")
        print(f"| {space} | {len(ours)} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    if sys.argv[1] == "run":
        folder = sys.argv[3]
        run(folder, int(sys.argv[2]), sys.argv[4:] or list(SPACES))
        compare(folder)
    else:
        compare(sys.argv[2])
