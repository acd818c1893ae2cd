"""Studies: searches whose record is on disk, or in a temporary folder."""

import json
import os
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from lanner import _lanner
from lanner._checked import given, several, whole
from lanner._checked import path as as_path
from lanner._errors import InputError, StudyError
from lanner._evaluate import Failure, Train, metrics
from lanner._figure import draw
from lanner._loop import Callback, Loop, threads, workers_of
from lanner._measure import Meter
from lanner._number import number
from lanner._progress import Progress
from lanner._space import Space
from lanner._trial import Build, Trial, trials_of


def _column(values: list[Any]) -> list[Any]:
    """Returns the values as those of a column: all numbers, or all texts."""
    there = [value for value in values if value is not None]
    if all(isinstance(value, (int, float)) for value in there):
        is_whole = all(isinstance(value, int) for value in there) and there
        return values if is_whole else [None if v is None else float(v) for v in values]
    return [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]


class Study:
    """A search and its record, made by :func:`create_study`."""

    def __init__(
        self,
        search: _lanner.Search,
        space: Space,
        folder: Path,
        *,
        build: Build | None = None,
        meter: Meter | None = None,
        temporary: Any = None,
    ) -> None:
        self.space = space
        self._search = search
        self._folder = folder
        self._build = build
        self._meter = meter
        if temporary is not None:
            weakref.finalize(self, temporary.cleanup)
        self._is_stopped = False
        self._is_measured = False
        self._budget = 0
        self._asking = threading.RLock()
        """Held while a thread asks: each gets what it asks for."""
        self._asked: set[int] = set()
        """Trials that the caller asked for and has not told yet."""
        job = json.loads(search.job())
        self.limits: list[str] = job["limits"]
        """Limits of the study."""
        self.directions: dict[str, str] = {
            o["metric"]: "maximize" if o["maximise"] else "minimize" for o in job["objectives"]
        }
        """Direction of each objective."""
        self._objective = next(iter(self.directions))
        self._needed: list[str] = search.needed()

    @property
    def storage(self) -> Path:
        """Folder of the study."""
        return self._folder

    def optimize(
        self,
        train: Train,
        n_trials: int | None = None,
        timeout: float | None = None,
        n_jobs: int | None = None,
        executor: Executor | None = None,
        callbacks: Sequence[Callback] | None = (),
        *,
        total_trials: int | None = None,
    ) -> None:
        """Trains ``n_trials`` networks, one after the other or on several workers.

        ``train(trial)`` returns the value of the objective, or a dictionary with it and other metrics. A
        training that raises is a failed trial; after three failures without a success, the loop ends with
        TrainError. Networks over a limit are not trained, and are not counted.

        - ``total_trials``: trains until the study has that many, so that a script that is run again
          finishes what a killed one began, and several that run at a time share them.
        - ``timeout``: no training begins after so many seconds.
        - ``n_jobs``: number of trainings at a time, in threads; one, in this thread, by default.
        - ``executor``: any ``concurrent.futures.Executor`` (processes, Dask's ``client.get_executor()``, an
          MPI pool), submitit's, or ``lanner.ray.RayExecutor``. A worker that dies gives its trial back; one
          that kills three fails.
        - ``callbacks``: called as ``callback(study, trial)`` after each result, in this thread.

        At the end, the best networks are measured again if a latency is limited. Ctrl-C ends the loop at
        once; what was running is handed out again later. So does ``study.stop()``, after the trials that
        run.
        """
        if not callable(train):
            raise InputError(f"train is {train!r}, expected a function of a trial")
        functions = "a list of functions of study and trial"
        listed = [] if callbacks is None else several("callbacks", callbacks, functions)
        if not all(callable(c) for c in listed):
            raise InputError(f"{given('callbacks', callbacks)}, expected {functions}")
        if executor is not None and not callable(getattr(executor, "submit", None)):
            raise InputError(f"{given('executor', executor)}, expected a concurrent.futures.Executor")
        if n_trials is not None:
            n_trials = whole("n_trials", n_trials)
        if total_trials is not None:
            total_trials = whole("total_trials", total_trials)
        if n_jobs is not None:
            n_jobs = whole("n_jobs", n_jobs, 1)
        seconds = number(timeout)
        if timeout is not None and (seconds is None or not seconds >= 0):
            raise InputError(f"{given('timeout', timeout)}, expected seconds, 0 or more")
        left = n_trials
        if total_trials is not None:
            counts = self.counts
            missing = total_trials - counts["done"] - counts["failed"] + counts["imported"]
            left = max(0, missing) if n_trials is None else min(n_trials, max(0, missing))
        deadline = None if seconds is None else time.monotonic() + seconds
        workers = 1 if n_jobs is None else n_jobs
        own = None
        if executor is None:
            executor = own = threads(workers)
        else:
            workers = workers_of(executor, n_jobs)
        self._is_stopped = False
        loop = Loop(self, train, listed, left, deadline, executor, workers, is_total=total_trials is not None)
        if own is not None:
            loop.own.append(own)
        loop.run()
        self._confirm()

    def stop(self) -> None:
        """Ends ``optimize`` after the trainings that run; for callbacks."""
        self._is_stopped = True

    def ask(self, n: int = 1) -> list[Trial]:
        """Asks for ``n`` trials to train, within the limits as far as can be measured. Fewer if the strategy
        wants results first, or nothing is left.

        >>> import lanner
        >>> study = lanner.create_study("nasbench201", maximize="score")
        >>> trials = study.ask(2)
        >>> study.tell(trials[0], 93.1).state
        'done'
        >>> study.tell(trials[1], failed="out of memory").state
        'failed'
        """
        n = whole("n", n)
        trials: list[Trial] = []
        with self._asking:
            self._measure_first()
            self._allow(n)
            while len(trials) < n and (trial := self._claim(n - len(trials))) is not None:
                trials.append(trial)
                self._asked.add(trial.number)
        return trials

    def tell(
        self,
        trial: Trial | int,
        values: float | Mapping[str, float] | Sequence[float] | None = None,
        *,
        failed: str | None = None,
    ) -> Trial:
        """Records the result of a trial: its objective, or a dictionary of metrics, or why it failed.

        Raises InputError if the objective is missing or no finite number, StudyError if the trial has ended
        before.
        """
        asked = trial.number if isinstance(trial, Trial) else whole("trial", trial)
        if failed is not None:
            if not isinstance(failed, str):
                raise InputError(f"{given('failed', failed)}, expected the reason as a text")
            if values is not None:
                raise InputError("tell was given values and failed=, expected one of them")
            return self._tell(self._trial(asked), Failure(failed))
        result = metrics(values, self._needed, "tell was given", "give")
        if isinstance(result, Failure):
            raise InputError(result.why)
        return self._tell(self._trial(asked), result)

    @property
    def best_trial(self) -> Trial:
        """The best trial within the limits.

        Raises StudyError if there is none.
        """
        trials = self.best_trials
        if not trials:
            raise StudyError("no trial is done and within the limits")
        return trials[0]

    @property
    def best_trials(self) -> list[Trial]:
        """The trials that no other one beats in all objectives, the best first value first."""
        return self._trials(self._search.best())

    @property
    def best_value(self) -> float:
        """Value of the best trial."""
        value = self.best_trial.value
        assert value is not None
        return value

    @property
    def best_arch(self) -> Any:
        """Architecture of the best trial."""
        return self.best_trial.arch

    @property
    def trials(self) -> list[Trial]:
        """All trials, in the order of asking; also those over a limit, which were not trained."""
        return self._trials(self._search.trials())

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of trials by state, and of imported ones among them."""
        counts: dict[str, int] = json.loads(self._search.counts())
        return counts

    @property
    def measurements(self) -> list[dict[str, Any]]:
        """All measurements, in the order in which they were made: ``arch``, ``metric``, ``value``, ``se``
        (standard error), ``trial``, ``unix_time``.
        """
        rows: list[dict[str, Any]] = json.loads(self._search.measurements())
        for row in rows:
            row["arch"] = self.space._arch(row["arch"])
        return rows

    def trials_dataframe(self) -> Any:
        """Returns the trials as a pandas data frame: one row a trial, one column a metric, and one a
        parameter where architectures have parameters. For other libraries, see :meth:`table`.
        """
        import pandas

        return pandas.DataFrame(self.rows())

    def table(self) -> _lanner.Table:
        """Returns the trials as a table that polars, pyarrow, pandas, DuckDB and others take by Arrow's
        interface, without a copy: ``polars.DataFrame(study.table())``, ``pyarrow.table(study.table())``.

        Its columns are those of :meth:`rows`; lists of a repeat are JSON texts.
        """
        rows = self.rows()
        names = dict.fromkeys(name for row in rows for name in row)
        return _lanner.Table([(name, _column([row.get(name) for row in rows])) for name in names])

    def rows(self) -> list[dict[str, Any]]:
        """Returns the trials as dictionaries of plain values, for any library of tables: ``arch`` is the text by
        which tables and predictors know the architecture.
        """
        trials = self.trials
        names = sorted({name for t in trials for name in t.metrics})
        rows = []
        for t in trials:
            row: dict[str, Any] = {"number": t.number, "state": t.state, "value": t.value}
            row["arch"] = self.space.text(t.arch)
            if isinstance(t.arch, dict):
                row |= {f"params_{name}": value for name, value in t.arch.items()}
            row |= {name: t.metrics.get(name) for name in names}
            rows.append(row | {"seconds": t.seconds, "note": t.note})
        return rows

    def to_optuna(self) -> Any:
        """Returns a copy of the study as one of Optuna, in memory: see ``lanner.optuna.to_optuna``."""
        from lanner.optuna import to_optuna

        return to_optuna(self)

    def report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Writes the report, one HTML page, and returns its path: ``report.html`` in the study's folder."""
        target = self._folder / "report.html" if path is None else Path(as_path("path", path))
        _lanner.write_file(str(target), self._search.report().encode())
        return target

    def export(self, path: str | os.PathLike[str], *, untrained: bool = False) -> Path:
        """Writes the best network as ONNX, with the weights that ``trial.save`` kept.

        ``untrained`` allows the initial weights instead. Raises StudyError if the best trial kept none.
        """
        target = as_path("path", path)
        best = self.best_trial
        kept = self._folder / "networks" / f"{best.number}.onnx"
        if kept.exists():
            model = kept.read_bytes()
        elif not untrained:
            raise StudyError(
                f"trial {best.number} kept no trained network: call trial.save(module, example_input) in train, "
                "or export(…, untrained=True)"
            )
        elif self._meter is not None and self._meter.exporter is not None:
            made = self._meter.exporter(best.arch, best.seed)
            if made is None:
                raise StudyError(f"build returned None for {best.arch!r}: it makes no network")
            model = made
        else:
            from lanner._network import Network

            model = Network(best.arch, self.space).to_onnx(seed=best.seed)
        _lanner.write_file(target, model)
        return Path(target)

    def __reduce__(self) -> Any:
        """Refuses pickles and copies: one process writes the record."""
        raise StudyError(
            "a study is not pickled or copied, since one process writes its record: in a worker, "
            f"lanner.load_study({str(self._folder)!r}) reads it"
        )

    def _trials(self, text: str) -> list[Trial]:
        own = {"_storage": self._folder, "_build": self._build}
        return trials_of(text, self.space, self._objective, **own)

    def _trial(self, number: int) -> Trial:
        return self._trials(f"[{self._search.trial(number)}]")[0]

    def _measure_first(self, progress: Progress | None = None) -> None:
        """Measures the first networks. ``progress`` is told of them, and of later ones."""
        if self._meter is not None:
            self._meter.progress = progress
        if not self._is_measured:
            self._search.first_measurements()
            self._is_measured = True

    def _allow(self, n: int) -> None:
        """Lets the study have ``n`` more results. Trials that a killed process ran are among them."""
        counts = self.counts
        evaluated = counts["done"] + counts["failed"] - counts["imported"]
        self._budget = evaluated + len(self._asked) + n
        self._search.set_budget(self._budget)

    def _claim(self, left: int | None = None, running: int = 0) -> Trial | None:
        """Claims a trial. With ``left``, so many are still wanted, beside those that the caller runs: trials and
        results of other processes are not among them.
        """
        # Another process may take what was asked for here.
        while (claimed := self._search.claim()) is None and left is not None:
            counts = self.counts
            evaluated = counts["done"] + counts["failed"] - counts["imported"]
            budget = evaluated + max(counts["running"], len(self._asked) + running) + left
            if budget <= self._budget:
                break
            self._budget = budget
            self._search.set_budget(budget)
        return None if claimed is None else self._trials(f"[{claimed}]")[0]

    def _tell(self, trial: Trial, result: dict[str, float] | Failure) -> Trial:
        if isinstance(result, Failure):
            self._search.fail(trial.number, result.why)
        else:
            self._search.tell(trial.number, result)
        self._asked.discard(trial.number)
        return self._trial(trial.number)

    def _confirm(self) -> None:
        """Measures the best networks again, and writes best.json."""
        if self.counts["done"]:
            self._search.found()

    def svg(self) -> str:
        """Draws the search: the value of the first objective of each trial, and the best so far."""
        name, direction = next(iter(self.directions.items()))
        return draw(self.trials, self.best_trials, name, direction == "maximize")

    def _repr_html_(self) -> str:
        import html

        rows = [("", repr(self)), ("folder", str(self._folder))]
        if self.best_trials:
            best = self.best_trials[0]
            metrics = ", ".join(f"{name} {value:.6g}" for name, value in best.metrics.items())
            rows += [("best", f"trial {best.number}: {metrics}"), ("network", str(best.arch))]
        cells = (f"<tr><th>{k}</th><td>{html.escape(v)}</td></tr>" for k, v in rows)
        return f"<table>{''.join(cells)}</table>{self.svg() if len(rows) > 2 else ''}"

    def __repr__(self) -> str:
        goals = ", ".join(f"{d} {m}" for m, d in self.directions.items())
        limits = f" within {', '.join(self.limits)}" if self.limits else ""
        counts = self.counts
        return f"Study({goals}{limits}: {counts['done']} done, {counts['failed']} failed)"


