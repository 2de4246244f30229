"""The server against bare ``encode`` on the same texts in one run, and its memory over 10,000 requests.

Run: python benchmarks/serve.py        (writes results/serve.json)
     python benchmarks/serve.py --small
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

import plait
from plait.selection.costs import machine

CLIENTS = 32
BAR = {"recipe": "minilm", "texts_a_request": 16, "ratio": 0.9}
"""A static table is so fast that HTTP and JSON are the work; requests of one text show what small batches cost."""
RECIPES = {
    "minilm": 'Transformer("all-MiniLM-L6-v2") | MeanPool()',
    "wordllama": 'StaticTable("wordllama") | MeanPool()',
}
TEXTS = {"minilm": 4096, "wordllama": 65_536}
"""Texts of one measurement: about half a minute of encoding on one core."""
REQUESTS = 10_000
ROUNDS = 3
KEEP = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)


def main() -> None:
    small = "--small" in sys.argv
    results: dict[str, object] = {"clients": CLIENTS, "recipes": RECIPES, "bar": BAR, "machine": machine()}
    for name, recipe in RECIPES.items():
        texts = sentences(TEXTS[name] // (32 if small else 1))
        with server(recipe) as (url, process):
            results[name] = {size: throughput(url, recipe, texts, size) for size in (1, 16, 64)}
            if name == "wordllama":
                results["memory"] = memory(url, process, REQUESTS // (50 if small else 1))
    print(json.dumps(results, indent=1))
    if not small:
        path = Path(__file__).parent / "results" / "serve.json"
        path.write_text(json.dumps(results, indent=1) + "\n")


def sentences(number: int) -> list[str]:
    """Texts of 3 to 40 words, as a collection of short passages has them."""
    rng = random.Random(0)
    sample = Path(plait.__file__).parent / "data" / "samples" / "scifact" / "corpus.jsonl.gz"
    with gzip.open(sample, "rt", encoding="utf-8") as file:
        words = re.findall(r"[A-Za-z]+", file.read())
    return [" ".join(rng.choices(words, k=rng.randint(3, 40))) + f" {n}" for n in range(number)]


@contextmanager
def server(recipe: str) -> Iterator[tuple[str, psutil.Process]]:
    """The server in a process of its own; the clients are in this one."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        command = [sys.executable, "-m", "plait", "serve", recipe, "--name", "model", "--port", "0"]
        process = subprocess.Popen(command, stderr=log, env=os.environ)
        while not (found := re.search(r"serving at (\S+)", (Path(folder) / "log").read_text())):
            time.sleep(0.1)
        try:
            yield found[1], psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait()


def throughput(url: str, recipe: str, texts: list[str], size: int) -> dict[str, float]:
    """Texts a second of 32 clients whose requests have ``size`` texts, and of bare ``encode`` of the same texts.

    Encoding all at once pads the least; the server cannot see more texts than are in flight, so that is measured too.
    They take turns, so that what else the machine does weighs on all. The clients leave the answers unread: what
    they would cost is not the server's, though it would run on the same cores.
    """
    step = plait.parse(recipe)
    step.encode(texts[:8])
    bodies = [body_of(texts[start : start + size]) for start in range(0, len(texts), size)]
    bare, window, served = [], [], []
    with httpx.Client(base_url=url, limits=KEEP, timeout=600) as client, ThreadPoolExecutor(CLIENTS) as pool:
        for _ in range(ROUNDS):
            started = time.perf_counter()
            step.encode(texts)
            bare.append(len(texts) / (time.perf_counter() - started))
            started = time.perf_counter()
            for start in range(0, len(texts), size * CLIENTS):
                step.encode(texts[start : start + size * CLIENTS])
            window.append(len(texts) / (time.perf_counter() - started))
            started = time.perf_counter()
            list(pool.map(lambda body: ask(client, body), bodies))
            served.append(len(texts) / (time.perf_counter() - started))
    return {
        "texts_per_second_bare": statistics.median(bare),
        "texts_per_second_bare_as_many_as_are_in_flight": statistics.median(window),
        "texts_per_second_served": statistics.median(served),
        "ratio": statistics.median(served) / statistics.median(bare),
    }


def body_of(texts: list[str]) -> bytes:
    return json.dumps({"model": "model", "input": texts, "encoding_format": "base64"}).encode()


def ask(client: httpx.Client, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    while (answer := client.post("/v1/embeddings", content=body, headers=headers)).status_code == 429:
        time.sleep(float(answer.headers["retry-after"]))
    assert answer.status_code == 200, answer.text


def memory(url: str, process: psutil.Process, requests: int) -> dict[str, float]:
    """Megabytes that the server holds after a tenth of the requests, and after all of them."""
    texts = sentences(64)
    with httpx.Client(base_url=url, limits=KEEP, timeout=60) as client, ThreadPoolExecutor(CLIENTS) as pool:

        def some(number: int) -> float:
            bodies = (body_of([f"{text} {n}" for text in texts[: 1 + n % 16]]) for n in range(number))
            list(pool.map(lambda body: ask(client, body), bodies))
            return process.memory_info().rss / 1e6

        early = some(requests // 10)
        late = some(requests - requests // 10)
    return {"requests": requests, "mb_after_a_tenth": early, "mb_after_all": late, "growth_mb": late - early}


if __name__ == "__main__":
    main()
