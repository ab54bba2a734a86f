"""What the Graph API says of its limits, and what that means."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.sources import usage
from ingestion.sources.usage import SHORT, UNNAMED, pause


def header(*limits):
    return json.dumps({"100200300400500": list(limits)})


class TestPause:
    @pytest.mark.parametrize(
        ("limit", "wanted"),
        [
            ({"call_count": 74, "total_cputime": 74, "total_time": 74}, None),
            ({"call_count": 75}, SHORT),
            ({"call_count": 1, "total_cputime": 94.9}, SHORT),
            ({"total_time": 95}, UNNAMED),
            ({"call_count": 100, "estimated_time_to_regain_access": 19}, timedelta(minutes=19)),
            ({"call_count": 3, "estimated_time_to_regain_access": 2}, timedelta(minutes=2)),
            ({"call_count": 100, "estimated_time_to_regain_access": 0}, UNNAMED),
        ],
    )
    def test_follows_the_fullest_limit(self, limit, wanted):
        assert pause(header(limit)) == wanted

    def test_the_longest_pause_of_several_counts(self):
        both = header({"call_count": 80}, {"call_count": 96, "estimated_time_to_regain_access": 7})

        assert pause(both) == timedelta(minutes=7)

    @given(st.one_of(st.none(), st.text(), st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*usage.SHARES, "1"]), inner),
    ).map(json.dumps)))  # fmt: skip
    def test_no_header_breaks_us(self, told):
        assert pause(told) is None or pause(told) > timedelta(0)
