"""Engines by name: the generator and verifier that a command line or lm-eval's ``model_args`` ask for."""

from optscale_predictor.backends.generators import Generator, SamplingParams, ServerOptions, VLLMOptions
from optscale_predictor.backends.verifiers import Verifier
from optscale_predictor.backends.verifiers.detect import is_likelihood, is_reward_model
from optscale_predictor.backends.verifiers.steps import StepSettings
from optscale_predictor.errors import InputError

#: Names that ``make_generator`` knows.
ENGINES = ("auto", "transformers", "continuous", "vllm", "server")


def make_generator(
    model: str | None,
    sampling: SamplingParams,
    base_url: str | None = None,
    chat: bool = False,
    batch_size: int = 512,
    concurrency: int = 32,
    trust_remote_code: bool = False,
    engine: str = "auto",
    server: ServerOptions | None = None,
    vllm: VLLMOptions | None = None,
) -> Generator:
    """A generator by the name of its engine; see :func:`choose_engine`.

    Args:
        model: Folder, hub id, or a name that ``models.resolve_model`` knows; with ``base_url`` the served model's name.
        sampling: How samples are drawn.
        base_url: OpenAI-compatible servers, separated by spaces.
        chat: Whether prompts are a user's turn, put into the model's chat template.
        batch_size: Most samples at once of a transformers model, >= 1.
        concurrency: Requests under way at once at a server, >= 1.
        trust_remote_code: Whether to run code that the model's repository brings.
        engine: One of ``ENGINES``.
        server: How a server is asked.
        vllm: Options of an in-process vLLM.

    Raises:
        InputError: Neither names anything, or what it names is not there.
    """
    chosen = choose_engine(engine, base_url)
    if base_url is not None:
        from optscale_predictor.backends.generators.openai_server import OpenAIServerGenerator

        return OpenAIServerGenerator(base_url, model, sampling, chat, concurrency, server)
    if model is None:
        raise InputError("no generator: name a model, or the base_url of a server")
    if chosen == "vllm":
        from optscale_predictor.backends.generators.vllm_engine import VLLMGenerator

        return VLLMGenerator(model, sampling, chat, vllm, trust_remote_code)
    if chosen == "continuous":
        from optscale_predictor.backends.generators.continuous_batching import ContinuousBatchingGenerator

        return ContinuousBatchingGenerator(model, sampling, batch_size, "auto", trust_remote_code, chat)
    from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator

    return HuggingFaceGenerator(model, sampling, batch_size, "auto", trust_remote_code, chat)


def choose_engine(engine: str, base_url: str | None) -> str:
    """The engine that a name stands for: ``server`` where there is a URL, else one in this process.

    ``auto`` without a URL is transformers: continuously batched on a CUDA GPU with flash attention (flash-attn or the
    kernels package), in batches of like lengths anywhere else. vLLM is taken only by name: it starts slowly and
    takes the GPU's memory.

    Raises:
        InputError: No such engine, or it does not go with the URL.
    """
    if engine not in ENGINES:
        raise InputError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    if (engine == "server") != (base_url is not None) and engine != "auto":
        raise InputError(f"engine {engine!r} {'needs a' if base_url is None else 'takes no'} base_url")
    if engine != "auto":
        return engine
    if base_url is not None:
        return "server"
    from optscale_predictor.backends.generators.continuous_batching import flash_attention_ready

    return "continuous" if flash_attention_ready() else "transformers"


