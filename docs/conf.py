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
    "from_code",
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
exclude_patterns = ["_build"]
