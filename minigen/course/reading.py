"""read: the source of an object beside its docstring, whose formulas are rendered where a notebook can render them."""

import ast
import inspect
import re
import sys
import textwrap
from typing import Any

GREEK = {"alpha", "beta", "gamma", "delta", "theta", "lambda", "mu", "nu", "pi", "rho", "sigma", "tau", "phi", "psi"}
FUNCTIONS = {"sum", "prod", "sqrt", "log", "exp", "tanh", "max", "min"}
SIGNS = {"<=": r"\le", ">=": r"\ge", "!=": r"\ne", "->": r"\to", "~": r"\sim", "*": r"\,", "@": r"\,"}


def read(thing: Any) -> None:
    """Show the source of a function, class, method or module (or of an object's class) with its docstring on top.

    In a notebook the docstring's formula lines (indented, with an "=" or "~") are typeset; in a terminal all is text.
    """
    thing = inspect.unwrap(thing) if callable(thing) else thing
    if not (inspect.isroutine(thing) or inspect.isclass(thing) or inspect.ismodule(thing)):
        thing = type(thing)
    name = thing.__name__ if inspect.ismodule(thing) else f"{thing.__module__}.{thing.__qualname__}"
    source = textwrap.dedent(inspect.getsource(thing))
    if not in_notebook():
        print(f"# {name}\n{source}")
        return
    from IPython.display import Markdown, display  # a terminal does without

    documentation = typeset(inspect.getdoc(thing) or "")
    code = without_docstring(source)
    display(Markdown(f"**`{name}`**\n\n{documentation}\n\n```python\n{code}\n```"))


def in_notebook() -> bool:
    """Whether this code runs in a Jupyter kernel."""
    return "IPython" in sys.modules and hasattr(sys.modules["IPython"].get_ipython(), "kernel")


def without_docstring(source: str) -> str:
    """The source without the docstring of its outermost function, class or module."""
    tree = ast.parse(source)
    if len(tree.body) == 1 and isinstance(tree.body[0], (ast.FunctionDef, ast.ClassDef)):
        tree = tree.body[0]
    lines = source.splitlines()
    if ast.get_docstring(tree) is not None and len(tree.body) > 1:
        docstring = tree.body[0]
        del lines[docstring.lineno - 1 : docstring.end_lineno]
    return "\n".join(lines).strip("\n")


def typeset(documentation: str) -> str:
    """Markdown of a docstring: each indented line that holds a formula becomes a displayed formula."""
    lines = []
    for line in documentation.splitlines():
        text, indented = line.strip(), line.startswith("  ")
        if indented and re.search(r"[=~]", text) and not re.match(r"\w+: ", text):  # "name: ..." describes an argument
            lines.append(f"\n$${latex(text)}$$\n")
        else:
            plain = re.sub(r"[*<]", r"\\\g<0>", text)
            lines.append(f"  \n&emsp;{plain}" if indented else plain)
    return "\n".join(lines)


def latex(formula: str) -> str:
    r"""A plain formula in LaTeX: "x_t = sqrt(alpha_bar_t) x_0" becomes "x_{t} = \sqrt{\bar\alpha_{t}} x_{0}"."""
    formula, *remark = re.split(r" {2,}", formula, maxsplit=1)  # two spaces set off a remark
    formula = re.sub(r"sqrt\(([^()]*)\)", r"sqrt{\1}", formula)
    formula = re.sub(r"(?:\*\*|\^)(\w+|\([^()]*\))", lambda m: "^{" + m[1].strip("()") + "}", formula)
    formula = re.sub("|".join(map(re.escape, SIGNS)), lambda m: SIGNS[m[0]] + " ", formula)
    formula = re.sub(r"(?<!\\)[A-Za-z]\w*", lambda m: symbol(m[0]), formula)
    return formula + "".join(rf"\qquad \text{{{text}}}" for text in remark)


def symbol(word: str) -> str:
    r"""One identifier: "alpha_bar_t" becomes "\bar\alpha_{t}", "loss" an upright word."""
    base, *rest = word.split("_")
    if base in ("eps", "epsilon"):
        base = r"\varepsilon"
    elif base in GREEK | FUNCTIONS:
        base = f"\\{base}"
    elif len(base) > 1:
        base = rf"\mathrm{{{base}}}"
    if rest and rest[0] in ("bar", "hat", "tilde"):
        base = rf"\{rest.pop(0)} {base}" if base.startswith("\\") else rf"\{rest.pop(0)}{{{base}}}"
    subscript = ",".join(f"\\{part}" if part in GREEK else part for part in rest if part)
    return base + (f"_{{{subscript}}}" if subscript else "") + (" " if base.startswith("\\") and not subscript else "")
