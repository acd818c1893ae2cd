"""Settings of all tests."""

import os
import signal
import sys
from pathlib import Path

import pytest

# Tests with other processes import their functions from here.
sys.path.insert(0, str(Path(__file__).parent))
os.environ["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
# Threads that wait for each other on a busy machine take many times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _interrupts():
    """A job in the background of a script ignores Ctrl-C, and Ray Tune takes it; it is tested."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def spaces_with_networks():
    """Names of the spaces whose networks Lanner builds of layers; those of transformers have tests of their own."""
    import lanner

    for name in lanner.Space.NAMES:
        space = lanner.Space(name)
        if name.startswith(("hw-gpt", "autoformer")) or name in ("pit", "hat"):
            continue
        try:
            lanner.Network(space.sample(1, seed=0)[0], space)
        except lanner.InputError as error:
            assert "no network of Lanner's own" in str(error)
        else:
            yield name
