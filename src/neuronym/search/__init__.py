"""The core: the search for the best formula, by counts and sums."""

from neuronym.search.beam import FormulaDecoder, Rules, Searcher, SearchResult, extension, search
from neuronym.search.scores import AUC, GroupSums, Score

__all__ = [
    "AUC",
    "FormulaDecoder",
    "GroupSums",
    "Rules",
    "Score",
    "SearchResult",
    "Searcher",
    "extension",
    "search",
]
