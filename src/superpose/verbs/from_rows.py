"""What a merge method needs of each adapter's domain: measured on rows, or found beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from superpose.errors import BadSetting, MissingBase
from superpose.verbs.kept_statistics import check_statistics, statistics_beside
from superpose.verbs.settings import Loading, MergeQuestions, held

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.compose import Method, RegMeanTuned, TunedSum
    from superpose.data.input_statistics import InputStatistics
    from superpose.names.tree import Tree
    from superpose.verbs.base import Base
    from superpose.verbs.calibrating import Calibrating
    from superpose.verbs.progress import Progress
    from superpose.verbs.questions import Data

__all__ = ["NO_ROWS", "DomainData", "informed"]


_DEFAULT = MergeQuestions()


@dataclass(frozen=True)
class DomainData:
    """Rows of each adapter's own domain, in the adapters' order, and the base that reads them.

    data: empty where there are none. base: None for the one that the adapters name. device: where
    that is. Raises BadSetting for questions that are chosen of no data.
    """

    data: Data = ()
    questions: MergeQuestions = _DEFAULT
    base: Base | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        held(self.questions, MergeQuestions, "questions")
        if not self.data and self.questions != _DEFAULT:
            raise BadSetting("there are none that rows could be drawn from", where="data")

    def ready(self, parts: Sequence[Adapter], same_base: bool) -> Calibrating:
        """Read the rows and load the base. Raises BadSetting where no adapter names one."""
        from superpose.adapter.same_base import base_with_revision
        from superpose.verbs.calibrating import calibrating

        loading = Loading() if self.device is None else Loading(device=self.device)
        if self.base is not None:
            return calibrating(self.base, parts, self.data, self.questions, loading, same_base)
        named = next(filter(None, map(base_with_revision, parts)), None)
        if named is None:
            raise BadSetting("no adapter names its base model, which reads the rows", where="base")
        try:
            return calibrating(named, parts, self.data, self.questions, loading, same_base)
        except MissingBase as error:
            raise MissingBase(
                f"{error.problem}. The adapters name it, and the rows are read by it",
                hint="Say where it is: --base BASE, in Python base=. " + (error.hint or ""),
            ) from None


NO_ROWS = DomainData()


def informed(
    method: Method,
    parts: Sequence[Adapter],
    weights: Sequence[float],
    rows: DomainData = NO_ROWS,
    *,
    tree: Tree | None = None,
    same_base: bool = False,
    progress: Progress | None = None,
) -> tuple[Method, Tree | None]:
    """Give a method with what it needs of the adapters' domains, and the base's own names.

    tree: of the base's names, where it is at hand. Without rows a merge by regression has what
    lies beside its adapters.

    Raises BadSetting for rows that the method does not ask for or that are missing, for task
    weights where rows are to find them, DifferentBase for statistics of another base model than
    the adapters', and as `calibrating`.
    """
    from superpose.compose import RegMeanTuned, TunedSum
    from superpose.compose.from_inputs import FromInputs

    if not rows.data:
        told = _from_beside(method, parts)
        if isinstance(told, FromInputs):
            check_statistics(parts, told.statistics, same_base)
        return told, tree
    if not isinstance(method, FromInputs | TunedSum):
        raise BadSetting(f"`{method.name}` asks for none: {_asking()} do", where="data")
    if method.statistics if isinstance(method, FromInputs) else method.weights:
        raise BadSetting(f"`{method.name}` has what it needs, and rows as well", where="data")
    if isinstance(method, TunedSum) and any(weight != 1.0 for weight in weights):
        raise BadSetting(f"`{method.name}` finds the task weights itself", where="weights")
    if isinstance(method, TunedSum | RegMeanTuned) and not rows.questions.answer:
        raise BadSetting(f"`{method.name}` fits weights to answers", where="answer")
    method.check(parts, weights)
    ready = rows.ready(parts, same_base)
    if isinstance(method, TunedSum):
        return _tuned(method, ready, rows.questions.seed, progress), _tree(ready)
    told = replace(method, statistics=_measured(ready, progress))
    if isinstance(told, RegMeanTuned) and not told.weights:
        told = _tuned_on_top(told, ready, weights, rows.questions.seed, progress)
    return told, _tree(ready)


def _from_beside(method: Method, parts: Sequence[Adapter]) -> Method:
    """Give a merge by regression what lies beside its adapters, where it was given nothing."""
    from superpose.compose import RegMeanTuned, TunedSum
    from superpose.compose.from_inputs import FromInputs

    if isinstance(method, TunedSum | RegMeanTuned) and not method.weights:
        raise BadSetting(
            f"`{method.name}` needs rows of each adapter's domain",
            where="data",
            hint="Give them in the adapters' order: --data ROWS.jsonl."
            + (_OR_WEIGHTS if isinstance(method, TunedSum) else ""),
        )
    if isinstance(method, FromInputs) and not method.statistics:
        beside = tuple(statistics_beside(part, method.name) for part in parts)
        return replace(method, statistics=beside)
    return method


_OR_WEIGHTS = (
    " Or give the weights that superpose tune --by direction --json wrote: --weights FILE."
)


def _measured(ready: Calibrating, progress: Progress | None) -> tuple[InputStatistics, ...]:
    """Measure what each domain's rows send into the base's modules: one pass, and no label."""
    from superpose.measure.inputs import inputs_of_domains
    from superpose.verbs.progress import advancing

    rows = sum(map(len, ready.examples.values()))
    advance = advancing(progress, "statistics", rows)
    return inputs_of_domains(
        ready.base.model, ready.adapters, ready.examples, ready.base.name, advance
    )


def _tuned(method: TunedSum, ready: Calibrating, seed: int, progress: Progress | None) -> TunedSum:
    from superpose.adapter import met
    from superpose.verbs.tune import Goal, tuned_on
    from superpose.verbs.weights_file import WeightsFile

    _, tuned, finer = tuned_on(ready, Goal(by=method.by), seed, progress)
    modules = {} if finer is None else finer.weights
    table = WeightsFile(None, tuned.weights, modules, method.by)
    return table.tuned(met(ready.adapters, _tree(ready)), method.by)


def _tuned_on_top(
    method: RegMeanTuned,
    ready: Calibrating,
    weights: Sequence[float],
    seed: int,
    progress: Progress | None,
) -> RegMeanTuned:
    from superpose.adapter import met
    from superpose.measure.finer import finer_work
    from superpose.measure.fitted import fitted_on_top
    from superpose.verbs.progress import advancing

    advance = advancing(progress, f"tune by {method.by}", finer_work(ready.examples))
    parts = met(ready.adapters, _tree(ready))
    return fitted_on_top(ready.base.model, parts, ready.examples, method, weights, seed, advance)


def _tree(ready: Calibrating) -> Tree:
    from superpose.model.superposed import tree_of_loaded

    return tree_of_loaded(ready.base.model)


def _asking() -> str:
    from superpose.compose import FROM_DATA

    return ", ".join(FROM_DATA)
