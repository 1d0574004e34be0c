"""Puts values in the place of a template's references, for calls that are made by hand.

Knows Ref, Fn::Sub, Fn::GetAtt and Fn::ImportValue, which are all that the resources in question use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def resolved(value: Any, names: Mapping[str, str]) -> Any:
    """A value without references. `names` has what each stands for: "Vpc", "Role.Arn", "AWS::StackName". KeyError if not."""
    if isinstance(value, list):
        return [resolved(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"Ref": str(name)}:
            return names[name]
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return names[f"{name}.{attribute}"]
        case {"Fn::ImportValue": imported}:
            return names[resolved(imported, names)]
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([^}]+)\}", lambda found: names[found[1]], text)
        case {"Fn::Sub": [str(text), dict(more)]}:
            return resolved({"Fn::Sub": text}, {**names, **{name: resolved(each, names) for name, each in more.items()}})
        case {"Fn::If": [str(condition), yes, no]}:
            return resolved(yes if names[condition] else no, names)
    return {key: resolved(each, names) for key, each in value.items()}
