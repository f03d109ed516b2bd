"""A web page to browse neurons and their labels, written to a folder and opened from disk."""

from neuronym.report.page import explore, report

__all__ = [
    "explore",
    "report",
]
