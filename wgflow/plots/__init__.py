"""Figures of one run and of several side by side. They are returned, not shown."""

from wgflow.plots.output import check_image as check_image, save_figure as save_figure
from wgflow.plots.overview import (
    PANELS as PANELS,
    check_panels as check_panels,
    run_figure as run_figure,
)
from wgflow.plots.side_by_side import comparison_figure as comparison_figure
from wgflow.plots.style import COLOURS as COLOURS, MARKERS as MARKERS
