"""The core: the search for the best formula, by counts and sums."""

from neuronym.search.beam import FormulaDecoder, Rules, SearchResult, extension, search
from neuronym.search.scores import AUC, GroupSums, Score, WithinStrata
from neuronym.search.searcher import Searcher

__all__ = [
    "AUC",
    "FormulaDecoder",
    "GroupSums",
    "Rules",
    "Score",
    "SearchResult",
    "Searcher",
    "WithinStrata",
    "extension",
    "search",
]
