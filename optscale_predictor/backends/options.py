"""What to draw samples with and what to score them with: the options that every way into the package shares.

All verbs, lm-eval's ``--model_args`` and Ray's actors take these two classes, which ``option_flags`` spells as flags: a
setting has one name, one check and one help text. Plain data: nothing is loaded until :meth:`GeneratorOptions.build`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from optscale_predictor._support.messages import say_loading
from optscale_predictor._support.near_names import did_you_mean
from optscale_predictor.backends.generators import Generator, SamplingParams, ServerOptions, VLLMOptions
from optscale_predictor.backends.server_urls import server_urls
from optscale_predictor.errors import InputError

if TYPE_CHECKING:  # every verb imports this module for its flags; what builds them takes seconds to import
    from optscale_predictor.backends.verifiers import Verifier
    from optscale_predictor.backends.verifiers.process_verifier import StepSettings

ENGINES = ("auto", "transformers", "continuous", "vllm", "server")
EMBEDDED_GENERATOR, EMBEDDED_VERIFIER = "embedded:generator", "embedded:verifier"
#: No verifier, as policies that look at answers alone need no scores; and the one that is meant where none is named.
NO_VERIFIER, DEFAULT_VERIFIER = "none", "auto"

_WITHOUT_MODEL = ("math_verify", "calculations", "python", "logprobs")  # kinds of verifiers that load none
_IN_PROCESS = (*_WITHOUT_MODEL, "likelihood", "trained")  # and those that no server runs


@dataclass(frozen=True)
class GeneratorOptions:
    """What draws samples, and how.

    Attributes:
        model: Model folder, folder of `optscale train-generator`, GGUF file, hub id, `embedded:generator` (the default)
            or `package:NAME`; with base_url the served model's name, by default the server's only one.
        sampling: How samples are drawn.
        engine: `transformers` (batches of like lengths), `continuous` (transformers with continuous batching), `vllm`
            (in this process), `server` (at base_url); `auto` is the server where base_url is given, else transformers,
            continuously batched on a GPU with flash attention.
        base_url: OpenAI-compatible server, for example http://127.0.0.1:8000/v1, or several of one model, separated by
            spaces.
        chat: Whether prompts are a user's turn, put into the model's chat template. By default they are not, or as a
            fine-tuned model learnt; conversations of `optscale serve` are, where the model has a template.
        batch_size: Most samples at once of a transformers model, >= 1.
        concurrency: Requests under way at once at a server, >= 1.
        server: How a server is asked.
        vllm: Options of an in-process vLLM.
        trust_remote_code: Whether to run code that the model's repository brings.

    Raises:
        InputError: A number is out of its range, or the engine is not one that goes with these options.
    """

    model: str | None = None
    sampling: SamplingParams = field(default_factory=SamplingParams)
    engine: str = "auto"
    base_url: str | None = None
    chat: bool | None = None
    batch_size: int = 512
    concurrency: int = 32
    server: ServerOptions = field(default_factory=ServerOptions)
    vllm: VLLMOptions = field(default_factory=VLLMOptions)
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        """Checks what can be checked without a model."""
        if self.model is not None and not self.model.strip():
            raise InputError("generator is empty")
        if self.base_url is not None:
            server_urls(self.base_url, "base_url")
        for name in ("batch_size", "concurrency"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be >= 1, got {getattr(self, name)}")
        near = did_you_mean(self.engine, ENGINES)
        if self.engine not in ENGINES:
            raise InputError(f"engine must be one of {', '.join(ENGINES)}, got {self.engine!r}{near}")
        if (self.engine == "server") != (self.base_url is not None) and self.engine != "auto":
            verb = "needs a" if self.base_url is None else "takes no"
            raise InputError(f"engine {self.engine!r} {verb} base_url")

    def choose_engine(self) -> str:
        """The engine that ``auto`` stands for on this machine; any other name is itself.

        vLLM is taken only by name: it starts slowly and takes the GPU's memory.
        """
        if self.engine != "auto":
            return self.engine
        if self.base_url is not None:
            return "server"
        from optscale_predictor.backends.generators.continuous_batching import flash_attention_ready

        return "continuous" if flash_attention_ready() else "transformers"

    def build(self) -> Generator:
        """The generator, its model loaded here.

        Raises:
            InputError: What is named is not there, or cannot be loaded.
            ServiceError: The server does not answer, or serves no such model.
        """
        if self.base_url is not None:
            from optscale_predictor.backends.generators.openai_server import OpenAIServerGenerator

            return OpenAIServerGenerator(
                self.base_url, self.model, self.sampling, bool(self.chat), self.concurrency, self.server
            )
        model = self.model or EMBEDDED_GENERATOR
        say_loading(f"PyTorch, transformers and {model}", "torch", "transformers")
        from optscale_predictor.backends.adapters.generator_folder import asks_as_chat

        chosen, sampling = self.choose_engine(), self.sampling
        chat = asks_as_chat(model, self.chat)
        if chosen == "vllm":
            from optscale_predictor.backends.generators.vllm_engine import VLLMGenerator

            return VLLMGenerator(model, sampling, chat, self.vllm, self.trust_remote_code)
        if chosen == "continuous":
            from optscale_predictor.backends.generators.continuous_batching import ContinuousBatchingGenerator

            return ContinuousBatchingGenerator(model, sampling, self.batch_size, "auto", self.trust_remote_code, chat)
        from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator

        return HuggingFaceGenerator(model, sampling, self.batch_size, "auto", self.trust_remote_code, chat)

    def describe(self) -> Mapping[str, object]:
        """What the built generator would say of itself; no model is loaded, but a server is asked what it serves.

        Raises:
            ServiceError: The server does not answer, or serves no such model.
        """
        if self.base_url is not None:
            return self.build().describe()
        from optscale_predictor.backends.adapters.generator_folder import asks_as_chat

        model = self.model or EMBEDDED_GENERATOR
        chat = asks_as_chat(model, self.chat)
        if self.choose_engine() == "vllm":
            from optscale_predictor.backends.generators.vllm_engine import describe_vllm

            return describe_vllm(model, chat, self.vllm, self.sampling)
        from optscale_predictor.backends.generators.huggingface import describe_transformers

        return describe_transformers(model, chat, self.sampling)


@dataclass(frozen=True)
class VerifierOptions:
    """What scores samples.

    Attributes:
        model: Reward model or process reward model (folder, hub id or `embedded:verifier`), or one of `optscale
            train-verifier`; your function of (question, text[, gold]) that returns a score in [0, 1], importable from
            here, as `python:module:function`; a chat model as `judge:MODEL`; `math_verify` for right or wrong against
            the gold answers; `calculations` for whether a sample's hold; `logprobs:mean`, `logprobs:lowest_group` or
            `logprobs:self_certainty`, from tokens' log-probabilities; `combined:FOLDER` of `optscale fit-policy
            --scores A,B`; `none`. `auto` is the embedded world's, for its own samples alone.
        url: Server of a judge (any OpenAI-compatible one) or of a reward model (vLLM; the verifier's name is then for
            its tokenizer), for example http://127.0.0.1:8000/v1, or several, separated by spaces; in this process by
            default. Of a combination COLUMN=URL for each part that is served.
        layout: How a process reward model reads steps: `qwen`, `math_shepherd`, `rlhflow` or `skywork`; its config
            tells, unless it is a plain language model.
        aggregate: What the steps' scores become: their `mean`, `min` or `product`, or the `last` one.
        separator: What stands between two steps (a backslash and an n for a line break); by default what the layout
            has, which is blank lines, or lines for `skywork`.
        rubric: Text file with a judge's instructions; one for maths answers by default.
        batch_size: Samples in one batch of a model in this process, >= 1.
        concurrency: Requests under way at once at the verifier's servers, >= 1.
        trust_remote_code: Whether to run code that the verifier's repository brings.

    Raises:
        InputError: A number is out of its range, or an option is not one that such a verifier has.
    """

    model: str = DEFAULT_VERIFIER
    url: str | None = None
    layout: str = "auto"
    aggregate: str = "mean"
    separator: str | None = None
    rubric: str | None = None
    batch_size: int = 256
    concurrency: int = 32
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        """Checks what can be checked without a model."""
        for name in ("batch_size", "concurrency"):
            if getattr(self, name) < 1:
                raise InputError(f"verifier_{name} must be >= 1, got {getattr(self, name)}")
        if not self.model.strip():
            raise InputError(f"verifier is empty; {NO_VERIFIER} stands for no verifier")
        if self.url is not None and not self.model.startswith("combined:"):  # which names its parts before each
            server_urls(self.url, "verifier_url")
        if (judge := self.model.startswith("judge:")) and self.url is None:
            raise InputError(f"verifier {self.model!r}: a judge needs the verifier_url of a server")
        if not judge and self.rubric is not None:
            raise InputError(f"verifier {self.model!r}: only a judge (judge:MODEL) takes a verifier_rubric")

    @property
    def wanted(self) -> bool:
        """Whether there is to be a verifier."""
        return self.model != NO_VERIFIER

    @property
    def steps(self) -> "StepSettings":
        """How a process reward model is read.

        Raises:
            InputError: There is no such aggregate, or the separator is empty.
        """
        from optscale_predictor.backends.verifiers.process_verifier import StepSettings

        return StepSettings(self.layout, self.aggregate, self.separator and self.separator.replace("\\n", "\n"))

    def build(self) -> "Verifier":
        """The verifier, its model loaded here; a folder is what its files say that it is.

        Raises:
            InputError: What is named is not there or cannot be loaded, or the options say that there is no verifier.
            ServiceError: The server does not answer, or does not serve such a model.
        """
        if not self.wanted:
            raise InputError(f"verifier: {NO_VERIFIER} scores nothing; name one")
        if self.model == DEFAULT_VERIFIER:
            return replace(self, model=EMBEDDED_VERIFIER).build()
        from optscale_predictor.backends.verifiers.verifier_kinds import kind_of

        self._require_fitting(kind := kind_of(self.model, self.layout))
        if kind == "judge":
            return self._judge(self.rubric)
        if kind == "combined":
            return self._combined()
        if kind in _WITHOUT_MODEL:
            from optscale_predictor.backends.verifiers.without_model import verifier_without_model

            return verifier_without_model(kind, self.model, self.batch_size)
        if kind == "likelihood":
            from optscale_predictor.backends.verifiers.likelihood import LikelihoodVerifier

            return LikelihoodVerifier(self.model, batch_size=self.batch_size)
        if kind == "trained":
            from optscale_predictor.backends.verifiers.trained_verifier import TrainedVerifier

            return TrainedVerifier(self.model, batch_size=self.batch_size)
        return self._reward_model() if kind == "reward_model" else self._process_reward_model()

    def _require_fitting(self, kind: str) -> None:
        """Raises ``InputError`` where an option is not one that this kind of verifier has."""
        if kind != "process_reward_model" and self.steps != type(self.steps)():
            flags = "verifier_layout, verifier_aggregate and verifier_separator"
            raise InputError(f"verifier {self.model!r}: {flags} are a process reward model's")
        if kind in _IN_PROCESS and self.url is not None:
            raise InputError(f"verifier {self.model!r}: it runs in this process and takes no verifier_url")

    def _judge(self, rubric: str | Mapping[str, Any] | None) -> "Verifier":
        """A judge whose rubric is a file, or what a description says of it."""
        from optscale_predictor.backends.verifiers.judge import JudgeVerifier
        from optscale_predictor.backends.verifiers.rubric import Rubric

        read = Rubric(**rubric) if isinstance(rubric, Mapping) else Rubric.from_file(rubric)
        return JudgeVerifier(self.model.removeprefix("judge:"), self.url or "", read, self.concurrency)

    def _combined(self) -> "Verifier":
        from optscale_predictor.backends.verifiers.combined import COMBINED, CombinedVerifier, ScoreCombination

        combination = ScoreCombination.load(self.model.removeprefix(COMBINED))
        urls = combination.part_urls(self.url)
        return CombinedVerifier(combination, list(map(self._part, combination.parts, urls)))

    def _part(self, described: Mapping[str, Any], url: str | None) -> "Verifier":
        """A part of a combination, made again of its description."""
        from optscale_predictor.backends.verifiers.combined import part_settings
        from optscale_predictor.backends.verifiers.score_maps import RewardVerifier

        own = replace(self, **part_settings(described), url=url)
        built = own._judge(described.get("rubric")) if described.get("adapter") == "judge" else own.build()
        if isinstance(built, RewardVerifier):
            built.adopt_map(described)
        return built

    def _reward_model(self) -> "Verifier":
        if self.url is not None:
            from optscale_predictor.backends.verifiers.served_reward_models import ServedRewardModel

            return ServedRewardModel(self.url, self.model, self.concurrency, trust_remote_code=self.trust_remote_code)
        from optscale_predictor.backends.verifiers.reward_model import RewardModel

        return RewardModel(self.model, batch_size=self.batch_size, trust_remote_code=self.trust_remote_code)

    def _process_reward_model(self) -> "Verifier":
        if self.url is not None:
            from optscale_predictor.backends.verifiers.served_reward_models import ServedProcessRewardModel

            return ServedProcessRewardModel(
                self.url, self.model, self.steps, self.concurrency, trust_remote_code=self.trust_remote_code
            )
        from optscale_predictor.backends.verifiers.process_reward_model import ProcessRewardModel

        return ProcessRewardModel(self.model, self.steps, self.batch_size, trust_remote_code=self.trust_remote_code)
