"""Runs side by side: matched times, differences, distances of the laws, error bars over seeds."""

from wgflow.comparison.compared import Comparison as Comparison, compare as compare
from wgflow.comparison.naming import run_names as run_names
