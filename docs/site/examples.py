"""A griffe extension: what reading the source alone gets wrong of examples, names and arguments."""

import re

import griffe

EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)
ARGUMENTS = re.compile(r"^Args:\n((?: .*\n|\n(?= ))*)", re.MULTILINE)
ENTRY = re.compile(r"^ {4}(\w+):.*(?:\n {5,}.*)*", re.MULTILINE)
AFTER_ARGUMENTS = re.compile(r"^(?:Raises:|Reference:|```pycon)", re.MULTILINE)


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


class Arguments(griffe.Extension):
    """Describes the arguments that a scheme inherits, as `keras_inits` does when it is imported."""

    def on_package(self, *, pkg, loader, **kwargs):
        """Completes the Args sections of `keras_inits._schemes`."""
        if pkg.name != "keras_inits":
            return
        schemes = [
            member
            for module in pkg.modules["_schemes"].modules.values()
            for member in module.classes.values()
            if not member.is_alias and member.docstring
        ]
        entries = {each.path: _entries(each.docstring.value) for each in schemes}
        for each in schemes:
            lineage = [each, *(base for base in _lineage(each) if base.path in entries)]
            fixed, start = set(), None
            for scheme in lineage:
                if start := scheme.members.get("__init__"):
                    break
                fixed |= scheme.keywords.keys()
            if start is None:
                continue
            parameters = [p for p in list(start.parameters)[1:] if p.name not in fixed]
            known = {}
            for scheme in reversed(lineage):
                known |= entries[scheme.path]
            listed = [known[p.name] for p in parameters if p.name in known]
            each.docstring.value = _with_arguments(each.docstring.value, listed)
            if start.parent is not each:  # types and defaults are read from here
                own = griffe.Function(
                    "__init__", parameters=griffe.Parameters(start.parameters[0], *parameters)
                )
                each.set_member("__init__", own)


def _lineage(cls):
    """Returns the bases of a class that are in the package, nearest first."""
    try:
        return cls.mro()
    except (griffe.AliasResolutionError, ValueError):
        return []


def _entries(text):
    found = ARGUMENTS.search(text + "\n")
    return {e[1]: e[0] for e in ENTRY.finditer(found[1])} if found else {}


def _with_arguments(text, listed):
    section = "Args:\n" + "\n".join(listed) + "\n"
    if ARGUMENTS.search(text + "\n"):
        return ARGUMENTS.sub(lambda _: section, text + "\n", count=1)
    following = AFTER_ARGUMENTS.search(text)
    end = following.start() if following else len(text)
    return f"{text[:end].rstrip()}\n\n{section}\n{text[end:]}" if listed else text
