"""What the pages would show, for whoever checks them: questions on standard input, their rows on standard output.

`python -m dashboards.asked` asks as the pages do (`figures.ask`, over HTTP), so that what they would get wrong is wrong
here. Reads `{"token": …, "questions": [{"metric", "by", "grain", "first", "last"}]}`, both days meant.
"""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import date
from typing import Any

import streamlit as st

from dashboards import figures, session
from dashboards.queries import Rows, Scope

SILENT = 3
"""The exit code when the API does not answer."""


def rows(question: Mapping[str, Any]) -> Rows:
    """Return the rows that a page would have for a metric."""
    scope = Scope(date.fromisoformat(question["first"]), date.fromisoformat(question["last"]))
    wanted = figures.Ask((question["metric"],), tuple(question["by"]), question["grain"])
    return figures.ask(scope, [wanted])[wanted].series(question["metric"])


def main() -> None:
    """Answer every question."""
    logging.getLogger("streamlit").setLevel(logging.ERROR)  # it misses the browser
    given = json.load(sys.stdin)
    st.session_state["access"] = given["token"]
    st.session_state["me"] = {"id": "", "permissions": []}
    try:
        answers = [rows(question) for question in given["questions"]]
    except session.Silent:
        sys.exit(SILENT)
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
