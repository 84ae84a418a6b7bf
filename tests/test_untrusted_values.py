"""What the hostile corpus and fuzzing found, by kind, each with the smallest input of it."""

import io
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_pools import refused, shown, write_pool

from optscale_predictor._support.atomic_files import write_text
from optscale_predictor._support.json_reader import parse_json
from optscale_predictor._support.parquet_sizes import MOST_UNPACKED
from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.gguf_header import read_gguf_fields
from optscale_predictor.backends.model_loading import EMBEDDED, load_pretrained, read_config
from optscale_predictor.backends.options import GeneratorOptions
from optscale_predictor.errors import InputError, path_mistake, shown_mistake
from optscale_predictor.pools.manifest import RUNS_FILE, read_manifest, read_runs
from optscale_predictor.pools.validation import validate_pool
from optscale_predictor.serving.api_errors import ApiError
from optscale_predictor.serving.request_bodies import CompletionBody, parse_body
from optscale_predictor.targets.splitting import SplitRule


def change_shard(folder, **columns):
    """Puts other columns into a pool's first shard."""
    path = sorted(folder.glob("samples-*.parquet"))[0]
    table = pq.read_table(path)
    for name, column in columns.items():
        table = table.set_column(table.column_names.index(name), name, column(table.num_rows))
    pq.write_table(table, path)


def test_samples_of_a_question_that_the_pool_lacks_are_not_scored(tmp_path, capsys):
    pool = write_pool(tmp_path / "pool")
    change_shard(pool.folder, question_id=lambda rows: pa.array(["nobody's"] * rows))
    said = refused(capsys, "score", pool.folder, "--verifier", "math_verify")
    assert 'samples of unknown question "nobody\'s"' in said


def test_a_swollen_shard_is_a_fault_and_is_not_unpacked(tmp_path):
    pool = write_pool(tmp_path / "pool", shard=100)
    rows = MOST_UNPACKED // 2**19 + 1

    def swollen(_):
        one = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array(["x" * 2**19]))
        return one.dictionary_decode()

    path = sorted(pool.folder.glob("samples-*.parquet"))[0]
    table = pq.read_table(path).take(np.zeros(rows, np.int64))
    pq.write_table(table.set_column(table.column_names.index("question_id"), "question_id", swollen(0)), path)
    (pool.folder / "journal.jsonl").write_text("")  # as a foreign shard, whose texts are read too
    assert any("would take more than" in fault.what for fault in validate_pool(pool.folder))


@pytest.mark.parametrize("value", ["many", [1], None, True, -1, float("nan"), float("inf"), 1e300])
def test_a_run_whose_counts_are_no_numbers_is_left_out(value, tmp_path, capsys):
    pool = write_pool(tmp_path / "pool")
    good = {"stage": "generate", "seconds": 2.0, "samples": 4, "tokens": 8}
    for name in ("seconds", "samples", "tokens", "discarded_tokens"):
        lines = [json.dumps(good), json.dumps({**good, name: value})]
        (pool.folder / RUNS_FILE).write_text("\n".join(lines) + "\n")
        assert read_runs(pool.folder) == [good]
    assert "4 samples in 2.0 s, 2.0 samples/s, 4 tokens/s" in shown(capsys, "pool", "info", pool.folder)


@pytest.mark.parametrize("value", [None, "x", [1], 3])
def test_what_made_a_score_is_an_object(value, tmp_path):
    pool = write_pool(tmp_path / "pool")
    path = pool.folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "scores": {"score": value}}))
    with pytest.raises(InputError, match="what made column 'score' must be an object"):
        read_manifest(pool.folder)


@pytest.mark.parametrize("text", [r'"\ud800"', r'{"a": ["\udfff x"]}', r'{"\ud83d": 1}', r'"\ude00\ud83d"'])
def test_half_of_a_surrogate_pair_is_refused_where_it_would_be_written(text):
    with pytest.raises(InputError, match="here: holds half of a surrogate pair"):
        parse_json(text, "here")
    assert parse_json(text, "here", half_pairs=True) == json.loads(text)
    assert parse_json(r'"\ud83d\ude00 \\ud800"', "here") == "😀 \\ud800"


