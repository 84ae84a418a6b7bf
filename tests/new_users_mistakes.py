"""What a new user types wrongly, over all verbs: the command, what the one line says of it, and what was meant.

``{q}`` are questions, ``{pool}`` a scored pool without gold answers, ``{run}`` an evaluation's folder, ``{dir}`` an
empty folder, ``{file}`` a text file, ``{tmp}`` the folder of all of them. ``python tests/new_users_mistakes.py`` prints
the table of what is said today; with ``--summary``, how many there are of each kind, how they end, and how many are
told a near name.
"""

import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

EVAL = "eval --tasks optscale_arithmetic"
#: By kind: (command, a part of the line, the near name that is suggested or None)
BY_KIND: dict[str, list[tuple[str, str, str | None]]] = {
    "verbs": [
        ("anwser 1+2=", "unknown verb 'anwser'", "answer"),
        ("generat {dir}", "unknown verb 'generat'", "generate"),
        ("reply {pool}", "unknown verb 'reply'", "replay"),
        ("evaluate --tasks x", "unknown verb 'evaluate'", None),
        ("fit_polcy {pool}", "unknown verb 'fit_polcy'", "fit-policy"),
        ("trainverifier {pool}", "unknown verb 'trainverifier'", "train-verifier"),
        ("pool mrege {pool}", "unknown verb 'mrege'", "merge"),
        ("pool {pool}", "verbs are info, validate", None),
        ("train fti --config x", "unknown command 'fti'", "fit"),
        ("train test --config x", "train has no test: `optscale assess", None),
        ("train --data.path x", "a command comes first", None),
        ("--tasks optscale_arithmetic", "a verb comes first", None),
    ],
    "flags": [
        ("answer 1+2= --temprature 1", "unrecognized arguments: --temprature", "--temperature"),
        ("answer 1+2= --max-sample 3", "unrecognized arguments: --max_sample", "--max_samples"),
        ("answer 1+2= --quite", "unrecognized arguments: --quite", "--quiet"),
        ("answer 1+2= --model {dir}", "no config.json in folder", None),
        ("generate {dir}/p --question {tmp}/none.jsonl", "none.jsonl: cannot read", None),
        ("generate {dir}/p --num_sample 3", "unrecognized arguments: --num_sample", "--num_samples"),
        ("generate {dir}/p --server.timout 3", "server.timout", None),
        ("score {pool} --verifer x", "unrecognized arguments: --verifer", "--verifier"),
        ("train-verifier {pool} --modle x", "unrecognized arguments: --modle", "--model"),
        ("train-generator {q} --epoch 3", "unrecognized arguments: --epoch", "--epochs"),
        ("fit-policy {pool} --outptu x", "unrecognized arguments: --outptu", "--output"),
        ("report {run}/records/sums --reference_policy x", "unrecognized arguments: --reference_policy", None),
        ("replay {pool} --num_order 3", "unrecognized arguments: --num_order", "--num_orders"),
        ("tune {pool} --shar 0.5", "unrecognized arguments: --shar", "--share"),
        ("targets {pool} --out x", "unrecognized arguments: --out", "--output"),
        ("serve --prot 8000", "unrecognized arguments: --prot", "--port"),
        ("predict {dir} {q} --ouput x", "unrecognized arguments: --ouput", "--output"),
        ("paper-table {dir} --fold 3", "unrecognized arguments: --fold", "--folds"),
        ("pool info {pool} --jsno true", "unrecognized arguments: --jsno", "--json"),
        ("publish {dir} --licence mit", "unrecognized arguments: --licence", "--license"),
        ("demo --wolrd embedded", "unrecognized arguments: --wolrd", "--world"),
        (f"{EVAL} --polices esc", "--polices", "--policies"),
        (f"{EVAL} --limt 3", "--limt", "--limit"),
        ("calibrate {pool} {dir}/map.json --diagramm x.png", "unrecognized arguments: --diagramm", "--diagram"),
    ],
    "values": [
        ("answer 1+2= --temperature warm", "--temperature must be a number, got 'warm'", None),
        ("answer 1+2= --temperature -1", "temperature must be 0 or lie in", None),
        ("answer 1+2= --max_samples three", "--max_samples must be a whole number", None),
        ("answer 1+2= --max_samples 0", "max_samples must", None),
        ("answer 1+2= --score_min 95", "score_min must lie in", None),
        ("answer 1+2= --alpha 1.5", "alpha must lie in (0, 1)", None),
        ("answer 1+2= --json_lines maybe", "--json_lines must be true or false, got 'maybe'", None),
        ("answer 1+2= --json_lines", "--json_lines", None),
        ("answer 1+2= --stop END", "--stop must be a list like", None),
        ("answer 1+2= --engine vlm", "engine must be one of", "vllm"),
        ("answer 1+2= --selection majorty", "unknown selection 'majorty'", "majority"),
        ("answer 1+2= --prior learned", "prior must be learnt", None),
        ("answer 1+2= --limit_tokens 0", "must be >= 1", None),
        ("answer 1+2= --seed -1", "seed", None),
        ("generate {dir}/p --num_samples 0 --questions {q}", "num_samples must be >= 1", None),
        ("generate {dir}/p --batch_size 0", "batch_size must be >= 1", None),
        ("serve --port http", "--port must be a whole number", None),
        ("serve --port 99999", "port must lie in", None),
        ("targets {pool} --validation_share 2", "validation_share", None),
        ("tune {pool} --share 1.5", "share must lie in (0, 1)", None),
        ("replay {pool} --num_orders 0", "num_orders must be >= 1", None),
        ("replay {pool} --frontier maybe", "--frontier must be true or false", None),
        ("calibrate {labelled} {dir}/map.json --kind plat", "kind must be one of isotonic, platt", "platt"),
        ("demo --world embeded", "world must be one of embedded, smollm2", "embedded"),
        (f"{EVAL} --limit many", "invalid float value: 'many'", None),
        (f"{EVAL} --limit 0", "--limit must be > 0", None),
    ],
    "missing files, and other kinds of files": [
        ("answer {tmp}/none.jsonl", "none.jsonl: cannot read questions", None),
        ("answer {tmp}/q.txt", "questions are read from .jsonl", None),
        ("answer {tmp}/column.tsv", "column 'question' is missing", None),
        ("answer {tmp}/q.json", "questions are read from .jsonl", None),
        ("answer {tmp}/q.xlsx", "questions are read from .jsonl", None),
        ("answer {dir}", "questions are read from .jsonl", None),
        ("answer {tmp}/empty.jsonl", "no questions in it", None),
        ("answer {tmp}/column.jsonl", "column 'question' is missing", None),
        ("answer {tmp}/column.csv", "column 'question' is missing", None),
        ("answer {tmp}/broken.jsonl", "broken.jsonl:2: not valid JSON", None),
        ("answer {tmp}/semicolons.csv", "column 'question' is missing", None),
        ("generate {dir}/p --questions {tmp}/none.csv", "none.csv: cannot read questions", None),
        ("generate {dir}/p --questions {dir}", "{dir}", None),
        ("answer 1+2= --prompt_file {q}", "has no {{question}} in it", None),
        ("answer 1+2= --prompt_file {tmp}/none.txt", "none.txt", None),
        ("answer 1+2= --config {tmp}/none.yaml", "none.yaml", None),
        ("answer 1+2= --config {file}", "{file}", None),
        ("train fit --config {tmp}/none.yaml", "none.yaml", None),
        ("predict {dir} {q}", "{dir}", None),
        ("predict {tmp}/none {q}", "no such folder", None),
        ("assess {dir} {pool}", "`optscale targets {pool} --output targets.parquet` makes them", None),
        ("assess {dir} {tmp}/none.parquet", "not a predictor checkpoint", None),
        ("train-generator {tmp}/none.jsonl", "none.jsonl: cannot read", None),
    ],
    "wrong folders": [
        ("pool info {dir}", "not a pool (no manifest.json)", None),
        ("pool info {run}/records/sums", "not a pool (no manifest.json)", None),
        ("score {dir}", "not a pool (no manifest.json)", None),
        ("replay {dir}", "not a pool (no manifest.json)", None),
        ("targets {file}", "not a pool", None),
        ("pool merge {pool} {pool} --output {dir}/m", "twice", None),
        ("pool export {pool} {dir}/out.xyz", "does not say which format", None),
        ("report {run}", "its records: {run}/records/sums", None),
        ("report {dir}", "neither a run's record", None),
        ("report", "are required: runs", None),
        ("paper-table {dir}", "{dir}", None),
        ("publish {dir}", "{dir}", None),
        ("merge-generator {dir} {dir}/m", "{dir}", None),
        ("train-verifier {pool}", "gold answer", None),
        ("fit-policy {pool}", "10 labelled questions at least", None),
        ("answer 1+2= --generator {dir}", "no config.json in folder", None),
        ("answer 1+2= --verifier {dir}", "no config.json in folder", None),
        ("answer 1+2= --predictor {dir}", "{dir}", None),
    ],
    "names": [
        ("answer 1+2= --policy bestofn", "unknown policy 'bestofn'", "best_of_n"),
        ("answer 1+2= --policy best_of_8", "unknown policy 'best_of_8'", "best_of_n"),
        ("answer 1+2= --policies optscle", "unknown policy 'optscle'", "optscale"),
        ("replay {pool} --policy self_consistancy", "unknown policy 'self_consistancy'", "self_consistency"),
        ("answer 1+2= --policy esc:windw=3", "policy 'esc' has no setting 'windw'", "window"),
        ("answer 1+2= --policy optscale:score_mn=0.9", "no setting 'score_mn'", "score_min"),
        (f"{EVAL} --policies bestofn", "unknown policy 'bestofn'", "best_of_n"),
        ("eval --tasks optscale_arithmatic", "no task 'optscale_arithmatic'", "optscale_arithmetic"),
        (f"{EVAL} --model_args bas_url=x", "there is no 'bas_url'", "base_url"),
        ("generate {dir}/p --questions gsmk8:train", "no question set", "gsm8k:"),
        ("generate {dir}/p --questions gsm8k:tran", "no such set", "gsm8k:train"),
        ("generate {dir}/p --questions embeded:train", "no question set", "embedded:"),
        ("answer 1+2= --generator embedded:generater", "none of that name is embedded", "embedded:generator"),
        ("answer 1+2= --verifier embedded:verifer", "none of that name is embedded", "embedded:verifier"),
        ("answer 1+2= --verifier mathverify", "there is none of that name", "math_verify"),
        ("answer 1+2= --verifier nonee", "there is none of that name", "none"),
        ("score {pool} --column scores", "scores", None),
    ],
    "lists without quotes, and settings": [
        ("answer 1+2= --policy optscale best_of_n", "several policies are one value, in quotes", None),
        ("replay {pool} --policies optscale best_of_n", "several policies are one value, in quotes", None),
        (f"{EVAL} --policies optscale best_of_n", "several policies are one value, in quotes", None),
        ("answer 1+2= --policy optscale,best_of_n", "separated by spaces", None),
        ("answer 1+2= --policy optscale:alpha=0.9,best_of_n:max_samples=2", "separated by spaces", None),
        ("serve --port 0 --base_url http://127.0.0.1:9/v1", "verifier: name one", None),
        ("answer 1+2= --policy optscale:score_min:0.9", "expected key=value", None),
        ("answer 1+2= --policy optscale:0.9", "expected key=value", None),
        ("answer 1+2= --policy optscale(score_min=0.9)", "settings follow a colon", None),
        ("answer 1+2= --policy optscale:score_min=high", "score_min", None),
        ("answer 1+2= --policy best_of_n:8", "expected key=value, got '8'; best_of_n has: max_samples", None),
        ("answer 12 + 34 =", "in quotes", None),
    ],
    "outputs in the way, order": [
        ("answer {q} --output {file}/below", "cannot write: Not a directory", None),
        ("report {run}/records/sums --output {file}", "{file}", None),
        ("replay {pool} --output {file}/below", "cannot write", None),
        ("generate {file} --questions {q}", "{file}", None),
        ("targets {pool} --output {dir}", "{dir}", None),
        ("predict {dir} {q} --output priors.txt", "must end in .jsonl or .parquet", None),
        ("{q} answer", "unknown verb", None),
        ("pool export {dir}/out.jsonl {pool}", "not a pool", None),
        (
            "answer 1+2= --verifier embedded:verifier --base_url http://127.0.0.1:9/v1",
            "cannot connect; is the server up?",
            None,
        ),
        ("serve --selection best", "unknown selection 'best'", None),
    ],
}
MISTAKES = [one for kind in BY_KIND.values() for one in kind]


