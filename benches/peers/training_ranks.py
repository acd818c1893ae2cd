"""How well short trainings of small networks, and zero-cost proxies, rank networks at full size.

    python benches/peers/training_ranks.py archs > archs.txt       # 60 random ones that have proxies
    lanner train --archs archs.txt --dataset cifar10:$LANNER_DATA/images --resolution 16 --epochs 5 \\
        --out r16e5.csv                                            # and so on
    python benches/peers/training_ranks.py ranks r16e5.csv ...

Spearman with NAS-Bench-201's accuracy after 200 epochs on all of CIFAR-10, and with the other tables given;
the standard error is over 1,000 bootstrap samples of the networks.
"""

import os
import sys

import numpy as np
import pandas as pd

DATA = os.environ.get("LANNER_DATA", "../shared/data") + "/nasbench201/"
METRICS = ["val_accuracy", "test_accuracy", "val_loss", "train_loss"]
PROXIES = ["nwot", "jacov", "synflow", "snip", "grad_norm", "zen", "flops", "params"]


def spearman(a, b):
    return pd.Series(np.asarray(a)).rank().corr(pd.Series(np.asarray(b)).rank())


def with_error(a, b):
    """ρ and its standard error by bootstrap."""
    a, b = np.asarray(a), np.asarray(b)
    draws = np.random.default_rng(0).integers(len(a), size=(1000, len(a)))
    rho = spearman(a, b)
    error = np.std([spearman(a[d], b[d]) for d in draws])
    return f"{rho:+.3f} ± {error:.3f}"


accuracy = pd.read_csv(DATA + "accuracy.csv", dtype={"ops": str}).set_index("idx")
proxies = pd.read_csv(DATA + "proxies_cifar10.csv").set_index("idx")

if sys.argv[1] == "archs":
    drawn = np.random.default_rng(0).permutation(sorted(proxies.index))[:60]
    print("\n".join(accuracy.arch_str[drawn]))
else:
    tables = {f: pd.read_csv(f, comment="#").set_index("arch") for f in sys.argv[2:]}
    archs = sorted(set.intersection(*(set(t.index) for t in tables.values())))
    idx = pd.Series(accuracy.index, index=accuracy.arch_str)[archs]
    full = accuracy.c10_test_200[idx].to_numpy()
    print(f"{len(archs)} networks, c10_test_200 from {full.min():.2f} to {full.max():.2f}")
    for proxy in PROXIES:
        print(f"{proxy:28} {with_error(proxies[proxy][idx].to_numpy(), full)}")
    for name, table in tables.items():
        seconds = table.seconds[archs]
        print(f"{name}: {seconds.sum():.0f} s, the slowest {seconds.max():.1f} s")
        for metric in METRICS:
            values = table[metric][archs].to_numpy()
            line = f"  {metric:26} {with_error(values, full)}"
            for other, against in tables.items():
                if other != name:
                    line += f"   {other} {spearman(values, against.val_accuracy[archs]):+.3f}"
            print(line)
