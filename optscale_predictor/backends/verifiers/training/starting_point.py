"""Where training begins: the head reads how likely the untrained model finds samples, by logistic regression.

A head that starts at nothing first learns which questions are hard, and a small model's may never learn more. How
likely a sample is tells right from wrong within a question at once (Kadavath et al., arXiv 2207.05221, find such
numbers informative), and costs one pass over a few samples.
"""

import numpy as np
import torch
from scipy.special import logit

from optscale_predictor._support.progress import progress_bar
from optscale_predictor.backends.verifiers.length_batches import by_length, padded
from optscale_predictor.backends.verifiers.reward_network import SIGNALS, RewardNetwork
from optscale_predictor.backends.verifiers.training.question_batches import QuestionBatches
from optscale_predictor.stats.calibration import fit_logistic

_MOST_SAMPLES = 512
_LEAST_SPREAD = 1e-3  # nats
_RIDGE = 1e-3


@torch.no_grad()
def start_head(network: RewardNetwork, kind: str, training: QuestionBatches, batch_tokens: int, seed: int) -> None:
    """Sets the head of an untrained network.

    Args:
        network: Changed in place.
        kind: ``decoder`` or ``encoder``; an encoder's head starts at the share of right samples.
        training: Samples that are trained on; right and wrong ones are among them.
        batch_tokens: Tokens in a batch at most, padding included.
        seed: Which of the samples are read.
    """
    read, correct = training.read, training.correct
    network.states.bias.fill_(float(logit(correct.mean())))
    if kind == "encoder":
        return
    chosen = np.random.default_rng([seed, 4]).permutation(len(read))[:_MOST_SAMPLES]
    signals = torch.zeros(len(chosen), SIGNALS, dtype=torch.float64)
    network.eval()
    with progress_bar("how likely samples are", len(chosen)) as bar:
        for batch in by_length([len(read[index].tokens) for index in chosen], len(chosen), None, batch_tokens):
            some = [read[index] for index in chosen[batch]]
            tokens, mask = padded([one.tokens for one in some], training.padding, network.device)
            start = torch.tensor([one.start for one in some], device=network.device)
            signals[batch] = network.read(tokens, mask, start)[1].double().cpu()
            bar.update(len(batch))
    network.train()
    centre, spread = signals.mean(0), signals.std(0).clamp(min=_LEAST_SPREAD)
    network.centre.copy_(centre)
    network.spread.copy_(spread)
    labels = correct[chosen]
    if 0 < labels.sum() < len(labels):
        intercept, slopes = fit_logistic(((signals - centre) / spread).numpy(), labels.astype(np.float64), _RIDGE)
        network.states.bias.fill_(intercept)
        network.signals.weight.copy_(torch.tensor([slopes]))