def make_world(tmp: Path) -> dict[str, str]:
    """Writes the files that the mistakes are made with; returns what stands for each name."""
    from synthetic_pool import write_pool

    good = json.dumps({"question": "1+2="})
    texts = {
        "q.jsonl": f"{good}\n",
        "q.txt": "1+2=\n",
        "column.tsv": "text\tanswer\n1+2=\t3\n",
        "q.json": f"[{good}]",
        "q.xlsx": "PK\x03\x04",
        "empty.jsonl": "",
        "column.jsonl": '{"text": "1+2="}\n',
        "column.csv": "text,answer\n1+2=,3\n",
        "semicolons.csv": "question;answer\n1+2=;3\n",
        "broken.jsonl": f'{good}\n{{"question": \n',
        "file": "some text\n",
    }
    for name, text in texts.items():
        (tmp / name).write_text(text)
    (tmp / "dir").mkdir()
    (tmp / "run" / "records" / "sums").mkdir(parents=True)
    (tmp / "run" / "records" / "sums" / "run.json").write_text("{}")
    write_pool(tmp / "pool", [[0.9, 0.2, 0.3]] * 3, answer=[["1", "2", "2"]] * 3)
    write_pool(tmp / "labelled", [[0.9, 0.2]] * 3, answer=[["1", "2"]] * 3, correct=[[True, False]] * 3)
    names = {name: str(tmp / name) for name in ("pool", "labelled", "run", "dir", "file")}
    return {"tmp": str(tmp), "q": str(tmp / "q.jsonl"), **names}


