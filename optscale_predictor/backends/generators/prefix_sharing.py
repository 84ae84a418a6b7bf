"""Samples of a question that agree so far are one row of the batch: what may come next is read once for all of them.

Nothing is approximated. Given its tokens so far, a sample's next token is drawn independently of the others, whether or
not they share its row; where two of them draw different tokens, the row is forked. How much is saved depends on how
alike samples begin: of 16 short worked calculations more than half their tokens, of long reasoning only the beginning.
"""

from dataclasses import dataclass
from typing import Any

import torch

from optscale_predictor.backends.key_value_cache import choose_rows
from optscale_predictor.errors import EngineError

_MORE_THAN_TOKENS = 1 << 32


@dataclass
class PrefixBatch:
    """What the model has read so far, a row for each different beginning of a sample.

    Attributes:
        tokens: [rows, tokens], padded on the left.
        mask: Of the same shape; 1 where there is a token.
        cache: What the model keeps of them; None where it cannot be kept.
    """

    tokens: torch.Tensor
    mask: torch.Tensor
    cache: Any = None

    def fork(self, row_of: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        """Adds each sample's new token; rows without a sample go.

        Args:
            row_of: The row of each sample, [samples].
            new: The token that it has drawn, [samples].

        Returns:
            The row of each sample from now on, [samples].
        """
        # One number for each pair: distinct pairs are found many times slower.
        forks, fork_of = torch.unique(row_of * _MORE_THAN_TOKENS + new, return_inverse=True)
        parents, last = forks // _MORE_THAN_TOKENS, forks % _MORE_THAN_TOKENS
        order = _keeping_places(parents)
        parents, last = parents[order], last[order, None]
        if len(parents) != len(self.tokens) or not torch.equal(parents, torch.arange(len(parents)).to(parents)):
            self.tokens, self.mask = self.tokens[parents], self.mask[parents]
            if self.cache is not None:
                choose_rows(self.cache, parents)
        self.tokens = torch.cat([self.tokens, last], -1)
        self.mask = torch.cat([self.mask, torch.ones_like(last)], -1)
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order)).to(order)
        return place[fork_of]


def _keeping_places(parents: torch.Tensor) -> torch.Tensor:
    """An order of forks, [forks], in which as many as can be stand where their parent stood: these are not copied.

    Args:
        parents: The row of each fork, ascending.
    """
    number = len(parents)
    stays = parents < number
    stays[1:] &= parents[1:] != parents[:-1]  # of a row's forks, one
    order = torch.empty_like(parents)
    order[parents[stays]] = stays.nonzero()[:, 0]
    free = torch.ones_like(stays)
    free[parents[stays]] = False
    order[free] = (~stays).nonzero()[:, 0]
    return order


def draw_tokens(probability: torch.Tensor, row_of: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """The next token of each sample, each an independent draw from the distribution of its row.

    By the inverse of the distribution function, one uniform random number for a sample; in double precision, so that
    the many unlikely tokens of a large vocabulary are not lost in the sum.

    Args:
        probability: Of each token, [rows, vocabulary]; the rows need not add up to one.
        row_of: The row of each sample, [samples].
        rng: Where random numbers come from.

    Raises:
        EngineError: A row's probabilities are not finite, or all zero.
    """
    wide = torch.float32 if probability.device.type == "mps" else torch.float64  # which has no doubles
    summed = probability.cumsum(-1, dtype=wide)
    total = summed[:, -1:].clone()
    if not bool((torch.isfinite(total) & (total > 0)).all()):
        raise EngineError("the model gives probabilities of the next token that are no numbers")
    # Row r takes the values from r to r + 1, so that one search in all rows finds every sample's token.
    summed.div_(total).add_(torch.arange(len(summed), device=summed.device)[:, None])
    start = row_of.to(wide)
    uniform = torch.rand(len(row_of), generator=rng, dtype=wide, device=summed.device)
    wanted = torch.minimum(start + uniform, torch.nextafter(start + 1, start))  # the sum may round up to the next row
    return torch.searchsorted(summed.flatten(), wanted, right=True) - row_of * summed.shape[-1]
