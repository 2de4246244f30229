from __future__ import annotations

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from plait.serve.counting import Counted
from plait.serve.metrics import Metrics


def test_prometheus_reads_the_figures() -> None:
    metrics = Metrics()
    metrics.request("/search", 200, 0.02)
    metrics.request("/search", 429, 0.001)
    metrics.given_up()
    metrics.batch(Counted(np.zeros((3, 2), np.float32), np.array([4, 5, 6]), np.array([0, 2, 0])), 0.5)
    metrics.gauge("plait_waiting_texts", "Texts.", lambda: 7)
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }
    assert samples["plait_requests_total", (("path", "/search"), ("status", "429"))] == 1
    assert samples["plait_request_seconds_count", (("path", "/search"),)] == 2
    assert samples["plait_requests_given_up_total", ()] == 1
    assert samples["plait_tokens_total", ()] == 15
    assert samples["plait_cut_tokens_total", ()] == 2
    assert samples["plait_batch_texts_sum", ()] == 3
    assert samples["plait_waiting_texts", ()] == 7
    assert samples["process_resident_memory_bytes", ()] > 0


def test_servers_of_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.given_up()
    assert b"plait_requests_given_up_total 0.0" in other.text()
