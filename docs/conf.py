"""Settings of Sphinx; `make docs` builds the pages."""

import configparser
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

metadata = configparser.ConfigParser()
metadata.read(ROOT / "setup.cfg")

project = metadata["metadata"]["name"]
release = version = metadata["metadata"]["version"]
author = metadata["metadata"]["author"]
copyright = author

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # formulas are set without a network
    "sphinx_gallery.gen_gallery",
    "from_code",
    "case_pages",
]
napoleon_google_docstring = False
napoleon_preprocess_types = False
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 88
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
default_role = "code"

html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["static"]
html_css_files = ["gallery.css"]
exclude_patterns = ["_build", "gallery"]

# The scripts load results files and draw; their pages are made in docs/analyses. No page holds the
# seconds that its script took, and each script runs in every build, whether or not it changed.
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "analyses",
    "backreferences_dir": "analyses/references",
    "within_subsection_order": "FileNameSortKey",
    "run_stale_examples": True,
    "capture_repr": ("_repr_html_",),
    "remove_config_comments": True,
    "image_srcset": ["2x"],
    "min_reported_time": float("inf"),
    "write_computation_times": False,
    "show_signature": False,
    "download_all_examples": False,
}
