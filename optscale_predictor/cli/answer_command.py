"""The verb that answers questions with OptScale inference."""

import json
import logging
from collections import Counter
from contextlib import closing
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

from optscale_predictor._support.outputs import require_file, require_folder
from optscale_predictor.backends.default_verifier import verifier_for
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.errors import InputError

if TYPE_CHECKING:
    from optscale_predictor.inference import Answer, Limits, OptScale
    from optscale_predictor.inference.early_rejection import EarlyRejection
    from optscale_predictor.inference.target_watch import TargetWatch
    from optscale_predictor.policies import Policy
    from optscale_predictor.predictor import OptScalePredictor
    from optscale_predictor.questions.question import Question
    from optscale_predictor.stats.estimators.learnt_prior import LearntPrior

_LOG = logging.getLogger(__name__)
_GENERATOR, _VERIFIER = GeneratorOptions(), VerifierOptions()


def answer(
    question: str,
    generator: GeneratorOptions = _GENERATOR,
    verifier: VerifierOptions = _VERIFIER,
    predictor: str | None = None,
    policy: str = "optscale",
    score_min: float | None = None,
    alpha: float | None = None,
    max_samples: int | None = None,
    selection: str | None = None,
    prompt_file: str | None = None,
    json_lines: bool = False,
    output: str | None = None,
    pool: str | None = None,
    in_flight: int = 1024,
    limit_tokens: int | None = None,
    limit_seconds: float | None = None,
    question_seconds: float | None = None,
    source: str | None = None,
    allow_source_mismatch: bool = False,
    prior: str | None = None,
    reject: str | None = None,
) -> None:
    """Answer one question, or a file of them, and say what it cost and why it stopped.

    Answers are printed as they are found. With `output` they go to a file, and the same command run again goes on where
    an interrupted one was; with `pool` every sample is kept, and none that is there is drawn again.

    Args:
        question: The question; a file of questions, `.jsonl` or `.csv`; or `-` for JSON lines from standard input.
        generator: What draws samples.
        verifier: What scores them.
        predictor: Predictor checkpoint; without one a vague prior.
        policy: The stopping rule, for example `best_of_n:max_samples=8`; the three flags that follow set it too.
        score_min: Target score, in [0, 1]; of `optscale` 0.95 by default.
        alpha: Target probability of reaching it, in (0, 1); of `optscale` 0.95 by default.
        max_samples: Cap on a question's samples, >= 1; of `optscale` 32 by default.
        selection: How the answer is chosen among the samples: `best_score`, `majority`, `weighted_majority`, or
            `confidence:FOLDER` with the folder of a fitted policy; by default the policy's own rule.
        prompt_file: Text file with {question} in it; by default the bare question, or a fine-tuned generator's own.
        json_lines: Print one JSON object a question instead of text.
        output: File for one JSON object a question, in the order in which they are answered.
        pool: Folder of a pool that keeps every sample, scored.
        in_flight: Questions under way at once, >= 1.
        limit_tokens: Generated tokens of all questions together at most, >= 1.
        limit_seconds: Wall time of all questions together at most, > 0.
        question_seconds: Wall time of one question at most, > 0.
        source: Name of one of the predictor's score sources; by default the one that matches generator and verifier.
        allow_source_mismatch: Whether the predictor may have learnt from another generator, verifier or setting.
        prior: `learnt`: each question starts from a prior that is learnt from the questions before it, in their order;
            `learnt:block=8` says how many questions the first blocks have. In place of a predictor.
        reject: `tokens=64,risk=0.05`: every so many tokens the verifier scores what there is of a sample, and one that
            will beat the best so far with a probability below `risk` is stopped; off by default.
    """
    from optscale_predictor.cli.asked_questions import read_asked
    from optscale_predictor.policies import parse_policy
    from optscale_predictor.policies.selection import require_selection

    # What costs nothing to check comes before what takes seconds to import.
    rule = parse_policy(policy, given_settings(score_min=score_min, alpha=alpha, max_samples=max_samples))
    questions = read_asked(question)
    if output is not None:
        require_file(output)
    if pool is not None:
        require_folder(pool)
    if selection is not None:
        require_selection(selection)
    verifier = verifier_for(generator, verifier)
    learning = None if prior is None else learnt_prior(prior)
    rejection = None if reject is None else early_rejection(reject)
    from optscale_predictor._support.heavy_imports import uncollected_imports

    with uncollected_imports():
        from optscale_predictor.backends.generators import warning_at_end
        from optscale_predictor.backends.learnt_prompts import prompt_template
        from optscale_predictor.inference import Limits, OptScale
        from optscale_predictor.inference.policy_needs import require_before_loading
        from optscale_predictor.inference.target_watch import TargetWatch

        limits = Limits(limit_tokens, limit_seconds, question_seconds)
        require_before_loading([rule], selection, verifier, predictor is not None or prior is not None)
        prompt = prompt_template(prompt_file, generator)
        drawing = generator.build()
        scoring = verifier.build() if verifier.wanted else None
        learnt = None if predictor is None else _load_predictor(predictor)
    scaler = OptScale(
        drawing,
        scoring,
        learnt,
        rule,
        prompt=prompt,
        prior=learning,
        selection=selection,
        source=source,
        allow_source_mismatch=allow_source_mismatch,
        in_flight=in_flight,
        reject=rejection,
    )
    with warning_at_end(drawing):
        if output is not None:
            _answer_into(Path(output), questions, scaler, limits, pool)
            return
        texts, watch, scored = {one.id: one for one in questions}, TargetWatch(), scoring is not None
        with closing(scaler.stream(questions, limits=limits, pool=pool)) as answers:
            for result in answers:
                watch.add(result)
                print(
                    _as_json(result, scored)
                    if json_lines
                    else _as_text(texts[result.question_id], result, rule, scored),
                    flush=True,
                )
        _warn(watch)


