"""What the site takes from outside `docs/`: notebooks, and files at the top of the repository."""

import html
import re
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
TOP = ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md")


@event_priority(100)  # before the plugin that renders notebooks
def on_files(files, config):
    """Adds the files that stand beside `docs/`."""
    for path in [ROOT / name for name in TOP] + sorted((ROOT / "notebooks").glob("*.ipynb")):
        uri = path.relative_to(ROOT).as_posix()
        files.append(File(uri, str(ROOT), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown, page, config, files):
    """Leads links between `docs/` and the repository to the pages of the site."""
    up = "../" * page.file.src_uri.count("/")
    inside = rf"\]\((?:\.\./)+(?=notebooks/|{'|'.join(map(re.escape, TOP))})"
    return re.sub(inside, f"]({up}", markdown).replace("](docs/", f"]({up}")


def on_page_content(content, page, config, files):
    """Turns formulas into MathML, which browsers draw without a script."""
    return re.sub(
        r'<span class="arithmatex">\\\((.*?)\\\)</span>',
        lambda formula: convert(html.unescape(formula[1])),
        content,
        flags=re.DOTALL,
    )


def on_page_context(context, page, config, nav):
    """Leads the contents of a notebook to its headings, and its links to other notebooks there.

    mkdocs-jupyter leaves words in code font out of the anchors in the table of contents only.
    """
    if page.file.src_uri.endswith(".ipynb"):
        ids = re.findall(r'\bid="([^"]+)"', page.content)
        for item in _with_children(page.toc):
            if item.id not in ids:
                item.id = next((i for i in ids if i.startswith(item.id)), item.id)
        page.content = re.sub(r'href="(\w+)\.ipynb"', r'href="../\1/"', page.content)
    return context


def _with_children(items):
    for item in items:
        yield item
        yield from _with_children(item.children)
