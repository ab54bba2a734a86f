"""The page of the documentation that lists every setting: `python -m tests.settings_page > docs/settings.md`."""

import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any

import crm
from crm.tenant_settings import REGISTRY, Setting

PATH = Path(crm.__file__).parents[1] / "docs" / "settings.md"
HEAD = """# Settings

What a firm may set, by `PUT /settings/{key}` with the permission `settings.manage`, each change from an instant on:
the past stays as it was. `GET /settings/{key}` shows the whole kind as JSON Schema, and `/history` who changed what.
Settings marked *at once* cannot be planned for later.

| key | Türkçe | English | kind | default |
|---|---|---|---|---|
"""
LONGEST = 70
"""Characters of a default that are shown whole."""


def declare_all() -> None:
    """Import everything of `crm`, so that every setting is declared."""
    for found in pkgutil.walk_packages(crm.__path__, "crm."):
        if not found.name.startswith("crm.migrations"):
            importlib.import_module(found.name)


def kind(schema: dict[str, Any]) -> str:
    """Return a JSON Schema in a few words."""
    if "anyOf" in schema:
        return " or ".join(kind(each) for each in schema["anyOf"])
    word = {"object": "a table", "array": "a list", "null": "nothing"}.get(
        schema.get("type", "object"), schema.get("format") or schema.get("type", "a table")
    )
    if "minimum" in schema:
        word += f", {schema['minimum']} to {schema.get('maximum', '…')}"
    return word


def line(setting: Setting[Any]) -> str:
    """Return a setting as a line of the table."""
    default = json.dumps(setting.shown(setting.default), ensure_ascii=False)
    shown = f"`{default}`" if len(default) <= LONGEST else "see `GET`"
    what = kind(setting.kind.json_schema()) + (" (at once)" if setting.column else "")
    return f"| `{setting.key}` | {setting.labels['tr']} | {setting.labels['en']} | {what} | {shown} |"


def render() -> str:
    """Return the page."""
    declare_all()
    return HEAD + "\n".join(line(REGISTRY[key]) for key in sorted(REGISTRY))


if __name__ == "__main__":
    print(render())
