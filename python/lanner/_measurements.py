"""The file of a profile's measurements."""

import csv
import os

from lanner._errors import InputError
from lanner._number import number

TITLE = "# lanner profile measurements: 1"
COLUMNS = ["network", "latency_ms"]


class Measurements:
    """The measurements of a device: each is on disk before the next, and one process at a time adds to the file."""

    def __init__(self, path: str, facts: list[tuple[str, str]]) -> None:
        self._path = path
        self.done: dict[int, float | None] = {}
        """Milliseconds by the number of the small network; None if the device refused it."""
        try:
            self._file = open(path, "a+b")
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from error
        try:
            self._lock()
            self._read([TITLE, *(f"# {name}: {value}" for name, value in facts)])
        except BaseException:
            self._file.close()
            raise

    def _lock(self) -> None:
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{self._path}: another process is measuring into this file; wait for it, or give another path"
            ) from None
        except OSError:
            pass  # Some network file systems have no locks.

    def _read(self, header: list[str]) -> None:
        head = "".join(f"{line}\n" for line in [*header, ",".join(COLUMNS)]).encode()
        self._file.seek(0)
        content = self._file.read()
        if head.startswith(content):
            # New, or of a program that was killed before the first row.
            self._file.truncate(0)
            self._write(head)
            return
        # The end of a row that was being written when the program was killed.
        whole = content.rfind(b"\n") + 1
        lines = content[:whole].decode(errors="replace").splitlines()
        found = [line for line in lines if line.startswith("#")]
        if found[:1] != [TITLE]:
            raise InputError(f"{self._path}: no measurements of lanner.profile; give another path, or move the file away")
        if found != header:
            wrong = [line[2:] for line in found if line not in header] or ["fewer facts"]
            raise InputError(
                f"{self._path}: measured on another device ({'; '.join(wrong)}); give another path, or move the file away"
            )
        for line, row in enumerate(csv.reader(lines[len(found) + 1 :]), len(found) + 2):
            name, latency = row if len(row) == 2 else ("", "")
            n = name.removeprefix("probe-")
            try:
                ms = float(latency) if latency else None
            except ValueError:
                ms = 0.0
            if n == name or not n.isdecimal() or not is_latency(ms) and ms is not None:
                raise InputError(
                    f"{self._path}, line {line}: {','.join(row)!r}, expected probe-NUMBER and milliseconds above 0, or "
                    "none for a network that the device refused"
                )
            self.done[int(n)] = ms
        if whole < len(content):
            self._file.truncate(whole)

    def add(self, n: int, latency: float | None) -> None:
        """Writes a measurement."""
        self._write(f"probe-{n},{'' if latency is None else f'{latency!r}'}\n".encode())
        self.done[n] = latency

    def _write(self, text: bytes) -> None:
        self._file.write(text)
        self._file.flush()
        os.fsync(self._file.fileno())

    def latencies(self) -> dict[int, float]:
        """Returns the milliseconds of those that the device ran."""
        return {n: latency for n, latency in self.done.items() if latency is not None}

    def close(self) -> None:
        """Lets other processes have the file."""
        self._file.close()


def is_latency(value: object) -> bool:
    """Tells whether these are milliseconds: a finite number above 0."""
    found = number(value)
    return found is not None and 0 < found < float("inf")
