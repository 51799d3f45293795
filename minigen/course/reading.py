"""read: the source of an object below its docstring, whose formulas a notebook typesets."""

import ast
import inspect
import re
import sys
import textwrap
from typing import Any

GREEK = set("alpha beta gamma delta theta lambda mu nu pi rho sigma tau phi psi".split())
FUNCTIONS = {"sum", "prod", "sqrt", "log", "exp", "tanh", "max", "min"}
SYMBOL = rf"\b(?:[A-Za-z]|{'|'.join(GREEK)})(?:_[a-z0-9]+)+\b|\b(?:{'|'.join(GREEK)})\b"
SIGNS = {
    "<=": r"\le",
    ">=": r"\ge",
    "!=": r"\ne",
    "->": r"\to",
    "~": r"\sim",
    "*": r"\,",
    "@": r"\,",
}
# Long lines scroll sideways wherever the notebook is shown, and no page's style breaks them.
BOX = (
    "overflow-x: auto; white-space: pre; word-break: normal; overflow-wrap: normal; padding: 8px;"
    " font-family: ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; font-size: 13px;"
    " line-height: 1.35; color: #1f2328; background: #f6f8fa; border-radius: 4px"
)


def read(thing: Any) -> None:
    """Show the source of a function, class, method or module (or of an object's class).

    In a notebook the docstring stands above it, and its formula lines (indented, with an "=" or
    "~") are typeset; in a terminal all is text.
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

    display(Markdown(f"**`{name}`**\n\n{typeset(inspect.getdoc(thing) or '')}"))
    code = without_docstring(source)
    display({"text/html": boxed(code), "text/plain": code}, raw=True)


def boxed(code: str) -> str:
    """Python source as coloured HTML that brings its own style."""
    from pygments import highlight  # comes with IPython
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    lines = highlight(code, PythonLexer(), HtmlFormatter(noclasses=True, nowrap=True))
    return f'<pre style="{BOX}">{lines}</pre>'


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
    """Markdown of a docstring.

    Formulas on lines of their own are displayed, symbols like alpha_bar_t typeset.
    """
    lines = []
    for line in documentation.splitlines():
        indented = line.startswith("  ")
        if indented and is_formula(line):
            lines.append(
                "\n$$"
                + r" \qquad ".join(latex(part).strip() for part in re.split(r" {2,}", line.strip()))
                + "$$\n"
            )
        else:
            pieces = line.strip().split("`")  # every second piece is code
            words = [re.sub(r"[*<]", r"\\\g<0>", piece) for piece in pieces[::2]]
            pieces[::2] = [re.sub(SYMBOL, lambda m: f"${symbol(m[0]).strip()}$", w) for w in words]
            lines.append(("  \n&emsp;" if indented else "") + "`".join(pieces))
    return "\n".join(lines)


def is_formula(text: str) -> bool:
    """Whether a line is a formula.

    It relates two things, and is not a sentence or the description of an argument.
    """
    return bool(re.search(r"[=~]", text)) and not re.search(r"^\s*\w+: |([A-Za-z]{2,} ){3}", text)


def latex(formula: str) -> str:
    r"""A plain formula in LaTeX.

    "x_t = sqrt(alpha_bar_t) x_0" becomes "x_{t} = \sqrt{\bar\alpha_{t}} x_{0}".
    """
    if not is_formula(formula):  # a remark beside it
        return rf"\text{{{formula}}}"
    formula = re.sub(r"sqrt\(([^()]*)\)", r"sqrt{\1}", formula)
    formula = re.sub(
        r"(?:\*\*|\^)(\w+|\([^()]*\))", lambda m: "^{" + m[1].strip("()") + "}", formula
    )
    formula = re.sub("|".join(map(re.escape, SIGNS)), lambda m: SIGNS[m[0]] + " ", formula)
    return re.sub(
        r"\\[a-z]+|[A-Za-z]\w*", lambda m: m[0] if m[0][0] == "\\" else symbol(m[0]), formula
    )


def symbol(word: str) -> str:
    r"""One identifier: "alpha_bar_t" becomes "\bar\alpha_{t}", "loss" an upright word."""
    base, *rest = word.split("_")
    opening = "_" if rest[-1:] == [""] else ""  # "p_" before "{k - 1}"
    if base in ("eps", "epsilon"):
        base = r"\varepsilon"
    elif base in GREEK | FUNCTIONS:
        base = f"\\{base}"
    elif len(base) > 1:
        base = rf"\mathrm{{{base}}}"
    if rest and rest[0] in ("bar", "hat", "tilde"):
        base = rf"\{rest.pop(0)} {base}" if base.startswith("\\") else rf"\{rest.pop(0)}{{{base}}}"
    subscript = ",".join(f"\\{part}" if part in GREEK else part for part in rest if part)
    if subscript:
        return f"{base}_{{{subscript}}}{opening}"
    return base + (opening or (" " if base.startswith("\\") else ""))
