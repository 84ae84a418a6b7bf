"""Writing a report: the page, the pictures and the tables, side by side in a folder."""

from pathlib import Path

from optscale_predictor.pools._files import naming, write_json, write_text
from optscale_predictor.report.comparison import Comparison
from optscale_predictor.report.page import render_page
from optscale_predictor.report.pictures import draw_comparison, new_figure
from optscale_predictor.report.tables import as_json, policies_table, savings_table
from optscale_predictor.report.wording import answer

#: What a report consists of.
FILES = ("report.html", "curve.png", "curve.svg", "tokens.png", "tokens.svg", "table.md", "table.tex", "table.json")


def write_report(comparison: Comparison, folder: str | Path, title: str, command: str = "") -> list[Path]:
    """Writes all of a report's files into a folder, which is made where needed; earlier ones are replaced.

    Args:
        comparison: What to report.
        folder: Where to.
        title: Of the page and the pictures.
        command: That makes it again; empty where that is not known.

    Returns:
        The files, in the order of ``FILES``.

    Raises:
        InputError: A file cannot be written, or matplotlib is not installed; then nothing is written.
    """
    new_figure()  # says what is missing before anything is computed or written
    folder = Path(folder)
    page = render_page(comparison, title, command=command)
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_text(page, folder / "report.html")
    for name, metric in (("curve", "samples"), ("tokens", "tokens")):
        paths = [folder / f"{name}.{ending}" for ending in ("png", "svg")]
        with naming(paths[0]):
            draw_comparison(comparison, metric, paths, title)
    tables = list(filter(None, (policies_table(comparison), savings_table(comparison))))
    said = answer(comparison)
    markdown = "\n\n".join(f"{table.title}\n\n{table.markdown()}" for table in tables)
    write_text(f"{said}\n\n{markdown}\n", folder / "table.md")
    latex = "\n\n".join(f"% {' '.join(table.title.split())}\n{table.latex()}" for table in tables)
    write_text(f"{latex}\n", folder / "table.tex")
    write_json(as_json(comparison, title, said), folder / "table.json")
    return [folder / name for name in FILES]
