"""How Sphinx builds the site: make docs."""

from __future__ import annotations

from airflow_provider_bigin import __version__

project = "airflow-provider-bigin"
copyright = "the airflow-provider-bigin authors, Apache-2.0"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
nitpicky = True

myst_enable_extensions = ["attrs_inline", "html_image"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say what an argument is
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = f"airflow-provider-bigin {release}"
html_logo = "images/logo.svg"
html_favicon = "images/logo.svg"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
