"""Links of the documents: each relative one names a file or a folder of the tree. `make check` runs this module."""

import re
import sys
from pathlib import Path

_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def broken(root: Path) -> list[str]:
    """One line for each link that leads nowhere."""
    found = []
    for document in sorted([*root.glob("*.md"), *root.glob("docs/**/*.md")]):
        for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
            for target in _LINK.findall(line):
                if "://" not in target and not (document.parent / target).exists():
                    found.append(f"{document.relative_to(root)}:{number}: there is no {target}")
    return found


def main() -> int:
    wrong = broken(Path(__file__).resolve().parents[2])
    print("\n".join(wrong) if wrong else "links: each leads somewhere")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