def _load_predictor(path: str) -> "OptScalePredictor | None":
    from optscale_predictor.predictor import load_predictor

    return load_predictor(path)


def learnt_prior(text: str) -> "LearntPrior":
    """The prior that is learnt of a run's own questions, as `--prior` names it."""
    from optscale_predictor.stats.estimators.learnt_prior import LearntPrior

    return LearntPrior.parse(text)


def early_rejection(text: str) -> "EarlyRejection":
    """When samples are stopped early, as `--reject` says it."""
    from optscale_predictor.inference.early_rejection import EarlyRejection

    return EarlyRejection.parse(text)


def given_settings(**settings: float | None) -> dict[str, object]:
    """The settings of a policy that flags give; those left out are None, and the policy's own defaults hold."""
    return {name: value for name, value in settings.items() if value is not None}


def _answer_into(
    path: Path, questions: "list[Question]", scaler: "OptScale", limits: "Limits", pool: str | None
) -> None:
    """Adds to a file what it does not have yet, and says what it cost."""
    from optscale_predictor._support.atomic_files import explain_write_errors
    from optscale_predictor._support.progress import progress_bar
    from optscale_predictor.inference.target_watch import TargetWatch

    there, watch = _answered(path), TargetWatch()
    samples = tokens = rejected = 0
    saved = 0.0
    reasons: Counter[str] = Counter()
    # All of them, as their numbers in the order of asking are those of the first run.
    answers = scaler.stream(questions, limits=limits, pool=pool, answered=there)
    done = sum(one.id in there for one in questions)
    bar = progress_bar("answer", len(questions), done, unit="questions")
    with path.open("a", encoding="utf-8") as file, closing(answers), bar:
        for result in answers:
            with explain_write_errors(path):
                file.write(_as_json(result, scaler.verifier is not None) + "\n")
                file.flush()
            samples, tokens = samples + result.generated_samples, tokens + result.generated_tokens
            rejected, saved = rejected + result.rejected_samples, saved + result.saved_tokens
            reasons[_stop_words(result)] += 1
            watch.add(result)
            bar.update()
    stopped = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common()) or "nothing was left to do"
    cut = f" ({rejected} samples stopped early, about {saved:.0f} tokens saved)" if rejected else ""
    print(f"{len(questions) - done} questions, {samples} samples, {tokens} tokens{cut}; {stopped}: {path}")
    _warn(watch)


def _warn(watch: "TargetWatch") -> None:
    """Says on standard error, where answers are not, what they do not show."""
    for line in watch.cautions():
        _LOG.warning(line)


def _stop_words(result: "Answer") -> str:
    """Why a question stopped; where it is sure enough and has not reached its target, that it has not."""
    missed = result.stop_reason == "confident" and result.hit is False
    return "confident without reaching the target" if missed else result.stop_reason


def _answered(path: Path) -> dict[str, list[float]]:
    """The scores of the questions, by id, that a file of answers has; a line that a kill cut short is taken off it.

    Raises:
        InputError: It is not a file of answers.
    """
    from optscale_predictor._support.atomic_files import write_text
    from optscale_predictor._support.json_reader import parse_object
    from optscale_predictor._support.text_files import read_lines

    if not path.exists():
        return {}
    lines = list(read_lines(path))
    whole = [line for line in lines if line.endswith("\n")]
    rows = [parse_object(line, f"{path}:{number}") for number, line in enumerate(whole, start=1)]
    for number, row in enumerate(rows, start=1):
        if not {"id", "stop_reason", "scores"} <= row.keys():
            raise InputError(f"{path}:{number}: not an answer of `optscale answer`; name another file")
    if len(whole) < len(lines):
        write_text("".join(whole), path)
    return {str(row["id"]): row["scores"] for row in rows}


def _as_json(result: "Answer", scored: bool) -> str:
    row = {
        "id": result.question_id,
        "answer": result.answer,
        "text": result.text,
        "score": None if isnan(result.score) or not scored else result.score,
        "confidence": None if isnan(result.confidence) else result.confidence,
        "samples": result.samples,
        "tokens": result.tokens,
        "stop_reason": result.stop_reason,
        "hit": result.hit,
        "scores": result.scores,
        "needed": None if isnan(result.needed) else result.needed,
        "seconds": round(result.seconds, 3),
        **(
            {"rejected": result.rejected_samples, "saved_tokens": round(result.saved_tokens)}
            if result.rejected_samples
            else {}
        ),
    }
    return json.dumps(row, ensure_ascii=False)


def _as_text(question: "Question", result: "Answer", policy: "Policy", scored: bool) -> str:
    needed = {number: estimate for number, estimate in result.trace if not isnan(estimate)}
    lines = [f"question  {question.text}", f"policy    {policy}"]
    lines += ["", "sample  score   best    N*"] if scored else []
    best = 0.0
    for number, value in enumerate(result.scores if scored else (), start=1):
        best = max(best, value)
        estimate = f"{needed[number]:.0f}" if number in needed else ""
        lines.append(f"{number:6d}  {value:.3f}   {best:.3f}   {estimate}")
    known = [f"score {result.score:.3f}"] if scored else []
    known += [] if isnan(result.confidence) else [f"right with probability {result.confidence:.3f}"]
    lines += [
        "",
        f"answer    {result.answer}" + (f"   ({', '.join(known)})" if known else ""),
        f"stopped   {_stop_words(result)} after {result.samples} samples, {result.tokens} tokens",
    ]
    return "\n".join(lines)
