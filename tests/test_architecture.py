"""The architecture, held against files and imports; the layers are import-linter's (``pyproject.toml``)."""

import ast
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest
from conftest import SLOWEST

import optscale_predictor

NAME = "optscale_predictor"
ROOT = Path(optscale_predictor.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py"))
MOST_ENTRIES = 18
MOST_LINES = 300


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Each module with those that it imports, also within functions and for type checkers.

    The package's own ``__init__`` is left out: it names everything and loads it when it is used.
    """
    graph = grimp.build_graph(NAME, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) - {NAME} for module in graph.modules - {NAME}}


def private_folders(module: str) -> list[str]:
    """The folder that each private part of a module's name lies in; ``_support`` is everybody's."""
    parts = module.split(".")
    return [
        ".".join(parts[:index])
        for index, part in enumerate(parts)
        if part.startswith("_") and not part.startswith("__") and part != "_support"
    ]


def test_the_root_has_few_entries() -> None:
    entries = {path.relative_to(ROOT).parts[0] for path in FILES}
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


def test_no_modules_import_one_another_in_a_circle(imports: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_the_entries_of_a_folder_import_one_another_in_no_circle(imports: dict[str, set[str]]) -> None:
    """Of two entries of one folder, files and folders alike, one is the lower: a folder counts as all that it holds."""
    folders = {module.rpartition(".")[0] for module in imports}
    for folder in sorted(folders):
        arrows: dict[str, set[str]] = {}
        for module, all_imported in imports.items():
            inside = {entry_of(imported, folder) for imported in all_imported}
            arrows.setdefault(entry_of(module, folder), set()).update(inside - {entry_of(module, folder)})
        arrows.pop("", None)
        try:
            TopologicalSorter({entry: inside - {""} for entry, inside in arrows.items()}).prepare()
        except CycleError as error:
            pytest.fail(f"{folder}: {' <- '.join(error.args[1])}")


def entry_of(module: str, folder: str) -> str:
    """The entry of a folder that a module is or lies in; empty where it lies elsewhere, or is the folder's own."""
    inside = module.removeprefix(f"{folder}.")
    return "" if inside == module else inside.partition(".")[0]


def test_private_modules_are_imported_from_their_own_folder_alone(imports: dict[str, set[str]]) -> None:
    wrong = [
        f"{module} imports {imported}"
        for module, all_imported in imports.items()
        for imported in all_imported
        for folder in private_folders(imported)
        if not f"{module}.".startswith(f"{folder}.")
    ]
    assert not wrong


def test_no_two_files_have_one_name() -> None:
    names = Counter(path.stem for path in FILES if path.name != "__init__.py")
    assert [name for name, count in names.items() if count > 1] == []


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    """Every file, read."""
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def test_every_file_is_short() -> None:
    lines = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in FILES}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_every_file_says_what_it_is(trees: dict[Path, ast.Module]) -> None:
    assert [str(path.relative_to(ROOT)) for path, tree in trees.items() if not ast.get_docstring(tree)] == []


READERS = {
    **{f"json.{name}": "json_reader" for name in ("load", "loads", "JSONDecoder")},
    **{f"gzip.{name}": "text_files" for name in ("open", "decompress", "GzipFile")},
    **{f"yaml.{name}": "yaml_reader" for name in ("load", "safe_load", "load_all", "safe_load_all", "full_load")},
}
LAST_NAMES = {name.rpartition(".")[2] for name in READERS}
#: One writes gzip; one is the other end of a pipe, and reads what its parent wrote; one reads a request, whose errors
#: are the interface's own.
NOT_FILES = {("gzip.open", "exporting"), ("json.loads", "symbolic"), ("json.loads", "request_bodies")}


def reads(tree: ast.Module) -> list[tuple[str, str]]:
    """The readers among the functions that a file calls, each with its first argument."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    called = [(ast.unparse(call.func), call.args) for call in found if call.func.attr in LAST_NAMES]
    return [(name, ast.unparse(arguments[0]) if arguments else "") for name, arguments in called]


def test_json_yaml_and_gzip_are_read_by_one_reader_each(trees: dict[Path, ast.Module]) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, tree in trees.items()
        for name, argument in reads(tree)
        if READERS.get(name, path.stem) != path.stem
        and (name, path.stem) not in NOT_FILES
        and not argument.startswith("json.dumps(")
    ]
    assert not wrong


def test_every_folder_is_a_package() -> None:
    folders = {path.parent for path in FILES}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_the_test_files_that_come_first_are_there() -> None:
    folder = Path(__file__).parent
    assert [name for name in SLOWEST if not (folder / name).is_file()] == []
