"""Devices: a runtime on this machine, in a process of its own."""

import importlib.metadata
import importlib.util
import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lanner import _lanner
from lanner._checked import whole
from lanner._errors import InputError, MeasureError

if TYPE_CHECKING:
    import subprocess

RUNTIMES = ("onnxruntime", "rten")


@dataclass(frozen=True)
class Device:
    """A runtime of this machine with its settings; see :func:`device`."""

    runtime: str
    threads: int

    def facts(self) -> list[tuple[str, str]]:
        """Returns what latencies depend on, by name: runtime with its version, threads, processor."""
        version = _lanner.VERSION
        if self.runtime == "onnxruntime":
            try:
                version = importlib.metadata.version("onnxruntime")
            except importlib.metadata.PackageNotFoundError:
                version = "of another package"
        about = [("runtime", f"{self.runtime} {version}"), ("threads", str(self.threads))]
        return [*about, ("device", _lanner.processor())]


def device(runtime: str = "onnxruntime", *, threads: int = 1) -> Device:
    """Returns the device that networks are measured on: this machine's processor.

    >>> device("rten", threads=1)
    Device(runtime='rten', threads=1)

    ``onnxruntime`` uses the library of the package ``onnxruntime``; ``rten`` is built in, and several times
    slower. For any other device, give ``create_study`` a function: ``measure=``.

    Raises InputError for an unknown runtime or number of threads.
    """
    if runtime not in RUNTIMES:
        raise InputError(f"runtime {runtime!r} is not known, expected {' or '.join(RUNTIMES)}")
    return Device(runtime, whole("threads", threads, 1, 1024))


class Stopwatch:
    """Measures ONNX models on a device, in a process that does nothing else."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._process: "subprocess.Popen[str] | None" = None

    def measure(self, model: bytes, is_final: bool = False) -> tuple[float, float] | None:
        """Returns latency and standard error, milliseconds; None if the runtime refuses the network.

        Raises MeasureError if the runtime cannot be used.
        """
        import tempfile

        number, path = tempfile.mkstemp(suffix=".onnx")
        try:
            with os.fdopen(number, "wb") as file:
                file.write(model)
            answer = self._ask({"model": path, "final": is_final})
        finally:
            os.unlink(path)
        if "error" in answer:
            raise MeasureError(answer["error"])
        return None if "refused" in answer else (answer["ms"], answer["se"])

    def close(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                try:
                    if stream is not None:
                        stream.close()
                except OSError:
                    pass  # What was not sent yet cannot be any more.

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = self._start()
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        except BaseException:
            # Interrupted: the answer that is still to come is of no question.
            self.close()
            raise
        if not line:
            code = process.wait()
            self.close()
            # The network ended its runtime; others may be measured.
            return {"refused": f"the process that measures ended with code {code}"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _start(self) -> "subprocess.Popen[str]":
        import subprocess

        arguments = {"runtime": self.device.runtime, "threads": self.device.threads}
        if self.device.runtime == "onnxruntime":
            arguments["library"] = _library()
        # It must find the package as this process does, and not wait for the user's Ctrl-C.
        paths = os.pathsep.join(p for p in sys.path if p)
        return subprocess.Popen(
            [sys.executable, "-m", "lanner._measuring", json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
            start_new_session=True,
        )

    def __del__(self) -> None:
        self.close()


def _library() -> str:
    """Returns the folder of ONNX Runtime's library, without loading it."""
    found = importlib.util.find_spec("onnxruntime")
    if found is None or found.origin is None:
        raise MeasureError(
            "onnxruntime is not installed: pip install onnxruntime, or measure with lanner.device('rten')"
        )
    return os.path.join(os.path.dirname(found.origin), "capi")


