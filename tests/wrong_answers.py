"""Wrong answers that no table has seen: one small mistake planted in the source of a right one."""

import ast
import copy
from collections.abc import Iterator

BINARY = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult, ast.FloorDiv),
    ast.FloorDiv: (ast.Div,),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.LShift: (ast.RShift,),
    ast.BitOr: (ast.BitAnd, ast.Add),
    ast.BitAnd: (ast.BitOr,),
}
COMPARE = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}
CALLED = {  # a function, and what is easily taken for it
    "sum": ("mean", "max"),
    "mean": ("sum", "max"),
    "min": ("max",),
    "max": ("min",),
    "minimum": ("maximum",),
    "maximum": ("minimum",),
    "cumsum": ("cumprod",),
    "cumprod": ("cumsum",),
    "log": ("log2", "log10", "log1p"),
    "log2": ("log",),
    "exp": ("expm1", "exp2"),
    "sqrt": ("square", "log"),
    "cos": ("sin",),
    "tanh": ("sin", "sign", "arctan"),
    "argsort": ("sort",),
    "zeros": ("ones",),
    "tril": ("triu",),
}


def mistakes(source: str) -> Iterator[tuple[str, str]]:
    """Pairs (what was done, the source with one mistake) of a cell that defines one function."""
    tree = ast.parse(source)
    arguments = [
        a.arg for node in tree.body if isinstance(node, ast.FunctionDef) for a in node.args.args
    ]
    seen = {ast.unparse(tree)}
    for place, node in enumerate(ast.walk(tree)):
        for words, change in changes(node, arguments):
            changed = copy.deepcopy(tree)
            twin = next(n for k, n in enumerate(ast.walk(changed)) if k == place)
            holder = parent_of(changed, twin)
            change(twin, holder)
            text = ast.unparse(ast.fix_missing_locations(changed))
            if text not in seen:
                seen.add(text)
                yield words, text


def parent_of(tree: ast.AST, child: ast.AST) -> tuple[ast.AST, str, int | None] | None:
    for node in ast.walk(tree):
        for field, value in ast.iter_fields(node):
            if value is child:
                return node, field, None
            if isinstance(value, list) and any(entry is child for entry in value):
                return node, field, next(k for k, entry in enumerate(value) if entry is child)
    return None


def put(holder: tuple, new: ast.AST) -> None:
    node, field, index = holder
    if index is None:
        setattr(node, field, new)
    else:
        getattr(node, field)[index] = new


def changes(node: ast.AST, arguments: list[str]) -> Iterator[tuple[str, callable]]:
    """What can go wrong at one node: (words, change(node, holder))."""
    if isinstance(node, ast.BinOp):
        for other in BINARY.get(type(node.op), ()):
            yield f"{other.__name__}", lambda n, h, o=other: setattr(n, "op", o())
        yield "left only", lambda n, h: put(h, n.left)
        yield "right only", lambda n, h: put(h, n.right)
        yield "swapped", lambda n, h: n.__dict__.update(left=n.right, right=n.left)
    if isinstance(node, ast.Compare):
        for other in COMPARE.get(type(node.ops[0]), ()):
            yield f"{other.__name__}", lambda n, h, o=other: n.ops.__setitem__(0, o())
    if isinstance(node, ast.UnaryOp):
        yield "operand only", lambda n, h: put(h, n.operand)
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        for value in (node.value + 1, node.value - 1, 2 * node.value, -node.value):
            yield f"{node.value} -> {value}", lambda n, h, v=value: setattr(n, "value", v)
    if isinstance(node, ast.Call):
        name = getattr(node.func, "attr", None)
        for other in CALLED.get(name, ()):
            yield f"{other}", lambda n, h, o=other: setattr(n.func, "attr", o)
        if node.args:
            yield f"without {name}", lambda n, h: put(h, n.args[0])
        elif isinstance(node.func, ast.Attribute):
            yield f"without {name}", lambda n, h: put(h, n.func.value)
        for k in range(len(node.keywords)):
            yield "without keyword", lambda n, h, k=k: n.keywords.pop(k)
        for k in range(1, len(node.args)):
            yield ("arguments swapped", lambda n, h, k=k: n.args.insert(k - 1, n.args.pop(k)))
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield "without .T", lambda n, h: put(h, n.value)
    if isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and len(node.elts) == 2:
        yield "pair swapped", lambda n, h: n.elts.reverse()
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in arguments:
        for other in arguments:
            if other != node.id:
                yield f"{other} for {node.id}", lambda n, h, o=other: setattr(n, "id", o)
    if isinstance(node, ast.IfExp):
        yield "always", lambda n, h: put(h, n.body)
        yield "never", lambda n, h: put(h, n.orelse)
    if isinstance(node, ast.If):
        yield "if always", lambda n, h: setattr(n, "test", ast.Constant(True))
        yield "if never", lambda n, h: setattr(n, "test", ast.Constant(False))
    if isinstance(node, ast.AugAssign):
        yield "= for +=", lambda n, h: put(h, ast.Assign([n.target], n.value))
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp):
        target, value = node.targets[0], node.value
        if isinstance(target, ast.Name) and ast.unparse(value.left) == target.id:
            in_place = ast.AugAssign(target, value.op, value.right)
            yield "in place", lambda n, h: put(h, in_place)
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.Expr)):
        yield "line left out", lambda n, h: put(h, ast.Pass())
    if isinstance(node, ast.Return) and node.value is not None:
        yield "no return", lambda n, h: put(h, ast.Expr(n.value))
        for text in ("({})[::-1]", "({}).T", "2 * ({})", "-({})", "({}) + 1", "np.round({}, 2)",
                     "[{}]", "np.abs({})", "np.sum({})", "({})[:-1]"):  # fmt: skip
            yield (
                text,
                lambda n, h, t=text: setattr(
                    n, "value", ast.parse(t.format(ast.unparse(n.value)), mode="eval").body
                ),
            )
