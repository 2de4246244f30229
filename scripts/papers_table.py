"""Write docs/papers.md from the catalogue: every paper by room, with its claim and what was measured.

python scripts/papers_table.py           write the page
python scripts/papers_table.py --check   fail if the page is out of date
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from plait.papers.catalogue import STATUSES, Paper, papers

PAGE = Path(__file__).parents[1] / "docs" / "papers.md"
HEAD = """# Papers

Each of these published systems is, or will be, a component or an option that composes with all the others.
*planned*: nothing serves it yet; *built*: a component serves it; *measured*: its check ran on real data here.
A claim that does not hold at our scale is kept, with its figures. `plait papers show SLUG` tells more, and
`plait papers check SLUG` runs a check again. This page is made by `scripts/papers_table.py`.
"""


def page(found: list[Paper]) -> str:
    """The page in Markdown."""
    counts = ", ".join(f"{sum(p.status == status for p in found)} {status}" for status in STATUSES)
    parts = [HEAD, f"{len(found)} papers: {counts}.\n"]
    for room, group in groupby(found, key=lambda p: p.room):
        rows = [_row(p) for p in group]
        parts.append(f"## {room} ({len(rows)})\n")
        parts.append(
            "| paper | status | claim | published | measured |\n|---|---|---|---|---|\n" + "\n".join(rows) + "\n"
        )
    return "\n".join(parts)


def _row(p: Paper) -> str:
    link = f"[{p.slug}](https://arxiv.org/abs/{p.arxiv})" if p.arxiv else p.slug
    served = f"{p.status}: {', '.join(f'`{name}`' for name in p.components)}" if p.components else p.status
    cells = (f"{link}, {p.year}", served, p.claim, p.published, _measured(p))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _measured(p: Paper) -> str:
    if p.result is None:
        return ""
    verdict = "holds" if p.result.holds else "**does not hold**"
    figures = f"{p.result.value:.4g} against {p.result.baseline:.4g}"
    return f"{verdict}: {figures} ({p.result.metric}, {', '.join(p.result.data)})"


def main() -> int:
    """Write the page, or compare it with what it should be."""
    text = page(papers())
    if "--check" not in sys.argv[1:]:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE} is out of date: run python scripts/papers_table.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
