"""Data Docs: the rules of the gates and how the latest data stood, as pages for people who audit them.

The pages hold how many values broke a rule, never a value: a form's name or a currency that somebody typed wrong might
be anything. Importing this imports Great Expectations, which takes seconds.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import great_expectations as gx
import pandas as pd

from expectations.rules import Suite
from expectations.suites import expectations

COUNTS_ONLY = {"result_format": "BASIC", "exclude_unexpected_values": True, "partial_unexpected_count": 0}
SITE = "gx/uncommitted/data_docs/local_site/index.html"


def publish(frames: Sequence[tuple[Suite, pd.DataFrame]], folder: Path) -> Path:
    """Write the pages of these frames below a folder, in the place of the last ones; return the first page."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    context = gx.get_context(mode="file", project_root_dir=folder)
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_pandas("border")
    for suite, frame in frames:
        name = f"{suite.asset} {suite.frame}".replace("/", ".").replace(" ", ".")
        batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("latest")
        rules = context.suites.add(gx.ExpectationSuite(name=name, expectations=expectations(suite.rules)))
        definition = context.validation_definitions.add(gx.ValidationDefinition(name=name, data=batch, suite=rules))
        checkpoint = gx.Checkpoint(name=name, validation_definitions=[definition], result_format=COUNTS_ONLY)
        context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": frame[[*columns(suite)]]})
    context.build_data_docs()
    return folder / SITE


def columns(suite: Suite) -> list[str]:
    """Return the columns that a suite looks at: nothing else goes near the pages."""
    return list(dict.fromkeys(rule.column for rule in suite.rules))
