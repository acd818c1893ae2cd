"""Settings of all tests."""

import os
import sys
from pathlib import Path

# Tests with other processes import their functions from here.
sys.path.insert(0, str(Path(__file__).parent))
os.environ["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
