"""Makes the small pickles that the tests read: `python tests/make_fixtures.py` (numpy, torch).

The benchmark files follow the structure of the authors' API (D-X-Y/NATS-Bench, ArchResults and
ResultsCount as state dicts) with made-up numbers; what the importer must find is in the tests.
"""
import bz2, pickle
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent / "fixtures"
SHARED = [1, 2]
VALUES = {
    "none": None, "bools": [True, False],
    "ints": [0, 255, 256, 65536, -1, 2**31, -(2**40), 2**63 - 1],
    "big": 2**100,
    "floats": [1.5, -0.25, 1e300],
    "text": "héllo ☃ 🦅\n\"'\\", "long": "x" * 300,
    "bytes": b"\x00\xff'", "empty": b"", "bytearray": bytearray(b"ab"),
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    "set": {7}, "frozen": frozenset([8]),
    "ordered": OrderedDict([("a", 1), ("b", 2)]), "default": defaultdict(list, {"k": [1]}),
    "scalars": [np.float64(1.25), np.float32(0.5), np.int32(-7), np.bool_(True), np.uint8(200)],
    "str_": np.str_("ok"),
    "array": np.array([1.0, 2.0, 3.0]), "small": np.array([1, -2], dtype=np.int16),
    "big_endian": np.array([1.5, 2.5], dtype=">f8"), "matrix": np.arange(6.0).reshape(2, 3),
    "column_major": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "objects": np.array([1, 2.5], dtype=object),
    "shared": [SHARED, SHARED],
}
for protocol in range(6):
    (HERE / f"values_{protocol}.pickle").write_bytes(pickle.dumps(VALUES, protocol))

linear = torch.nn.Linear(2, 1)
with torch.no_grad():
    linear.weight.copy_(torch.tensor([[0.5, -1.0]]))
    linear.bias.copy_(torch.tensor([2.0]))
TENSORS = {
    "list": [1.0, 2.0],
    "turned": torch.arange(6, dtype=torch.float32).reshape(2, 3).t(),
    "part": torch.arange(10, dtype=torch.int64)[3:6],
    "half": torch.tensor([0.5, -2.0], dtype=torch.float16),
    "brain": torch.tensor([1.0, -3.0], dtype=torch.bfloat16),
    "scalar": torch.tensor(7.0, dtype=torch.float64),
    "bools": torch.tensor([True, False]),
    "repeated": torch.tensor([1.0]).expand(1000),
    "state": linear.state_dict(),
    "parameter": linear.bias,
}
torch.save(TENSORS, HERE / "tensors.pt")
torch.save(TENSORS, HERE / "tensors_legacy.pt", _use_new_zipfile_serialization=False)

ARCHS = [
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
    "|avg_pool_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|avg_pool_3x3~0|avg_pool_3x3~1|avg_pool_3x3~2|",
]
SETS = {"cifar10-valid": ["x-valid", "ori-test"], "cifar10": ["ori-test"],
        "cifar100": ["x-valid", "x-test", "ori-test"], "ImageNet16-120": ["x-valid", "x-test", "ori-test"]}


def trial(arch, index, data, seed, epochs, scalar):
    """The accuracy of epoch e is 10·index + number of the set + seed/1000 + e/10."""
    keys = [(f"{s}@{e}", 10 * index + n + seed / 1000 + e / 10) for n, s in enumerate(SETS[data]) for e in range(epochs)]
    return {
        "name": f"{index}-{data}-{seed}", "net_state_dict": None,
        "train_acc1es": OrderedDict((e, 1.0) for e in range(epochs)), "train_acc5es": None,
        "train_losses": OrderedDict((e, 2.0) for e in range(epochs)), "train_times": {e: 3.0 for e in range(epochs)},
        "arch_config": {"channel": 16, "num_cells": 5, "arch_str": arch, "class_num": 10},
        "params": scalar(0.5 + index), "flop": scalar(100.0 + index), "seed": seed, "epochs": epochs,
        "latency": [0.01, 0.03] if data == "cifar10" else None,
        "eval_names": SETS[data], "eval_acc1es": {k: scalar(v) for k, v in keys},
        "eval_times": {k: 0.1 for k, _ in keys}, "eval_losses": {k: 0.2 for k, _ in keys},
    }


def results(index, epochs, scalar=float):
    seeds = {d: [777, 888] if epochs == 4 else [777] for d in SETS}
    if index == 2:
        del seeds["cifar100"]
    runs = {(d, s): trial(ARCHS[index], index, d, s, epochs, scalar) for d in seeds for s in seeds[d]}
    # A trial that is there, but does not count.
    runs["cifar10", 999] = trial(ARCHS[index], 5, "cifar10", 999, epochs, scalar)
    return {"arch_index": index, "arch_str": ARCHS[index], "all_results": runs, "dataset_seed": seeds,
            "clear_net_done": True}


torch.save({"meta_archs": ARCHS, "total_archs": 3, "evaluated_indexes": {0, 1, 2}, "arch2infos":
            OrderedDict((i, {"full": results(i, 4), "less": results(i, 2)}) for i in range(3))},
           HERE / "nasbench201.pth", _use_new_zipfile_serialization=False)


def save_bz2(value, name):
    (HERE / "natsbench" / f"{name}.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(value, 4)))


save_bz2({"meta_archs": ARCHS, "params": None, "total_archs": 3, "evaluated_indexes": {0, 1}}, "meta")
for i in range(2):
    save_bz2(OrderedDict([("12", results(i, 2, np.float64)), ("200", results(i, 4, np.float64))]), f"{i:06d}")
