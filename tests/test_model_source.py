"""Where models come from: what files and packages state is found without weights; what they do not state is unknown."""

import hashlib
import json

import gguf
import pytest
from small_pools import questions_of, write_pool

from optscale_predictor.backends import gguf_files
from optscale_predictor.backends.gguf_files import SOURCE_FILE, gguf_source
from optscale_predictor.backends.gguf_header import read_gguf_fields
from optscale_predictor.backends.model_source import MODEL_SOURCE, ModelSource
from optscale_predictor.backends.source_lookup import find_source
from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool
from optscale_predictor.pools.merging import merge_pools

KEYS = ("general.name", "general.organization", "general.license", "general.file_type")
APACHE = {"name": "Tiny", "license": "apache-2.0", "license_from": "GGUF file"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write_gguf(path, file_type=gguf.LlamaFileType.MOSTLY_Q4_1, **stated):
    """A file without tensors by the format's own writer; what is stated stands behind a vocabulary."""
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_token_list(["<s>", "é" * 40, *map(str, range(50))])
    writer.add_token_scores([0.5] * 52)
    writer.add_rope_freq_base(10000.0)
    writer.add_file_type(int(file_type))
    for key, value in stated.items():
        writer.add_string(f"general.{key}", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def write_package(site, module, metadata, files, distribution=None):
    """An installed distribution with one package."""
    record = []
    for name, content in {"__init__.py": "raise RuntimeError('it was imported')\n", **files}.items():
        path = site / module / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        record.append(f"{module}/{name},,")
    info = site / f"{distribution or module}-1.2.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.4\nName: {(distribution or module).replace('_', '-')}\nVersion: 1.2\n"
    (info / "METADATA").write_text(head + metadata)
    (info / "RECORD").write_text("\n".join(record) + "\n")


def test_what_a_gguf_file_states(tmp_path):
    file = write_gguf(tmp_path / "tiny.gguf", name="Tiny", organization="Makers", license="apache-2.0")
    assert find_source(str(file)) == ModelSource(
        name="Tiny",
        organization="Makers",
        license="apache-2.0",
        license_from="GGUF file",
        file="tiny.gguf",
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        quantization="Q4_1",
    )
    assert not (tmp_path / "cache").exists()  # nothing was unpacked for it


def test_it_is_kept_beside_the_unpacked_tensors_and_completed_there(tmp_path, monkeypatch):
    file = write_gguf(tmp_path / "tiny.gguf", license="mit")
    folder = gguf_files._unpacked_folder(file)
    folder.mkdir(parents=True)  # of a version that kept no source
    found = gguf_source(file)
    assert json.loads((folder / SOURCE_FILE).read_text()) == found.as_json() and found.license == "mit"
    with monkeypatch.context() as patch:
        patch.setattr(gguf_files, "read_gguf_fields", lambda *_: pytest.fail("the file was read again"))
        assert gguf_source(file) == found
    for damaged in ("", "[]", '{"license": ["mit"]}', '{"path": "x"}', '{"name": "/home/me/tiny"}'):
        (folder / SOURCE_FILE).write_text(damaged)
        assert gguf_source(file) == found and json.loads((folder / SOURCE_FILE).read_text()) == found.as_json()


def test_a_file_that_ends_anywhere_is_no_error_and_nothing_is_invented(tmp_path):
    file = write_gguf(tmp_path / "whole.gguf", license="apache-2.0")
    content, cut = file.read_bytes(), tmp_path / "cut.gguf"
    assert read_gguf_fields(file, KEYS) == {"general.license": "apache-2.0", "general.file_type": 3}
    for length in range(0, len(content), 7):
        cut.write_bytes(content[:length])
        assert find_source(str(cut)).license in (None, "apache-2.0")
    for harmed in (b"GGUF" + b"\xff" * 60, content[:16] + b"\xff" * 8 + content[24:]):
        cut.write_bytes(harmed)
        with pytest.raises((ValueError, OSError)):
            read_gguf_fields(cut, KEYS)
        assert find_source(str(cut)).license is None


def test_what_is_no_name_is_not_taken_and_a_path_loses_its_folders(tmp_path):
    text = "All rights reserved.\n" * 40
    file = write_gguf(tmp_path / "tiny.gguf", name="/home/me/models/tiny", license=text, organization="a\x1b[31mb")
    found = find_source(str(file))
    assert (found.name, found.license, found.license_from, found.organization) == ("tiny", None, None, None)
    assert find_source(str(write_gguf(tmp_path / "new.gguf", file_type=9999))).quantization is None


@pytest.mark.parametrize(
    ("metadata", "stated"),
    [
        ("License-Expression: Apache-2.0\nLicense: MIT\n", "Apache-2.0"),
        ("License: MIT\nClassifier: License :: OSI Approved :: BSD License\n", "MIT"),
        ("License: A text\n        of many lines\nClassifier: License :: OSI Approved :: BSD License\n", "BSD License"),
        ("Classifier: License :: OSI Approved :: BSD License\nClassifier: License :: Free\n", None),
        ("", None),
    ],
)
def test_a_package_whose_model_states_nothing(metadata, stated, tmp_path, monkeypatch, request):
    module = f"holds_model_{abs(hash(request.node.name))}"
    write_package(tmp_path, module, metadata, {"model/config.json": "{}", "model/model.safetensors": ""})
    monkeypatch.syspath_prepend(str(tmp_path))
    expected = ModelSource(
        license=stated,
        license_from="package" if stated else None,
        package=module.replace("_", "-"),
        package_version="1.2",
    )
    assert find_source(f"package:{module}") == expected


def test_the_models_own_card_goes_before_its_packagers_word(tmp_path, monkeypatch):
    files = {"m/config.json": "{}", "m/model.safetensors": "", "m/README.md": "---\nlicense: apache-2.0\n---\nA model"}
    write_package(tmp_path, "carded_model", "License: MIT\n", files, distribution="another_name")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = find_source("package:carded_model")
    assert (found.license, found.license_from, found.package) == ("apache-2.0", "model card", "another-name")


@pytest.mark.parametrize(
    ("card", "license"),
    [
        ("---\nlicense: other\nlicense_name: gemma\n---\n", "gemma"),
        ("---\nlicense: other\n---\n", "other"),
        ("---\nlicense: [mit, apache-2.0]\n---\n", "mit, apache-2.0"),
        ("---\nlicense: {a: b}\n---\n", None),
        ("---\nlicense: 7\n---\n", None),
        ("---\nlicense: [\n---\n", None),
        ("---\n- a\n---\n", None),
        ("license: mit\n", None),
        ("---\nlicense: mit\n---\n" + "x" * 2**20, None),
        ("\xff", None),
    ],
)
def test_a_folders_card(card, license, tmp_path):
    (tmp_path / "README.md").write_bytes(card.encode("latin-1"))
    assert find_source(str(tmp_path)).license == license
    assert set(find_source(str(tmp_path)).as_json()) <= {"license", "license_from"}


def test_a_repository_in_the_hubs_cache(tmp_path, monkeypatch):
    commit = "0123456789" * 4
    repository = tmp_path / "models--org--cached"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert find_source("org/cached") == ModelSource(license="cc-by-4.0", license_from="model card", revision=commit)
    assert find_source("org/elsewhere") == ModelSource()
    assert find_source("package:not_installed") == find_source("folder:gone") == find_source("") == ModelSource()


@pytest.mark.parametrize("content", [[], {"licence": "mit"}, {"license": 1}, {"license": "a\nb"}, {"sha256": "00"}])
def test_a_record_that_is_none_is_refused(content):
    with pytest.raises(InputError, match="a model's"):
        ModelSource.from_json(content)


def test_a_pool_without_a_source_goes_on_and_merges(tmp_path):
    older = write_pool(tmp_path / "pool", samples=2)
    before = (tmp_path / "pool" / "manifest.json").read_bytes()
    write_pool(tmp_path / "pool", samples=4, first=2, **{MODEL_SOURCE: APACHE})
    assert (tmp_path / "pool" / "manifest.json").read_bytes() == before
    newer = write_pool(tmp_path / "new", questions_of(4, first=4), **{MODEL_SOURCE: APACHE})
    assert newer.manifest["fingerprint"] == older.manifest["fingerprint"]
    write_pool(tmp_path / "new", questions_of(4, first=4), samples=6, first=4, **{MODEL_SOURCE: {"license": "mit"}})
    merge_pools([tmp_path / "pool", tmp_path / "new"], tmp_path / "both")
    assert Pool(tmp_path / "both").manifest["settings"]["generator"][MODEL_SOURCE] == APACHE
    write_pool(tmp_path / "third", questions_of(4, first=8), **{MODEL_SOURCE: {"license": "mit"}})
    merge_pools([tmp_path / "new", tmp_path / "third"], tmp_path / "two")
    assert Pool(tmp_path / "two").manifest["settings"]["generator"][MODEL_SOURCE] == [{"license": "mit"}, APACHE]
    with pytest.raises(InputError, match=r"other settings: generator\.top_k"):
        write_pool(tmp_path / "new", questions_of(4), top_k=3, **{MODEL_SOURCE: APACHE})
