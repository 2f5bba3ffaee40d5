"""The results section of the study: one page in Markdown, and the same in HTML with its pictures inside.

Each section has its figures and one sentence that is computed from the numbers.
"""

import base64
import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from markdown_it import MarkdownIt

from latentlab.comparison import markdown
from latentlab.report import findings
from latentlab.report.content import Content

SHOWN = [
    "row", "recipe", "num_seeds", "code_size", "num_parameters", "test_mse", "test_mse_sd", "test_ssim", "svm_rbf_accuracy",
    "published_mse", "mse_ratio",
]  # fmt: skip

# MLflow as `make ui` serves it, filtered to a row's runs
_RUNS = "http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning&searchFilter="


@dataclass(frozen=True)
class Section:
    """One question: its figures by name, in the order shown, and the sentence that answers it from the numbers.

    `experiment` is the key of the experiment that it is about; None where it is about all rows.
    """

    title: str
    figures: list[str]
    finding: Callable[[Content], str]
    experiment: str | None = None


def write_markdown(content: Content) -> str:
    """The report in Markdown; figures by their path from the report's folder."""
    study = content.study
    seeds = sorted(int(count) for count in content.leaderboard["num_seeds"].dropna().unique())
    settings = f"recipe `{content.recipe}`, {_range(seeds)} of each row"
    lines = [
        "# How small can the code of an autoencoder be, and what does it cost?\n",
        f"{len(study.variants)} autoencoders on MNIST: of five public projects, what belongs beside them, and what a "
        f"search has found; {settings} unless a table says otherwise. "
        f"Errors are on {study.split.test:,} test images, which no training saw, and by which no row was chosen.\n",
        "[Leaderboard](#leaderboard) · "
        + " · ".join(f"[{section.title}](#{_anchor(section.title)})" for section in sections(content))
        + " · [Claims](#the-claims-of-the-five-sources) · [Where it all comes from](#where-it-all-comes-from)\n",
        "## Leaderboard\n",
        _lead(content),
        markdown(content.leaderboard.reindex(columns=SHOWN)),
    ]
    for section in sections(content):
        lines += [f"## {section.title}\n", section.finding(content) + "\n"]
        lines += [f"![{section.title}: {name.replace('_', ' ')}](figures/{name}.png)\n" for name in section.figures]
        lines.append(f"*From {_origin(section)}*\n")
    lines += [_demoted(content.claims_page), _provenance(content)]
    return "\n".join(lines)


def write_html(text: str, folder: Path) -> str:
    """A page that needs no other file.

    Args:
        text: The report in Markdown.
        folder: Where its pictures lie.
    """
    body: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    body = re.sub(r"<h([2-4])>(.*?)</h\1>", lambda m: f'<h{m[1]} id="{_anchor(m[2])}">{m[2]}</h{m[1]}>', body)
    body = re.sub(
        r'<img src="([^"]+)"', lambda m: f'<img loading="lazy" src="{_inlined(folder / html.unescape(m[1]))}"', body
    )
    body = body.replace("<table>", '<div class="table"><table>').replace("</table>", "</table></div>")
    title = "latentlab: how small can the code of an autoencoder be?"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{_STYLE}</style>\n</head>\n'
        f"<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def sections(content: Content) -> list[Section]:
    """All sections in order; a figure that was not drawn is left out."""
    made = [
        Section(
            "Code size against error",
            ["error_against_code_size", "error_against_parameters", "parameters", "published"],
            findings.code_size,
        )
    ]
    for key, experiment in content.study.experiments.items():
        figures = [f"loss_{key}", f"reconstructions_{key}"]
        made.append(Section(experiment.title, figures, findings.of_rows(experiment.rows), key))
    asked = content.study.analyses.latent_space
    embeddings = [f"tsne_{asked.num_small}", f"tsne_{asked.num_large}"]
    made += [
        Section("Denoising", ["denoising", "denoising_pictures"], findings.denoising),
        Section("Interpolation", ["interpolation", "interpolation_numbers"], findings.interpolation),
        Section("Latent space", ["codes_in_two_dimensions", *embeddings, "centroids"], findings.latent_space),
        Section("Generation", ["samples", "grids", "generation", "kl", "stochastic"], findings.generation),
        Section("Rate and distortion", ["rate_distortion"], findings.compression),
        Section("Checkerboards", ["checkerboard", "spectra"], findings.checkerboard),
        Section("Probes", ["accuracy_against_code_size", "probes", "few_labels"], findings.probes),
    ]
    drawn = set(content.figures)
    return [
        Section(each.title, [name for name in each.figures if name in drawn], each.finding, each.experiment)
        for each in made
    ]


