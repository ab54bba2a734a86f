"""What an experiment says so far: rates, differences with bounds that hold at every look, and words for them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from crm.experiments import statistics
from crm.experiments.counts import Counts
from crm.experiments.queries import Experiment
from crm.experiments.statistics import Arm, Bounds

Words = dict[str, str]

VERDICTS: dict[str, Words] = {
    "better": {
        "tr": "{variant}, kontrolden ({control}) daha iyi: fark {low} ile {high} puan arasında.",
        "en": "{variant} does better than the control ({control}): by {low} to {high} points.",
    },
    "worse": {
        "tr": "{variant}, kontrolden ({control}) daha kötü: fark {low} ile {high} puan arasında.",
        "en": "{variant} does worse than the control ({control}): by {low} to {high} points.",
    },
    "open": {
        "tr": "{variant} ile kontrol ({control}) arasında henüz fark gösterilemedi: {low} ile {high} puan arası olası.",
        "en": "{variant} and the control ({control}) are not shown to differ yet: {low} to {high} points are possible.",
    },
    "nothing_decided": {
        "tr": "{variant} için henüz bir şey söylenemez: sonucu kesinleşmiş başvuru yok.",
        "en": "Nothing can be said of {variant} yet: no outcome is final.",
    },
}  # fmt: skip
RATIO: dict[str, Words] = {
    "kept": {
        "tr": "Dağılım planlanan oranlara uyuyor.",
        "en": "The units fell into the variants as planned.",
    },
    "broken": {
        "tr": "Dağılım planlanan oranlara uymuyor: nedeni bulunmadan sonuçlara güvenmeyin.",
        "en": "The units did not fall into the variants as planned: find out why before you believe the result.",
    },
    "no_units": {"tr": "Henüz kimse deneye girmedi.", "en": "Nobody has been exposed yet."},
}


@dataclass(frozen=True, slots=True)
class VariantReading:
    """What became of one variant. `difference` and what follows it: against the control; None for the control itself.

    `rate` is that of units whose outcome is final. `p_value` is always valid. What is not told, because too few made
    it, is None (`is_suppressed`).
    """

    key: str
    share: int
    exposures: int | None
    conversions: int | None
    decided: int | None
    decided_conversions: int | None
    rate: float | None
    difference: Bounds | None
    p_value: float | None
    verdict: str | None
    sentence: Words | None
    is_suppressed: bool = False


@dataclass(frozen=True, slots=True)
class Readout:
    """What an experiment says at an instant (UTC). `alpha`: the level of each comparison's bounds.

    `outcomes_as_of`: up to when outcomes are known (a KPI's: its last publication); None: none is published yet.
    """

    as_of: datetime
    outcomes_as_of: datetime | None
    alpha: float
    variants: list[VariantReading]
    ratio_p_value: float | None
    ratio_verdict: str
    ratio_sentence: Words


def reading(
    experiment: Experiment, counts: Sequence[Counts], *, as_of: datetime, outcomes_as_of: datetime | None
) -> Readout:
    """Return what the counts of an experiment's variants, in their order, say.

    Looking as often as one likes does not make it say too much.
    """
    variants = experiment.design.variants
    alpha = experiment.design.alpha / (len(variants) - 1)
    arms = [Arm(each.decided, each.decided_conversions) for each in counts]
    readings: list[VariantReading] = []
    for variant, arm, each in zip(variants, arms, counts, strict=True):
        compared = _compare(variants[0].key, variant.key, arms[0], arm, alpha) if readings else (None,) * 4
        counted = asdict(each)
        readings.append(VariantReading(variant.key, variant.share, **counted, rate=arm.rate, **_named(compared)))
    p_value = statistics.sample_ratio([each.exposures for each in counts], [each.share for each in variants])
    ratio = "no_units" if p_value is None else "broken" if p_value < statistics.RATIO_ALPHA else "kept"
    return Readout(as_of, outcomes_as_of, alpha, readings, p_value, ratio, RATIO[ratio])


def _named(compared: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(("difference", "p_value", "verdict", "sentence"), compared, strict=True))


def _compare(control: str, variant: str, base: Arm, arm: Arm, alpha: float) -> tuple[Bounds, float, str, Words]:
    found = statistics.bounds(base, arm, alpha=alpha)
    if found.estimate is None:
        verdict = "nothing_decided"
    elif found.is_decided:
        verdict = "better" if found.low > 0 else "worse"
    else:
        verdict = "open"
    return found, statistics.p_value(base, arm), verdict, _sentence(verdict, control, variant, found)


def _sentence(verdict: str, control: str, variant: str, found: Bounds) -> Words:
    return {
        language: text.format(
            control=control, variant=variant, low=_points(found.low, language), high=_points(found.high, language)
        )
        for language, text in VERDICTS[verdict].items()
    }


def _points(share: float, language: str) -> str:
    """Return a difference of shares in percentage points, as the language writes numbers."""
    text = f"{100 * share:+.1f}".replace("-", "−")
    return text.replace(".", ",") if language == "tr" else text
