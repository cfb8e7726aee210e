#!/usr/bin/env python3
"""Bills of materials against the JSON schema of CycloneDX 1.5, unknown fields refused: bills.py FILE…

Needs what .ci/requirements.txt names.
"""

import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def main(files):
    if not files:
        sys.exit("bills: which files?")
    validator, wrong = JsonStrictValidator(SchemaVersion.V1_5), 0
    for file in files:
        fault = validator.validate_str(Path(file).read_text(encoding="utf-8"))
        wrong += fault is not None
        print(f"{file}: {fault.data.message if fault else 'good'}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