def _lead(content: Content) -> str:
    table = content.of_recipe().dropna(subset=["mse_ratio", "bce_ratio"], how="all")
    if table.empty:
        return "No row has a published figure.\n"
    met = int((table[["mse_ratio", "bce_ratio"]].fillna(0) <= 1).all(axis=1).sum())
    return f"{met} of the {len(table)} rows with a published figure are as good or better under `{content.recipe}`.\n"


def _provenance(content: Content) -> str:
    lines = [
        "## Where it all comes from\n",
        "Tables: `dvc repro compare`. Figures: `dvc repro plot`. Claims: `dvc repro claims`. This page: `dvc repro "
        "report`. Every number of a row was measured by the stages `evaluate@ROW-RECIPE-SEED` and "
        "`probe@ROW-RECIPE-SEED` on what `train@ROW-RECIPE-SEED` left. The links open "
        "a row's runs in MLflow while `make ui` runs.\n",
        "| row | MLflow runs | stages |\n|---|---|---|",
    ]
    for name in content.study.variants:
        link = _runs_link(f"tags.row = '{name}'")
        lines.append(f"| {name} | [runs]({link}) | `dvc repro train@{name}-{content.recipe}-0` |")
    return "\n".join(lines) + "\n"


def _origin(section: Section) -> str:
    stages = "the stages `plot` and `compare`"
    if section.experiment is None:
        return f"{stages}; [all runs in MLflow]({_RUNS})."
    link = _runs_link(f"tags.experiments LIKE '%{section.experiment}%'")
    return f"{stages}; [these runs in MLflow]({link})."


def _runs_link(condition: str) -> str:
    return _RUNS + quote(condition)


def _range(counts: list[int]) -> str:
    if not counts:
        return "no seed"
    if len(counts) == 1:
        return f"{counts[0]} seed{'s' if counts[0] > 1 else ''}"
    return f"{counts[0]} to {counts[-1]} seeds"


def _demoted(page: str) -> str:
    """A page of its own as a part of this one: its headings one level down."""
    return re.sub(r"^(#+) ", r"#\1 ", page, flags=re.MULTILINE)


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", html.unescape(re.sub(r"<.*?>", "", title)).lower()).strip("-")


def _inlined(picture: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()


_STYLE = """
:root { color-scheme: light; }
body { margin: 0; background: #fff; color: #1a1a1a; font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1rem 1.2rem 4rem; }
h1 { font-size: 1.8rem; line-height: 1.25; } h2 { margin-top: 3rem; border-top: 1px solid #ddd; padding-top: 1.2rem; }
img { max-width: 100%; height: auto; display: block; margin: 0.8rem auto; }
p, li { overflow-wrap: anywhere; }
.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 0.82rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid #e5e5e5; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #888; white-space: nowrap; } code { font-size: 0.9em; overflow-wrap: anywhere; }
td code, th code { overflow-wrap: normal; } a { color: #0b57a4; }
@media (max-width: 40rem) { body { font-size: 15px; } main { padding: 0.5rem 0.8rem 3rem; } h1 { font-size: 1.4rem; } }
"""
