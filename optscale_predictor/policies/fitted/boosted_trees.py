"""Boosted regression trees as arrays: what a fitted policy evaluates, without the library that fitted them.

Every tree is a complete binary tree of one depth, so a batch goes down all trees at once with array arithmetic. Where
a fitted tree ends early, the missing nodes send everything to the left.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from optscale_predictor._support.arrays import Floats, Ints


@dataclass(frozen=True, eq=False)
class BoostedTrees:
    """A sum of trees.

    Attributes:
        feature: Which feature each inner node looks at; node i has the children 2i + 1 and 2i + 2.
        threshold: Values up to it go to the left, others and NaN to the right.
        leaf: What each tree adds, by leaf from left to right.
    """

    feature: Int[Ints, "trees inner"]
    threshold: Float[Floats, "trees inner"]
    leaf: Float[Floats, "trees leaves"]

    @property
    def depth(self) -> int:
        """Comparisons on the way to a leaf."""
        return int(self.leaf.shape[1]).bit_length() - 1

    def __call__(self, features: Float[Floats, "rows features"]) -> Float[Floats, " rows"]:
        """The sum of all trees; 0 where there are none."""
        trees = np.arange(len(self.leaf))
        node = np.zeros((len(features), len(trees)), np.int64)
        row = np.arange(len(features))[:, None]
        for _ in range(self.depth):
            right = ~(features[row, self.feature[trees, node]] <= self.threshold[trees, node])
            node = 2 * node + 1 + right
        return np.asarray(self.leaf[trees, node - self.feature.shape[1]].sum(-1))
