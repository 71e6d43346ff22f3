"""Record anew what tests/unchanged compares with, after a change that is meant:

python -m scripts.record_unchanged starts evaluation_starts   # these groups
python -m scripts.record_unchanged all                        # every one
python -m scripts.record_unchanged                            # list them
"""

from __future__ import annotations

import argparse
import time

from tests.unchanged.recorded import GROUPS, record


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, "all", []], metavar="GROUP")
    names = parser.parse_args().groups
    if not names:
        for group, items in GROUPS.items():
            print(f"{group}: {len(items)} items")
    for group in GROUPS if "all" in names else names:
        began = time.perf_counter()
        record(group)
        print(f"{group}: {time.perf_counter() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
