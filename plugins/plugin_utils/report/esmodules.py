# SPDX-License-Identifier: GPL-3.0-or-later
"""ES modules joined to one script: a page that is one file, opened from a disk, cannot import."""

import os
import re

IMPORT = re.compile(r'^import (?:\{ (.+) \} from )?"\./([\w-]+\.js)";\n', re.MULTILINE)
DECLARED = re.compile(r"^(?:import|export|async|function|const|let|var|class)\b.*", re.MULTILINE)
NAME = re.compile(r"(export )?(?:(?:async )?function|class|(?:const|let)(?!.*, [\w$]+ = )) ([\w$]+)(?![\w$,])")


def joined(path: str) -> str:
    """Join a module and all that it imports into one strict script, each module behind those that it imports.

    Modules lie in one folder. They import with ``import { a, b } from "./other.js";`` or ``import "./other.js";`` and
    declare one name in a line.  Raises ValueError for anything else, for a circle, a module or an exported name that
    is not there, and a name that two modules declare: all of them are one scope here.
    """
    folder, main = os.path.split(path)
    texts: dict[str, str] = {}
    declared: dict[str, tuple[str, bool]] = {}  # the module of each name, and whether it exports it

    def add(name: str, above: tuple[str, ...]) -> None:
        way = " -> ".join([*above, name])
        if name in above:
            raise ValueError(f"{folder}: these modules import each other in a circle: {way}")
        if name in texts:
            return
        if not os.path.isfile(os.path.join(folder, name)):
            raise ValueError(f"{folder}: {way}: there is no file {name}")
        with open(os.path.join(folder, name), encoding="utf-8") as stream:
            text = stream.read()
        for names, other in IMPORT.findall(text):
            add(other, (*above, name))
            for one in filter(None, names.split(", ")):
                if declared.get(one) != (other, True):
                    raise ValueError(f"{folder}: {name} imports '{one}', which {other} does not export")
        text = IMPORT.sub("", text)
        for line in DECLARED.findall(text):
            if not (found := NAME.match(line)):
                raise ValueError(f"{folder}: {name}: the joiner does not know this form: {line}")
            if found[2] in declared:
                raise ValueError(f"{folder}: {declared[found[2]][0]} and {name} both declare '{found[2]}'")
            declared[found[2]] = (name, bool(found[1]))
        texts[name] = re.sub(r"^export ", "", text, flags=re.MULTILINE)

    add(main, ())
    return '"use strict";\n' + "\n".join(texts.values())