def make_verifier(
    name: str,
    batch_size: int = 256,
    trust_remote_code: bool = False,
    base_url: str | None = None,
    concurrency: int = 32,
    rubric: str | None = None,
    layout: str = "auto",
    aggregate: str = "mean",
    separator: str | None = None,
) -> Verifier:
    """A verifier by name.

    A folder with ``score_map.json`` (``embedded:verifier``) is a likelihood verifier; any other folder or hub id is
    what its config says, a reward model of one label or a process reward model (of ``layout``, where the config does
    not tell), in this process or, where there is a ``base_url``, behind vLLM servers; ``python:module:function`` is a
    user's own; ``judge:MODEL`` a chat model at ``base_url`` that grades by a ``rubric`` file; ``math_verify`` compares
    with the gold answer.

    Args:
        name: The name.
        batch_size: Samples in one batch, >= 1.
        trust_remote_code: Whether to run code that a model's repository brings.
        base_url: Servers, separated by spaces.
        concurrency: Requests under way at once at servers, >= 1.
        rubric: A judge's instructions.
        layout: How a process reward model reads steps; ``auto`` asks its config.
        aggregate: How it makes one score of the steps': ``mean``, ``min``, ``product`` or ``last``.
        separator: What stands between two steps, a backslash and an n for a line break; the layout's own by default.

    Raises:
        InputError: What it names is not there, or a setting is not one that it has.
    """
    steps = StepSettings(layout, aggregate, separator and separator.replace("\\n", "\n"))
    kind = _kind_of_verifier(name, layout)
    _require_fitting(name, kind, steps, base_url, rubric)
    if kind == "judge":
        return _judge(name, base_url, rubric, concurrency)
    if kind == "math_verify":
        from optscale_predictor.backends.verifiers.gold import GoldVerifier

        return GoldVerifier()
    if kind == "python":
        from optscale_predictor.backends.verifiers.function import FunctionVerifier

        return FunctionVerifier(name.removeprefix("python:"), batch_size)
    if kind == "likelihood":
        from optscale_predictor.backends.verifiers.likelihood import LikelihoodVerifier

        return LikelihoodVerifier(name, batch_size=batch_size)
    if kind == "reward_model":
        return _reward_model(name, batch_size, trust_remote_code, base_url, concurrency)
    return _process_reward_model(name, steps, batch_size, trust_remote_code, base_url, concurrency)


def _kind_of_verifier(name: str, layout: str) -> str:
    kind, colon, _ = name.partition(":")
    if name == "math_verify" or (colon and kind in ("judge", "python")):
        return kind
    if is_likelihood(name):
        return "likelihood"
    return "reward_model" if layout == "auto" and is_reward_model(name) else "process_reward_model"


def _require_fitting(name: str, kind: str, steps: StepSettings, base_url: str | None, rubric: str | None) -> None:
    """Raises ``InputError`` where a setting is not one that this kind of verifier has."""
    if kind != "process_reward_model" and steps != StepSettings():
        raise InputError(f"verifier {name!r}: layout, aggregate and separator are a process reward model's")
    if kind in ("math_verify", "python", "likelihood") and base_url is not None:
        raise InputError(f"verifier {name!r}: it runs in this process and takes no base_url")
    if kind == "judge" and base_url is None:
        raise InputError(f"verifier {name!r}: a judge needs the base_url of a server")
    if kind != "judge" and rubric is not None:
        raise InputError(f"verifier {name!r}: only a judge (judge:MODEL) takes a rubric")


def _judge(name: str, base_url: str | None, rubric: str | None, concurrency: int) -> Verifier:
    from optscale_predictor.backends.verifiers.judge import JudgeVerifier
    from optscale_predictor.backends.verifiers.rubric import Rubric

    return JudgeVerifier(name.removeprefix("judge:"), base_url or "", Rubric.from_file(rubric), concurrency)


def _reward_model(
    name: str, batch_size: int, trust_remote_code: bool, base_url: str | None, concurrency: int
) -> Verifier:
    if base_url is not None:
        from optscale_predictor.backends.verifiers.served_reward_model import ServedRewardModel

        return ServedRewardModel(base_url, name, concurrency, trust_remote_code=trust_remote_code)
    from optscale_predictor.backends.verifiers.reward_model import RewardModel

    return RewardModel(name, batch_size=batch_size, trust_remote_code=trust_remote_code)


def _process_reward_model(
    name: str, steps: StepSettings, batch_size: int, trust_remote_code: bool, base_url: str | None, concurrency: int
) -> Verifier:
    if base_url is not None:
        from optscale_predictor.backends.verifiers.served_process_reward_model import ServedProcessRewardModel

        return ServedProcessRewardModel(base_url, name, steps, concurrency, trust_remote_code=trust_remote_code)
    from optscale_predictor.backends.verifiers.process_reward_model import ProcessRewardModel

    return ProcessRewardModel(name, steps, batch_size, trust_remote_code=trust_remote_code)
