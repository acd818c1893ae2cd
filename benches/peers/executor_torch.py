"""PyTorch's side of lanner-nn's executor: an interpreter of networks as `lanner network --json` writes
them, to make golden values and to compare speeds.

    cargo run --release -p lanner-nn --example golden_networks \\
        | python benches/peers/executor_torch.py golden > crates/lanner-nn/tests/data/executor_golden.json
    cargo run --release -p lanner-nn --example bench_networks \\
        | OMP_WAIT_POLICY=passive python benches/peers/executor_torch.py bench [threads]

`golden` computes in f64 from numbers that `number` makes on both sides. `bench` times training steps
at batch 64 in f32, of the faster of PyTorch's two memory layouts; with LANNER_BENCH=cpu by the time
on a processor, for one thread on a busy machine.
"""

import json
import os
import sys
import time

import torch
import torch.nn.functional as F

clock = time.process_time if os.environ.get("LANNER_BENCH") == "cpu" else time.perf_counter


def number(stream, count):
    """The first numbers of a stream, as tests/it/networks.rs makes them."""
    x = torch.arange(count, dtype=torch.int64) * 0x9E3779B9 + stream * 0x85EBCA6B & 0xFFFFFFFF
    for shift, factor in [(15, 0x2C1B3C6D), (12, 0x297A2D39), (15, 1)]:
        x = x ^ (x >> shift)
        # The product modulo 2³² from halves: 64-bit integers would overflow.
        x = (x * (factor & 0xFFFF) + ((x * (factor >> 16) & 0xFFFF) << 16)) & 0xFFFFFFFF
    return (x % 1025).double() / 1024 - 0.5


def shapes(net):
    """Per layer the shapes of weight and bias, as lanner_nn::Layout has them."""
    channels = {layer["name"]: layer["shape"][0] for layer in net["layers"]}
    for layer in net["layers"]:
        out = layer["shape"][0]
        inputs = channels[layer["inputs"][0]] if layer["inputs"] else 0
        if layer["op"] == "conv":
            k = layer["kernel"]
            yield (out, inputs // layer["groups"], k, k), (out,) if layer["bias"] else None
        elif layer["op"] == "linear":
            yield (out, inputs), (out,) if layer["bias"] else None
        elif layer["op"] == "batch_norm":
            yield (out,), (out,)
        else:
            yield None, None


def run(net, params, x):
    """The output for the given parameters, one (weight, bias) a layer, and all layers' outputs."""
    values = {}
    for layer, (w, b) in zip(net["layers"], params):
        op, ins = layer["op"], [values[i] for i in layer["inputs"]]
        if op == "input":
            y = x
        elif op == "conv":
            sizes = layer["stride"], layer["padding"], layer["dilation"], layer["groups"]
            y = F.conv2d(ins[0], w, b, *sizes)
        elif op == "batch_norm":
            y = F.batch_norm(ins[0], None, None, w, b, training=True, eps=layer["epsilon"])
        elif op == "linear":
            y = F.linear(ins[0].flatten(1), w, b)[:, :, None, None]
        elif op == "max_pool":
            y = F.max_pool2d(ins[0], layer["kernel"], layer["stride"], layer["padding"])
        elif op == "avg_pool":
            pool = layer["pool"]
            sizes = pool["kernel"], pool["stride"], pool["padding"]
            y = F.avg_pool2d(ins[0], *sizes, count_include_pad=layer["count_include_pad"])
        elif op == "global_avg_pool":
            y = F.adaptive_avg_pool2d(ins[0], 1)
        elif op == "channel_shuffle":
            y = F.channel_shuffle(ins[0], layer["groups"])
        elif op == "concat":
            y = torch.cat(ins, 1)
        elif op in ("add", "mul"):
            y = ins[0]
            for other in ins[1:]:
                y = y + other if op == "add" else y * other
        else:
            functions = {"relu": F.relu, "relu6": F.relu6, "hard_swish": F.hardswish}
            functions |= {"sigmoid": torch.sigmoid, "hard_sigmoid": F.hardsigmoid}
            functions |= {"zero": lambda x: x * 0, "slice": lambda x: x[:, : layer["channels"]]}
            functions |= {"shift": lambda x: F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]}
            y = functions[op](ins[0])
        values[layer["name"]] = y
    return y


def make_params(net, make):
    params = []
    for weight, bias in shapes(net):
        params.append((make(weight) if weight else None, make(bias) if bias else None))
    return params


def golden(net):
    count = sum(torch.Size(s).numel() for pair in shapes(net) for s in pair if s)
    numbers, at = number(1, count), 0

    def make(shape):
        nonlocal at
        at += torch.Size(shape).numel()
        return numbers[at - torch.Size(shape).numel() : at].view(shape).clone().requires_grad_()

    params = make_params(net, make)
    batch, shape = net["batch"], net["input"]
    x = number(2, batch * torch.Size(shape).numel()).view(batch, *shape).requires_grad_()
    y = run(net, params, x).flatten()
    r = number(3, y.numel())
    y.backward(r)
    gradients = [t.grad for pair in params for t in pair if t is not None]
    gradients = [g for g in gradients if g is not None]
    tensors = []
    # Every gradient by its norm and its product with numbers of another stream.
    for t in [t for pair in params for t in pair if t is not None] + [x]:
        g = t.grad.flatten() if t.grad is not None else torch.zeros(t.numel()).double()
        tensors.append([g.norm().item(), (g @ number(4, g.numel())).item()])
    return {"name": net["golden"], "output": y.tolist(), "gradients": tensors}


def bench(net, threads):
    """Images a second of a training step: of both layouts the better."""
    best = 0
    for layout in (torch.contiguous_format, torch.channels_last):

        def make(shape):
            t = torch.randn(shape) * (2 / max(1, torch.Size(shape[1:]).numel())) ** 0.5
            t = t.to(memory_format=layout) if len(shape) == 4 else t
            return t.requires_grad_()

        params = make_params(net, make)
        leaves = [t for pair in params for t in pair if t is not None]
        x = torch.randn(64, *net["input"]).to(memory_format=layout)
        target = torch.randint(net["output"][0], (64,))
        times = []
        begin = clock()
        while len(times) < 4 or clock() - begin < 2:
            start = clock()
            loss = F.cross_entropy(run(net, params, x).flatten(1), target)
            torch.autograd.grad(loss, leaves, allow_unused=True)
            times.append(clock() - start)
        times = sorted(times[1:])
        best = max(best, 64 / times[len(times) // 2])
    return best


if __name__ == "__main__":
    nets = [json.loads(line) for line in sys.stdin if line.startswith("{")]
    if sys.argv[1] == "golden":
        print("[\n" + ",\n".join(json.dumps(golden(net)) for net in nets) + "\n]")
    else:
        threads = int(sys.argv[2]) if len(sys.argv) > 2 else 1
        torch.set_num_threads(threads)
        for net in nets:
            print(f"{net['name']}: training step {bench(net, threads):.1f} images/s", flush=True)
