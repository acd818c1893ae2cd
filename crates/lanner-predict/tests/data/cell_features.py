"""Writes cell_features.txt: features of 40 random NAS-Bench-201 cells by the researchers' feats.py.

    python cell_features.py DIRECTORY_OF_FEATS_PY > cell_features.txt

One line a cell: codes|counts|live counts|live one-hots|graph|share moments|shares|lossless shares|
size, columns in the order of cell_features.rs.
"""
import itertools
import random
import sys

sys.path.insert(0, sys.argv[1])
from feats import feats

SUBSETS = [s for k in range(1, 5) for s in itertools.combinations((1, 2, 3, 4), k)]
SHARES = [(k, n) for k in ("cv", "c3", "pl", "dep") for n in range(4)]
# First and last operation: no operation, 1x1, 3x3, pooling. Identities do not count.
SHARES += [(k, n) for k in ("fi", "la") for n in (0, 2, 3, 4)] + ["lv"]
COLUMNS = {
    "cnt": [("a", o) for o in range(5)],
    "lcnt": [("l", o) for o in range(1, 5)],
    "loh": [(e, o) for e in range(6) for o in range(5)],
    "graf": [(k, s) for s in SUBSETS for k in ("min", "max", "n", "ind", "outd")]
    + [(k, n) for n in ("c3", "cv", "c1", "pl", "sk") for k in ("mx", "mn")],
    "sh": ["logv", "n1", "n3", "np", "sd", "id", "dead"],
    "shd": SHARES,
    "shu": SHARES,
    "net": ["bk", "live", "conv", "c3", "nodes", "outd", "ind", "np"],
}
random.seed(1)
print("# made by cell_features.py")
for i in range(40):
    # A third of the cells with few operations, so that dead ones are among them.
    codes = [random.choice((0, 0, 0, 1, 2, 3, 4) if i % 3 == 0 else range(5)) for _ in range(6)]
    f = feats(codes)
    for group, columns in COLUMNS.items():
        assert set(f[group]) <= set(columns), (group, set(f[group]) - set(columns))
    text = [" ".join("%.6g" % f[g].get(c, 0) for c in cs) for g, cs in COLUMNS.items()]
    print("".join(map(str, codes)) + "|" + "|".join(text))
