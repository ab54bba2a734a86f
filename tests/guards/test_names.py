"""None of our top-level names is also an installed package's: one would hide the other."""

from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_top_level_name_of_ours_is_an_installed_package():
    ours = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name.isidentifier()}
    ours |= {path.stem for path in ROOT.glob("*.py")}
    theirs = {
        name: distributions
        for name, distributions in packages_distributions().items()
        if set(distributions) != {"santral"}
    }

    assert {"crm", "api", "cli"} <= ours
    assert {name: theirs[name] for name in ours & set(theirs)} == {}
