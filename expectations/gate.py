"""Judging frames by a suite: which sets keep to it, and for those that do not, why, in words."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import great_expectations as gx
import pandas as pd

Reasons = dict[Any, list[str]]
"""What is wrong with each set that is not good: key → sentences."""


def judge(frame: pd.DataFrame, suite: Sequence[type[Any]], *, key: str) -> Reasons:
    """Return why the sets named in column `key` break the suite; sets that keep to it are not in the answer.

    The values at fault appear nowhere, neither here nor in Great Expectations' own results.
    """
    if frame.empty:
        return {}
    expectations = [expectation() for expectation in suite]
    reasons: Reasons = defaultdict(list)
    for expectation, result in zip(expectations, _run(frame, expectations, key), strict=True):
        if result.exception_info and result.exception_info.get("raised_exception"):
            raise RuntimeError(f"{type(expectation).__name__} could not be checked: {result.exception_info}")
        for found in [] if result.success else result.result["unexpected_index_list"]:
            for which in dict.fromkeys(found[key] if isinstance(found[key], list) else [found[key]]):
                if expectation.description not in reasons[which]:
                    reasons[which].append(expectation.description)
    return dict(reasons)


def _run(frame: pd.DataFrame, expectations: Sequence[Any], key: str) -> list[Any]:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batch = (
        context.data_sources.add_pandas("frames")
        .add_dataframe_asset("frame")
        .add_batch_definition_whole_dataframe("all")
    )
    results = []
    for expectation in expectations:
        # One by one: results of a suite come back in an order of their own.
        results.append(
            batch.get_batch(batch_parameters={"dataframe": frame}).validate(
                expectation,
                result_format={
                    "result_format": "COMPLETE",
                    "unexpected_index_column_names": [key],
                    "exclude_unexpected_values": True,
                },
            )
        )
    return results
