"""Cells that no spreadsheet takes for a formula."""

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula at the start of a cell."""


def escape(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula; reading a file undoes it."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def unescape(cell: str) -> str:
    """Return what `escape` was given."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(FORMULA) else cell
