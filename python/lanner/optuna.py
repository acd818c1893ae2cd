"""Lanner beside Optuna: studies as Optuna's, and a sampler for its objective functions. Needs ``optuna``."""

import json
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
    Networks over a limit are pruned trials; other metrics are attributes of the user.
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
    return optuna.trial.create_trial(
        state=state,
        values=values,
        params=params,
        distributions=distributions,
        user_attrs=attributes,
    )


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
    declare them with ``lanner.space`` to have them searched.

    ``optuna.create_study(direction="maximize", sampler=LannerSampler(seed=1))``
    """

    def __init__(self, seed: int = 0, strategy: str | None = None) -> None:
        self._seed = seed
        self._strategy = strategy
        self._random = optuna.samplers.RandomSampler(seed)
        self._common = optuna.search_space.IntersectionSearchSpace()
        self._names: dict[str, str] = {}
        self._known: str | None = None
        self._study: Study | None = None
        self._running: dict[int, Trial] = {}

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
        key = json.dumps({n: optuna.distributions.distribution_to_json(d) for n, d in search_space.items()})
        if key != self._known:
            self._begin(study, search_space)
            self._known = key
        assert self._study is not None
        asked = self._study.ask()
        if not asked:
            warnings.warn("nothing is left in the space: a random trial", stacklevel=2)
            return {}
        self._running[trial._trial_id] = asked[0]
        arch = asked[0].arch
        assert isinstance(arch, dict)
        values = {own: arch[name] for name, own in self._names.items()}
        return {own: _choice(search_space[own], value) for own, value in values.items()}

    def _begin(self, study: optuna.Study, search_space: dict[str, BaseDistribution]) -> None:
        """Makes Lanner's study of these parameters. Names that TOML does not take are numbered."""
        self._names = {f"p{i}": own for i, own in enumerate(search_space)}
        parameters = {n: _parameter(search_space[own]) for n, own in self._names.items()}
        signs = [d == optuna.study.StudyDirection.MAXIMIZE for d in study.directions]
        self._study = create_study(
            space("optuna", **parameters),
            maximize=[f"value{i}" for i, is_max in enumerate(signs) if is_max],
            minimize=[f"value{i}" for i, is_max in enumerate(signs) if not is_max],
            seed=self._seed,
            strategy=self._strategy,
        )
        self._running = {}

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Tells Lanner."""
        asked = self._running.pop(trial._trial_id, None)
        if asked is None or self._study is None:
            return
        if state == TrialState.COMPLETE and values is not None:
            self._study.tell(asked, {f"value{i}": v for i, v in enumerate(values)})
        else:
            self._study.tell(asked, failed=f"Optuna's trial is {state.name.lower()}")

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
    match distribution:
        case IntDistribution(low=low, high=high, log=log, step=step):
            return Int(low, high, log=log, step=step)
        case FloatDistribution(low=low, high=high, log=log, step=None):
            return Float(low, high, log=log)
        case FloatDistribution(low=low, high=high, step=float(step)):
            return Choice(*(low + i * step for i in range(int((high - low) / step + 1.5))))
        case CategoricalDistribution(choices=choices):
            # By number: choices may be values of any type.
            return Choice(*range(len(choices)), ordered=False)
    raise InputError(f"no parameter of Lanner is like {distribution}")


def _choice(distribution: BaseDistribution, value: Any) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[value]
    return value


__all__ = ["LannerSampler", "to_optuna"]
