"""The core: the search for the best formula, by counts and sums."""

from neuronym.search.beam import FormulaDecoder, Rules, SearchResult, extension, search
from neuronym.search.scores import (
    AUC,
    F1,
    SCORES,
    AtThreshold,
    Centred,
    Correlation,
    Cosine,
    GroupSums,
    IoU,
    MeanDifference,
    Precision,
    Recall,
    Score,
    WithinStrata,
    as_score,
    same_terms,
)
from neuronym.search.searcher import Searcher

__all__ = [
    "AUC",
    "F1",
    "SCORES",
    "AtThreshold",
    "Centred",
    "Correlation",
    "Cosine",
    "FormulaDecoder",
    "GroupSums",
    "IoU",
    "MeanDifference",
    "Precision",
    "Recall",
    "Rules",
    "Score",
    "SearchResult",
    "Searcher",
    "WithinStrata",
    "as_score",
    "extension",
    "same_terms",
    "search",
]
