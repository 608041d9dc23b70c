# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that a Python file or a text of sh starts, found by reading it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

STARTERS = {"run", "Popen", "call", "check_call", "check_output"}
WRAPPERS = {"env", "nice", "nsenter", "setpriv", "setsid", "sudo", "timeout", "unshare"}
SHELLS = {"sh", "bash", "dash"}
PROGRAM = re.compile(r"[a-z][\w.+-]*\Z")
OPTION = re.compile(r"--?[A-Za-z]")
ODD = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "pty.spawn",
       "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell"}


# -- Python: what subprocess, os.exec… and shutil.which are given, followed through names of the same file

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


class Python:
    """The programs that a Python file starts. A scope is the dotted name of a function; that of the file is empty."""

    def __init__(self, text: str) -> None:
        self.values: dict[tuple[str, str], list[ast.expr]] = {}
        self.parameters: dict[tuple[str, str], tuple[str, int]] = {}
        self.calls: dict[str, list[tuple[ast.Call, str]]] = {}
        self.returned: dict[str, list[tuple[ast.expr, str]]] = {}
        tree = ast.parse(text)
        self.nodes = list(ast.walk(tree))
        self._read(tree, "")

    def _read(self, node: ast.AST, scope: str) -> None:
        if isinstance(node, FUNCTION):
            scope = f"{scope}.{node.name}"
            self._read_parameters(node, scope)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                self._bind(target, node.value, scope)
        elif isinstance(node, ast.For | ast.comprehension):
            for value in node.iter.elts if isinstance(node.iter, ast.List | ast.Tuple) else []:
                self._bind(node.target, value, scope)
        elif isinstance(node, ast.Return) and node.value:
            self.returned.setdefault(scope.rpartition(".")[2], []).append((node.value, scope))
        elif isinstance(node, ast.Call):
            self.calls.setdefault(name_of(node.func), []).append((node, scope))
        for child in ast.iter_child_nodes(node):
            self._read(child, scope)

    def _read_parameters(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: str) -> None:
        names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        names = names[1:] if names[:1] == ["self"] else names
        names += [node.args.vararg.arg] if node.args.vararg else []
        self.parameters |= {(scope, name): (node.name, place) for place, name in enumerate(names)}

    def _bind(self, target: ast.expr, value: ast.expr, scope: str) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for one, part in zip(target.elts, value.elts, strict=True):
                self._bind(one, part, scope)
        elif isinstance(target, ast.Name):
            self.values.setdefault((scope, target.id), []).append(value)

    def started(self) -> set[tuple[str, int]]:
        """Return name and line of each program."""
        found: set[tuple[str, int]] = set()
        for name, calls in self.calls.items():
            for call, scope in calls:
                for argument in started_by(name, call):
                    for word in self._first(argument, scope, frozenset()):
                        found |= set(words_of(word, call))
        return {(name, line) for name, line in found if PROGRAM.match(name)}

    def listed(self) -> set[str]:
        """Return the first word of each list that looks like the arguments of a program: another file may start it."""
        lists = [[constant(word) for word in node.elts] for node in self.nodes if isinstance(node, ast.List)]
        return {words[0] for words in lists if any(map(OPTION.match, words[1:])) and PROGRAM.match(words[0])}

    def tools(self) -> set[tuple[str, str]]:
        """Return program and package of each call of find_tool; the program is empty where it is not a constant."""
        calls = [call.args for call, _scope in self.calls.get("find_tool", [])]
        return {(constant(name), constant(package)) for name, package in calls}

    def odd(self) -> set[str]:
        """Return the ways to start a program that `started` does not read."""
        froms = [node for node in self.nodes if isinstance(node, ast.ImportFrom) and node.module == "subprocess"]
        ways = {f"{name_of(call.func.value)}.{name}" for name, calls in self.calls.items()
                for call, _scope in calls if isinstance(call.func, ast.Attribute)}
        return (ways & ODD) | {alias.name for node in froms for alias in node.names if alias.name in STARTERS}

    def _first(self, node: ast.expr, scope: str, seen: frozenset[int]) -> Iterator[ast.Constant]:
        """Yield the constants that may be the first word of an argument list, and programs in the text of a shell."""
        if id(node) in seen:
            return
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node
        if isinstance(node, ast.List | ast.Tuple):
            yield from programs_of_shells(node)
        for part, place in self._parts(node, scope):
            yield from self._first(part, place, seen | {id(node)})

    def _parts(self, node: ast.expr, scope: str) -> Iterator[tuple[ast.expr, str]]:
        if isinstance(node, ast.List | ast.Tuple):
            yield from ((part, scope) for part in [*node.elts[:1], *wrapped(node.elts)])
        elif isinstance(node, ast.Starred | ast.Subscript):
            yield node.value, scope
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            yield node.left, scope
        elif isinstance(node, ast.IfExp):
            yield from ((node.body, scope), (node.orelse, scope))
        elif isinstance(node, ast.ListComp | ast.GeneratorExp):
            yield node.generators[0].iter, scope
        elif isinstance(node, ast.Name):
            yield from self._bound(node.id, scope)
        elif isinstance(node, ast.Call):
            name = name_of(node.func)
            yield from self.returned.get(name, [])
            if name in {"str", "split"}:
                yield node.func.value if isinstance(node.func, ast.Attribute) else node.args[0], scope

    def _bound(self, name: str, scope: str) -> Iterator[tuple[ast.expr, str]]:
        while (scope, name) not in self.values and (scope, name) not in self.parameters and scope:
            scope = scope.rpartition(".")[0]
        yield from ((value, scope) for value in self.values.get((scope, name), []))
        function, place = self.parameters.get((scope, name), ("", 0))
        for call, outside in self.calls.get(function, []):
            yield from ((argument, outside) for argument in call.args[place : place + 1])


