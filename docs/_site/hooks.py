"""Hooks of mkdocs: pages that lie at the repository's root are part of the site, and links work in both places."""

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))  # mkdocs loads this file by its path, and finds nothing beside it

from diagram import drawn
from site_links import ROOT_PAGES, outside_fences, with_site_links


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of the repository's root."""
    root = Path(config.docs_dir).parent
    for name, page in ROOT_PAGES.items():
        files.append(File.generated(config, page, content=(root / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links of the repository into links of the site, and diagrams into pictures."""
    source = page.file.src_uri
    in_repository = {page: name for name, page in ROOT_PAGES.items()}.get(source, f"docs/{source}")
    linked = outside_fences(markdown, lambda text: with_site_links(text, in_repository, source, config.repo_url))
    return drawn(linked)
