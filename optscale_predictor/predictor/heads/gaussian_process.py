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
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from optscale_predictor.predictor.heads.linear import EDGE, strength_from_log
from optscale_predictor.predictor.heads.question_features import UNKNOWN, Features, NGramVocabulary, agreements
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
        width: Width of the features, >= 1.
        sizes: ``anchors``, ``rank``, ``grams``, ``nonzeros`` and ``labels``: what a checkpoint must know before it is
            read.
    """

    center: Float[Tensor, " width"]
    projection: Float[Tensor, "width rank"]
    anchors: Float[Tensor, "anchors rank"]
    lengths: Float[Tensor, " anchors"]
    idf: Float[Tensor, " grams"]
    gram_weights: Float[Tensor, " nonzeros"]
    length_scale: Float[Tensor, ""]
    noise: Float[Tensor, ""]
    offset: Float[Tensor, " outputs"]
    coefficients: Float[Tensor, "anchors outputs"]
    agreement: Float[Tensor, " labels"]
    hashes: Int[Tensor, " grams"]
    gram_rows: Int[Tensor, " anchors+1"]
    gram_columns: Int[Tensor, " nonzeros"]
    sources: Int[Tensor, " anchors"]
    labels: Int[Tensor, "anchors labels"]

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

    def forward(
        self,
        features: Features,
        source: Int[Tensor, " questions"],
        coefficients: Float[Tensor, "questions anchors outputs"] | None = None,
    ) -> Predicted:
        """The prior of each question.

        Args:
            features: Of the questions.
            source: Whose scores, by index.
            coefficients: Others than the head's own, one set a question: training gives each question coefficients that
                were solved without it.
        """
        similarity = self.similarity(features, source)
        own = self.coefficients if coefficients is None else coefficients
        raw = torch.einsum("qa,ao->qo" if own.ndim == 2 else "qa,qao->qo", similarity, own)
        return _to_prior(raw + self.offset)

    def similarity(self, features: Features, source: Int[Tensor, " questions"]) -> Float[Tensor, "questions anchors"]:
        """Kernel of each question with each anchor, in [0, 1].

        Args:
            features: Of the questions.
            source: Whose scores, by index.
        """
        rows = zip(features.tokens.cpu(), features.mask.cpu().bool(), strict=True)
        grams, lengths = self.describe([row[kept].tolist() for row, kept in rows])
        return self.combine(self.project(features.pooled), grams, lengths, source, features.labels)

    def combine(
        self,
        states: Float[Tensor, "questions rank"],
        grams: Float[Tensor, "questions grams"],
        lengths: Float[Tensor, " questions"],
        source: Int[Tensor, " questions"],
        labels: Int[Tensor, "questions labels"] | None,
    ) -> Float[Tensor, "questions anchors"]:
        """The kernel of :meth:`similarity`, from what it is made of.

        Args:
            states: Pooled states in the anchors' coordinates.
            grams: Weights of the n-grams.
            lengths: Log of the number of tokens.
            source: Whose scores, by index.
            labels: Codes of the labels; None where nothing is known.
        """
        near = self.kernel(states, self.anchors)
        # A cosine of 1 gives 1, one of 0 gives 1/e: the exponential of a kernel is a kernel.
        phrases = (torch.sparse.mm(self.gram_matrix(), grams.T).T - 1).exp()
        alike = (-(((lengths[:, None] - self.lengths) / self.length_scale) ** 2) / 2).exp()
        related = torch.where(source[:, None] == self.sources, 1.0, _OTHER_SOURCE)
        kernel: Tensor = (SHARES[0] * near + SHARES[1] * phrases + SHARES[2] * alike) * related
        if self.labels.shape[1]:
            kernel = kernel * (1 - _LABELS + _LABELS * self._agree(labels).mean(-1))
        return kernel

    def _agree(self, labels: Tensor | None) -> Tensor:
        """Whether labels agree, as 0 or 1; where one is unknown, how often two do. [questions, anchors, labels]."""
        if labels is None:
            return self.agreement
        same = (labels[:, None] == self.labels).float()
        return torch.where((labels[:, None] != UNKNOWN) & (self.labels != UNKNOWN), same, self.agreement)

    def project(self, pooled: Float[Tensor, "questions width"]) -> Float[Tensor, "questions rank"]:
        """Pooled states in the anchors' coordinates."""
        return (pooled.float() - self.center) @ self.projection

    @staticmethod
    def kernel(left: Float[Tensor, "left rank"], right: Float[Tensor, "right rank"]) -> Float[Tensor, "left right"]:
        """Gaussian kernel of rows in the anchors' coordinates, in [0, 1].

        Args:
            left: Rows, such as those of questions.
            right: Rows, such as those of the anchors.
        """
        # Expanded, so that no tensor [left, right, rank] is made; rounding may leave a square just below 0.
        squares = (left**2).sum(-1)[:, None] + (right**2).sum(-1) - 2 * left @ right.T
        return (-_SHARPNESS * squares.clamp(min=0)).exp()

    def describe(
        self, tokens: Sequence[Sequence[int]]
    ) -> tuple[Float[Tensor, "questions grams"], Float[Tensor, " questions"]]:
        """Weights of the n-grams and log of the number of tokens of questions, each a list of tokens."""
        device = self.idf.device
        vocabulary = NGramVocabulary(self.hashes.cpu().numpy(), self.idf.cpu().numpy())
        grams = torch.from_numpy(vocabulary.weigh(tokens).toarray())
        lengths = torch.tensor([float(len(one)) for one in tokens]).log()
        return grams.to(device), lengths.to(device)

    def hold_texts(
        self, tokens: Sequence[Sequence[int]], source: Sequence[int], labels: Int[Tensor, "anchors labels"]
    ) -> None:
        """Takes the anchors' n-grams, lengths, sources and labels: what of them does not change in training.

        Args:
            tokens: Of each anchor.
            source: Whose scores each anchor's are, by index.
            labels: Codes of the anchors' labels.
        """
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

    def gram_matrix(self) -> Float[Tensor, "anchors grams"]:
        """Weights of the anchors' n-grams, a sparse tensor."""
        shape = (len(self.lengths), len(self.idf))
        rows = torch.arange(shape[0], device=self.idf.device).repeat_interleave(self.gram_rows.diff())
        indices = torch.stack([rows, self.gram_columns.long()])
        return torch.sparse_coo_tensor(indices, self.gram_weights, shape, is_coalesced=True, check_invariants=False)

    def faulty_buffer(self, num_sources: int) -> str | None:
        """The name of a buffer whose indices lead out of the others or whose scale none can be; None where all is well.

        Predicting follows the indices without a look, so a head that was read from a file is checked once by this.

        Args:
            num_sources: Sources of scores that the predictor has learnt, >= 1.
        """
        anchors, grams = len(self.lengths), len(self.idf)
        rows, columns = self.gram_rows, self.gram_columns
        ends = rows[:1].eq(0).all() and rows[-1:].eq(len(columns)).all()
        faults = {
            "gram_rows": not (len(rows) == anchors + 1 and ends and (rows.diff() >= 0).all()),
            "gram_columns": bool(((columns < 0) | (columns >= grams)).any()),
            "hashes": bool((self.hashes.diff() <= 0).any()),
            "sources": bool(((self.sources < 0) | (self.sources >= num_sources)).any()),
            "length_scale": not self.length_scale > 0,
        }
        return next((name for name, faulty in faults.items() if faulty), None)


def head_sizes(tokens: Sequence[Sequence[int]], width: int, num_labels: int = 0) -> dict[str, int]:
    """The sizes of a head whose anchors are these questions.

    Args:
        tokens: Of each question.
        width: Width of the features, >= 1.
        num_labels: Labels that a question may carry, >= 0.
    """
    vocabulary = NGramVocabulary.of(tokens)
    weights: csr_matrix = vocabulary.weigh(tokens)
    rank = min(_RANK, width, len(tokens))
    grams = {"grams": len(vocabulary), "nonzeros": int(weights.nnz)}
    return {"anchors": len(tokens), "rank": rank, **grams, "labels": num_labels}


def _to_prior(raw: Tensor) -> Predicted:
    mean = raw[:, 0].clamp(EDGE, 1 - EDGE)
    most = (mean * (1 - mean)).sqrt()
    std = torch.minimum(torch.maximum(raw[:, 1], _SPREAD[0] * most), _SPREAD[1] * most)
    return Predicted(mean, std, strength_from_log(raw[:, 2]))
