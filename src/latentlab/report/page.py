"""The reports: a page in Markdown, and the same in HTML with its pictures inside.

Each section has one sentence that is computed from the numbers, and its figures.
"""

import base64
import html
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from plotly.offline import get_plotlyjs

from latentlab.comparison.claims.page import WORDS
from latentlab.comparison.tables import markdown, summary
from latentlab.paths import Run
from latentlab.report.content import Content
from latentlab.report.sections import Section, of_analyses, of_core, with_content

SHOWN = [
    "variant", "recipe", "num_seeds", "latent_dim", "num_parameters", "test_mse", "test_mse_sd", "test_ssim",
    "svm_rbf_accuracy", "published_mse", "mse_ratio",
]  # fmt: skip


def core_report(content: Content, figures: Collection[str]) -> str:
    """The report of the core in Markdown.

    Args:
        content: Of the core.
        figures: Names of the figures that were drawn, in the folder `figures` beside the page.
    """
    run, board = content.run, content.leaderboard
    num_seeds = max(board["num_seeds"].fillna(0).astype(int), default=0)
    lead = (
        f"{_subject(content)}; variants: {len(content.variants())}, seeds of each: up to {num_seeds}. Errors are on "
        f"{_test_images(content)}, which no training saw, and by which no variant was chosen."
    )
    if board["svm_rbf_accuracy"].isna().all():
        lead += " The images have no classes, so that there are no probes."
    origin = (
        f"Each run has its stages: `{run.stage('evaluate')}` and `{run.stage('probe')}` measure what "
        f"`{run.stage('train')}` has trained. The stages `compare`, `plot` and `report` make the tables, the figures and "
        f"this page. {_in_mlflow(run)} `make analyses` measures more, and writes a report of its own."
    )
    title = "How small can the code of an autoencoder be, and what does it cost?"
    leaderboard = f"{_published(content)}\n\n{markdown(board.reindex(columns=SHOWN))}"
    answer, *others = [*_parts(of_core(content.project), content, figures), ("", "")]
    parts = [answer, ("Leaderboard", leaderboard), *others, ("Where it all comes from", origin)]
    return _page(title, lead, [part for part in parts if part[0]])


def analyses_report(content: Content, figures: Collection[str], claims: Sequence[Mapping[str, Any]]) -> str:
    """The report of the analyses in Markdown; the arguments as above, and the ledger of the claims stage."""
    run = content.run
    lead = (
        f"What was measured of trained autoencoders beyond errors and probes. {_subject(content)}; the claims are judged "
        "under all recipes."
    )
    origin = (
        f"The numbers of an analysis are in the results of its run, such as `{run.analysis('denoising').as_posix()}`, and "
        f"those of all runs in a table beside this page. {_in_mlflow(run)}"
    )
    count = Counter(claim["verdicts"][content.recipe]["verdict"] for claim in claims)
    verdicts = ", ".join(f"{word} {count[verdict]}" for verdict, word in WORDS.items() if count[verdict])
    claims_part = (
        "The claims of the five sources, and of papers",
        f"What the sources conclude, judged one by one by these numbers. Of {len(claims)} claims under "
        f"`{content.recipe}`: {verdicts}. [The claims, their tests and all that they rest on](claims.md) have a page of "
        "their own.",
    )
    sections = _parts(of_analyses(), content, figures)
    title = "What do the autoencoders know, and what can be done with them?"
    return _page(title, lead, [*sections, claims_part, ("Where it all comes from", origin)])


def write_html(text: str, folder: Path) -> str:
    """A page that needs no other file; where there is a chart of a figure's name, it takes the figure's place.

    What it links to is taken to be a page of this kind, too.

    Args:
        text: The report in Markdown.
        folder: Where its pictures lie, in `figures`, and its charts, in `charts`.
    """
    body: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    body = re.sub(r"<h([2-4])>(.*?)</h\1>", lambda m: f'<h{m[1]} id="{_anchor(m[2])}">{m[2]}</h{m[1]}>', body)
    charts = {path.stem: path.read_text(encoding="utf-8") for path in sorted((folder / "charts").glob("*.json"))}
    body = re.sub(
        r'<img src="figures/(\w+)\.png" alt="([^"]*)" />',
        lambda m: _drawn(m[1], charts[m[1]], m[2]) if m[1] in charts else m[0],
        body,
    )
    body = re.sub(
        r'<img src="([^"]+)"', lambda m: f'<img loading="lazy" src="{_inlined(folder / html.unescape(m[1]))}"', body
    )
    body = body.replace("<table>", '<div class="table"><table>').replace("</table>", "</table></div>")
    body = re.sub(r'<a href="(\w+)\.md"', r'<a href="\1.html"', body)
    title = html.escape(text.split("\n", 1)[0].removeprefix("# "))
    bundle = f"<script>{get_plotlyjs()}</script>\n" if charts else ""
    heads = re.findall(r'<h2 id="(.*?)">(.*?)</h2>', body)
    contents = "".join(f'<li><a href="#{anchor}">{head}</a></li>' for anchor, head in heads)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>latentlab: {title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{_STYLE}</style>\n{bundle}</head>\n'
        f'<body>\n<nav aria-label="Contents"><ul>{contents}</ul></nav>\n<main>\n{body}</main>\n<script>{_SCRIPT}</script>\n'
        "</body>\n</html>\n"
    )


