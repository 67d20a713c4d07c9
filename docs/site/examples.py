"""A griffe extension: the `>>>` examples of a docstring are code."""

import re

import griffe

EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)


class Examples(griffe.Extension):
    """Fences each example, so that no bracket in it reads as a link."""

    def on_object(self, *, obj, **kwargs):
        """Rewrites the docstring before it is parsed."""
        if obj.docstring:
            text = obj.docstring.value
            obj.docstring.value = EXAMPLE.sub(lambda m: f"```pycon\n{m.group()}\n```", text)
