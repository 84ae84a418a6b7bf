"""What is wrong with an evaluation is said before anything is loaded or drawn: policies, arguments, tasks, outputs."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optscale_predictor._support.near_names import did_you_mean
from optscale_predictor._support.outputs import require_file, require_folder
from optscale_predictor._support.text_files import read_text
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.lm_eval.eval_flags import TASKS, EvalFlags

# Of a task's generation settings: what our model reads (``optscale_lm``), and what of it says how samples are drawn.
_GENERATION = ("until", "max_gen_toks", "do_sample", "temperature", "top_p")
_SAMPLING = ("temperature", "top_p")
_METADATA = ("questions", "fewshot", "prompt")


def check(flags: EvalFlags) -> None:
    """Checks all that can be checked without a model, the quickest first.

    Args:
        flags: Of a run.

    Raises:
        InputError: Something that is asked for is not there, is out of its range, or cannot be written.
    """
    _require_tasks(flags)
    if flags.ours:
        _require_policies(flags.model_args)
        _require_heard(flags)
    _require_outputs(flags)
    if flags.ours:
        _require_arguments(flags.model_args)
        _require_questions(flags)


def own_tasks() -> tuple[str, ...]:
    """The names of our tasks."""
    return tuple(sorted(path.stem for path in TASKS.glob("*.yaml")))


def _require_tasks(flags: EvalFlags) -> None:
    known = own_tasks()
    limit = flags.settings["limit"]
    if limit is not None and not limit > 0:
        raise InputError(f"--limit must be > 0, got {limit}")
    if not flags.tasks:
        raise InputError(
            f"name --tasks: {', '.join(known)}, or one of lm-eval's own, which `optscale eval ls tasks` lists"
        )
    for name in flags.tasks:
        # What begins as ours do is found at once, and not after lm-eval has read its thousands of files.
        if isinstance(flags.parsed.include_path, str) and name.startswith("optscale_") and not set("*?[/.") & set(name):
            require_task(name, known)


def require_task(name: str, known: Sequence[str]) -> None:
    """Checks that there is such a task.

    Args:
        name: The task's, without wildcards.
        known: The names that there are.

    Raises:
        InputError: There is not.
    """
    if name not in known:
        near = did_you_mean(name, known)
        raise InputError(f"no task {name!r}{near or '; `optscale eval ls tasks` lists them'}")


def _require_policies(arguments: Mapping[str, Any]) -> None:
    """The policies alone: what reads the other arguments takes seconds to import."""
    from optscale_predictor.policies import parse_policy

    for name in ("policy", "policies"):
        for text in str(arguments.get(name) or "").split():
            parse_policy(text.replace(";", ","))


def _require_heard(flags: EvalFlags) -> None:
    """Refuses flags of lm-eval's that our model would not follow."""
    asked = flags.settings
    if asked["device"] is not None:
        _device_kind(str(asked["device"]))
    if asked["max_batch_size"] is not None:
        raise InputError("--max_batch_size is not used by this model: give --batch_size")
    generation = asked["gen_kwargs"]
    for name in generation:
        if name not in _GENERATION:
            near = did_you_mean(name, _GENERATION) or f": it follows {', '.join(_GENERATION)}; others in --model_args"
            raise InputError(f"--gen_kwargs {name}: this model does not follow it{near}")
    for name in _SAMPLING:
        if name in generation and not generation.get("do_sample"):
            raise InputError(
                f"--gen_kwargs {name} holds for samples only with do_sample=true beside it; or give it in --model_args"
            )


def require_device(flags: EvalFlags) -> None:
    """Checks that models run where ``--device`` wants them: on the first GPU where there is one, else on the CPU.

    Imports torch, which takes seconds.

    Args:
        flags: Of a run that :func:`check` has passed.

    Raises:
        InputError: They do not.
    """
    if not flags.ours or flags.settings["device"] is None:
        return
    import torch

    device = str(flags.settings["device"])
    kind, gpu = _device_kind(device), torch.cuda.is_available()
    if kind == "cuda" and not gpu:
        raise InputError(f"--device {device}: torch finds no GPU here; leave the flag out to run on the CPU")
    if kind == "cpu" and gpu:
        raise InputError("--device cpu: models run on the GPU where there is one; CUDA_VISIBLE_DEVICES= hides it")


def _device_kind(device: str) -> str:
    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda") or number not in ("", "0"):
        raise InputError(f"--device {device}: models run on the first GPU, or on the CPU; CUDA_VISIBLE_DEVICES chooses")
    return kind


def _require_outputs(flags: EvalFlags) -> None:
    output, cache = flags.output, flags.settings["use_cache"]
    if output is not None and output.suffix == ".json":
        require_file(output)
    elif output is not None:
        require_folder(output)
    if flags.record is not None:
        require_folder(flags.record)
    if cache is not None:
        require_file(f"{cache}_rank{os.environ.get('RANK', '0')}.db")  # as lm-eval names it


def _require_arguments(arguments: Mapping[str, Any]) -> None:
    """Everything in ``--model_args``, and that a pool is there with its column."""
    from optscale_predictor.evaluation.lm_eval.model_args import Arguments

    Arguments.of(arguments).check()


def _require_questions(flags: EvalFlags) -> None:
    """The files of questions that our tasks are given."""
    from optscale_predictor.questions.question_sets import load_question_set

    metadata = flags.settings["metadata"]
    if set(flags.tasks) <= set(own_tasks()):
        for name in metadata:
            if name not in _METADATA:
                near = did_you_mean(name, _METADATA) or f"; they are {', '.join(_METADATA)}"
                raise InputError(f"--metadata: our tasks have no {name!r}{near}")
    if "prompt" in metadata:
        _require_prompt(flags, metadata["prompt"])
    for name in _METADATA[:2]:
        place = metadata.get(name)
        if isinstance(place, str) and (Path(place).suffix in (".jsonl", ".csv") or Path(place).is_file()):
            load_question_set(place)


def _require_prompt(flags: EvalFlags, file: object) -> None:
    """A prompt of the user's own can be read, and every task asks by it."""
    from optscale_predictor.questions.prompts import PromptTemplate

    PromptTemplate.from_file(str(file))
    for name in flags.tasks:
        if name not in own_tasks() or "\nfollows:" in read_text(TASKS / f"{name}.yaml"):
            raise InputError(f"--prompt_file: task {name} asks as lm-eval's own does, and takes no prompt of yours")
