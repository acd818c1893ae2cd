"""Settings of all tests."""

import os
import signal
import sys
from pathlib import Path

# Tests with other processes import their functions from here.
sys.path.insert(0, str(Path(__file__).parent))
os.environ["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
# A job in the background of a script ignores Ctrl-C, which is tested.
signal.signal(signal.SIGINT, signal.default_int_handler)
