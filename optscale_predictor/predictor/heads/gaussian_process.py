"""A Gaussian-process head: questions like those that were hard are hard.

Solved in closed form over the training questions (Rasmussen and Williams, "Gaussian Processes for Machine Learning",
2006, section 2.2), it is hard to overfit, which counts where there are thousands of questions rather than millions. Two
questions are alike by three kernels: a Gaussian one of their pooled hidden states, one of the words and phrases they
share, and one of their lengths. The backbone's LoRA updates reach predictions through the first. Where questions have
labels, such as a subject, those that share them are more alike.

It predicts mean and standard deviation of the scores as they are, not their logits: squared errors of R^2 are in those
units, and the logit of a mean near 1 is mostly noise. A third output, on the same kernel, is the strength.
"""

from collections.abc import Sequence

import torch
from scipy.sparse import csr_matrix
from torch import nn

from optscale_predictor.predictor.heads.linear import EDGE, Features, strength_from_log
from optscale_predictor.predictor.heads.question_features import UNKNOWN, NGramVocabulary, agreements
from optscale_predictor.predictor.losses import Predicted

OUTPUTS = 3  # mean, standard deviation, log of the strength beyond one sample
SHARES = (0.45, 0.45, 0.1)  # of the three kernels; found on other splits than any reported
_SHARPNESS = 2.0  # of the Gaussian kernel, in units of the median squared distance
_OTHER_SOURCE = 0.5  # how much a question's scores from one source tell of its scores from another
_LABELS = 0.3  # share of two questions' likeness that they lose where no label agrees
_SPREAD = (0.02, 0.98)  # least and greatest share of the largest standard deviation that a mean allows
_RANK = 384  # principal components of the pooled states that are kept


