"""Lanner beside Optuna: studies as Optuna's, and a sampler for its objective functions. Needs ``optuna``."""

import datetime
import json
import math
import threading
import tomllib
import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from lanner import _lanner
from lanner._checked import whole
from lanner._create import create_study
from lanner._errors import InputError
from lanner._parameters import Choice, Float, Int, Parameter, space
from lanner._study import Study
from lanner._trial import Trial

_STATES = {
    "done": TrialState.COMPLETE,
    "failed": TrialState.FAIL,
    "infeasible": TrialState.PRUNED,
}


def to_optuna(study: Study) -> optuna.Study:
    """Copies a study to one of Optuna, in memory, for optuna-dashboard and ``optuna.visualization``.

    Parameters of a repeat are called ``block[0].kernel``; in a published space the only one is ``arch``.
    Networks over a limit before the training are pruned trials. Limits are Optuna's constraints, which its best trials
    keep; other metrics are attributes of the user.
    """
    copy = optuna.create_study(directions=list(study.directions.values()))
    trials = [t for t in study.trials if t.state in _STATES]
    listed = CategoricalDistribution(sorted({str(t.arch) for t in trials}) or ["none"])
    for trial in trials:
        if isinstance(trial.arch, dict):
            declared = tomllib.loads(study.space.toml or "")["parameter"]
            distributions = dict(_flat(declared, trial.arch, ""))
            params = _values(trial.arch, "")
        else:
            distributions, params = {"arch": listed}, {"arch": trial.arch}
        copy.add_trial(_trial(study, trial, params, distributions))
    return copy


def _trial(
    study: Study, trial: Trial, params: dict[str, Any], distributions: dict[str, BaseDistribution]
) -> FrozenTrial:
    state = _STATES[trial.state]
    values = [trial.metrics[name] for name in study.directions] if trial.state == "done" else None
    others = {name: v for name, v in trial.metrics.items() if name not in study.directions}
    attributes: dict[str, Any] = {**others, "number": trial.number, "seed": trial.seed}
    if trial.note:
        attributes["note"] = trial.note
    over = [_over(limit, trial.metrics) for limit in study.limits]
    made = optuna.trial.create_trial(
        state=state,
        values=values,
        params=params,
        distributions=distributions,
        user_attrs=attributes,
        system_attrs={"constraints": over} if over else None,
    )
    if trial.started is not None and trial.finished is not None:
        made.datetime_start = datetime.datetime.fromtimestamp(trial.started)
        made.datetime_complete = datetime.datetime.fromtimestamp(trial.finished)
    return made


def _over(limit: str, metrics: dict[str, float]) -> float:
    """Returns by how much a metric is over a limit, 0 if it is not known."""
    name, sign, bound = _lanner.limit(limit).rsplit(None, 2)
    excess = metrics.get(name, float(bound)) - float(bound)
    return excess if sign == "<=" else -excess


def _flat(
    declared: Sequence[dict[str, Any]], arch: dict[str, Any], before: str
) -> list[tuple[str, BaseDistribution]]:
    """Returns the distribution of each parameter that an architecture has, by its flat name."""
    all_: list[tuple[str, BaseDistribution]] = []
    for parameter in declared:
        name = parameter["name"]
        if name not in arch:
            continue
        if "repeat" in parameter:
            for i, item in enumerate(arch[name]):
                all_ += _flat(parameter["parameter"], item, f"{before}{name}[{i}].")
        elif "integer" in parameter:
            low, high = parameter["integer"]
            log, step = parameter.get("log", False), parameter.get("step", 1)
            all_.append((before + name, IntDistribution(low, high, log=log, step=step)))
        elif "float" in parameter:
            low, high = parameter["float"]
            log = parameter.get("log", False)
            all_.append((before + name, FloatDistribution(low, high, log=log)))
        else:
            all_.append((before + name, CategoricalDistribution(parameter["choice"])))
    return all_


