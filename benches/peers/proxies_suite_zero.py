"""Agreement of `lanner proxies` with NAS-Bench-Suite-Zero's published values of CIFAR-10, and of both with
accuracies. $LANNER_DATA holds nasbench201/proxies_cifar10.csv and accuracy.csv.

    python benches/peers/proxies_suite_zero.py sample 300 > archs.txt
    for seed in 0 1 2; do lanner proxies --archs archs.txt --seed $seed --out ours-$seed.csv \\
        --dataset cifar10:$LANNER_DATA/images; done
    python benches/peers/proxies_suite_zero.py compare ours-0.csv ours-1.csv ours-2.csv
    python benches/peers/proxies_suite_zero.py l2_norm

`compare` prints Spearman's correlations, networks without a value on either side left out: of the first
table with Suite-Zero's, of the mean of all tables with it, of the first two with each other (two runs of
one definition: what a rerun of Suite-Zero could reach at best), and of each with `c10_test_200`.
`l2_norm` says what decides Suite-Zero's ranks of that proxy: the norm of a layer of PyTorch's default
weights does not depend on its kernel's size, so what is left among networks with as many convolutions
is chance, even among those (0, 0) whose weights have the same shapes.
"""

import os
import sys

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

DATA = os.environ.get("LANNER_DATA", "../shared/data") + "/nasbench201/"
BARS = dict(l2_norm=0.999, synflow=0.99, nwot=0.97, snip=0.95, grad_norm=0.95, jacov=0.9, fisher=0.9,
            zen=0.8, epe_nas=0.75)


def published():
    accuracy = pd.read_csv(DATA + "accuracy.csv", dtype={"ops": str}).set_index("idx")
    proxies = pd.read_csv(DATA + "proxies_cifar10.csv").set_index("idx")
    columns = accuracy[["arch_str", "ops", "c10_test_200"]]
    # A failure is published as a sentinel of -1e8.
    return proxies.mask(proxies <= -1e7).join(columns).set_index("arch_str")


def spearman(a, b):
    both = pd.concat([a, b], axis=1).dropna()
    return spearmanr(both.iloc[:, 0], both.iloc[:, 1]).statistic


def compare(files):
    tables = [pd.read_csv(f, comment="#").set_index("arch") for f in files]
    theirs = published()
    ours = tables[0]
    theirs, networks = theirs.loc[ours.index], len(ours)
    mean = sum(t.loc[ours.index, ours.columns.difference(["note", "seconds"])] for t in tables) / len(tables)
    accuracy = theirs["c10_test_200"]
    print(f"{networks} networks, {len(tables)} seeds")
    print("| proxy | bar | Spearman | mean of seeds | our two seeds | accuracy, ours | Suite-Zero's | apart |")
    print("|---|---|---|---|---|---|---|---|")
    for proxy in (c for c in ours.columns if c in theirs.columns and c in mean.columns):
        with_ours, with_theirs = spearman(ours[proxy], accuracy), spearman(theirs[proxy], accuracy)
        print(
            f"| {proxy} | {BARS.get(proxy, '')} | {spearman(ours[proxy], theirs[proxy]):.4f} "
            f"| {spearman(mean[proxy], theirs[proxy]):.4f} "
            f"| {spearman(ours[proxy], tables[1][proxy].loc[ours.index]) if len(tables) > 1 else np.nan:.4f} "
            f"| {with_ours:.3f} | {with_theirs:.3f} | {with_ours - with_theirs:+.3f} |"
        )
    for proxy in ("flops", "params"):
        if proxy in ours:
            apart = (ours[proxy] / theirs[proxy] - 1).abs().max()
            print(f"{proxy}: at most {apart:.1e} apart, relative")
    absent = {c: int(ours[c].isna().sum()) for c in mean.columns if ours[c].isna().any()}
    print(f"absent values: {absent or 'none'}")


def l2_norm():
    table = published()
    count = lambda op: table["ops"].map(lambda ops: ops.count(op))
    ones, threes = count("2"), count("3")
    norm = table["l2_norm"]
    groups = norm.groupby(ones + threes)
    print("convolutions in the cell: networks, mean l2_norm, its deviation")
    for n, group in groups:
        print(f"  {n}: {len(group)}, {group.mean():.3f}, {group.std():.3f}")
    n = len(norm)
    ceiling = 1 - sum(len(g) ** 3 - len(g) for _, g in groups) / (n**3 - n)
    print(f"Spearman to be expected of two runs that break these ties at random: {ceiling:.4f}")
    print("of networks with as many: Spearman of l2_norm with the number of 3×3 convolutions")
    for n, group in groups:
        if threes[group.index].nunique() > 1:
            print(f"  {n}: {spearman(group, threes[group.index]):+.3f}")
    print("ones × threes: mean l2_norm, its deviation")
    for key, group in norm.groupby([ones, threes]):
        print(f"  {key}: {group.mean():.3f}, {group.std():.4f}")


if __name__ == "__main__":
    if sys.argv[1] == "sample":
        print("\n".join(published().sample(int(sys.argv[2]), random_state=0).index))
    elif sys.argv[1] == "l2_norm":
        l2_norm()
    else:
        compare(sys.argv[2:])
