# SPDX-License-Identifier: GPL-3.0-or-later
"""Results that were kept as JSON, in the forms that schemas/ publishes."""

import json
import os
from typing import Any

from ..base import paths
from ..base.errors import ForeignError, about
from ..base.files import read_file, strict_json
from ..base.packages import need


def read(path: str) -> list[dict[str, Any]]:
    """The results of a run, as the schema describes them.  Raises ForeignError."""
    name = os.path.join(path, "results.json") if os.path.isdir(path) else path
    if os.path.exists(os.path.join(path, "run.json")) and not os.path.exists(name):
        raise ForeignError(f"{path}: this run was never judged, so there is nothing to report: "
                           "its playbook ended before, or still runs; kedr.lab.verdict judges it")
    found = list(checked(name, "results"))
    if not found:
        raise ForeignError(f"{name}: holds the result of no host")
    return found


def checked(name: str, form: str) -> Any:
    """What a JSON file holds, which has the form of ``schemas/<form>.schema.json``.  Raises ForeignError."""
    data = read_file(name)
    with about(name):
        found = strict_json(data)
    wrong = next(validator(form).iter_errors(found), None)
    if wrong is not None:
        place = "/".join(str(part) for part in wrong.absolute_path) or "the whole"
        raise ForeignError(f"{name}: {place[:200]}: {wrong.message[:200]}; see schemas/{form}.schema.json")
    return found


def validator(form: str) -> Any:
    """What tells whether JSON has a published form.  Raises KedrError without jsonschema."""
    need("jsonschema")
    import jsonschema  # here, since nothing else in this file needs more than the reports themselves

    with open(os.path.join(paths.ROOT, "schemas", f"{form}.schema.json"), encoding="utf-8") as stream:
        return jsonschema.Draft202012Validator(json.load(stream))
