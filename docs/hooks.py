"""For mkdocs: files of the repository that pages link to (`../params.yaml`, pictures) become files of the site.

So the same links work on GitHub and on the site, and `mkdocs build --strict` finds those that lead nowhere.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<=\]\()((?:\.\./)+)([\w./-]+)(?=\))")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Add each linked file of the repository to the site, and point the link there."""
    folder = posixpath.dirname(page.file.src_uri)

    def point(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join("docs", folder, link[0]))
        if target.startswith(("docs/", "..")) or not (ROOT / target).is_file():
            return link[0]
        uri = f"repository/{target}"
        if files.get_file_from_path(uri) is None:
            files.append(File.generated(config, uri, abs_src_path=str(ROOT / target)))
        return posixpath.relpath(uri, folder or ".")

    return LINK.sub(point, markdown)
