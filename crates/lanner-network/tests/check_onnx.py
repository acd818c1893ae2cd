"""Checks the ONNX models against onnx.checker, ONNX Runtime and networks written in PyTorch.

    pip install torch numpy onnx onnxruntime
    python crates/lanner-network/tests/check_onnx.py [--models FOLDER] [--count 18] [--seed 0]

Without --models the models are made first, by `cargo run --example export`. Each architecture has
four models: as written or pruned, folded or not, always with the same weights. PyTorch computes the
published network from the architecture's text and the weights of the model as written, unfolded. All
four must give its outputs, within 1e-4 of the largest of them (outputs of untrained networks have any
size: a cell of skips alone multiplies by four). The pruned and folded one is also checked in 8-bit
integers, where the root mean square error may be 6 % of the outputs' size: the weights have seven
bits, and errors add up over up to 95 convolutions. For MobileNetV3 and FBNet it may be 10 %: gates
multiply inputs that have errors themselves, and depthwise convolutions average few of them. ONNX Runtime's
`quantize_dynamic` has 4.6 to 9.4 % on six networks of FBNet.
"""

import argparse
import ast
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
import torch
from torch.nn import functional as F

TOLERANCE = 1e-4
TOLERANCE_INT8 = 0.06
TOLERANCE_INT8_MOBILE = 0.1


def initialisers(model):
    return {t.name: torch.from_numpy(onnx.numpy_helper.to_array(t).copy()) for t in model.graph.initializer}


def batch_norm(w, name, x, eps=1e-5):
    mean, var = w[f"{name}.running_mean"], w[f"{name}.running_var"]
    return F.batch_norm(x, mean, var, w[f"{name}.weight"], w[f"{name}.bias"], False, 0.0, eps)


def relu_conv_bn(w, name, x, kernel, stride=1):
    y = F.conv2d(F.relu(x), w[f"{name}.conv.weight"], stride=stride, padding=kernel // 2)
    return batch_norm(w, f"{name}.bn", y)


def cell(w, place, text, x):
    """Each node is the sum over earlier ones, by a text such as `|op~0|+|op~0|op~1|+…`."""
    nodes = [x]
    for to, part in enumerate(text.split("+"), start=1):
        total = 0
        for edge in part.strip("|").split("|"):
            op, source = edge.split("~")
            x, name = nodes[int(source)], f"{place}.{source}-{to}"
            if op == "none":
                y = torch.zeros_like(x)
            elif op == "skip_connect":
                y = x
            elif op == "avg_pool_3x3":
                y = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
            else:
                y = relu_conv_bn(w, name, x, int(op[-1]))
            total = total + y
        nodes.append(total)
    return nodes[-1]


def nasbench201(w, text, cells, x):
    x = batch_norm(w, "stem.bn", F.conv2d(x, w["stem.conv.weight"], padding=1))
    for stage in (1, 2, 3):
        if stage > 1:
            name = f"reduce{stage - 1}"
            y = relu_conv_bn(w, f"{name}.b", relu_conv_bn(w, f"{name}.a", x, 3, 2), 3)
            x = y + F.conv2d(F.avg_pool2d(x, 2), w[f"{name}.shortcut.conv.weight"])
        for n in range(1, cells + 1):
            x = cell(w, f"stage{stage}.cell{n}", text, x)
    x = F.relu(batch_norm(w, "head.bn", x)).mean((2, 3))
    return F.linear(x, w["head.linear.weight"], w["head.linear.bias"])


def conv_bn(w, name, x, stride=1, groups=1):
    kernel = w[f"{name}.conv.weight"]
    y = F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2, groups=groups)
    return batch_norm(w, f"{name}.bn", y)


def head(w, x):
    return F.linear(x.mean((2, 3)), w["head.linear.weight"], w["head.linear.bias"])


