"""What a run came to, thing by thing: what failed and why, what is to be looked at, what went well."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
from dagster import DagsterEventType

from orchestration import progress

FAILED = "failed"
"""Under this name a failure carries what could not be made, as codes (`table:fct_call`), and a table that was made for
some firms, for whom it was not, in words."""
TURKISH = "in Turkish"
"""Under this name a check, and such a table, says the same in Turkish."""
IS_BUILT = "is_built"
"""What such a table fails, beside its checks."""
LOOKED_AT = {
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    DagsterEventType.ASSET_CHECK_EVALUATION,
    DagsterEventType.STEP_FAILURE,
    DagsterEventType.STEP_SUCCESS,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one thing stands after a run; `said` is empty when it went well.

    An error stops what depends on it or is a number that is not true; a warning stops nothing and wants to be seen.
    """

    subject: str
    """An asset, or a step that makes many."""
    assets: Sequence[dg.AssetKey]
    severity: str
    said: str = ""
    causes: Sequence[str] = ()
    """Codes: `test:name`, `table:name`, `error:Class`."""
    said_tr: str = ""
    """The same in Turkish, where whoever checks says it."""


def of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[Verdict]:
    """Return how each step of a run and each asset with checks came out; what did not run is not told of."""
    made: dict[str, list[dg.AssetKey]] = defaultdict(list)
    checks: list[tuple[str, dg.AssetCheckEvaluation]] = []
    ended: dict[str, dg.DagsterEvent] = {}
    for entry in instance.all_logs(run.run_id, of_type=LOOKED_AT):
        event, step = entry.dagster_event, entry.step_key
        if event is None or step is None:
            continue
        if event.event_type is DagsterEventType.ASSET_MATERIALIZATION_PLANNED and event.asset_key:
            made[step].append(event.asset_key)
        elif event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
            checks.append((step, event.asset_check_evaluation_data))
        elif event.event_type is DagsterEventType.ASSET_MATERIALIZATION:
            checks.append((step, _is_built(event.step_materialization_data.materialization)))
        else:
            ended[step] = event
    failed = {step for step, event in ended.items() if event.is_step_failure}
    steps = [_of_step(step, event, made[step], _broken(checks, step)) for step, event in ended.items()]
    return [*steps, *_of_checks(checks, failed), *_of_run(run, has_failed=bool(failed))]


def _is_built(made: dg.AssetMaterialization) -> dg.AssetCheckEvaluation:
    """Return what a table tells of itself as one more check."""
    said = made.metadata.get(FAILED)
    return dg.AssetCheckEvaluation(
        asset_key=made.asset_key,
        check_name=IS_BUILT,
        passed=said is None,
        metadata={key: made.metadata[key] for key in (TURKISH,) if key in made.metadata},
        severity=dg.AssetCheckSeverity.ERROR,
        description=str(said.value) if said else None,
    )


def _broken(checks: Sequence[tuple[str, dg.AssetCheckEvaluation]], step: str) -> list[dg.AssetCheckEvaluation]:
    """Return the checks that failed a step."""
    return [one for at, one in checks if at == step and not one.passed and one.severity is dg.AssetCheckSeverity.ERROR]


def _of_step(
    step: str,
    event: dg.DagsterEvent,
    assets: Sequence[dg.AssetKey],
    broken: Sequence[dg.AssetCheckEvaluation],
) -> Verdict:
    subject = assets[0].to_user_string() if len(assets) == 1 else step
    if not event.is_step_failure:
        return Verdict(subject, assets, "error")
    causes = [f"test:{one.check_name}" for one in broken]
    data = event.step_failure_data
    if data.user_failure_data and FAILED in data.user_failure_data.metadata:
        causes += str(data.user_failure_data.metadata[FAILED].value).split()
    if not causes:
        causes = [f"error:{_kind(data.error)}"]
    # A gate that is closed says what its check says.
    said = "; ".join(one.description for one in broken if one.description) or progress.reason(data.error)
    return Verdict(subject, assets, "error", said or "no reason given", tuple(dict.fromkeys(causes)), _turkish(broken))


def _turkish(broken: Sequence[dg.AssetCheckEvaluation]) -> str:
    return "; ".join(str(one.metadata[TURKISH].value) for one in broken if TURKISH in one.metadata)


def _kind(error: object) -> str:
    """Return the class of the error that was there first."""
    cause = getattr(error, "cause", None)
    return _kind(cause) if cause else str(getattr(error, "cls_name", None) or "Error")


def _of_checks(checks: Sequence[tuple[str, dg.AssetCheckEvaluation]], failed: set[str]) -> Iterator[Verdict]:
    """Yield how the checks of each asset stand, by severity; what failed its step is told of with the step."""
    by_asset: Mapping[dg.AssetKey, list[tuple[str, dg.AssetCheckEvaluation]]] = defaultdict(list)
    for step, one in checks:
        by_asset[one.asset_key].append((step, one))
    for key, found in by_asset.items():
        for severity in (dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN):
            broken = [one for _, one in found if not one.passed and one.severity is severity]
            if severity is dg.AssetCheckSeverity.ERROR and any(step in failed for step, _ in found):
                continue
            yield Verdict(
                key.to_user_string(),
                [key],
                "error" if severity is dg.AssetCheckSeverity.ERROR else "warning",
                "; ".join(one.description or one.check_name for one in broken),
                tuple(f"test:{one.check_name}" for one in broken),
                _turkish(broken),
            )


def _of_run(run: dg.DagsterRun, *, has_failed: bool) -> Iterator[Verdict]:
    """Yield the run itself: it may have died without a step that says why."""
    # A schedule's own job has a name that says nothing to anybody.
    name = run.tags.get("dagster/schedule_name") or run.tags.get("dagster/sensor_name") or run.job_name
    if run.status is dg.DagsterRunStatus.SUCCESS:
        yield Verdict(name, (), "error")
    elif run.status is dg.DagsterRunStatus.FAILURE and not has_failed:
        yield Verdict(name, (), "error", "the run ended before its steps did", ("error:RunEnded",))
