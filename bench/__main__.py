"""Run benchmark programs: `python -m bench` all of them, `python -m bench create_lead` one.

Each measures a baseline and ours in turns within one run, after a warm-up, and prints one line a figure:
`name  ratio  target  holds|short`. The exit code is 0 whatever the figures say; they are for reading.
"""

import sys
from importlib import import_module
from pathlib import Path

NOT_PROGRAMS = {"__init__", "__main__", "http_load", "pgbench", "product", "report"}


def main(wanted: list[str]) -> None:
    """Run the programs named, or every one in this folder."""
    programs = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in NOT_PROGRAMS)
    for name in wanted or programs:
        print(f"# {name}", flush=True)
        import_module(f"bench.{name}").main()


main(sys.argv[1:])