class GaussianProcessHead(nn.Module):
    """Predicts by similarity to anchors, which are the training questions.

    Args:
        width: Width of the features.
        sizes: ``anchors``, ``rank``, ``grams``, ``nonzeros`` and ``labels``: what a checkpoint must know before it is
            read.
    """

    center: torch.Tensor
    projection: torch.Tensor
    anchors: torch.Tensor
    lengths: torch.Tensor
    idf: torch.Tensor
    gram_weights: torch.Tensor
    length_scale: torch.Tensor
    noise: torch.Tensor
    offset: torch.Tensor
    coefficients: torch.Tensor
    agreement: torch.Tensor
    hashes: torch.Tensor
    gram_rows: torch.Tensor
    gram_columns: torch.Tensor
    sources: torch.Tensor
    labels: torch.Tensor

    def __init__(self, width: int, sizes: dict[str, int]) -> None:
        super().__init__()
        anchors, rank, grams = sizes["anchors"], sizes["rank"], sizes["grams"]
        shapes = {
            "center": (width,),
            "projection": (width, rank),
            "anchors": (anchors, rank),
            "lengths": (anchors,),
            "idf": (grams,),
            "gram_weights": (sizes["nonzeros"],),
            "length_scale": (),
            "noise": (),
            "offset": (OUTPUTS,),
            "coefficients": (anchors, OUTPUTS),
            "agreement": (sizes["labels"],),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape))
        integers = {"hashes": grams, "gram_rows": anchors + 1, "gram_columns": sizes["nonzeros"], "sources": anchors}
        for name, size in integers.items():
            self.register_buffer(name, torch.zeros(size, dtype=torch.int32))
        self.register_buffer("labels", torch.zeros((anchors, sizes["labels"]), dtype=torch.int32))

    def forward(self, features: Features, source: torch.Tensor, coefficients: torch.Tensor | None = None) -> Predicted:
        """The prior of each question.

        Args:
            features: Of the questions.
            source: Whose scores, [questions].
            coefficients: Others than the head's own, one set a question: [questions, anchors, outputs]. Training gives
                each question coefficients that were solved without it.
        """
        similarity = self.similarity(features, source)
        own = self.coefficients if coefficients is None else coefficients
        raw = torch.einsum("qa,ao->qo" if own.ndim == 2 else "qa,qao->qo", similarity, own)
        return _to_prior(raw + self.offset)

    def similarity(self, features: Features, source: torch.Tensor) -> torch.Tensor:
        """Kernel of each question with each anchor, in [0, 1]; [questions, anchors]."""
        rows = zip(features.tokens.cpu(), features.mask.cpu().bool(), strict=True)
        grams, lengths = self.describe([row[kept].tolist() for row, kept in rows])
        return self.combine(self.project(features.pooled), grams, lengths, source, features.labels)

    def combine(
        self,
        states: torch.Tensor,
        grams: torch.Tensor,
        lengths: torch.Tensor,
        source: torch.Tensor,
        labels: torch.Tensor | None,
    ) -> torch.Tensor:
        """The kernel of :meth:`similarity`, from what it is made of, each [questions, ...]."""
        near = self.kernel(states, self.anchors)
        phrases = (torch.sparse.mm(self.gram_matrix(), grams.T).T - 1).exp()
        alike = (-(((lengths[:, None] - self.lengths) / self.length_scale) ** 2) / 2).exp()
        related = torch.where(source[:, None] == self.sources, 1.0, _OTHER_SOURCE)
        kernel: torch.Tensor = (SHARES[0] * near + SHARES[1] * phrases + SHARES[2] * alike) * related
        if self.labels.shape[1]:
            kernel = kernel * (1 - _LABELS + _LABELS * self._agree(labels).mean(-1))
        return kernel

    def _agree(self, labels: torch.Tensor | None) -> torch.Tensor:
        """Whether labels agree, as 0 or 1; where one is unknown, how often two do. [questions, anchors, labels]."""
        if labels is None:
            return self.agreement
        same = (labels[:, None] == self.labels).float()
        return torch.where((labels[:, None] != UNKNOWN) & (self.labels != UNKNOWN), same, self.agreement)

    def project(self, pooled: torch.Tensor) -> torch.Tensor:
        """Pooled states [questions, width] in the anchors' coordinates."""
        return (pooled.float() - self.center) @ self.projection

    @staticmethod
    def kernel(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Gaussian kernel of rows in the anchors' coordinates; [left rows, right rows]."""
        squares = (left**2).sum(-1)[:, None] + (right**2).sum(-1) - 2 * left @ right.T
        return (-_SHARPNESS * squares.clamp(min=0)).exp()

    def describe(self, tokens: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights of the n-grams [questions, grams] and log of the number of tokens [questions], from token lists."""
        device = self.idf.device
        vocabulary = NGramVocabulary(self.hashes.cpu().numpy(), self.idf.cpu().numpy())
        grams = torch.from_numpy(vocabulary.weigh(tokens).toarray())
        lengths = torch.tensor([float(len(one)) for one in tokens]).log()
        return grams.to(device), lengths.to(device)

    def hold_texts(self, tokens: Sequence[Sequence[int]], source: Sequence[int], labels: torch.Tensor) -> None:
        """Takes the anchors' n-grams, lengths, sources and labels: what of them does not change in training."""
        vocabulary = NGramVocabulary.of(tokens)
        weights = vocabulary.weigh(tokens)
        lengths = torch.tensor([float(len(one)) for one in tokens]).log()
        content = {
            "hashes": torch.from_numpy(vocabulary.hashes),
            "idf": torch.from_numpy(vocabulary.idf),
            "gram_rows": torch.from_numpy(weights.indptr),
            "gram_columns": torch.from_numpy(weights.indices),
            "gram_weights": torch.from_numpy(weights.data),
            "lengths": lengths,
            "length_scale": lengths.std().clamp(min=1e-3),
            "sources": torch.tensor(source),
            "labels": labels,
            "agreement": agreements(labels),
        }
        for name, value in content.items():
            getattr(self, name).copy_(value)

    def gram_matrix(self) -> torch.Tensor:
        """Weights of the anchors' n-grams, sparse, [anchors, grams]."""
        shape = (len(self.lengths), len(self.idf))
        rows = torch.arange(shape[0], device=self.idf.device).repeat_interleave(self.gram_rows.diff())
        places = torch.stack([rows, self.gram_columns.long()])
        return torch.sparse_coo_tensor(places, self.gram_weights, shape, is_coalesced=True, check_invariants=False)


def head_sizes(tokens: Sequence[Sequence[int]], width: int, num_labels: int = 0) -> dict[str, int]:
    """The sizes of a head whose anchors are these questions, each a list of tokens, with so many labels each."""
    vocabulary = NGramVocabulary.of(tokens)
    weights: csr_matrix = vocabulary.weigh(tokens)
    rank = min(_RANK, width, len(tokens))
    grams = {"grams": len(vocabulary), "nonzeros": int(weights.nnz)}
    return {"anchors": len(tokens), "rank": rank, **grams, "labels": num_labels}


def _to_prior(raw: torch.Tensor) -> Predicted:
    mean = raw[:, 0].clamp(EDGE, 1 - EDGE)
    most = (mean * (1 - mean)).sqrt()
    std = torch.minimum(torch.maximum(raw[:, 1], _SPREAD[0] * most), _SPREAD[1] * most)
    return Predicted(mean, std, strength_from_log(raw[:, 2]))
