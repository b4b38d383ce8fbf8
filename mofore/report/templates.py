"""Reads the templates of HTML pages. Whatever is put into a page is escaped, unless it is marked as safe."""

from pathlib import Path

import jinja2

from mofore.utils.text import counted


def read_template(file: Path) -> jinja2.Template:
    """Read a template; the filter `counted` is that of `utils.text`. A name that is not given is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(file.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["counted"] = counted
    return environment.get_template(file.name)
