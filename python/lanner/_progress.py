"""Progress of what takes longer than two seconds: tqdm's bar where it is installed (in a notebook, the
notebook's own), else a line on the terminal.
"""

import importlib.util
import sys
import time
from typing import Any

_DELAY = 2.0


def in_notebook() -> bool:
    """Tells whether this program runs in a Jupyter kernel."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return get_ipython is not None and hasattr(get_ipython(), "kernel")


class Progress:
    """A bar of ``total`` steps, or of an unknown number; shown to people only, not to log files."""

    def __init__(self, total: int | None, what: str) -> None:
        self._done, self._total, self._what = 0, total, what
        self._note = ""
        self._bar: Any = None
        self._is_shown = False
        self._start = time.monotonic()
        is_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._is_wanted = is_terminal or in_notebook()
        if self._is_wanted and importlib.util.find_spec("tqdm") is not None:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=total, desc=what, leave=False, delay=_DELAY)

    def step(self, note: str = "") -> None:
        """Counts one step; the note stands behind the bar."""
        self._done += 1
        self.tell(note)
        if self._bar is not None:
            self._bar.update()

    def tell(self, note: str) -> None:
        """Changes the note."""
        if note and note != self._note:
            self._note = note
            if self._bar is not None:
                self._bar.set_postfix_str(note)
        if self._bar is None and self._is_wanted and time.monotonic() - self._start > _DELAY:
            of = "" if self._total is None else f" of {self._total}"
            print(f"\r\033[K{self._what} {self._done}{of}  {self._note}", end="", file=sys.stderr)
            self._is_shown = True

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()
        elif self._is_shown:
            print("\r\033[K", end="", file=sys.stderr)
