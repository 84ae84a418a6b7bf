"""Our tasks against lm-eval's own: the same prompts, replies and verdicts, document by document, on real models."""

from dataclasses import fields

import pytest
import torch
from benchmark_files import SAME, group_of, load_task, task_manager, write_splits
from lm_eval import simple_evaluate
from lm_eval.config.task import TaskConfig
from lm_eval.models.huggingface import HFLM
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from optscale_predictor.backends.model_loading import resolve_model

# lm-eval 0.4.13 itself: deprecated calls, and files left to the garbage collector.
pytestmark = [
    pytest.mark.usefixtures("lm_eval_tasks"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

CHAT = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
# What a reply is scored on is not what it is asked.
OURS_ALONE = {"task", "process_results", "filter_list", "metric_list", "metadata", "tag"}


def save_chat_model(folder):
    """A Llama of random weights that writes digits, commas, dollar signs and letters, and knows a chat template."""
    from tokenizers import Regex, Tokenizer
    from tokenizers.decoders import Fuse
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split

    characters = [*"0123456789,.$#()<>+-*/=% \n:'", *map(chr, range(65, 91)), *map(chr, range(97, 123))]
    vocabulary = {token: index for index, token in enumerate(["<pad>", "</s>", "<unk>", *characters])}
    reader = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    reader.pre_tokenizer = Split(Regex(r"[\s\S]"), behavior="isolated")
    reader.decoder = Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=reader, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=4096
    )
    tokenizer.chat_template = CHAT
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=4096,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
        initializer_range=0.5,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """lm-eval's own ``hf`` around each model."""
    names = {
        "embedded": resolve_model("embedded:generator"),
        "chat": save_chat_model(tmp_path_factory.mktemp("chat")),
    }
    return {
        kind: HFLM(pretrained=name, device="cpu", dtype="float32", batch_size=10, max_length=4096)
        for kind, name in names.items()
    }


def logged(model, places, **options):
    """lm-eval's log of a run: for each task, one row a document and filter, in their order."""
    found = simple_evaluate(
        model=model,
        tasks=[group_of(name, place) for name, place in places.items()],
        task_manager=task_manager(),
        gen_kwargs={"max_gen_toks": 24},
        bootstrap_iters=0,
        **options,
    )
    return {name: sorted(found["samples"][name], key=lambda row: (row["filter"], row["doc_id"])) for name in places}


def with_answers_of(rows, splits):
    """The data set again, every second question's right answer being what the model said: else all would be wrong."""
    split = next(reversed(splits))
    filtered = {row["doc_id"]: row["filtered_resps"][0] for row in rows if row["filter"] != "strict-match"}
    changed = []
    for number, row in enumerate(splits[split]):
        parts = filtered[number].split("$")
        said = "$".join(parts[1:-1]) if len(parts) > 2 else filtered[number]
        given = {"answer": f"So it is.\n#### {said}" if "####" in str(row.get("answer")) else said}
        given["solution"] = f"$\\boxed{{{said}}}$"
        changed.append({**row, **{key: given[key] for key in given if key in row and number % 2}})
    return {**splits, split: changed}


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("embedded", {}),
        ("chat", {"apply_chat_template": True, "fewshot_as_multiturn": True, "num_fewshot": 2}),
        ("chat", {"apply_chat_template": True, "fewshot_as_multiturn": False, "system_instruction": "Be brief."}),
    ],
)
def test_ours_and_lm_evals_agree_on_every_document(models, tmp_path, monkeypatch, model, options):
    # It asks pip what is installed, a second a run.
    monkeypatch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)
    names = {ours: theirs for ours, (theirs, _, _) in SAME.items()}
    plain = {theirs: write_splits(tmp_path / f"{theirs}_0", splits) for theirs, _, splits in SAME.values()}
    first = logged(models[model], plain, **options)
    places = {
        theirs: write_splits(tmp_path / theirs, with_answers_of(first[theirs], splits))
        for theirs, _, splits in SAME.values()
    }
    log = logged(models[model], {**places, **{ours: places[theirs] for ours, theirs in names.items()}}, **options)
    for ours, theirs in names.items():
        compare(log[ours], log[theirs])
        # AIME 24's answers are whole numbers, which the models do not happen to say; and MATH-500's examples are
        # questions asked, so that with examples another answer is another prompt.
        if theirs != "aime24" and (theirs != "hendrycks_math500" or not options.get("num_fewshot")):
            assert 0 < sum(row["exact_match"] for row in log[ours]) < 10  # both verdicts occur


