"""Advertising reports: what each of their rows and each set as a whole must keep to before the pipeline reads it.

Importing this imports Great Expectations, which takes seconds.
"""

import os
from collections.abc import Sequence

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read when the library is imported

import great_expectations.expectations as gxe


class ExpectSpendToBeANumber(gxe.ExpectColumnValuesToNotBeNull):
    """What was spent is there and can be read as a number."""

    column: str = "spend"
    description: str = "spend is missing or not a number"


class ExpectSpendNotNegative(gxe.ExpectColumnValuesToBeBetween):
    """Platforms restate spend, they never owe it."""

    column: str = "spend"
    min_value: float = 0
    description: str = "spend is negative"


class ExpectCurrency(gxe.ExpectColumnValuesToNotBeNull):
    """Money names its currency."""

    column: str = "currency"
    description: str = "the currency is missing"


class ExpectIsoCurrency(gxe.ExpectColumnValuesToMatchRegex):
    """Currencies are ISO 4217 codes."""

    column: str = "currency"
    regex: str = r"^[A-Z]{3}$"
    description: str = "the currency is not an ISO 4217 code"


class ExpectCampaign(gxe.ExpectColumnValuesToNotBeNull):
    """Spend belongs to a campaign."""

    column: str = "campaign_id"
    description: str = "the campaign is missing"


class ExpectCountsNotNegative(gxe.ExpectColumnValuesToBeBetween):
    """Impressions and clicks are counts."""

    column: str = "least_count"
    min_value: float = 0
    description: str = "a count (impressions, clicks, leads) is negative or not a number"


class ExpectDayOfTheReport(gxe.ExpectColumnValuesToBeInSet):
    """A report of a day holds rows of that day."""

    column: str = "is_of_its_day"
    value_set: Sequence[bool] = (True,)
    description: str = "a row is of another day than the report"


class ExpectDistinctRows(gxe.ExpectColumnValuesToBeInSet):
    """One ad has one row a day: two of them would be counted twice."""

    column: str = "is_repeated"
    value_set: Sequence[bool] = (False,)
    description: str = "an ad has more than one row"


class ExpectCompleteSet(gxe.ExpectColumnValuesToBeInSet):
    """A report is used whole or not at all."""

    column: str = "is_complete"
    value_set: Sequence[bool] = (True,)
    description: str = "the report is not complete: the platform has more pages of it"


class ExpectUsualVolume(gxe.ExpectColumnValuesToBeBetween):
    """A report is about as long as the account's reports of the last 28 good days (null: too few to compare with)."""

    column: str = "volume_ratio"
    min_value: float = 0.1
    max_value: float = 10
    description: str = "the report has far fewer or far more rows than the account's reports usually have"


ROWS = (
    ExpectSpendToBeANumber,
    ExpectSpendNotNegative,
    ExpectCurrency,
    ExpectIsoCurrency,
    ExpectCampaign,
    ExpectCountsNotNegative,
    ExpectDayOfTheReport,
    ExpectDistinctRows,
)
SETS = (ExpectCompleteSet, ExpectUsualVolume)
