"""Agreement of `lanner proxies` with the published values of other spaces than NAS-Bench-201:
NAS-Bench-Suite-Zero's (nasbench101, darts, transbench101-*) and NASFLAT's (fbnet), under $LANNER_DATA.

    python benches/peers/proxies_published.py sample SPACE 20 > archs.txt
    lanner proxies --space SPACE --archs archs.txt --batch 32 ... --out ours.csv
    python benches/peers/proxies_published.py compare SPACE ours.csv [DATASET]
    python benches/peers/proxies_published.py images FOLDER

`compare` prints Spearman's correlation and the median ratio of ours to the published value; failures,
published as -1e8, are left out. DATASET is a task of TransNAS-Bench-101. `sample` leaves out networks of
over 8 GFLOPs at 256 pixels, which are few. `images` writes the CIFAR-10 images with labels 0 to 99 by
chance, as CIFAR-100's files: FBNet's values are of CIFAR-100, and the labels of untrained networks matter
to epe_nas alone.
"""

import itertools
import os
import sys

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

DATA = os.environ.get("LANNER_DATA", "../shared/data")
TABLES = {
    "nasbench101": "nasbench101/accuracy_and_proxies_500.csv",
    "darts": "nasbench301/accuracy_surrogate_and_proxies.csv",
    "fbnet": "fbnet/latency_and_proxies.csv",
    "transbench101-micro": "transbench101/micro_proxies.csv",
    "transbench101-macro": "transbench101/macro_proxies.csv",
}


def published(space, task="class_scene"):
    """By the text that `lanner proxies --archs` reads, once each."""
    table = pd.read_csv(f"{DATA}/{TABLES[space]}", dtype={"ops": str})
    if space.startswith("transbench101"):
        table = table[table["dataset"] == task]
    if space == "transbench101-micro":
        table["arch"] = table["arch"].str.replace(r"\D", "", regex=True)
    if space == "fbnet":
        table = table.rename(columns={"ops": "arch"}).rename(columns=lambda c: c.removeprefix("zcp_"))
        table["synflow"] = np.log(table["synflow"])
    return table.drop_duplicates("arch").set_index("arch")


def sample(space, count):
    table = published(space).sample(frac=1, random_state=0)
    if space.startswith("transbench101"):
        table = table[table["flops"] < 8000]
    archs = list(table.index[:count])
    if space == "nasbench101":
        # Rows of one cell in several numberings, of which `lanner proxies` computes the first.
        archs = list({cell(a): a for a in reversed(archs)}.values())[::-1]
    return archs


def cell(arch):
    """A cell of NAS-Bench-101 in the least of its numberings, without what leads nowhere."""
    codes = [int(n) for n in arch.strip("()").split(",")]
    matrix, ops = np.array(codes[:49]).reshape(7, 7), codes[49:]
    paths = np.linalg.matrix_power(np.eye(7, dtype=int) + matrix, 6) > 0
    inner = [v for v in range(1, 6) if paths[0, v] and paths[v, 6]]
    orders = ([0, *order, 6] for order in itertools.permutations(inner))
    return min((tuple(ops[v] for v in o), tuple(matrix[np.ix_(o, o)].ravel())) for o in orders)


def compare(space, file, task="class_scene"):
    # A table's rows are in the order of the sample, in the space's own form of their text.
    ours = pd.read_csv(file, comment="#")
    theirs = published(space, task).reindex(sample(space, len(ours))).reset_index(drop=True)
    apart = (ours["params"] / theirs["params"]).dropna()
    assert apart.std() < 0.2 * apart.mean(), "not the networks of `sample`, in their order"
    print(f"{space}, {task if 'dataset' in theirs else ''} {len(ours)} networks")
    if space == "fbnet":
        ours[["flops", "params"]] *= 1e6
    print("| proxy | Spearman | median ratio | values |")
    print("|---|---|---|---|")
    for proxy in (c for c in ours.columns if c in theirs.columns and c != "arch"):
        both = pd.DataFrame({"ours": ours[proxy], "theirs": theirs[proxy]})
        both = both[both["theirs"] > -1e7].dropna()
        if len(both) < 3 or both["ours"].nunique() == 1 or both["theirs"].nunique() == 1:
            continue
        rho = spearmanr(both["ours"], both["theirs"]).statistic
        print(f"| {proxy} | {rho:.3f} | {(both['ours'] / both['theirs']).median():.3f} | {len(both)} |")
    print(f"{ours['seconds'].mean():.1f} s a network")


def images(folder):
    records = np.fromfile(f"{DATA}/images/cifar10_train_4000.bin", np.uint8).reshape(-1, 3073)
    fine = np.random.default_rng(0).integers(0, 100, len(records))
    fine[:100] = np.arange(100)
    coarse = np.zeros(len(records))
    records = np.column_stack([coarse, fine, records[:, 1:]]).astype(np.uint8)
    os.makedirs(folder, exist_ok=True)
    records.tofile(f"{folder}/train.bin")
    records[:1000].tofile(f"{folder}/test.bin")


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    if command == "sample":
        print("\n".join(sample(rest[0], int(rest[1]))))
    elif command == "images":
        images(rest[0])
    else:
        compare(*rest)
