"""Trains one network for `lanner search` and prints its metrics: a script to adapt.

Lanner calls it once a network. What counts is the last line that it prints: a JSON object with the metrics, the
one that is searched for among them. An exception, a time-out or no such line is a failed trial; the search goes on.
"""

import argparse
import json
import sys

import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F

from network import Network

parser = argparse.ArgumentParser()
parser.add_argument("--onnx", required=True, help="the network, with random weights")
parser.add_argument("--out", help="where to leave it with trained weights")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--epochs", type=int, default=5)
args = parser.parse_args()

torch.manual_seed(args.seed % 2**63)
torch.set_num_threads(1)

# Your data here: images N × channels × height × width, and their classes. These are 1,797 digits of 8 × 8.
pixels, labels = load_digits(return_X_y=True)
images = torch.tensor(pixels, dtype=torch.float32).reshape(-1, 1, 8, 8) / 8 - 1
images = images.expand(-1, 3, -1, -1)
labels = torch.tensor(labels)
training, validation, test = slice(0, 600), slice(600, 1200), slice(1200, None)

network = Network(args.onnx)
optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, args.epochs)
for epoch in range(args.epochs):
    network.train()
    for rows in torch.randperm(len(labels[training])).split(64):
        optimiser.zero_grad()
        loss = F.cross_entropy(network(images[training][rows]), labels[training][rows])
        loss.backward()
        optimiser.step()
    schedule.step()
    print(f"epoch {epoch + 1}: loss {loss.item():.3f}", file=sys.stderr)


@torch.no_grad()
def quality(part):
    network.eval()
    logits = network(images[part])
    accuracy = (logits.argmax(1) == labels[part]).double().mean()
    return 100 * accuracy.item(), F.cross_entropy(logits, labels[part]).item()


accuracy, loss = quality(validation)
if args.out:
    network.save(args.out)
print(json.dumps({"val_accuracy": accuracy, "val_loss": loss, "test_accuracy": quality(test)[0]}))