def inverted_residual(w, place, x, stride, groups=1, act=F.relu):
    y = x
    if f"{place}.expand.conv.weight" in w:
        y = act(conv_bn(w, f"{place}.expand", y, groups=groups))
    if groups > 1:
        y = F.channel_shuffle(y, groups)
    y = act(conv_bn(w, f"{place}.depthwise", y, stride, y.shape[1]))
    if f"{place}.se.reduce.weight" in w:
        layer = lambda name, x: F.conv2d(x, w[f"{place}.se.{name}.weight"], w[f"{place}.se.{name}.bias"])
        y = y * F.hardsigmoid(layer("restore", F.relu(layer("reduce", y.mean((2, 3), keepdim=True)))))
    y = conv_bn(w, f"{place}.project", y, groups=groups)
    return x + y if x.shape == y.shape else y


def fbnet(w, text, x):
    small = x.shape[-1] <= 64
    x = F.relu(conv_bn(w, "stem", x, 1 if small else 2))
    firsts = {2: 1 if small else 2, 6: 2, 10: 2, 18: 2}
    for i, code in enumerate(map(int, text), start=1):
        place, stride = f"block{i}", firsts.get(i, 1)
        if code < 8:
            x = inverted_residual(w, place, x, stride, 2 if code in (1, 5) else 1)
        elif f"{place}.conv.weight" in w:
            x = F.relu(conv_bn(w, place, x, stride))
    return head(w, F.relu(conv_bn(w, "head", x)))


def nas_bench_macro(w, text, x):
    x = F.relu(conv_bn(w, "stem", x))
    for i, code in enumerate(text, start=1):
        place, stride = f"block{i}", 2 if i in (1, 3, 6) else 1
        if code != "0":
            x = inverted_residual(w, place, x, stride)
        elif stride == 2:
            x = conv_bn(w, place, x, 2)
    return head(w, F.relu(conv_bn(w, "head", x)))


def factorized_reduce(w, place, x):
    x = F.relu(x)
    # Rows and columns of odd number, a zero where there is none.
    odd = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
    a = F.conv2d(x, w[f"{place}.a.conv.weight"], stride=2)
    b = F.conv2d(odd, w[f"{place}.b.conv.weight"], stride=2)
    return batch_norm(w, f"{place}.bn", torch.cat([a, b], 1))


def transbench101(w, text, x):
    """`64-41414-1_02_333`, types of modules and the edges into each node, or `64-1234-basic`."""
    _, modules, cell = text.split("-")
    x = conv_bn(w, "stem.a", x, 2)
    x = relu_conv_bn(w, "stem.b", x, 3, 2)
    for m, kind in enumerate(map(int, modules), start=1):
        for n in (1, 2):
            stride = 2 if kind > 2 and n == 1 else 1
            double = kind % 2 == 0 and n == 1
            if cell == "basic":
                place = f"module{m}.block{n}"
                y = relu_conv_bn(w, f"{place}.b", relu_conv_bn(w, f"{place}.a", x, 3, stride), 3)
                x = y + (conv_bn(w, f"{place}.shortcut", x, stride) if stride > 1 or double else x)
                continue
            nodes = [x]
            for to, ops in enumerate(cell.split("_"), start=1):
                total = 0
                for source, op in enumerate(map(int, ops)):
                    place = f"module{m}.cell{n}.{source}-{to}"
                    y, s = nodes[source], stride if source == 0 else 1
                    if op > 1:
                        y = relu_conv_bn(w, place, y, 2 * op - 3, s)
                    elif op == 1 and s > 1:
                        y = factorized_reduce(w, place, y)
                    elif op == 0:
                        y = y[:, :, ::s, ::s] * 0
                        y = torch.cat([y, y], 1) if s > 1 else y
                    total = total + y
                nodes.append(total)
            x = nodes[-1]
    return head(w, x)


