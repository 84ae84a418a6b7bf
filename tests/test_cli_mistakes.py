"""What is mistyped: one line that says what may have been meant, and flags, verbs and help as users expect them."""

import shlex
from inspect import signature

import pytest

from optscale_predictor._support.near_names import did_you_mean
from optscale_predictor._support.version import __version__
from optscale_predictor.cli.main import main, with_underscores
from optscale_predictor.cli.verb_examples import EXAMPLES
from optscale_predictor.cli.verb_flags import gather_list, verb_arguments, verb_parser
from optscale_predictor.cli.verbs import POOL_VERBS, VERBS


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("optscle", "optscale"),
        ("BEST-OF-N", "best_of_n"),
        ("self_consistancy", "self_consistency"),
        ("xyz", None),
        ("", None),
    ],
)
def test_the_nearest_name_is_meant_if_it_is_near(name, meant):
    known = ["optscale", "best_of_n", "self_consistency", "fit-policy"]
    assert did_you_mean(name, known) == (f"; did you mean {meant!r}?" if meant else "")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["anwser"], "unknown verb 'anwser'; did you mean 'answer'?; verbs are demo, generate,"),
        (["pool", "mrege"], "unknown verb 'mrege'; did you mean 'merge'?; verbs are info, validate,"),
        (["pool", "xyz"], "unknown verb 'xyz'; verbs are info, validate,"),
        (["--tasks", "x"], "--tasks: a verb comes first, then its flags; optscale --help lists the verbs"),
        (["answer"], "required: question"),
        (
            ["answer", "1+2=", "--temprature", "1"],
            "unrecognized arguments: --temprature; did you mean '--temperature'?",
        ),
        (["answer", "1+2=", "--policy", "optscale", "best_of_n"], "several policies are one value, in quotes"),
        (
            ["answer", "1+2=", "--policy", "optscale score_min=0.9"],
            "settings follow a colon, without spaces: optscale:",
        ),
        (["answer", "1+2=", "--policy", "optscale:score_mn=0.9"], "no setting 'score_mn'; did you mean 'score_min'?"),
        (
            ["generate", "{tmp}/p", "--questions", "gsmk8:train"],
            "no such file, and no question set; did you mean 'gsm8k:",
        ),
        (["generate", "{tmp}/p", "--questions", "gsm8k:tran"], "no such set; did you mean 'gsm8k:train'?"),
        (["report", "{tmp}/run"], "its records: {tmp}/run/records/sums"),
        (["assess", "{tmp}/none", "{tmp}/pool"], "`optscale targets {tmp}/pool --output targets.parquet` makes them"),
        (["answer", "1+2=", "--temperature", "warm"], "--temperature must be a number, got 'warm'"),
        (["answer", "1+2=", "--server.timeout", "long"], "--server.timeout must be a number or null, got 'long'"),
        (["answer", "1+2=", "--stop", "END"], "--stop must be a list like"),
        (["answer", "1+2=", "--verifier_batch_size", "0"], "verifier_batch_size must be >= 1, got 0"),
        (["score", "pool", "--verifier_url", " "], "verifier_url is empty"),
        (["report", "--output"], "argument --output: expected one argument"),
        (["report", "a", "--polices", "esc", "b"], "unrecognized arguments: --polices; did you mean '--policies'?"),
    ],
)
def test_a_wrong_flag_is_one_line_without_the_usage(command, says, capsys, tmp_path):
    (tmp_path / "pool").mkdir()
    (tmp_path / "run" / "records" / "sums").mkdir(parents=True)
    for place in ("pool/manifest.json", "run/records/sums/run.json"):
        (tmp_path / place).write_text("{}")
    with pytest.raises(SystemExit) as stopped:
        main([part.format(tmp=tmp_path) for part in command])
    says = says.format(tmp=tmp_path)
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert stopped.value.code == 2 and line.startswith("optscale: error: ") and says in line and not captured.out


@pytest.mark.parametrize("command", [[], ["--help"], ["pool"], ["pool", "-h"]])
def test_without_a_verb_there_is_help(command, capsys):
    main(command)
    shown = capsys.readouterr().out
    named = POOL_VERBS if command[:1] == ["pool"] else [name for name in VERBS if " " not in name]
    assert shown.startswith("usage: optscale") and set(named) <= set(shown.split())


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_is_told(flag, capsys):
    main([flag])
    assert capsys.readouterr().out == f"optscale {__version__}\n"


def test_flags_and_verbs_may_be_spelled_with_dashes_or_underscores():
    given = ["answer", "1-2=", "--max-samples", "3", "--policy=best-of_n", "--server.send-seed=no-no", "--", "--a-b"]
    assert with_underscores(given) == [
        *("answer", "1-2=", "--max_samples", "3", "--policy=best-of_n", "--server.send_seed=no-no", "--", "--a-b")
    ]
    for name, verb in VERBS.items():
        if not verb.passed_on:  # no flag of ours has a dash of its own
            flags = [one for action in verb_parser(verb.load(), name)._actions for one in action.option_strings]
            assert not any("-" in one.removeprefix("--") for one in flags if one.startswith("--"))


def test_a_verb_may_be_spelled_with_an_underscore(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["fit_policy", "none", "--num-orders", "3"])
    assert stopped.value.code == 2 and "unrecognized arguments: --num_orders" in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name, verb in VERBS.items() if not verb.passed_on])
def test_a_verbs_help_has_examples_that_its_parser_reads(name):
    verb = VERBS[name]
    function, shown = verb.load(), verb_parser(verb.load(), f"optscale {name}").format_help()
    for example in EXAMPLES[name]:
        assert f"\n  optscale {name} {example}\n" in shown
        given = with_underscores(shlex.split(example))
        values = verb_arguments(function, name, given if verb.lists is None else gather_list(given, verb.lists))
        assert values.keys() == signature(function).parameters.keys()
    usage = shown.splitlines()[0]
    assert usage.startswith(f"usage: optscale {name}") and usage.endswith("[FLAGS]") and "[ITEM,...]" not in shown
    assert verb.lists is None or "FOLDER ..." in usage or "FILE ..." in usage


def test_flags_of_generator_and_verifier_stand_in_groups():
    shown = verb_parser(VERBS["answer"].load(), "optscale answer").format_help()
    places = [shown.index(one) for one in ("--predictor", "what draws samples", "--temperature", "what scores samples")]
    assert places == sorted(places) and shown.index("--verifier VERIFIER") > places[-1]
