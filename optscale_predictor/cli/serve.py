"""The verb that serves OptScale inference to OpenAI clients."""

import logging
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from optscale_predictor.backends.generators import ServerOptions, VLLMOptions
from optscale_predictor.cli.answer import _policy

if TYPE_CHECKING:
    from optscale_predictor.backends.generators import Generator
    from optscale_predictor.policies import Policy
    from optscale_predictor.serving import ServeSettings

_KEY = "OPTSCALE_SERVE_API_KEY"
_ASKING = ServerOptions(max_retries=10_000, longest_wait=5.0)  # a request's own time ends them


def serve(
    host: str = "127.0.0.1",
    port: int = 8000,
    served_model_name: str | None = None,
    generator: str | None = None,
    verifier: str | None = "embedded:verifier",
    verifier_url: str | None = None,
    verifier_layout: str = "auto",
    verifier_aggregate: str = "mean",
    verifier_separator: str | None = None,
    predictor: str | None = None,
    policy: str | None = None,
    score_min: float = 0.95,
    alpha: float = 0.95,
    max_samples: int = 32,
    engine: str = "auto",
    base_url: str | None = None,
    chat: bool | None = None,
    prompt_file: str | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_tokens: int = 1024,
    stop: tuple[str, ...] = (),
    thinking: str = "keep",
    seed: int = 0,
    batch_size: int = 512,
    concurrency: int = 256,
    server: ServerOptions = _ASKING,
    vllm: VLLMOptions | None = None,
    max_in_flight: int = 256,
    max_waiting: int = 1024,
    timeout: float = 600.0,
    grace: float = 30.0,
    max_body: int = 4 << 20,
    source: str | None = None,
    allow_source_mismatch: bool = False,
    trust_remote_code: bool = False,
) -> None:
    """Serve an OpenAI-compatible endpoint that answers with the chosen sample.

    Clients change their URL and nothing else; what it cost is in each answer's `usage`. SIGTERM and Ctrl-C end it:
    what is under way is finished first. Where the environment has OPTSCALE_SERVE_API_KEY, clients must show it.

    Args:
        host: Interface to serve at; 127.0.0.1 for this machine alone.
        port: Port, in [0, 65535]; 0 for any that is free.
        served_model_name: The model's name for clients; by default the generator's.
        generator: Model folder, hub id or `embedded:generator`; with base_url the served model's name.
        verifier: As in `optscale answer`; `null` for policies that look at answers alone.
        verifier_url: Server of the verifier; in this process by default.
        verifier_layout: How a process reward model reads steps, as in `optscale score`.
        verifier_aggregate: What its steps' scores become: their `mean`, `min` or `product`, or the `last` one.
        verifier_separator: What stands between two steps, as in `optscale score`.
        predictor: Predictor checkpoint; without one a vague prior.
        policy: For example `best_of_n:max_samples=8`; by default `optscale` with the three numbers that follow.
        score_min: Target score, in [0, 1].
        alpha: Target probability of reaching it, in (0, 1).
        max_samples: Cap on a question's samples, >= 1; clients may ask for fewer.
        engine: `transformers`, `continuous` (transformers with continuous batching), `vllm`, `server` or `auto`.
        base_url: The generator as OpenAI-compatible servers, separated by spaces: http://127.0.0.1:8001/v1.
        chat: Whether conversations go through the generator's chat template: `true` (and nothing else is served),
            `false` (a conversation is a single message, which is the prompt); by default where there is a template.
        prompt_file: Text file with {question} in it, put around the last user's turn; the bare turn by default.
        temperature: Softmax temperature, >= 0, where a client names none; so for what follows.
        top_p: Nucleus mass, in (0, 1].
        max_tokens: Most tokens a sample may have, >= 1.
        stop: Strings that end a sample.
        thinking: `keep` or `strip` what a reasoning model writes up to `</think>`; its tokens are counted either way.
        seed: Base seed, >= 0.
        batch_size: Most samples at once of a transformers model, >= 1.
        concurrency: Requests under way at once at the generator's servers, >= 1.
        server: How they are asked; by default again and again for as long as a request has time, each try for up to
            `timeout`.
        vllm: Options of an in-process vLLM.
        max_in_flight: Questions at work at once, >= 1.
        max_waiting: Questions that may wait for their turn, >= 0; more are refused with 429.
        timeout: Seconds that a request may take, > 0; clients may ask for less.
        grace: Seconds, >= 0, for what is under way when the server is told to stop.
        max_body: Bytes that a request's body may have, >= 1.
        source: Which of the predictor's sources; by default the one that generator and verifier are.
        allow_source_mismatch: Whether the predictor may have learnt from another generator, verifier or setting.
        trust_remote_code: Whether to run code that a model's repository brings.
    """
    from optscale_predictor.backends.engines import make_generator, make_verifier
    from optscale_predictor.backends.generators import SamplingParams, warning_at_end
    from optscale_predictor.inference import OptScale
    from optscale_predictor.predictor import load_predictor
    from optscale_predictor.questions.prompts import PromptTemplate
    from optscale_predictor.serving import ServeSettings, bind, is_loopback, require_servable
    from optscale_predictor.serving import serve as serve_at

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    rule = _policy(policy, score_min, alpha, max_samples)
    require_servable(rule)
    sampling = SamplingParams(temperature, top_p, max_tokens, stop, seed, thinking)
    settings = ServeSettings(
        served_model_name if served_model_name is not None else "its own",
        max_in_flight=max_in_flight,
        max_waiting=max_waiting,
        timeout=timeout,
        grace=grace,
        max_body=max_body,
        generator_urls=tuple((base_url or "").split()),
        api_key=os.environ.get(_KEY, ""),
    )
    prompt = PromptTemplate.from_file(prompt_file)
    with bind(host, port) as place:  # before anything is loaded
        name = generator or (None if base_url else "embedded:generator")
        asking = replace(server, timeout=timeout) if server.timeout == _ASKING.timeout else server
        drawing = make_generator(
            name, sampling, base_url, bool(chat), batch_size, concurrency, trust_remote_code, engine, asking, vllm
        )
        judge = (
            None
            if verifier is None
            else make_verifier(
                verifier,
                trust_remote_code=trust_remote_code,
                base_url=verifier_url,
                layout=verifier_layout,
                aggregate=verifier_aggregate,
                separator=verifier_separator,
            )
        )
        scaler = OptScale(
            drawing,
            judge,
            load_predictor(predictor),
            rule,
            prompt=prompt,
            source=source,
            allow_source_mismatch=allow_source_mismatch,
        )
        settings = replace(
            settings,
            name=served_model_name or _name_of(drawing),
            conversations=drawing.takes_conversations() if chat is None else chat,
            prompts=not chat,
        )
        if not settings.api_key and not is_loopback(host):
            print(f"optscale: anybody who reaches {host}:{port} is served; {_KEY} sets a key", file=sys.stderr)
        with warning_at_end(drawing):
            serve_at(scaler, settings, place, lambda url: print(_says(url, settings, rule), flush=True))
    _leave()


def _says(url: str, settings: "ServeSettings", rule: "Policy") -> str:
    return f"serving {settings.name} at {url}/v1 with {rule}; Ctrl-C ends it"


def _leave() -> None:
    """Leaves, also where a thread still waits for a verifier that nobody waits for."""
    sys.stdout.flush()
    sys.stderr.flush()
    if any(thread.name.startswith("optscale-station") for thread in threading.enumerate()):
        os._exit(0)


def _name_of(generator: "Generator") -> str:
    """A generator's name; of a folder on this machine its last part, for the rest is nobody's business."""
    name = str(generator.describe()["model"])
    return Path(name).name if Path(name).is_dir() else name