def compare(ours, theirs):
    strict = [row for row in theirs if row["filter"] == "strict-match"]
    main = [row for row in theirs if row["filter"] != "strict-match"]
    assert len(ours) == len(main) == 10
    for mine, own in zip(ours, main, strict=True):
        for field in ("arguments", "resps", "target", "exact_match"):  # arguments: prompt, stop strings, settings
            assert mine[field] == own[field]
        assert own["doc"].items() <= mine["doc"].items()
    if strict:
        assert [row["exact_match_strict"] for row in ours] == [row["exact_match"] for row in strict]


@pytest.mark.parametrize("ours", SAME)
def test_every_setting_that_shapes_a_reply_is_the_installed_lm_evals(tmp_path, ours):
    theirs, _, splits = SAME[ours]
    place = write_splits(tmp_path, splits)
    mine, own = (load_task(name, place).config for name in (ours, theirs))
    for name in {field.name for field in fields(TaskConfig)} - OURS_ALONE:
        assert getattr(mine, name) == getattr(own, name), name
    assert mine.metadata["follows_version"] == own.metadata["version"]


REPLIES = [
    "",
    " ",
    "no idea",
    "The answer is 19.",
    "#### 19",
    "#### 19.",
    "####19",
    "#### 1,101",
    "#### $19",
    "#### -19 #### 75",
    "19 or 75",
    "She has 1,019 apples, I mean 19",
    "So $x=19$.",
    "$75$ and $19$",
    "$19",
    "\\boxed{19}",
    "\\boxed 19",
    "\\fbox{19}",
    "\\boxed{19",
    "so \\boxed{}",
    "\\boxed{\\frac{7}{2}}",
    "$\\frac72$",
    "$\\boxed{\\frac{7}{2}}$",
    "7/2",
    "3.5",
    "$5\\sqrt2$",
    "$(-2, 2)$",
    "$ ( -2,2 ) $",
    "$x=3$",
    "$12{,}000$",
    "$12000$",
    "$90^{\\circ}$",
    "$\\text{Bob}$",
    "\uff17\uff15 and \uff11\uff19",
    "\u221219 \u2260 19 \u00bd",
    "\u200b19\u200b",
    "19\n\nQuestion: what is 2?",
    "1" * 500,
    "$" * 9,
    "\\frac",
    "$\\frac$",
]


@pytest.mark.parametrize("ours", SAME)
def test_ours_and_lm_evals_judge_any_text_alike(tmp_path, ours):
    theirs, _, splits = SAME[ours]
    place = write_splits(tmp_path, splits)
    mine, own = (load_task(name, place) for name in (ours, theirs))
    rights = 0
    for ours_doc, their_doc in zip(mine.eval_docs, own.eval_docs, strict=True):
        for reply in [*REPLIES, own.doc_to_target(their_doc), f"thus ${own.doc_to_target(their_doc)}$"]:
            measured = mine.process_results(ours_doc, [reply])
            judged = by_filter(own, their_doc, reply)
            assert measured["exact_match"] == judged.get("flexible-extract", judged.get("none")), reply
            assert measured.get("exact_match_strict") == judged.get("strict-match"), reply
            rights += measured["exact_match"]
    assert rights >= 10


def by_filter(task, doc, reply):
    """What lm-eval's own evaluator would do with this reply: filter it, then judge it."""
    (instance,) = [task.construct_requests(doc, "", metadata=(task.config.task, 0, 1))]
    instance.resps.append(reply)
    found = {}
    for ensemble in task._filters:
        ensemble.apply([instance])
        found[ensemble.name] = task.process_results(doc, [instance.filtered_resps[ensemble.name]])["exact_match"]
    return found
