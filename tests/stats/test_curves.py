import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_curve

from neuronym.stats.curves import Roc


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=40), st.booleans())
def test_the_curve_is_that_of_scikit_learn(pairs, low):
    values, inside = (np.array(side) for side in zip(*pairs, strict=True))
    if inside.all() or not inside.any():
        return
    found = Roc.of(values, inside, low)
    score = -values if low else values
    alarms, hits, thresholds = roc_curve(inside, score, drop_intermediate=False)
    assert found.hits / found.hits[-1] == pytest.approx(hits)
    assert found.alarms / found.alarms[-1] == pytest.approx(alarms)
    assert found.thresholds.tolist() == (thresholds[1:] * (-1 if low else 1)).tolist()
    every = [f1_score(inside, score >= (-t if low else t)) for t in found.thresholds]
    assert found.f1 == pytest.approx(every)
    assert found.f1[found.best] == pytest.approx(max(every))
