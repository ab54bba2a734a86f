"""Judging frames by a suite: which sets keep to it, and for those that do not, which rules they break, in words."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import great_expectations as gx
import pandas as pd

from expectations.rules import Rule, Severity, Suite
from expectations.suites import expectations


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that a set breaks, and what is told of it, in English and in Turkish."""

    rule: Rule
    says: str
    tr: str

    @property
    def is_critical(self) -> bool:
        """Whether the set is held."""
        return self.rule.severity is Severity.critical


Faults = dict[Any, list[Fault]]
"""What is wrong with each set that is not good: key → faults, in the order of the rules."""


def judge(frame: pd.DataFrame, suite: Suite, *, key: str) -> Faults:
    """Return the rules that the sets named in column `key` break; sets that keep to all are not in the answer.

    The values at fault appear nowhere, neither here nor in Great Expectations' own results.
    """
    if frame.empty:
        return {}
    found: Faults = defaultdict(list)
    for rule, result in zip(suite.rules, _run(frame, suite, key), strict=True):
        if result.exception_info and result.exception_info.get("raised_exception"):
            raise RuntimeError(f"{rule.id} could not be checked: {result.exception_info}")
        for row in [] if result.success else result.result["unexpected_index_list"]:
            for which in dict.fromkeys(row[key] if isinstance(row[key], list) else [row[key]]):
                if not any(fault.rule is rule for fault in found[which]):
                    found[which].append(Fault(rule, *_words(rule, frame, key, which)))
    return dict(found)


def _words(rule: Rule, frame: pd.DataFrame, key: str, which: Any) -> tuple[str, str]:
    if rule.detail is None:
        return rule.says, rule.tr
    detail = frame.loc[frame[key] == which, rule.detail].iloc[0]
    return f"{rule.says} ({detail})", f"{rule.tr} ({detail})"


def _run(frame: pd.DataFrame, suite: Suite, key: str) -> list[Any]:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batch = (
        context.data_sources.add_pandas("frames")
        .add_dataframe_asset("frame")
        .add_batch_definition_whole_dataframe("all")
    ).get_batch(batch_parameters={"dataframe": frame})
    # One by one: results of a suite come back in an order of their own.
    return [
        batch.validate(
            expectation,
            result_format={
                "result_format": "COMPLETE",
                "unexpected_index_column_names": [key],
                "exclude_unexpected_values": True,
            },
        )
        for expectation in expectations(suite.rules)
    ]
