"""The project as dbt has parsed it, for whichever database this process works on.

dbt parses a project anew when the database is another one, though nothing of it changes but the name in its relations;
and looks through all files when it is the same. What was parsed is kept (kpis/project.py), so it is read and named.
"""

from dbt.contracts.graph.manifest import Manifest

from kpis import project


def manifest() -> Manifest:
    """Return the project with its relations in the main database; a fresh copy, since a run of dbt writes into it."""
    database = project.environment()["SANTRAL_DBT_DATABASE"]
    found = Manifest.from_msgpack((project.target() / "partial_parse.msgpack").read_bytes())
    for node in (*found.nodes.values(), *found.sources.values()):
        if node.relation_name:
            node.relation_name = node.relation_name.replace(f'"{node.database}".', f'"{database}".', 1)
        node.database = database
    return found
