"""A griffe extension: examples are code, and functions are not taken for modules of their name."""

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


class Functions(griffe.Extension):
    """Leads `keras_inits.audit` to the function: `keras_inits._audit.audit` is a module, too."""

    def on_package(self, *, pkg, loader, **kwargs):
        """Puts what a package imports in the place of its module of the same name."""
        for name, member in list(pkg.members.items()):
            if not member.is_alias:
                continue
            try:
                module = member.final_target
            except griffe.AliasResolutionError:
                continue  # of another package
            if module.is_module and name in module.parent.imports:
                pkg.set_member(name, griffe.Alias(name, module.parent.imports[name], parent=pkg))
