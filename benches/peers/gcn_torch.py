"""Time of a training step of BRP-NAS's GCN in PyTorch, to compare with
`cargo bench -p lanner-predict --bench gcn_step`:

    OMP_WAIT_POLICY=passive python benches/peers/gcn_torch.py [--compile]

The recipe is the paper's: 4 layers of 600, A(XW) + b, layer norm, ReLU, dropout 0.2, the global
node read out, L1, AdamW; batch 64 of NAS-Bench-201's 9-node graphs, f32. Written for speed as far as
plain PyTorch goes: batched tensors made beforehand, no data loader, AdamW's default (foreach).
Random graphs stand in for real ones, since time does not depend on the entries of a dense matrix.
"""

import statistics
import sys
import time

import torch
from torch import nn

BATCH, NODES, LABELS, WIDTH, LAYERS = 64, 9, 6, 600, 4


class Layer(nn.Module):
    def __init__(self, inputs):
        super().__init__()
        bound = WIDTH**-0.5
        self.weight = nn.Parameter(torch.empty(inputs, WIDTH).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(WIDTH).uniform_(-bound, bound))
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, adjacency, x):
        z = torch.bmm(adjacency, x @ self.weight) + self.bias
        return nn.functional.dropout(torch.relu(self.norm(z)), 0.2, self.training)


class Gcn(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(Layer(LABELS if i == 0 else WIDTH) for i in range(LAYERS))
        self.head = nn.Linear(WIDTH, 1)

    def forward(self, adjacency, x):
        for layer in self.layers:
            x = layer(adjacency, x)
        return self.head(x[:, 0])


def random_graphs(count):
    adjacency = torch.triu((torch.rand(count, NODES, NODES) < 0.3).float())
    adjacency[:, 0, :] = 1
    adjacency[:, range(NODES), range(NODES)] = 1
    labels = torch.randint(0, LABELS, (count, NODES))
    return adjacency, nn.functional.one_hot(labels, LABELS).float(), torch.rand(count, 1)


def measure(threads, compiled, batch):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = Gcn()
    step_model = torch.compile(model) if compiled else model
    optimiser = torch.optim.AdamW(model.parameters(), lr=3.5e-4, weight_decay=5e-4)
    batches = [random_graphs(batch) for _ in range(14)]

    def step(adjacency, x, y):
        optimiser.zero_grad()
        loss = nn.functional.l1_loss(step_model(adjacency, x), y, reduction="sum")
        loss.backward()
        optimiser.step()

    for b in batches[:3]:
        step(*b)
    times = []
    begin = time.perf_counter()
    while time.perf_counter() - begin < 3:
        for b in batches:
            start = time.perf_counter()
            step(*b)
            times.append(time.perf_counter() - start)
    median = statistics.median(times)
    print(
        f"train  threads {threads}  batch {batch:2}  median {median * 1e3:.3f} ms/step "
        f"(best {min(times) * 1e3:.3f})  {batch / median:.0f} graphs/s" + ("  compiled" if compiled else ""),
        flush=True,
    )


for threads in (1, 2):
    for batch in (BATCH, 1):
        measure(threads, "--compile" in sys.argv, batch)
