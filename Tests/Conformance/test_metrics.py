"""The proof's own arithmetic, against values that pytrec_eval gives."""
import pytest

from proof_retrieval import ndcg

JUDGEMENTS = {"a": 1, "b": 3, "c": 2, "d": 0, "e": 1}


@pytest.mark.parametrize("ranking, expected", [
    (["b", "c", "a", "e"], 1.0),
    (["x", "a", "d", "c", "y", "b"], 0.4931895318353709),
    (["x", "y"], 0.0),
    ([], 0.0),
])
def test_ndcg(ranking, expected):
    assert ndcg(ranking, JUDGEMENTS) == pytest.approx(expected, abs=1e-12)
