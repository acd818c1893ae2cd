"""Settings of all tests."""

import os
import signal
import sys
from pathlib import Path

# Tests with other processes import their functions from here.
sys.path.insert(0, str(Path(__file__).parent))
os.environ["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
# Threads that wait for each other on a busy machine take many times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A job in the background of a script ignores Ctrl-C, which is tested.
signal.signal(signal.SIGINT, signal.default_int_handler)
