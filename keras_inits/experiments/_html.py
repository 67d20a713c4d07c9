"""Pages as one self-contained HTML file: no script, nothing loaded from elsewhere."""

import base64
from collections.abc import Sequence
from html import escape as escape_markup

from keras_inits._reporting import plain_text
from keras_inits.experiments._experiment import versions
from keras_inits.experiments._page import Page, Picture, Table

STYLE = """
:root { color-scheme: light; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --mark: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 4rem; color: var(--ink);
  background: #fff; font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.35rem; margin: 0 0 .5rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .3rem; }
header p, .source, .versions, caption, figcaption, dt { color: var(--soft); }
section { border-top: 2px solid var(--line); margin-top: 2.5rem; padding-top: 1.5rem; }
.question { font-size: 1.1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .8rem 0; }
dd { margin: 0; min-width: 0; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
caption { text-align: left; padding-bottom: .3rem; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid var(--line); }
thead th { vertical-align: bottom; border-bottom-color: var(--ink); }
th:first-child { text-align: left; } tbody th { font-weight: 400; }
td { white-space: nowrap; } figure { margin: 1.2rem 0; }
img { display: block; width: 100%; min-width: 36rem; height: auto; }
figcaption { font-size: .9rem; margin-top: .3rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none; padding: 0; }
a { color: var(--mark); } code { font-size: .92em; }
@media (max-width: 40rem) { dl { display: block; } dd { margin-bottom: .5rem; } }
@media print { section { break-before: page; } .wide { overflow: visible; } }
"""


def escape(text: str) -> str:
    """Returns text for HTML: what would be markup escaped, control characters visible."""
    return escape_markup(plain_text(text).plain)


def html(pages: Sequence[Page], command: str) -> str:
    """Returns the report as HTML.

    Args:
        pages: the experiments, in their order.
        command: what makes the report again.
    """
    links = "".join(f'<li><a href="#{p.name}">{escape(p.title)}</a></li>' for p in pages)
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Classic experiments on initialization, run again</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>Classic experiments on initialization, run again</h1>
<p>Published numbers next to ours, over many draws. <code>{escape(command)}</code> makes this page
again.</p>
<nav aria-label="Experiments"><ul>{links}</ul></nav>
</header>
<main>
{"".join(map(_section, pages))}
</main>
<footer class="versions"><p>{escape(made)}</p></footer>
</body>
</html>
"""


def _section(page: Page) -> str:
    recipe = "".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in page.recipe)
    return f"""<section id="{page.name}">
<h2>{escape(page.title)}</h2>
<p class="question">{escape(page.question)}</p>
{"".join(f'<p class="source">Source: {escape(str(source))}</p>' for source in page.sources)}
<dl>{recipe}</dl>
{"".join(map(_table, page.tables))}
{"".join(map(_figure, page.pictures))}
{_sentences("What this supports", page.supported)}
{_sentences("What it does not", page.unsupported)}
</section>
"""


def _table(table: Table) -> str:
    def cell(text: str) -> str:
        return escape(text).replace("\n", "<br>")

    head = "".join(f'<th scope="col">{cell(column)}</th>' for column in table.columns)
    body = "".join(
        f'<tr><th scope="row">{cell(row[0])}</th>'
        + "".join(f"<td>{cell(text)}</td>" for text in row[1:])
        + "</tr>"
        for row in table.rows
    )
    # A wide table scrolls by itself, by the keyboard too, and the page stays in its width.
    return (
        f'<div class="wide" tabindex="0"><table><caption>{escape(table.title)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>\n"
    )


def _figure(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode()
    caption = escape(picture.caption)
    return (
        f'<figure><div class="wide" tabindex="0"><img alt="{caption}" '
        f'src="data:image/png;base64,{data}"></div><figcaption>{caption}.</figcaption></figure>\n'
    )


def _sentences(heading: str, sentences: Sequence[str]) -> str:
    if not sentences:
        return ""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<h3>{heading}</h3><ul>{items}</ul>"
