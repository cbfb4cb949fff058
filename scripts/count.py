"""Print how many tests passed over several JUnit files: python scripts/count.py FILE..."""

import sys
from xml.etree import ElementTree

totals = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
for path in sys.argv[1:]:
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        for name in totals:
            totals[name] += int(suite.get(name, 0))
failed = totals["failures"] + totals["errors"]
print(
    f"{totals['tests'] - failed - totals['skipped']} passed, {failed} failed, "
    f"{totals['skipped']} skipped"
)
sys.exit(bool(failed))