def _values(arch: dict[str, Any], before: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in arch.items():
        if isinstance(value, list):
            for i, item in enumerate(value):
                flat |= _values(item, f"{before}{name}[{i}].")
        else:
            flat[before + name] = value
    return flat


class LannerSampler(optuna.samplers.BaseSampler):
    """Chooses the parameters of Optuna's trials by Lanner, for objective functions that stay as they are.

    The first trial is random: it shows the parameters. Those that only some trials have are random, too:
    declare them with ``lanner.space`` to have them searched. All trials of Optuna's study teach, whoever chose
    them: those of an earlier program or of another process, and enqueued ones.

    ``optuna.create_study(direction="maximize", sampler=LannerSampler(seed=1))``
    """

    def __init__(self, seed: int = 0, strategy: str | None = None) -> None:
        self._seed = whole("seed", seed)
        self._strategy = strategy
        self._random = optuna.samplers.RandomSampler(seed)
        self._common = optuna.search_space.IntersectionSearchSpace()
        self._lock = threading.Lock()
        self._names: dict[str, str] = {}
        self._known: str | None = None
        self._study: Study | None = None
        self._running: dict[int, Trial] = {}
        """Trials of the study that run in this process, by the id of Optuna's trial."""
        self._told: set[int] = set()
        """Trials of Optuna that ended and that the study has."""

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Returns the parameters that all trials had so far."""
        found = self._common.calculate(study)
        return {name: d for name, d in sorted(found.items()) if not d.single()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Asks Lanner."""
        if not search_space:
            return {}
        with self._lock:
            key = json.dumps({n: optuna.distributions.distribution_to_json(d) for n, d in search_space.items()})
            others = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
            ended = {t._trial_id for t in others if t.state.is_finished()}
            if key != self._known or not ended <= self._told:
                self._begin(study, search_space, others)
                self._known, self._told = key, ended
            assert self._study is not None
            asked = self._study.ask()
            if not asked:
                warnings.warn("nothing is left in the space: a random trial", stacklevel=2)
                return {}
            self._running[trial._trial_id] = asked[0]
            return {own: _value(search_space[own], asked[0].arch[name]) for name, own in self._names.items()}

    def _begin(
        self, study: optuna.Study, search_space: dict[str, BaseDistribution], others: Sequence[FrozenTrial]
    ) -> None:
        """Makes Lanner's study of these parameters and of what is known of them. Names that TOML does not take
        are numbered.
        """
        self._names = {f"p{i}": own for i, own in enumerate(search_space)}
        parameters = {n: _parameter(search_space[own]) for n, own in self._names.items()}
        own_space = space("optuna", **parameters)
        trials: dict[str, FrozenTrial] = {}
        for t in others:
            arch = self._running[t._trial_id].arch if t._trial_id in self._running else None
            if all(own in t.params for own in search_space):
                arch = {n: _place(search_space[own], t.params[own]) for n, own in self._names.items()}
            if arch is None or set(arch) != set(self._names) or arch not in own_space:
                continue
            text = own_space.text(arch)
            if text not in trials or t.state == TrialState.COMPLETE != trials[text].state:
                trials[text] = t
        signs = [d == optuna.study.StudyDirection.MAXIMIZE for d in study.directions]
        self._study = create_study(
            own_space,
            maximize=[f"value{i}" for i, is_max in enumerate(signs) if is_max],
            minimize=[f"value{i}" for i, is_max in enumerate(signs) if not is_max],
            seed=self._seed,
            strategy=self._strategy,
            first=[own_space._arch(text) for text in trials],
        )
        running: dict[int, Trial] = {}
        for asked in self._study.ask(len(trials)):
            t = trials[own_space.text(asked.arch)]
            if t.state.is_finished():
                self._tell(asked, t.state, t.values)
            elif t._trial_id in self._running:
                running[t._trial_id] = asked
        self._running = running

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Tells Lanner."""
        with self._lock:
            asked = self._running.pop(trial._trial_id, None)
            if asked is None or self._study is None:
                return
            # An enqueued trial has its own parameters: it is read from Optuna's study before the next one.
            wanted = {own: asked.arch[name] for name, own in self._names.items() if own in trial.params}
            if all(_value(trial.distributions[own], v) == trial.params[own] for own, v in wanted.items()):
                self._tell(asked, state, values)
                self._told.add(trial._trial_id)

    def _tell(self, asked: Trial, state: TrialState, values: Sequence[float] | None) -> None:
        assert self._study is not None
        if state == TrialState.COMPLETE and values is not None and all(map(math.isfinite, values)):
            self._study.tell(asked, {f"value{i}": v for i, v in enumerate(values)})
        else:
            self._study.tell(asked, failed=f"Optuna's trial is {state.name.lower()}, its values are {values}")

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draws at random."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)


def _parameter(distribution: BaseDistribution) -> Parameter:
    """Returns the parameter of a distribution: values of categories and steps by their numbers."""
    match distribution:
        case IntDistribution(low=low, high=high, log=log, step=step):
            return Int(low, high, log=log, step=step)
        case FloatDistribution(low=low, high=high, log=log, step=None):
            return Float(low, high, log=log)
        case FloatDistribution(low=low, high=high, step=float(step)):
            return Int(0, round((high - low) / step))
        case CategoricalDistribution(choices=choices):
            return Choice(*range(len(choices)), ordered=False)
    raise InputError(f"no parameter of Lanner is like {distribution}")


def _value(distribution: BaseDistribution, place: Any) -> Any:
    """Returns Optuna's value of Lanner's."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            return choices[place]
        case FloatDistribution(low=low, high=high, step=float(step)):
            # A rounded sum may be above the highest value.
            return min(low + place * step, high)
    return place


def _place(distribution: BaseDistribution, value: Any) -> Any:
    """Returns Lanner's value of Optuna's."""
    match distribution:
        case CategoricalDistribution():
            return int(distribution.to_internal_repr(value))
        case FloatDistribution(low=low, step=float(step)):
            return round((value - low) / step)
    return value


__all__ = ["LannerSampler", "to_optuna"]
