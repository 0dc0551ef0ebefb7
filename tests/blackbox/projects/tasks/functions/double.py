"""Doubles a number; a negative one is refused in the form in which Lambda tells errors."""

import json
import sys

given = json.load(sys.stdin)
if given["n"] < 0:
    json.dump({"errorType": "NegativeNumber", "errorMessage": f"{given['n']} is negative"}, sys.stdout)
    sys.exit(1)
json.dump({"n": given["n"] * 2}, sys.stdout)