def test_a_text_that_no_file_can_hold_is_not_written(tmp_path):
    for path, text in ((tmp_path / "a", "\udcff"), (tmp_path / "\udcff\ud800", "a")):
        with pytest.raises(InputError, match="cannot write: it holds half of a surrogate pair"):
            write_text(text, path)
    for path in ("", "/", "."):
        with pytest.raises(InputError, match="names no file and no folder of its own"):
            write_text("a", type(tmp_path)(path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [2**63, 2**64 - 1, 2**62, 9])
def test_a_header_passes_over_no_more_than_there_is(size, tmp_path):
    head = b"GGUF\3\0\0\0" + bytes(8) + b"\1" + bytes(7) + b"\1" + bytes(7) + b"a"
    for kind in (b"\x08\0\0\0", b"\x09\0\0\0\0\0\0\0"):  # a text, and an array of bytes
        (tmp_path / "x.gguf").write_bytes(head + kind + size.to_bytes(8, "little") + b"12345678")
        with pytest.raises(ValueError, match="it ends within its header"):
            read_gguf_fields(tmp_path / "x.gguf", ("general.name",))


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("architectures", 7),
        ("id2label", [1]),
        ("pad_token_id", "x"),
        ("hidden_size", "many"),
        ("vocab_size", 1e300),
        ("rms_norm_eps", "x"),
        ("num_hidden_layers", [2]),
    ],
)
def test_a_models_config_may_be_anyones(entry, value, tmp_path):
    from transformers import AutoModelForCausalLM

    folder = shutil.copytree(EMBEDDED / "generator", tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, entry: value}))
    with pytest.raises(InputError) as raised:
        read_config(str(folder))
        load_pretrained(AutoModelForCausalLM, str(folder), "cpu")
    assert str(raised.value).startswith(f"model '{folder}': ") and len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"a": ' * 500 + b"1" + b"}" * 500, "nested too deeply"),
        (b'{"seed": ' + b"9" * 400 + b"}", "a whole number of more than 308 digits"),
        (b"{", "the body is not valid JSON"),
        (b"\xff\xfe", "the body is not valid JSON: not UTF-8"),
    ],
)
def test_bodies_are_read_by_the_one_reader_of_json(body, says):
    with pytest.raises(ApiError, match=says) as raised:
        parse_body(body, CompletionBody)
    assert raised.value.status == 400 and raised.value.code == "invalid_json"


def test_a_mistake_is_shown_on_one_line_whatever_it_repeats():
    assert shown_mistake(InputError("a\nb\r\n\x1b[31mc\udcff é")) == r"a b \x1b[31mc\udcff é"
    long = shown_mistake(InputError("x" * 10_000 + " end"))
    assert len(long) < 2000 and long.startswith("xxx") and long.endswith(" end") and " ... " in long


def test_what_the_system_says_of_a_path_is_a_mistake(tmp_path, capsys):
    assert path_mistake(OSError("no path")) is None and path_mistake(io.UnsupportedOperation("read")) is None
    said = refused(capsys, "report", "x" * 5000, "--output", tmp_path / "out")
    assert said.endswith("File name too long") and "run.json" in said
    said = refused(capsys, "pool", "info", f"{tmp_path}/none\nmore")
    assert "none more: not a pool" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("answer", "1+2=", "--in_flight", "9" * 400), "--in_flight must lie below 2^63, got 99999"),
        (("assess", "none", "none", "--floor", "9" * 400), "too large a number"),
        (("answer", "1+2=", "--generator", ""), "--generator may not be empty; its default is None"),
        (("answer", "1+2=", "--base_url", " "), "base_url is empty"),
    ],
)
def test_flags_that_mean_nothing_are_refused(arguments, says, capsys):
    assert says in refused(capsys, *arguments)


def test_options_and_splits_made_in_code_are_checked_alike():
    for wrong in ({"model": " "}, {"base_url": ""}):
        with pytest.raises(InputError, match="is empty"):
            GeneratorOptions(sampling=SamplingParams(), **wrong)
    for seed in (2**63, -(2**63) - 1, 10**400, float("nan")):
        with pytest.raises(InputError, match="seed"):
            SplitRule(seed=seed)
