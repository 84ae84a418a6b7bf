"""The documentation site: links of the repository become links of the site, every page is placed, and it builds."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
NAVIGATION = re.findall(r"(?m)^ +- (?:[^:\n]+: )?([\w/]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
MADE = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md"}
MADE |= {"security.md": "SECURITY.md", "changelog.md": "CHANGELOG.md"}


@pytest.fixture(scope="module")
def rewriting() -> ModuleType:
    """What rewrites links, without mkdocs."""
    spec = importlib.util.spec_from_file_location("site_links", ROOT / "docs" / "_site" / "site_links.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_placed_once() -> None:
    there = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert sorted(NAVIGATION) == sorted({*there, *MADE})


@pytest.mark.parametrize(
    ("page", "on_site", "link", "there"),
    [
        ("README.md", "index.md", "[a](docs/evaluation.md#tasks)", "[a](evaluation.md#tasks)"),
        ("README.md", "index.md", "![a](docs/demo_curve.png)", "![a](demo_curve.png)"),
        ("CONTRIBUTING.md", "contributing.md", "[a](README.md)", "[a](index.md)"),
        ("docs/experiments/README.md", "experiments/README.md", "[a](../evaluation.md)", "[a](../evaluation.md)"),
        ("docs/evaluation.md", "evaluation.md", "[a](../CONTRIBUTING.md#x)", "[a](contributing.md#x)"),
        ("docs/evaluation.md", "evaluation.md", "[a](#tasks)", "[a](#tasks)"),
        ("README.md", "index.md", "[a](https://arxiv.org/abs/1)", "[a](https://arxiv.org/abs/1)"),
        ("SECURITY.md", "security.md", "see [`a`](audit/last_run.json).", "see `a`."),
        ("README.md", "index.md", "[a](docs/none.md)", "[a](none.md)"),  # for mkdocs to complain of
    ],
)
def test_links_lead_where_they_did(rewriting: ModuleType, page: str, on_site: str, link: str, there: str) -> None:
    assert rewriting.with_site_links(link, page, on_site, None) == there


def test_other_files_are_in_the_repository_where_its_address_is_known(rewriting: ModuleType) -> None:
    shown = rewriting.with_site_links("[a](train.py)", "README.md", "index.md", "https://example.org/x/")
    assert shown == "[a](https://example.org/x/blob/main/train.py)"


def test_code_is_left_alone(rewriting: ModuleType) -> None:
    text = "a [b](c.md)\n```python\nx[0](c.md)\n```\n[b](c.md)"
    assert rewriting.outside_fences(text, str.upper) == "A [B](C.MD)\n```python\nx[0](c.md)\n```\n[B](C.MD)"


@pytest.mark.full
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert ran.returncode == 0 and "WARNING" not in ran.stderr, ran.stderr[-3000:]
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(NAVIGATION)
    loaded = re.compile(r'<(?:script|img|iframe|source)\b[^>]*src="https?:|<link\b[^>]*href="https?:|class="mermaid"')
    assert [page.name for page in pages if loaded.search(page.read_text(encoding="utf-8"))] == []
