"""Every parser of the package by itself, with sound inputs of it: what ``test_fuzzing.py`` fuzzes.

A parser gets bytes and a folder to write them to. What it raises besides an ``InputError`` is its own exception where
it has one (a reply is read, or is worth asking again), and is turned into one here.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import fuzz_inputs as sound
from fitted_policies import made_up
from two_scores import MADE

from optscale_predictor._support.json_reader import parse_json
from optscale_predictor._support.yaml_reader import parse_yaml, read_yaml
from optscale_predictor.backends.adapters.adapter import read_adapter_config
from optscale_predictor.backends.adapters.generator_config import GeneratorConfig
from optscale_predictor.backends.failed_tries import read_or_retry
from optscale_predictor.backends.generators import SamplingParams, Usage
from optscale_predictor.backends.generators.reply_reader import USAGE, ReplyReader, SentRequest, ServerFacts
from optscale_predictor.backends.gguf_header import read_gguf_fields
from optscale_predictor.backends.model_source import ModelSource
from optscale_predictor.backends.server_replies import refused_field, said, status_within
from optscale_predictor.backends.verifiers.combined import COMBINED_FILE, ScoreCombination
from optscale_predictor.backends.verifiers.likelihood import SCORE_MAP_FILE, ScoreMap
from optscale_predictor.backends.verifiers.rubric import Rubric
from optscale_predictor.backends.verifiers.trained_config import TrainedVerifierConfig
from optscale_predictor.cli.verb_flags import verb_parser
from optscale_predictor.cli.verbs import VERBS
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.lm_eval.model_args import Arguments
from optscale_predictor.evaluation.paper_table.published_results import read_predictions
from optscale_predictor.evaluation.report.read_runs import read_record
from optscale_predictor.policies import parse_policy
from optscale_predictor.policies.fitted.model_files import SETTINGS, load_fitted, save_fitted
from optscale_predictor.policies.selection import require_selection
from optscale_predictor.pools.importing.json_samples import read_published, read_samples
from optscale_predictor.pools.importing.lm_eval_logs import read_log
from optscale_predictor.pools.journal import JOURNAL_FILE, Journal
from optscale_predictor.pools.manifest import MANIFEST_FILE, RUNS_FILE, fingerprint, read_manifest, read_runs
from optscale_predictor.predictor.model.config import PredictorConfig
from optscale_predictor.predictor.provenance import source_of_pool
from optscale_predictor.predictor.training.training_targets import read_targets
from optscale_predictor.questions.answers import extract_answer
from optscale_predictor.questions.answers.comparing import answer_key, extract_gold
from optscale_predictor.questions.question import read_questions
from optscale_predictor.questions.worked_solutions import load_solved_questions
from optscale_predictor.serving.api_errors import ApiError
from optscale_predictor.serving.request_bodies import ChatBody, CompletionBody, parse_body
from optscale_predictor.serving.servable_policies import ClientPolicies
from optscale_predictor.stats.calibration import Calibration

_VERIFIERS = TrainedVerifierConfig.from_json


@dataclass(frozen=True)
class Target:
    """A parser.

    Attributes:
        name: What it parses.
        read: It, given bytes and a folder.
        sound: Inputs that it reads.
        is_json: Whether they are JSON, so that their parts can be changed.
    """

    name: str
    read: Callable[[bytes, Path], object]
    sound: tuple[bytes, ...]
    is_json: bool = True


def _text(read, content):
    try:
        return read(content.decode())
    except UnicodeDecodeError:
        raise InputError("no text") from None


def _file(read, name, content, folder):
    """A reader of a file of this name."""
    (folder / name).write_bytes(content)
    return read(folder / name)


def _beside(read, name, content, folder):
    """A reader of the folder that holds a file of this name."""
    (folder / name).write_bytes(content)
    return read(folder)


def _object(read, content):
    value = parse_json(content, "object")
    if not isinstance(value, dict):
        raise InputError("no object")
    return read(value)


def _manifest(content, folder):
    """A manifest whose fingerprint is its own, so that what lies behind the check of it is fuzzed."""
    value = parse_json(content, "manifest")
    if isinstance(value, dict) and isinstance(value.get("settings"), dict):
        value["fingerprint"] = fingerprint(value["settings"])
        content = json.dumps(value).encode()
    (folder / MANIFEST_FILE).write_bytes(content)
    return source_of_pool(read_manifest(folder))


def _reply(chat, content, folder):
    reader = ReplyReader(SamplingParams(max_tokens=50), Usage(), ServerFacts(USAGE))
    reply = parse_json(content, "reply", half_pairs=True)
    if status_within(reply) != 200:
        raise InputError("an error")
    try:
        return read_or_retry(partial(reader.read, sent=SentRequest(1, 0, USAGE, chat)), reply, "server")
    except InputError:
        raise
    except Exception as error:
        if type(error).__name__ == "TransientError":  # what is worth asking again, in the client's own word
            raise InputError("worth asking again") from None
        raise


def _error_body(content, folder):
    return said(content, "key"), refused_field(content, ("max_tokens", "seed", "top_k"))


def _body(model, content, folder):
    try:
        return parse_body(content, model)
    except ApiError as error:
        assert 400 <= error.status < 500
        raise InputError(error.message) from None


def _answers(content, folder):
    text = content.decode("utf-8", "replace")
    found = extract_answer(text)
    return found, extract_answer(text, ended=False), extract_gold(text), answer_key(found or text[:500])


@lru_cache(maxsize=1)
def _generate_parser():
    return verb_parser(VERBS["generate"].load(), "optscale generate")


def _flags(content, folder):
    (folder / "flags.yaml").write_bytes(content)
    return _generate_parser().read([str(folder / "pool"), "--config", str(folder / "flags.yaml")])


def _arguments(content, folder):
    arguments = _object(Arguments.of, content)
    return arguments.rules(), arguments.selection()


def _fitted(folder):
    return load_fitted(folder)


def _adapter(content, folder):
    (folder / "adapter_model.safetensors").touch()
    return _beside(read_adapter_config, "adapter_config.json", content, folder)


def _record(content, folder):
    """Facts and outcomes of a run, as one JSON value: a list of the two."""
    value = parse_json(content, "record")
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[1], list):
        raise InputError("no record")
    (folder / "run.json").write_text(json.dumps(value[0]))
    (folder / "outcomes.jsonl").write_text("".join(json.dumps(one) + "\n" for one in value[1]))
    return read_record(folder)


def _dumped(*values):
    return tuple(json.dumps(value).encode() for value in values)


def _saved(save, name, folder):
    save(folder)
    return (Path(folder) / name).read_bytes()


def targets(folder):
    """All parsers.

    Args:
        folder: Where sound inputs are written that only their writers know.
    """
    fitted = _saved(partial(save_fitted, made_up()), SETTINGS, folder)
    combined = _saved(MADE.save, COMBINED_FILE, folder)
    score_map = _saved(ScoreMap(0.5, 0.2, 0.1).save, SCORE_MAP_FILE, folder)
    yield Target("JSON", lambda content, _: parse_json(content, "text"), _dumped({"a": [1, 2.5, "x", None]}))
    yield Target("YAML", lambda content, _: _text(partial(parse_yaml, location="text"), content), sound.YAMLS, False)
    yield Target("a YAML file", partial(_file, read_yaml, "file.yaml"), sound.YAMLS, False)
    yield Target(
        "files of flags", _flags, (b"num_samples: 2\nstop: ['#']\ntemperature: 0.5\nserver.timeout: 5\n",), False
    )
    yield Target("questions", partial(_file, read_questions, "q.jsonl"), _dumped(*sound.QUESTIONS))
    yield Target("worked solutions", partial(_file, _solved, "s.jsonl"), _dumped(*sound.SOLVED))
    yield Target("samples to import", partial(_file, _imported, "i.jsonl"), _dumped(*sound.SAMPLES))
    yield Target(
        "published samples", partial(_file, lambda p: list(read_published(p)), "p.json"), _dumped([sound.PUBLISHED])
    )
    yield Target("lm-eval's logs", partial(_file, lambda path: list(read_log(path)), "l.jsonl"), _dumped(sound.LOG))
    yield Target("a pool's manifest", _manifest, _dumped(sound.MANIFEST))
    yield Target("a pool's journal", partial(_beside, _journal, JOURNAL_FILE), _dumped(sound.ENTRY))
    yield Target("a pool's log of runs", partial(_beside, read_runs, RUNS_FILE), _dumped(sound.RUN))
    yield Target("a run's record", _record, _dumped([sound.FACTS, [sound.OUTCOME]]))
    yield Target("targets", partial(_file, read_targets, "t.jsonl"), _dumped(sound.TARGET))
    yield Target("calibrations", partial(_file, Calibration.load, "c.json"), _dumped(sound.CALIBRATION))
    yield Target("fitted policies", partial(_beside, _fitted, SETTINGS), (fitted,))
    yield Target("combined scores", partial(_beside, ScoreCombination.load, COMBINED_FILE), (combined,))
    yield Target("score maps", partial(_beside, ScoreMap.load, SCORE_MAP_FILE), (score_map,))
    yield Target("predictors' configs", lambda c, _: _object(PredictorConfig.from_json, c), _dumped(sound.CONFIG))
    yield Target("generators' configs", lambda c, _: _object(GeneratorConfig.from_json, c), _dumped(sound.TUNED))
    yield Target("verifiers' configs", lambda c, _: _object(_VERIFIERS, c), _dumped(sound.VERIFIER))
    yield Target("adapters' configs", _adapter, (sound.ADAPTER,))
    yield Target("models' sources", lambda c, _: _object(ModelSource.from_json, c), _dumped({"name": "x"}))
    yield Target("rubrics", partial(_file, Rubric.from_file, "r.txt"), (sound.RUBRIC,), False)
    yield Target("GGUF headers", partial(_file, _gguf, "m.gguf"), (sound.GGUF,), False)
    yield Target("policies", lambda content, _: _text(parse_policy, content), sound.POLICIES, False)
    yield Target(
        "selections", lambda content, _: _text(require_selection, content), (b"majority", b"confidence:x"), False
    )
    yield Target(
        "clients' policies", lambda c, _: _text(ClientPolicies.parse, c), (b"best_of_n:max_samples=1..8",), False
    )
    yield Target("lm-eval's arguments", _arguments, _dumped({"policy": "optscale", "temperature": 0.5, "alpha": 0.9}))
    yield Target("bodies of chats", partial(_body, ChatBody), _dumped(sound.CHAT))
    yield Target("bodies of completions", partial(_body, CompletionBody), _dumped(sound.COMPLETION))
    yield Target("servers' chat replies", partial(_reply, True), _dumped(sound.CHAT_REPLY))
    yield Target("servers' completion replies", partial(_reply, False), _dumped(sound.TEXT_REPLY))
    yield Target("servers' errors", _error_body, _dumped({"error": {"message": "unknown field top_k", "code": 400}}))
    yield Target("published predictions", partial(_file, partial(_predictions), "p.json"), _dumped([[0.5, 0.2]] * 3))
    yield Target("answers", _answers, sound.ANSWERS, False)


def _journal(folder):
    return Journal(folder).shards()


def _solved(path):
    return load_solved_questions([str(path)])


def _imported(path):
    return list(read_samples(path, {}, {}))


def _predictions(path):
    return read_predictions(path, 3)


def _gguf(path):
    try:
        return read_gguf_fields(path, ("general.name", "general.license"))
    except ValueError as error:
        raise InputError(str(error)) from None