def constant(node: ast.expr) -> str:
    """Return the text of a constant, and nothing for another expression."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def words_of(word: ast.Constant, call: ast.Call) -> list[tuple[str, int]]:
    """Return the programs of the first word of a call; it is a whole text for a shell where the call says so."""
    if any(one.arg == "shell" for one in call.keywords):
        return [(name, word.lineno) for name in Shell(word.value).programs()]
    return [(word.value, word.lineno)]


def name_of(node: ast.expr) -> str:
    return str(getattr(node, "id", getattr(node, "attr", "")))


def started_by(name: str, call: ast.Call) -> list[ast.expr]:
    """Return what a call starts, when it is one that starts a program or looks for one."""
    module = name_of(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    if (module == "subprocess" and name in STARTERS) or name in {"which", "find_tool"}:
        return call.args[:1]
    if module == "os" and re.match(r"exec|posix_spawn", name):
        return call.args[:1]
    if module == "os" and name.startswith("spawn"):
        return call.args[1:2]
    return []


def wrapped(words: list[ast.expr]) -> Iterator[ast.expr]:
    """Yield the first word of the command that `words` starts by way of another program."""
    texts = [word.value if isinstance(word, ast.Constant) else None for word in words]
    if texts[:1] and texts[0] in WRAPPERS:
        for word, text in zip(words[1:], texts[1:], strict=True):
            if isinstance(word, ast.Starred) or (isinstance(text, str) and PROGRAM.match(text)):
                yield word
                return


def programs_of_shells(node: ast.List | ast.Tuple) -> Iterator[ast.expr]:
    """Yield a constant for each program that the text of "sh -c TEXT" in an argument list names."""
    words = [part.value if isinstance(part, ast.Constant) else None for part in node.elts]
    for place, word in enumerate(words[:-2]):
        if word in SHELLS and words[place + 1] == "-c" and isinstance(words[place + 2], str):
            for name in Shell(words[place + 2]).programs():
                yield ast.copy_location(ast.Constant(name), node.elts[place + 2])


# -- sh: the words where a command may stand

TOKEN = re.compile(
    r"""(?P<blank>[ \t]+|\\\n|(?<![^\s;(])\#[^\n]*)|(?P<here><<-?\s*['"\\]?(?P<end>\w+)['"]?)"""
    r"""|(?P<redirect>\d*(?:<<<|>>|>\||>&|<&|<>|>|<)(?!\()\s*)|(?P<arithmetic>\(\(.*?\)\))"""
    r"""|(?P<stop>;;|&&|\|\||[;&|\n]|\$\((?!\()|<\(|[()`])"""
    r"""|(?P<word>(?:\\.|'[^']*'|\$\(\(.*?\)\)"""
    r"""|"(?:\\.|\$\([^()]*(?:\([^()]*\)[^()]*)*\)|[^"\\])*"|\$\{[^}]*\}"""
    r"""|[^\s;&|()<>`'"\\$]|\$(?!\())+)""",
    re.DOTALL,
)
KEYWORDS = {"if", "then", "else", "elif", "do", "while", "until", "!", "{", "time"}
OPENERS = {"exec", "env", "sudo", "as_root", "nice", "xargs", "command", "nohup", "setsid", "timeout"}
"""What follows these is a command too, after options, numbers and assignments."""
BUILTINS = set(
    ". : [ [[ bg break builtin case cd continue declare done echo esac eval exit export fg fi for function getopts "
    "hash in jobs kill let local mapfile printf pwd read readonly return select set shift shopt source test times trap "
    "type typeset ulimit umask unalias unset wait".split()
)


class Shell:
    """The programs that a text of sh names where a command may stand."""

    def __init__(self, text: str) -> None:
        self.text = text

    def functions(self) -> set[str]:
        return set(re.findall(r"(?m)^\s*(?:function\s+)?(\w+)\s*\(\)", self.text))

    def programs(self) -> set[str]:
        """Return the words that are programs, or functions of another text."""
        words = {name for name in self._commands(self.text) if PROGRAM.match(name)}
        return words - BUILTINS - KEYWORDS - {"as_root", "command", "exec"} - self.functions()

    def _commands(self, text: str) -> Iterator[str]:
        place, state, depth = 0, "first", 0
        waiting: list[str] = []  # words that are no commands when they turn out to be the pattern of a case
        while token := TOKEN.match(text, place):
            place = token.end()
            if token["here"]:
                place = after_here_document(text, token)
            elif token["redirect"]:
                place = after_word(text, place)
            elif token["word"]:
                yield from self._inside(token["word"])
                if state != "argument":
                    waiting.append(token["word"])
                    state = state_after(token["word"], state)
            elif token["stop"]:
                if token[0] == ")" and not depth:
                    waiting.clear()
                depth += (token[0][-1] == "(") - (token[0] == ")" and depth > 0)
                state = "argument" if token[0] == ")" and depth else "first"
                if token[0] in {";;", "\n"}:
                    yield from waiting
                    waiting.clear()
        yield from waiting
        assert place == len(text), f"cannot read the sh text from here: {text[place : place + 60]!r}"

    def _inside(self, word: str) -> Iterator[str]:
        """Yield the commands of the substitutions in a word."""
        word = re.sub(r"""("(?:\\.|[^"\\])*")|'[^']*'""", r"\1", word)
        for inner in re.findall(r"(?<!\\)\$\((?!\()((?:[^()]|\([^()]*\))*)\)", word):
            yield from self._commands(inner)


def state_after(word: str, state: str) -> str:
    """Return what follows: the "first" word of a command, that or an option of a wrapper ("wrapped"), an "argument"."""
    if word in OPENERS:
        return "wrapped"
    if word in KEYWORDS or re.match(r"\w+\+?=", word):
        return state if state == "wrapped" else "first"
    return "wrapped" if state == "wrapped" and re.match(r"[-'\d]", word) else "argument"


def after_here_document(text: str, token: re.Match[str]) -> int:
    """Return the place after a here-document; what stands behind its mark on the line is not read."""
    end = re.compile(rf"^\t*{token['end']}$", re.MULTILINE).search(text, token.end())
    return end.end() if end else len(text)


def after_word(text: str, place: int) -> int:
    token = TOKEN.match(text, place)
    return token.end() if token and token["word"] else place
