"""The core: the search for the best formula, by counts and sums."""

from neuronym.search.beam import Direction, Found, Rules, Searcher, Speller, extension, search
from neuronym.search.scores import AUC, Score, Weighed

__all__ = [
    "AUC",
    "Direction",
    "Found",
    "Rules",
    "Score",
    "Searcher",
    "Speller",
    "Weighed",
    "extension",
    "search",
]