def _page(title: str, lead: str, parts: list[tuple[str, str]]) -> str:
    return "\n\n".join([f"# {title}", lead, *(f"## {name}\n\n{text.strip()}" for name, text in parts)]) + "\n"


def _parts(sections: list[Section], content: Content, figures: Collection[str]) -> list[tuple[str, str]]:
    """Title and text of each section that has something to say; a figure that was not drawn is left out."""
    made = []
    for section, sentence in with_content(sections, content):
        shown = [name for name in section.figures if name in figures]
        pictures = [f"![{section.title}: {name.replace('_', ' ')}](figures/{name}.png)" for name in shown]
        table = [markdown(section.table(content))] if section.table else []
        made.append((section.title, "\n\n".join([sentence, *pictures[:1], *table, *pictures[1:]])))
    return made


def _published(content: Content) -> str:
    counts = summary(content.leaderboard).get(content.recipe, {})
    published = counts.get("num_variants_with_published_figure")
    if not published:
        return "No variant here has a published figure."
    met = counts["num_variants_at_or_better_than_published"]
    return f"{met} of the {published} variants with a published figure are as good or better under `{content.recipe}`."


def _test_images(content: Content) -> str:
    split = content.project.datasets[content.dataset].split
    return f"{split.test:,} test images" if isinstance(split.test, int) else f"the test images, {split.test:.0%} of all"


def _subject(content: Content) -> str:
    return f"Data set `{content.dataset}`; recipe `{content.recipe}` unless a table says otherwise"


def _in_mlflow(run: Run) -> str:
    return f"In MLflow, which `make ui` opens, the filter `tags.variant = '{run.variant}'` finds the runs of a variant."


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", html.unescape(re.sub(r"<.*?>", "", title)).lower()).strip("-")


def _drawn(name: str, chart: str, words: str) -> str:
    chart = chart.replace("</", "<\\/")  # or a text in it could end the script
    how = "{responsive: true, displaylogo: false}"
    call = f'{{const chart = {chart}; Plotly.newPlot("chart-{name}", chart.data, chart.layout, {how});}}'
    return f'<div id="chart-{name}" role="figure" aria-label="{words}"></div>\n<script>{call}</script>'


def _inlined(picture: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()


_STYLE = """
:root {
  color-scheme: light dark;
  --ink: light-dark(#1a1a1a, #e8e8e8); --paper: light-dark(#fff, #16181b); --line: light-dark(#ddd, #3a3d42);
  --link: light-dark(#0b57a4, #8ab8ff); --pale: light-dark(#f5f5f5, #202327);
}
body { margin: 0; background: var(--paper); color: var(--ink); }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1rem 1.2rem 4rem; }
h1 { font-size: 1.8rem; line-height: 1.25; }
h2 { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 1.2rem; }
img { max-width: 100%; height: auto; display: block; margin: 0.8rem auto; background: #fff; }
p, li { overflow-wrap: anywhere; }
nav { font-size: 0.85rem; background: var(--pale); overflow: auto; }
nav ul { list-style: none; margin: 0; padding: 1rem; display: flex; gap: 1.2rem; white-space: nowrap; }
.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 0.82rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #888; white-space: nowrap; } code { font-size: 0.9em; overflow-wrap: anywhere; }
th button { all: unset; cursor: pointer; } th button:focus-visible { outline: 2px solid var(--link); }
th[aria-sort=ascending] button::after { content: " ↑"; } th[aria-sort=descending] button::after { content: " ↓"; }
input { font: inherit; font-size: 0.85rem; padding: 0.25rem 0.5rem; margin-bottom: 0.5rem; }
td code, th code { overflow-wrap: normal; } a { color: var(--link); }
@media (min-width: 75rem) {
  body { display: grid; grid-template-columns: 15rem 1fr; }
  nav { position: sticky; top: 0; max-height: 100vh; }
  nav ul { flex-direction: column; gap: 0.7rem; white-space: normal; }
}
@media (max-width: 40rem) { body { font-size: 15px; } main { padding: 0.5rem 0.8rem 3rem; } h1 { font-size: 1.4rem; } }
@media print { nav, input { display: none; } body { display: block; } h2, img, tr { break-inside: avoid; } }
"""

# a table is sorted by the column whose head is pressed, empty cells last; a long one can be filtered
_SCRIPT = """
const value = (row, column) => row.cells[column].textContent.trim();
const number = text => text === "" ? NaN : Number(text.replaceAll(",", ""));
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.onclick = () => {
      const sign = head.ariaSort === "ascending" ? -1 : 1;
      heads.forEach(each => each.removeAttribute("aria-sort"));
      head.ariaSort = sign > 0 ? "ascending" : "descending";
      const compare = (a, b) => {
        const [x, y] = [value(a, column), value(b, column)];
        if (!x || !y) return !x - !y;
        const difference = number(x) - number(y);
        return sign * (isNaN(difference) ? x.localeCompare(y) : difference);
      };
      body.append(...[...body.rows].sort(compare));
    };
  });
  if (body.rows.length > 10) {
    const filter = document.createElement("input");
    filter.type = "search";
    filter.placeholder = filter.ariaLabel = "show lines with ...";
    filter.oninput = () => {
      for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(filter.value.toLowerCase());
    };
    table.parentNode.before(filter);
  }
}
"""
