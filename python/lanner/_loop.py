"""The loop of a study: claim, submit, tell as each training ends. The driver alone writes the study;
workers only train.
"""

import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lanner._errors import InputError, TrainError
from lanner._evaluate import Failure, Train, evaluate
from lanner._progress import Progress
from lanner._trial import Trial

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

    from lanner._study import Study

Callback = Callable[["Study", Trial], None]

DEATHS = 3
"""Number of deaths of workers after which a trial counts as failed."""
FAILURES = 3
"""Number of failures without a success after which the loop gives up."""
AHEAD = 4
"""One trial is claimed ahead for so many workers."""
FIRST_PAUSE = 0.01
"""Seconds after which jobs that do not tell when they end are asked; later ones are longer."""
UNLIMITED = 100
"""Number of trials by which the budget grows where none is given."""
_DIED = {
    "ActorDiedError",
    "ActorUnavailableError",
    "KilledWorker",
    "NodeDiedError",
    "ObjectLostError",
    "OutOfMemoryError",
    "OwnerDiedError",
    "UncompletedJobError",
    "WorkerCrashedError",
    "WorkerDied",
}
"""Names of exceptions by which engines tell that a worker died."""
_UNSENDABLE = ("pickle", "serializ", "serialis")


@dataclass
class Loop:
    """One call of ``study.optimize``."""

    study: "Study"
    train: Train
    callbacks: Sequence[Callback]
    left: int | None
    """Number of trials still to begin; None without a limit."""
    deadline: float | None
    executor: Executor | None = None
    n_jobs: int = 1
    is_total: bool = False
    """Whether trials of other processes are among ``left``."""
    running: dict[Any, Trial] = field(default_factory=dict)
    ready: deque[Trial] = field(default_factory=deque)
    """Trials that were claimed for workers that are not free yet."""
    ended: deque[tuple[Any, Trial]] = field(default_factory=deque)
    """Trials whose training ended, with their futures, that are not told yet."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    """Held where ``running``, ``ready`` and ``ended`` change, which the thread of :meth:`_hand_over` does too."""
    done: "queue.SimpleQueue[Any]" = field(default_factory=queue.SimpleQueue)
    """Futures that ended, for the thread; None ends it."""
    news: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Released once for each trial in ``ended``, and if the thread ends by an error."""
    broken: BaseException | None = None
    """Error by which the thread ended."""
    own: list[Executor] = field(default_factory=list)
    """Executors that the loop made, and ends."""
    deaths: dict[int, int] = field(default_factory=dict)
    failures: list[Trial] = field(default_factory=list)
    is_hopeful: bool = False
    """Whether a trial succeeded."""

    progress: Progress | None = None
    best: float | None = None
    """Best value of the first objective so far, within limits or not."""

    def run(self) -> None:
        """Runs until nothing is left to begin and all that runs has ended."""
        self.progress = Progress(self.left, "trials")
        thread = None
        if self.executor is not None:
            thread = threading.Thread(target=self._hand_over, name="lanner-loop", daemon=True)
            thread.start()
        try:
            self.study._measure_first(self.progress)
            self._grow_budget()
            while True:
                self._fill()
                if not self.running and not self.ended:
                    break
                if self.executor is not None:
                    self._claim_ahead()
                    self._wait()
                while self.ended:
                    self._receive(*self.ended.popleft())
        finally:
            if thread is not None:
                self.done.put(None)
                thread.join()
            # A trial that did not end is given back: it is handed out again, with the same seed.
            for future in self.running:
                if isinstance(future, Future):
                    future.cancel()
            for trial in (*self.running.values(), *(e[1] for e in self.ended), *self.ready):
                self.study._search.give_back(trial.number)
            for executor in self.own:
                executor.shutdown(wait=False, cancel_futures=True)
            self.progress.close()

    def _hand_over(self) -> None:
        """Gives a worker that is free a trial that was claimed ahead, at once: results are written, and the
        strategy thinks, in the other thread.
        """
        try:
            pause = FIRST_PAUSE
            while True:
                try:
                    ended = [self.done.get(timeout=pause)]
                    if ended[0] is None:
                        return
                except queue.Empty:
                    # Jobs of other engines, such as submitit's, can only be asked.
                    with self.lock:
                        others = [f for f in self.running if not isinstance(f, Future)]
                    ended = [f for f in others if f.done()]
                    pause = min(1.0, 1.5 * pause) if not ended else FIRST_PAUSE
                with self.lock:
                    for future in ended:
                        self.ended.append((future, self.running.pop(future)))
                    while self.ready and len(self.running) < self.n_jobs and self._is_in_time():
                        self._begin(self.ready.popleft())
                for _ in ended:
                    self.news.release()
        except BaseException as error:
            self.broken = error
            self.news.release()

    def _wait(self) -> None:
        """Waits for the next training to end."""
        # With a timeout, so that Ctrl-C is noticed on every platform.
        while not self.news.acquire(timeout=1.0):
            pass
        if self.broken is not None:
            raise self.broken

    def _is_in_time(self) -> bool:
        in_time = self.deadline is None or time.monotonic() < self.deadline
        return in_time and not self.study._is_stopped

    def _grow_budget(self) -> None:
        more = UNLIMITED if self.left is None else self.left
        self.study._allow(more + len(self.running) + len(self.ready))

    def _next(self) -> Trial | None:
        """Claims a trial; None if none is left, or the strategy waits for results."""
        if self.left == 0 or not self._is_in_time():
            return None
        mine = len(self.running) + len(self.ready)
        trial = self.study._claim(None if self.is_total else self.left, mine)
        if trial is None and self.left is None:
            self._grow_budget()
            trial = self.study._claim()
        if trial is not None and self.left is not None:
            self.left -= 1
        return trial

    def _fill(self) -> None:
        """Gives every free worker a trial."""
        while len(self.running) < self.n_jobs and self._is_in_time():
            with self.lock:
                if self.ready:
                    self._begin(self.ready.popleft())
                    continue
            # Nobody else begins a trial as long as none is ready.
            trial = self._next()
            if trial is None:
                return
            self._begin(trial)

    def _claim_ahead(self) -> None:
        """Claims trials for the workers that will be free next: their networks are measured meanwhile. Ends
        when a result is to be told, which the next claim may learn from.
        """
        if len(self.running) < self.n_jobs:
            return
        while len(self.ready) < -(-self.n_jobs // AHEAD) and not self.ended:
            trial = self._next()
            if trial is None:
                return
            with self.lock:
                self.ready.append(trial)

    def _begin(self, trial: Trial) -> None:
        if self.executor is None:
            self._train_here(trial)
        else:
            self._submit(self._usable(self.executor), trial)

    def _train_here(self, trial: Trial) -> None:
        self.running[None] = trial
        result = evaluate(self.train, trial, self.study._needed)
        del self.running[None]
        self._tell(trial, result)

    def _submit(self, executor: Executor, trial: Trial) -> None:
        with self.lock:
            try:
                future = executor.submit(evaluate, self.train, trial, self.study._needed)
            except BaseException:
                self.study._search.give_back(trial.number)
                raise
            self.running[future] = trial
        if isinstance(future, Future):
            future.add_done_callback(self.done.put)

    def _receive(self, future: Any, trial: Trial) -> None:
        try:
            result = future.result()
        except Exception as error:
            if isinstance(error, BrokenExecutor) or type(error).__name__ in _DIED:
                self._died(trial, error)
                return
            self.study._search.give_back(trial.number)
            text = f"{type(error).__name__}: {error}"
            if any(word in text.lower() for word in _UNSENDABLE):
                raise InputError(
                    f"train or trial.arch cannot be sent to another process ({text}); define train, and "
                    "build, at the top of a module, or use threads: n_jobs without executor"
                ) from error
            raise
        self._tell(trial, result)

    def _died(self, trial: Trial, error: Exception) -> None:
        deaths = self.deaths[trial.number] = self.deaths.get(trial.number, 0) + 1
        if deaths >= DEATHS:
            why = f"the worker died, {deaths} times: {type(error).__name__}: {error}"
            self._tell(trial, Failure(why))
        elif _is_process_pool(self.executor):
            # One dead process ends a pool with all that it runs, and nobody knows whose fault it was. Each of
            # its trials goes on in a pool of its own.
            self._submit(self._pool_like(self.executor, 1), trial)
        elif self.executor is not None:
            self._submit(self.executor, trial)

    def _usable(self, executor: Executor) -> Executor:
        """Replaces a pool of processes that broke."""
        if _is_process_pool(executor) and getattr(executor, "_broken", False):
            self.executor = executor = self._pool_like(executor, self.n_jobs)
        return executor

    def _pool_like(self, pool: Any, workers: int) -> "ProcessPoolExecutor":
        from concurrent.futures import ProcessPoolExecutor

        another = ProcessPoolExecutor(
            workers, pool._mp_context, pool._initializer, pool._initargs
        )
        self.own.append(another)
        return another

    def _tell(self, trial: Trial, result: dict[str, float] | Failure) -> None:
        told = self.study._tell(trial, result)
        if told.state == "failed":
            self.failures.append(told)
        elif told.state == "done":
            self.is_hopeful = True
        if self.progress is not None:
            self.progress.step(self._best_so_far(told))
        for callback in self.callbacks:
            callback(self.study, told)
        if not self.is_hopeful and len(self.failures) >= FAILURES:
            first = self.failures[0]
            raise TrainError(
                f"the first {FAILURES} trials failed; trial {first.number}: {first.note}"
            )

    def _best_so_far(self, told: Trial) -> str:
        """Returns the best value of this call of ``optimize``, for the bar."""
        if told.value is None:
            return ""
        name, direction = next(iter(self.study.directions.items()))
        better = max if direction == "maximize" else min
        self.best = told.value if self.best is None else better(self.best, told.value)
        return f"best {name} {self.best:.6g}"


def _is_process_pool(executor: Executor | None) -> bool:
    """Tells whether it is a pool of processes; its module, which is slow to import, is not imported here."""
    module = sys.modules.get("concurrent.futures.process")
    return module is not None and isinstance(executor, module.ProcessPoolExecutor)


def workers_of(executor: Executor, n_jobs: int | None) -> int:
    """Returns how many trials run at a time: as asked, or as many as the executor has workers."""
    if n_jobs is not None:
        return n_jobs
    for name in ("n_workers", "_max_workers"):
        workers = getattr(executor, name, None)
        if isinstance(workers, int) and workers > 0:
            return workers
    client = getattr(executor, "_client", None)
    if client is not None and hasattr(client, "ncores"):
        return max(1, int(sum(client.ncores().values())))
    raise InputError(
        f"n_jobs: say how many trials run at a time, {type(executor).__name__} does not tell"
    )


def threads(n_jobs: int) -> "ThreadPoolExecutor | None":
    """Returns the executor of several trials at a time in this process; None for one."""
    if not isinstance(n_jobs, int) or n_jobs < 1:
        raise InputError(f"n_jobs is {n_jobs!r}, expected 1 or more")
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(n_jobs, "lanner") if n_jobs > 1 else None


