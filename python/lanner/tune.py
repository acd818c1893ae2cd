"""Lanner as the searcher of Ray Tune. Needs ``ray[tune]``."""

from typing import Any

from ray.tune.search import Searcher

from lanner._checked import given
from lanner._errors import InputError
from lanner._study import Study


class LannerSearcher(Searcher):
    """Lets a study choose the configurations of Ray Tune, for those whose loop is Ray Tune's.

    The study's space is one of parameters; its first objective must be among what trials report. Trials over
    a measured limit are not given to Tune.

    ``Tuner(trainable, tune_config=TuneConfig(search_alg=LannerSearcher(study), num_samples=40))``
    """

    def __init__(self, study: Study) -> None:
        if not isinstance(study, Study):
            raise InputError(f"{given('study', study)}, expected that of lanner.create_study")
        metric, direction = next(iter(study.directions.items()))
        super().__init__(metric=metric, mode="max" if direction == "maximize" else "min")
        self._own: Study | None = study
        self._numbers: dict[str, int] = {}

    @property
    def _study(self) -> Study:
        if self._own is None:
            raise InputError(
                "Ray Tune restored this searcher without its study: make another one, with "
                "LannerSearcher(lanner.create_study(…, load_if_exists=True))"
            )
        return self._own

    def __getstate__(self) -> dict[str, Any]:
        """Returns what Ray Tune writes down: all but the study, which is on disk."""
        return {**self.__dict__, "_own": None}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Returns the next configuration; None if results are to come first, ``FINISHED`` if nothing is left."""
        trials = self._study.ask()
        if not trials:
            return None if self._numbers else Searcher.FINISHED
        self._numbers[trial_id] = trials[0].number
        arch = trials[0].arch
        return dict(arch) if isinstance(arch, dict) else {"arch": arch}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tells the study how a trial ended."""
        number = self._numbers.pop(trial_id, None)
        if number is None:
            return
        if error or not result or self.metric not in result:
            self._study.tell(number, failed="Ray Tune's trial ended without the objective")
            return
        wanted = {*self._study.directions, *(limit.split()[0] for limit in self._study.limits)}
        try:
            self._study.tell(number, {name: result[name] for name in wanted if name in result})
        except InputError as wrong:
            # A loss that is not finite ends a trial, and not Tune's loop.
            self._study.tell(number, failed=str(wrong))

    def save(self, checkpoint_path: str) -> None:
        """Does nothing: the study is on disk."""

    def restore(self, checkpoint_path: str) -> None:
        """Does nothing: the study is on disk."""
