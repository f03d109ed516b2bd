import math

import numpy as np
import pytest

from neuronym import OptionError
from neuronym.stats.exchange import exchange_blocks


def ones(n):
    return np.ones(n, np.int64)


def classes(found):
    """The clusters of each class, as sets of rows."""
    clusters = [found.order[a:b].tolist() for a, b in zip(found.cluster_ptr, found.cluster_ptr[1:], strict=False)]
    return [clusters[a:b] for a, b in zip(found.class_ptr, found.class_ptr[1:], strict=False)]


def test_independent_samples_all_trade_places():
    found = exchange_blocks(ones(5))
    assert found.free
    assert classes(found) == [[[0], [1], [2], [3], [4]]]
    assert found.log10_arrangements == pytest.approx(math.log10(120))


def test_clusters_trade_places_with_others_of_their_size():
    clusters = np.array([4, 0, 4, 1, 1, 2, 3, 3, 5, 5, 6, 6])
    found = exchange_blocks(ones(12), clusters)
    assert not found.free
    assert sorted(sorted(one) for one in classes(found)) == [[[0, 2], [3, 4], [6, 7], [8, 9], [10, 11]], [[1], [5]]]
    message = r"only clusters of equal size trade places, and 3 clusters in 3 classes .* 1 way"
    with pytest.raises(OptionError, match=message):
        exchange_blocks(ones(6), np.array([0, 1, 1, 2, 2, 2]))


def test_strata_are_not_crossed():
    strata = np.array([0, 0, 0, 1, 1, 1, 2])
    assert classes(exchange_blocks(ones(7), strata=strata)) == [[[0], [1], [2]], [[3], [4], [5]], [[6]]]
    with pytest.raises(OptionError, match="only samples within their stratum trade places, and 4 samples in 4 classes"):
        exchange_blocks(ones(4), strata=np.arange(4))
    with pytest.raises(OptionError, match="1 cluster in more than one stratum"):
        exchange_blocks(ones(7), np.array([0, 0, 1, 1, 2, 2, 3]), strata)


def test_samples_trade_places_with_those_of_equal_weight():
    found = exchange_blocks(np.array([2, 1, 2, 1, 2, 1, 2]))
    assert sorted(classes(found)) == [[[0], [2], [4], [6]], [[1], [3], [5]]]
    clusters = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
    found = exchange_blocks(np.array([1, 2, 2, 1, 3, 3, 1, 2, 1, 2]), clusters)
    assert sorted(classes(found)) == [[[0, 1], [3, 2], [6, 7], [8, 9]], [[4, 5]]]
    with pytest.raises(OptionError, match="of equal weights"):
        exchange_blocks(np.arange(1, 9))
