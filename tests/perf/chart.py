# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The chart: bars of medians, with lines from the least to the most. Colours fit light and dark pages."""
import statistics
from html import escape

from load import ADMITTED, LIMITED, UNKNOWN
from variants import BARE, EMPTY, GATE, VARIANTS

PANELS = [
    ("Admitted: requests per second", ADMITTED, "rate", 0),
    ("Admitted: CPU time of the whole machine per request, µs", ADMITTED, "cpu", 1),
    ("Refused with 429: CPU time of the whole machine per request, µs", LIMITED, "cpu", 1),
    ("Refused with 401: CPU time of the whole machine per request, µs", UNKNOWN, "cpu", 1),
]
WIDTH = 760
LABELS = 170  # the width of the names of the variants
BARS = 480  # the length of the longest bar
BAR, STEP = 16, 24
HEADING, GAP = 30, 18
TITLE = 40
COLOURS = {BARE: "#7f9f7f", EMPTY: "#b3c6b3", GATE: "#3b82f6"}
PEER = "#9aa0a6"
TEXT = "#808890"


def rows(results, workload, name):
    """Variant, label and figures; refusals stand beside what the bare application needs for a 200."""
    for variant in VARIANTS:
        figures = results.figures(workload, variant, name)
        label = variant.name
        if variant is BARE and workload is not ADMITTED:
            figures, label = results.figures(ADMITTED, variant, name), f"{label}, 200"
        if figures:
            yield variant, label, figures


def text(x, y, words, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(words)}</text>'


def bar(y, scale, variant, label, figures, digits):
    low, middle, high = min(figures), statistics.median(figures), max(figures)
    colour = COLOURS.get(variant, PEER)
    line = y + BAR / 2
    return [
        text(LABELS - 8, y + 12, label, 'text-anchor="end"'),
        f'<rect x="{LABELS}" y="{y}" width="{middle * scale:.1f}" height="{BAR}" rx="2" fill="{colour}"/>',
        f'<path d="M{LABELS + low * scale:.1f} {line}H{LABELS + high * scale:.1f}" stroke="{TEXT}"/>',
        text(LABELS + high * scale + 8, y + 12, f"{middle:,.{digits}f}"),
    ]


def panel(results, y, title, workload, name, digits):
    """The elements of one panel, and where the next one begins."""
    found = list(rows(results, workload, name))
    if not found:
        return [], y
    scale = BARS / max(max(figures) for *_, figures in found)
    elements = [text(0, y + 14, title, 'font-weight="600"')]
    y += HEADING
    for variant, label, figures in found:
        elements += bar(y, scale, variant, label, figures, digits)
        y += STEP
    return elements, y + GAP


def write(results, path):
    title = "What a request costs behind Sluice, and behind others"
    elements, y = [text(0, 18, title, 'font-size="17" font-weight="600"')], TITLE
    for title, workload, name, digits in PANELS:
        more, y = panel(results, y, title, workload, name, digits)
        elements += more
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"'
    head += f' font-family="system-ui, sans-serif" font-size="13" fill="{TEXT}">'
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join([head, *elements, "</svg>", ""]))