def split_command(command: str, world: dict[str, str]) -> list[str]:
    """A command's arguments, with the world's places filled in."""
    return [part.format(**world) for part in command.split()]


def said_of(arguments: list[str]) -> tuple[object, str, str]:
    """The exit code, standard output and standard error of ``optscale``, in this process."""
    from optscale_predictor.cli.main import main

    out, error = StringIO(), StringIO()
    code: object = 0
    with redirect_stdout(out), redirect_stderr(error):
        try:
            main(arguments)
        except SystemExit as stopped:
            code = stopped.code
    return code, out.getvalue(), error.getvalue()


def print_table(folder: Path) -> None:
    """What is said of every mistake, as Markdown."""
    world = make_world(folder)
    print("| command | exit code | what is said |\n| --- | ---: | --- |")
    for command, _, _ in MISTAKES:
        code, _, error = said_of(split_command(command, world))
        line = " / ".join(one for one in error.replace(str(folder), "TMP").splitlines() if one.strip())
        shown = command.format(**{name: f"TMP{path[len(str(folder)) :]}" for name, path in world.items()})
        print(f"| `{shown}` | {code} | {line.replace('|', '&#124;')} |", flush=True)


def print_summary(folder: Path) -> None:
    """How mistakes of each kind end, as Markdown."""
    world = make_world(folder)
    print("| kind | mistakes | exit code 2 | one line | told a near name |\n| --- | ---: | ---: | ---: | ---: |")
    totals = [0] * 5
    for kind, mistakes in BY_KIND.items():
        row = [len(mistakes), 0, 0, 0, 0]
        for command, _, meant in mistakes:
            code, _, error = said_of(split_command(command, world))
            row[1] += code == 2
            said = [line for line in error.splitlines() if line.strip() and not line.startswith("loading ")]
            row[2] += len(said) == 1 and said[0].startswith("optscale: error: ")
            row[3] += meant is not None
            row[4] += meant is not None and f"did you mean '{meant}" in error
        totals = [one + more for one, more in zip(totals, row, strict=True)]
        print(f"| {kind} | {row[0]} | {row[1]} | {row[2]} | {row[4]} of {row[3]} |", flush=True)
    print(f"| all | {totals[0]} | {totals[1]} | {totals[2]} | {totals[4]} of {totals[3]} |")


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.path.insert(0, str(Path(__file__).parent))
    with TemporaryDirectory() as place:
        (print_summary if "--summary" in sys.argv else print_table)(Path(place))
