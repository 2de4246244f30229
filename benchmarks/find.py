"""The main job on public sets: what `plait find` gains over each model as it comes, on the test part.

Run: PLAIT_DATA=… python benchmarks/find.py [small | hosts] [SET ...]

"small" takes two light models on five sets, about 20 minutes. "hosts" takes four models on four sets, about four hours
on one core, and tells what each family of options brought. Writes results/find.json and results/find_hosts.json, which
scripts/measured.py shows. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.progress import Progress

from plait.selection.finding import Listener, find

MINILM, MPNET, GEMMA = "all-MiniLM-L6-v2", "all-mpnet-base-v2", 'Transformer("gemma-3-270m", dtype="bfloat16")'
FOUR = (MINILM, MPNET, GEMMA, "wordllama")
# whole abstracts would take hours on one core
SHORT = (
    MINILM,
    'Transformer("all-mpnet-base-v2", max_length=128)',
    'Transformer("gemma-3-270m", dtype="bfloat16", max_length=128)',
    "wordllama",
)
PLANS = {
    "small": dict.fromkeys(
        ("retrieval/cranfield", "retrieval/scifact", "classification/trec", "sts/stsb", "ud/en_lines"),
        (MINILM, "wordllama"),
    ),
    "hosts": {
        "classification/banking77": FOUR,
        "sts/stsb": FOUR,
        "ud/tr_imst": FOUR,
        "retrieval/scifact": SHORT,
    },
}
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    plan = sys.argv[1] if len(sys.argv) > 1 else "small"
    path = RESULTS / {"small": "find.json", "hosts": "find_hosts.json"}[plan]
    for name in sys.argv[2:] or PLANS[plan]:
        with Progress(transient=True) as progress:
            bar = progress.add_task(name, total=None)

            def tell(stage: str, done: int, total: int, bar: object = bar, progress: Progress = progress) -> None:
                progress.update(bar, description=stage, completed=done, total=total)  # type: ignore[arg-type]

            result = find(
                f"data:{name}",
                models=PLANS[plan][name],
                out=f"runs/{plan}/{Path(name).name}",
                resume=True,
                listener=Listener(tokens=tell, stage=tell, note=progress.console.print),
            )
        found = json.loads(path.read_text()) if path.exists() else {}
        found[name] = result.as_dict()
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        print(f"{name}: {result.metric} {result.best.test:.4f}, in {result.seconds:.0f} s")


if __name__ == "__main__":
    main()
