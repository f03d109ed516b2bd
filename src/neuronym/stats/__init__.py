"""Evidence for labels: tests and intervals in closed form, permutations, resampling."""

from neuronym.stats.exchange import ExchangeBlocks, exchange_blocks
from neuronym.stats.intervals import auc_interval, beta_interval, cluster_interval, score_interval
from neuronym.stats.measures import confidence_intervals, measure, p_gains, p_values
from neuronym.stats.paired import Pairs, sign_flips, signed_rank
from neuronym.stats.permutation import Nulls, PermutationTest, null_scores
from neuronym.stats.resampling import Stability, cross_fit, measure_formulas, stability
from neuronym.stats.significance import (
    benjamini_hochberg,
    cluster_test,
    gain_test,
    mann_whitney,
    pareto_tail,
)
from neuronym.stats.split import bootstrap, hold_out, into_folds

__all__ = [
    "ExchangeBlocks",
    "Nulls",
    "Pairs",
    "PermutationTest",
    "Stability",
    "auc_interval",
    "benjamini_hochberg",
    "beta_interval",
    "bootstrap",
    "cluster_interval",
    "cluster_test",
    "confidence_intervals",
    "cross_fit",
    "exchange_blocks",
    "gain_test",
    "hold_out",
    "into_folds",
    "mann_whitney",
    "measure",
    "measure_formulas",
    "null_scores",
    "p_gains",
    "p_values",
    "pareto_tail",
    "score_interval",
    "sign_flips",
    "signed_rank",
    "stability",
]
