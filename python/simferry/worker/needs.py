"""Which modules a script imports: those that it can't run without, and those that it may not come to.

The top level, the function that replications call, and functions that these call by name run in any case. What is below an `if`, or
in another function, may never run. An import in a `try` that handles its failure is no need. What is imported after the code changed
where modules are found (sys.path) may be there.
"""

import ast
from collections.abc import Callable, Iterable

_HANDLERS = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
_FINDERS = {"sys.path", "sys.meta_path", "sys.modules", "site.addsitedir", "pyximport.install"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def imported(nodes: Iterable[ast.AST]) -> set[str]:
    """The packages that import statements among these name."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


class Needs:
    """The imports of a script.

    tree: the script. entry: the function that replications call; "" for a whole script. read: the tree of a module beside the script,
    None for other modules. needed, possible: names of modules.
    """

    def __init__(self, tree: ast.Module, entry: str, read: Callable[[str], ast.Module | None]) -> None:
        self.needed: set[str] = set()
        self.possible: set[str] = set()
        self._read, self._walked = read, set[str]()
        self._is_program = not entry  # `if __name__ == "__main__"` holds
        self._functions: dict[str, ast.AST] = {}
        self._elsewhere = False  # whether modules may be found in places that the code added
        self._define(tree)
        self._walk(tree.body, True)
        self._call(entry)
        self.possible -= self.needed

    def _define(self, tree: ast.AST) -> None:
        self._functions |= {node.name: node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)}

    def _call(self, name: str) -> None:
        function = self._functions.get(name)
        if isinstance(function, _FUNCTIONS) and name not in self._walked:
            self._walked.add(name)
            self._walk(function.body, True)

    def _walk(self, nodes: Iterable[ast.AST], sure: bool) -> None:
        for node in nodes:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._import(imported([node]), sure)
            elif isinstance(node, _FUNCTIONS):
                self._walk(node.decorator_list, sure)
                self._walk(node.body, False)
            elif isinstance(node, ast.If):
                self._walk([node.test], sure)
                self._branches(node, sure)
            elif isinstance(node, (ast.BoolOp, ast.IfExp, ast.Match)):
                self._walk(ast.iter_child_nodes(node), False)
            elif isinstance(node, ast.Try) and _is_handled(node):
                self._walk([*node.orelse, *node.finalbody], sure)
            elif isinstance(node, ast.Try):
                self._walk([*node.body, *node.orelse, *node.finalbody], sure)
                self._walk(node.handlers, False)
            elif (isinstance(node, ast.With) and any(_suppresses(item) for item in node.items)) or isinstance(
                node, ast.Lambda
            ):
                continue
            elif isinstance(node, ast.Attribute) and ast.unparse(node) in _FINDERS:
                self._elsewhere = True
            else:
                if sure and isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    self._call(node.func.id)
                self._walk(ast.iter_child_nodes(node), sure)

    def _branches(self, node: ast.If, sure: bool) -> None:
        test = ast.unparse(node.test)
        if "TYPE_CHECKING" in test:
            self._walk(node.orelse, sure)
        elif "__name__" in test and "__main__" in test:
            if self._is_program:
                self._walk(node.body, sure)
        else:
            self._walk([*node.body, *node.orelse], False)

    def _import(self, names: set[str], sure: bool) -> None:
        if self._elsewhere:
            return
        (self.needed if sure else self.possible).update(names)
        for name in sorted(names) if sure else []:
            if f"import {name}" not in self._walked and (tree := self._read(name)):
                self._walked.add(f"import {name}")
                whole, self._is_program = self._is_program, False
                self._walk(tree.body, True)
                self._is_program = whole


def _is_handled(node: ast.Try) -> bool:
    kinds = [handler.type for handler in node.handlers]
    named = [e for kind in kinds if kind is not None for e in (kind.elts if isinstance(kind, ast.Tuple) else [kind])]
    return None in kinds or any(ast.unparse(e).rpartition(".")[2] in _HANDLERS for e in named)


def _suppresses(item: ast.withitem) -> bool:
    return "suppress(" in ast.unparse(item.context_expr)
