"""The figures of the reports in which pointing, zooming and switching off help, for a browser; None where nothing is shown.

Colours are those of the sources; a press on a source in the legend takes its variants away and brings them back.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from latentlab.report.content import Content
from latentlab.report.figures.core import PROBES, UNITS, points_of, unbeaten
from latentlab.report.figures.panels import GREY, first_keys, values_of
from latentlab.report.styles import source_styles

# plain numbers at the ticks of a logarithmic axis
_LOGARITHMIC = {"type": "log", "dtick": "D2", "tickformat": "~r"}


def scatter(content: Content, x: str, y: str, title: str) -> go.Figure | None:
    """A point for each variant and a line for PCA, at two columns of the leaderboard; all numbers under the pointer."""
    points = points_of(content, x, y)
    points = points[(points[x] > 0) & (points[y] > 0)]  # which have a logarithm
    figure = go.Figure()
    variants = points[points.index.isin(content.project.variants)]
    sources = variants.index.map(lambda name: content.project.variants[name].source)
    for source, style in source_styles(content.project).items():
        own = variants[sources == source]
        if len(own):
            marker = {"color": style.colour, "symbol": style.marker, "size": 10, "opacity": 0.8}
            said = [f"{name}<br>{_numbers(line)}" for name, line in own.iterrows()]
            title_of = content.project.sources[source]
            figure.add_scatter(
                x=own[x], y=own[y], mode="markers", marker=marker, name=title_of, text=said, hoverinfo="text"
            )
    if not figure.data:
        return None
    named = unbeaten(variants, x, y)
    for name, across, up in zip(named.index, np.log10(named[x]), np.log10(named[y]), strict=True):
        place = {"x": across, "y": up, "xanchor": "left", "yanchor": "top", "xshift": 4}
        figure.add_annotation(text=name, showarrow=False, font={"size": 10}, **place)
    pca = points[points.index.isin(content.project.baselines)]
    if len(pca):
        said = [f"{name}: {value:.5f}" for name, value in pca[y].items()]
        figure.add_scatter(
            x=pca[x], y=pca[y], mode="lines+markers", line={"color": GREY}, name="PCA", text=said, hoverinfo="text"
        )
    return _laid_out(figure, title, _LOGARITHMIC | {"title": UNITS[x]}, _LOGARITHMIC | {"title": UNITS[y]})


def _numbers(line: "pd.Series[Any]") -> str:
    """Those of a variant that are known, for people."""
    forms = {
        "latent_dim": "{:,.0f} numbers", "num_parameters": "{:,.0f} parameters", "test_mse": "test MSE {:.5f}",
        "test_ssim": "SSIM {:.3f}", "svm_rbf_accuracy": "RBF probe {:.2%}",
    }  # fmt: skip
    return "<br>".join(form.format(line[name]) for name, form in forms.items() if pd.notna(line.get(name)))


def losses(content: Content) -> go.Figure | None:
    """The validation error of each variant by epoch."""
    figure, styles, shown = go.Figure(), source_styles(content.project), set()
    for name, result in content.shown.items():
        source = content.project.variants[name].source
        curve, line = result.curve, {"color": styles[source].colour, "width": 1.5}
        figure.add_scatter(
            x=curve["epoch"], y=curve["validation_mse"], mode="lines", line=line, legendgroup=source,
            name=content.project.sources[source], showlegend=source not in shown,
            hovertemplate=f"{name}, epoch %{{x}}: %{{y:.5f}}<extra></extra>",
        )  # fmt: skip
        shown.add(source)
    unit = {"title": "validation mean squared error per pixel"}
    return _laid_out(figure, "Learning curves", {"title": "epoch"}, _LOGARITHMIC | unit) if figure.data else None


def probes(content: Content) -> go.Figure | None:
    """The test error of every probe on the codes of each variant and baseline."""
    table = content.lines(content.leaderboard).set_index("variant")[list(PROBES)].dropna(how="all")
    names = [name for name in (*content.project.variants, *content.project.baselines) if name in table.index][::-1]
    figure = go.Figure()
    for probe, (label, colour, _) in PROBES.items():
        errors = 100 * (1 - table.loc[names, probe])
        hover = f"%{{y}}, {label}: %{{x:.2f}}%<extra></extra>"
        figure.add_scatter(
            x=errors, y=names, mode="markers", marker={"color": colour, "size": 8}, name=label, hovertemplate=hover
        )
    if not names:
        return None
    figure.update_layout(height=200 + 18 * len(names))
    return _laid_out(figure, "Probes", _LOGARITHMIC | {"title": "test error (%)"}, {"automargin": True})


def rate_distortion(content: Content) -> go.Figure | None:
    """Quality against bytes for the codes of all variants, many images together; JPEG and WebP beside them."""
    table, styles = content.table("compression"), source_styles(content.project)
    figure, shown, depths = go.Figure(), set(), first_keys(table)
    for name in content.measured("compression"):
        source = content.project.variants[name].source
        sizes, _ = values_of(table, name, [f"{depth}/bytes_amortised_with_tables" for depth in depths])
        quality, _ = values_of(table, name, [f"{depth}/psnr" for depth in depths])
        figure.add_scatter(
            x=sizes, y=quality, mode="lines+markers", line={"color": styles[source].colour}, legendgroup=source,
            name=content.project.sources[source], showlegend=source not in shown, text=[f"{each} bits" for each in depths],
            hovertemplate=f"{name}, %{{text}}: %{{x:.1f}} bytes, %{{y:.1f}} dB<extra></extra>",
        )  # fmt: skip
        shown.add(source)
    if not figure.data:
        return None
    most = np.nanmax([max(trace.y) for trace in figure.data]) + 3
    formats = content.codecs[(content.codecs["layout"] == "sheet") & (content.codecs["psnr"] < most)]
    for codec, lines in formats.sort_values("bytes_per_image").groupby("codec"):
        figure.add_scatter(x=lines["bytes_per_image"], y=lines["psnr"], mode="lines", line={"dash": "dot"}, name=codec)
    axes = _LOGARITHMIC | {"title": "bytes per image, side tables included"}, {"title": "PSNR (dB)"}
    return _laid_out(figure, "Rate and distortion", *axes)


def _laid_out(figure: go.Figure, title: str, x: Mapping[str, object], y: Mapping[str, object]) -> go.Figure:
    legend = {"orientation": "h", "yanchor": "top", "y": -0.22}
    return figure.update_layout(
        template="none",
        title={"text": title, "font": {"size": 14}},
        xaxis=x,
        yaxis=y,
        legend=legend,
        margin={"t": 50, "r": 20},
        hovermode="closest",
    )
