"""A world as a value: a generator, its questions, and how the verifier and the predictor of its scores come to be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from optscale_predictor._support.extras import require_extras
from optscale_predictor._support.number_checks import require_seed
from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.cli.worlds.demo_curves import Curve
from optscale_predictor.errors import InputError

if TYPE_CHECKING:  # it loads torch
    from optscale_predictor.backends.verifiers.training.verifier_settings import VerifierSettings

_LEAST = {"train_questions": 20, "test_questions": 2, "epochs": 1, "live_questions": 1, "samples": 2}
_FEWEST_FOR_VERIFIER = 20


@dataclass(frozen=True)
class Sizes:
    """How much a run does.

    Attributes:
        train_questions: Questions whose samples predictor, settings and fitted policy learn from.
        test_questions: Questions that policies are compared on.
        epochs: Of the predictor's training.
        live_questions: Test questions answered live through lm-eval.
        samples: Of each question.
        verifier_questions: Questions whose samples the verifier learns from, where it is trained.
    """

    train_questions: int
    test_questions: int
    epochs: int
    live_questions: int
    samples: int = 32
    verifier_questions: int = 0


@dataclass(frozen=True)
class VerifierTraining:
    """A verifier that is trained on samples of questions that serve for nothing else.

    Attributes:
        settings: Of the training; the base is the generator.
        samples: Of each question, >= 2.
        beside: Verifiers that need no training, by name. Their scores are combined with its own, by coefficients that
            are fitted to the training questions' labels.
    """

    settings: "VerifierSettings"
    samples: int = 8
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Package:
    """A Python package that a world's model lies in.

    Attributes:
        module: Its module.
        command: What brings it.
    """

    module: str
    command: str


@dataclass(frozen=True)
class World:
    """What the demo runs on.

    Attributes:
        name: As ``--world`` takes it.
        title: Of tables and pages.
        generator: As ``--generator`` takes it.
        sampling: How samples are drawn.
        train_set: Name of the question set that is learnt from, as ``--questions`` takes it.
        test_set: Likewise of the one that policies are compared on.
        verifier: Its name, or how it is trained.
        task: lm-eval task of the live run.
        curves: The policies to compare, at most so many samples a question.
        sizes: How much is done by default.
        task_set: The question set that the task asks by itself; it is handed the test questions' file in place of
            another.
        prompt: Around a question.
        chat: Whether the prompt is a user's turn in the generator's chat template.
        batch_size: Most samples at once, of generator and verifier.
        predictor: Settings of the predictor's training; its base is the generator.
        packages: That the generator, or its base, lies in.
    """

    name: str
    title: str
    generator: str
    sampling: SamplingParams
    train_set: str
    test_set: str
    verifier: str | VerifierTraining
    task: str
    curves: Callable[[int], Sequence[Curve]]
    sizes: Sizes
    task_set: str | None = None
    prompt: str = "{question}"
    chat: bool = False
    batch_size: int = 512
    predictor: Mapping[str, Any] = field(default_factory=dict)
    packages: tuple[Package, ...] = ()

    def sized(self, given: Mapping[str, int | None]) -> Sizes:
        """The world's sizes, with those that are given in their place.

        Args:
            given: Sizes by name; None stands for the world's own.

        Raises:
            InputError: One is out of its range.
        """
        sizes = replace(self.sizes, **{name: size for name, size in given.items() if size is not None})
        trained = isinstance(self.verifier, VerifierTraining)
        least = {**_LEAST, "verifier_questions": _FEWEST_FOR_VERIFIER if trained else 0}
        for name, size in asdict(sizes).items():
            if size < least[name]:
                raise InputError(f"{name} must be >= {least[name]}, got {size}")
        if sizes.verifier_questions and not trained:
            raise InputError(f"verifier_questions: the world {self.name!r} brings its verifier and trains none")
        return sizes

    def with_generator(self, generator: str) -> "World":
        """The same world with another generator; what its own lies in is not needed then."""
        return replace(self, generator=generator, packages=())

    def with_verifier(self, verifier: str) -> "World":
        """The same world with a verifier that is there already: none is trained."""
        return replace(self, verifier=verifier, sizes=replace(self.sizes, verifier_questions=0))

    def with_seed(self, seed: int) -> "World":
        """The same world with other samples, and other random numbers in its trainings; the questions stay.

        Args:
            seed: >= 0.

        Raises:
            InputError: It is out of its range.
        """
        require_seed(seed)
        verifier = self.verifier
        if isinstance(verifier, VerifierTraining):
            verifier = replace(verifier, settings=replace(verifier.settings, seed=seed))
        return replace(
            self,
            sampling=replace(self.sampling, seed=seed),
            verifier=verifier,
            predictor={**self.predictor, "seed": seed},
        )

    def require_installed(self) -> None:
        """Checks, before minutes of work, that every package is there that some step will need.

        Raises:
            InputError: One is not; it names the command that brings it.
        """
        for package in self.packages:
            if find_spec(package.module) is None:
                raise InputError(f"world {self.name!r} needs the package {package.module}: {package.command}")
        require_extras("matplotlib", "lm_eval", "lightgbm")
