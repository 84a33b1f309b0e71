"""What schemathesis cannot know from the description alone: who is in the store, and where its listings go on."""

import json
import os

import schemathesis

# Names of what is in the store, for parameters of paths.
KNOWN = json.loads(os.environ["KNOWN"])
# A cursor of each listing, by its path. Listings without one are asked for their first page alone.
CURSORS = json.loads(os.environ["CURSORS"])


@schemathesis.hook
def before_load_schema(context, raw_schema):
    for path, item in raw_schema["paths"].items():
        for operation in item.values():
            for parameter in list(operation.get("parameters", [])):
                if parameter["in"] == "path":
                    parameter["example"] = KNOWN[parameter["name"]]
                elif parameter["name"] == "cursor" and path in CURSORS:
                    parameter["schema"] = {"type": "string", "enum": [CURSORS[path]]}
                elif parameter["name"] == "cursor":
                    operation["parameters"].remove(parameter)
