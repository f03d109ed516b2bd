"""A page to browse neurons: one folder that opens by double click."""

from neuronym.report.page import explore, report

__all__ = [
    "explore",
    "report",
]