def darts(w, text, x):
    cells = [ast.literal_eval(part + "]") for part in re.findall(r"(?:normal|reduce)=(\[.*?)\]", text)]
    n = len({name.split(".")[0] for name in w if name.startswith("cell")})
    before = last = conv_bn(w, "stem", x)
    for k in range(n):
        place, reduce = f"cell{k + 1}", k in (n // 3, 2 * n // 3)
        kept = f"{place}.input0.conv.weight" in w
        a = relu_conv_bn(w, f"{place}.input0", before, 1) if kept else factorized_reduce(w, f"{place}.input0", before)
        nodes = [a, relu_conv_bn(w, f"{place}.input1", last, 1)]
        for e, (op, source) in enumerate(cells[reduce]):
            name = f"{place}.node{e // 2 + 1}{'ab'[e % 2]}"
            y = darts_operation(w, name, op, nodes[source], 2 if reduce and source < 2 else 1)
            total = y if e % 2 == 0 else total + y
            if e % 2:
                nodes.append(total)
        before, last = last, torch.cat(nodes[2:], 1)
    return head(w, last)


def darts_operation(w, name, op, x, stride):
    if op == "skip_connect":
        return x if stride == 1 else factorized_reduce(w, name, x)
    if op == "max_pool_3x3":
        return F.max_pool2d(x, 3, stride, 1)
    if op == "avg_pool_3x3":
        return F.avg_pool2d(x, 3, stride, 1, count_include_pad=False)
    kernel, dilation = int(op[-1]), 2 if op.startswith("dil") else 1
    for part, stride in [(name, stride)] if dilation == 2 else [(f"{name}.1", stride), (f"{name}.2", 1)]:
        padding = dilation * (kernel - 1) // 2
        y = F.conv2d(F.relu(x), w[f"{part}.depthwise.weight"], None, stride, padding, dilation, x.shape[1])
        x = conv_bn(w, part, y)
    return x


def nasbench101(w, text, x):
    """Operations, `-`, and the rows of the matrix above its diagonal: `0-11_1`."""
    ops, rows = text.split("-")
    last = len(ops) + 1
    feeds = {(f, f + 1 + i) for f, row in enumerate(rows.split("_")) for i, bit in enumerate(row) if bit == "1"}
    x = F.relu(conv_bn(w, "stem", x))
    cells = len({name.split(".")[1] for name in w if name.startswith("stack1.")})
    for stack in (1, 2, 3):
        x = F.max_pool2d(x, 2) if stack > 1 else x
        width = w["stem.conv.weight"].shape[0] << stack - 1
        parts = [v for v in range(1, last) if (v, last) in feeds]
        channels = {v: width // len(parts) + (i < width % len(parts)) for i, v in enumerate(parts)}
        for v in reversed(range(1, last)):
            channels.setdefault(v, max((channels[t] for t in range(v + 1, last) if (v, t) in feeds), default=0))
        for n in range(1, cells + 1):
            place, values = f"stack{stack}.cell{n}", {}
            for v in range(1, last):
                y = sum(values[f][:, : channels[v]] for f in range(1, v) if (f, v) in feeds)
                if (0, v) in feeds:
                    y = y + F.relu(conv_bn(w, f"{place}.vertex{v}.input", x))
                op = ops[v - 1]
                values[v] = F.max_pool2d(y, 3, 1, 1) if op == "2" else F.relu(conv_bn(w, f"{place}.vertex{v}", y))
            y = torch.cat([values[v] for v in parts], 1) if parts else 0
            x = y + F.relu(conv_bn(w, f"{place}.input", x)) if (0, last) in feeds else y
    return head(w, x)


def mobilenetv3(w, text, x):
    """`{"ks": …, "e": …, "d": …, "r": …}`, where the weights show kernels and expansions."""
    x = inverted_residual(w, "block0", F.hardswish(conv_bn(w, "stem", x, 2)), 1)
    for s, depth in enumerate(json.loads(text)["d"], start=1):
        for n in range(1, depth + 1):
            stride = 2 if n == 1 and s != 4 else 1
            x = inverted_residual(w, f"stage{s}.block{n}", x, stride, act=F.hardswish if s > 2 else F.relu)
    x = F.hardswish(conv_bn(w, "head", x)).mean((2, 3), keepdim=True)
    x = F.hardswish(F.conv2d(x, w["head.mix.weight"]))
    return head(w, x)


def network(w, text, x):
    """The network of an architecture: the text and the layers tell the space."""
    if text == "zoo":
        return zoo(w, x)
    if text.startswith("|"):
        cells = 5 if x.shape[-1] == 32 else 2
        return nasbench201(w, text, cells, x)
    if text.startswith("64-"):
        return transbench101(w, text, x)
    if text.startswith("Genotype"):
        return darts(w, text, x)
    if text.startswith("{"):
        return mobilenetv3(w, text, x)
    if "-" in text:
        return nasbench101(w, text, x)
    return {22: fbnet, 8: nas_bench_macro}[len(text)](w, text, x)


def zoo(w, x):
    a = F.conv2d(x, w["dilated.weight"], w["dilated.bias"], stride=2, padding=2, dilation=2)
    b = F.hardswish(batch_norm(w, "dilated.bn", a, 1e-3))
    c = F.conv2d(b, w["grouped.weight"], padding=2, groups=3)
    c = F.relu6(F.channel_shuffle(c, 3))
    pooled, averaged = F.max_pool2d(b, 3, 1, 1), F.avg_pool2d(b, 3, 1, 1)
    up = F.conv_transpose2d(pooled, w["up.weight"], stride=2)
    large = torch.cat([up, F.interpolate(averaged, scale_factor=2, mode="nearest")], 1)
    x = torch.cat([c, pooled, averaged, F.conv2d(large, w["back.weight"], stride=2, padding=1)], 1)
    gate = F.relu(F.linear(x.mean((2, 3)), w["narrow.weight"], w["narrow.bias"]))
    gate = torch.sigmoid(F.linear(gate, w["widen.weight"]))
    x = x * gate[:, :, None, None] + x + x
    return F.linear(x.mean((2, 3)), w["scores.weight"], w["scores.bias"])


def run(path, x, optimise):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(["output"], {"input": x.numpy()})[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=Path)
    parser.add_argument("--count", type=int, default=18)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    if args.models is None:
        args.models = Path(tempfile.mkdtemp(prefix="lanner-onnx-"))
        command = ["cargo", "run", "-q", "--release", "-p", "lanner-network", "--example", "export", "--"]
        command += [str(args.models), str(args.count), str(args.seed)]
        subprocess.run(command, check=True, cwd=Path(__file__).parent)

    worst, worst_int8, checked, failed = 0.0, 0.0, 0, 0
    for base in sorted(args.models.glob("*-raw.onnx")) + [args.models / "zoo.onnx"]:
        model = onnx.load(base)
        w, text = initialisers(model), model.graph.name
        channels, height, width = (d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[1:])
        x = torch.randn(3, channels, height, width)
        with torch.no_grad():
            expected = network(w, text, x).numpy()
            stem = base.name.removesuffix("-raw.onnx")
            kinds = [f"{stem}-{k}" for k in ("raw", "raw-folded", "pruned", "pruned-folded")]
            kinds = ["zoo", "zoo-folded"] if text == "zoo" else kinds
        size = max(1e-3, float(np.abs(expected).max()))
        errors = []
        for kind in kinds:
            path = args.models / f"{kind}.onnx"
            onnx.checker.check_model(str(path), full_check=True)
            for optimise in (False, True):
                got = run(path, x, optimise)
                error = float(np.abs(got - expected).max()) / size if got.shape == expected.shape else np.inf
                errors.append(error)
                checked += 1
                failed += not error <= TOLERANCE
        worst = max(worst, *errors)
        integers = []
        for kind in ("int8", "int8-pad"):
            path = args.models / f"{kinds[-1]}-{kind}.onnx"
            onnx.checker.check_model(str(path), full_check=True)
            got = run(path, x, True)
            error = float(np.linalg.norm(got - expected) / max(1e-3, np.linalg.norm(expected)))
            integers.append(error if got.shape == expected.shape else np.inf)
            checked += 1
            is_mobile = text.startswith("{") or re.fullmatch(r"\d{22}", text)
            limit = TOLERANCE_INT8_MOBILE if is_mobile else TOLERANCE_INT8
            failed += not integers[-1] <= limit
        worst_int8 = max(worst_int8, *integers)
        print(f"{max(errors):.1e}  int8 {max(integers):.1e}  largest output {size:9.3g}  {text}")
    print(f"{checked} runs, {failed} outside the tolerance, largest deviation {worst:.1e}, int8 {worst_int8:.1e}")
    return 1 if failed or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
