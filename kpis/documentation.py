"""What every number is made of, as one page to open in a browser: models, columns, tests, lineage, metrics.

It is dbt's own documentation with the project's manifest inside, as `dbt docs generate --static` puts it together, and
without its catalogue, which would tell sizes of tables: it holds definitions, as the source code does, and no data.
"""

import json
import tempfile
from importlib.metadata import distribution
from pathlib import Path

from kpis import project

TEMPLATE = "dbt/task/docs/index.html"
NOTHING = {"metadata": {}, "nodes": {}, "sources": {}, "errors": None}
PAGE = "documentation.html"


def page() -> Path:
    """Return the page of the project as it stands, made beside its manifest when it is missing.

    :raises kpis.project.Broken: when dbt cannot parse the project.
    """
    folder = project.target()
    page = folder / PAGE
    if not page.exists():
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".making", encoding="utf-8", delete=False) as made:
            made.write(_html((folder / "manifest.json").read_text(encoding="utf-8")))
        Path(made.name).replace(page)
    return page


def _html(manifest: str) -> str:
    template = Path(str(distribution("dbt-core").locate_file(TEMPLATE))).read_text(encoding="utf-8")
    # What is said inside a script must not end it.
    for place, said in (("MANIFEST", manifest), ("CATALOG", json.dumps(NOTHING))):
        template = template.replace(f'"{place}.JSON INLINE DATA"', said.replace("</", "<\\/"))
    return template
