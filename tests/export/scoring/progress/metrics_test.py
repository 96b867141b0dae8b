"""Prometheus metrics of a job, while it runs and when it has ended."""

import re
import shutil
import socket
import sys
import urllib.error
import urllib.request

import pytest

from export.bundle.model_file import hash_file
from export.scoring import job as scorer
from export.scoring.config import ScoringConfig
from export.scoring.job import score
from export.scoring.progress import metrics as metrics_module
from export.scoring.progress.metrics import JobMetrics, job_metrics
from tests.export.onnx_models import write_channel_mean_model

prometheus_client = pytest.importorskip("prometheus_client")  # Of requirements-metrics.txt.

LINE = re.compile(r'(?P<name>\w+)(?P<labels>\{(\w+="([^"\\]|\\.)*",?)+\})? (?P<value>\S+)')


def parse(text):
    """Metrics by name and labels; every line must be one of Prometheus' text format."""
    assert text.endswith("\n")
    values, declared = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            declared.add(line.split()[2])
        elif not line.startswith("# HELP "):
            match = LINE.fullmatch(line)
            assert match and match["name"] in declared, line
            values[match["name"] + (match["labels"] or "")] = float(match["value"])
    return values


def test_a_job_ends_with_its_counts(tmp_path):
    (tmp_path / "list.txt").write_text("gone.png\n" * 7)
    model = write_channel_mean_model(tmp_path / "model.onnx")
    metrics = tmp_path / "job.prom"
    output = str(tmp_path / "scores.csv")
    score(
        ScoringConfig(
            model=model,
            images=str(tmp_path / "list.txt"),
            output=output,
            metrics_file=str(metrics),
        )
    )
    values = parse(metrics.read_text())
    assert values['vac_scoring_images_total{status="missing"}'] == 7
    assert values['vac_scoring_images_total{status="ok"}'] == 0
    assert values["vac_scoring_images_expected"] == 7
    assert values["vac_scoring_finished"] == 1
    assert f'model_sha256="{hash_file(model)}"' in metrics.read_text()
    assert 'shard="1/1"' in metrics.read_text()


def test_a_job_that_fails_in_its_last_step_is_not_finished(tmp_path, monkeypatch):
    (tmp_path / "list.txt").write_text("gone.png\n")
    model = write_channel_mean_model(tmp_path / "model.onnx")
    metrics, output = str(tmp_path / "job.prom"), str(tmp_path / "scores.csv")

    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(scorer, "assemble", fail)
    config = ScoringConfig(model, str(tmp_path / "list.txt"), output=output, metrics_file=metrics)
    with pytest.raises(OSError, match="No space left"):
        score(config)
    values = parse((tmp_path / "job.prom").read_text())
    assert values["vac_scoring_finished"] == 0
    assert values['vac_scoring_images_total{status="missing"}'] == 1


def test_it_is_written_at_once_then_every_five_seconds_and_after_a_failure(tmp_path, monkeypatch):
    path, now = tmp_path / "job.prom", [100.0]
    monkeypatch.setattr(metrics_module.time, "monotonic", lambda: now[0])

    def ok():
        return parse(path.read_text())['vac_scoring_images_total{status="ok"}']

    with pytest.raises(RuntimeError):
        with JobMetrics(str(path), 0, 100, {"ok": 10, "missing": 2}, {"output": "s"}) as metrics:
            assert ok() == 10 and parse(path.read_text())["vac_scoring_images_resumed"] == 12
            now[0] += 1.0
            metrics.update({"ok": 5})
            assert ok() == 10
            now[0] += 5.0
            metrics.update({"ok": 5, "missing": 1})
            assert ok() == 20
            metrics.update({"ok": 1})
            raise RuntimeError
    values = parse(path.read_text())
    assert ok() == 21 and values["vac_scoring_finished"] == 0
    assert values["vac_scoring_seconds"] == 6.0


def test_metrics_that_cannot_be_written_at_the_end_fail_no_finished_job(tmp_path, caplog):
    folder = tmp_path / "metrics"
    folder.mkdir()
    with JobMetrics(str(folder / "job.prom"), 0, 1, {}, {}):
        shutil.rmtree(folder)
    assert "cannot be written, the job goes on: Cannot write in" in caplog.text


def test_metrics_that_become_unwritable_end_no_job(tmp_path, monkeypatch, caplog):
    folder, now = tmp_path / "metrics", [100.0]
    folder.mkdir()
    monkeypatch.setattr(metrics_module.time, "monotonic", lambda: now[0])
    with JobMetrics(str(folder / "job.prom"), 0, 4, {}, {"output": "s"}) as metrics:
        shutil.rmtree(folder)
        for _ in range(3):
            now[0] += 6.0
            metrics.update({"ok": 1})
        folder.mkdir()
        now[0] += 6.0
        metrics.update({"ok": 1})
    warnings = [text for text in caplog.messages if "job.prom" in text and "goes on" in text]
    assert len(warnings) == 1  # Not one every five seconds.
    values = parse((folder / "job.prom").read_text())
    assert values["vac_scoring_finished"] == 1
    assert values['vac_scoring_images_total{status="ok"}'] == 4


def test_labels_are_escaped(tmp_path):
    metrics = JobMetrics(str(tmp_path / "m"), 0, 1, {}, {"output": 'a "b"\\c\nd\udce9'})
    text = metrics.text().decode()
    assert parse(text)
    assert 'output="a \\"b\\"\\\\c\\nd\\\\xe9"' in text


def test_a_job_without_metrics_does_not_need_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with JobMetrics("", 0, 1, {}, {}) as metrics:
        metrics.update({"ok": 1})
    with pytest.raises(ValueError, match="need prometheus_client .*requirements-metrics.txt"):
        JobMetrics(str(tmp_path / "job.prom"), 0, 1, {}, {})


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="Cannot write in the folder of .*nowhere/job.prom"):
        with JobMetrics(str(tmp_path / "nowhere/job.prom"), 0, 1, {}, {}):
            pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def scrape(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return parse(answer.read().decode())


def test_the_port_tells_the_state_of_the_moment_and_closes_with_the_job():
    port = free_port()
    with JobMetrics("", port, 100, {"ok": 10}, {"output": "s"}) as metrics:
        assert scrape(port)['vac_scoring_images_total{status="ok"}'] == 10
        metrics.update({"ok": 5, "missing": 1})
        values = scrape(port)
        assert values['vac_scoring_images_total{status="ok"}'] == 15
        assert values['vac_scoring_images_total{status="missing"}'] == 1
        assert values["vac_scoring_finished"] == 0
    with pytest.raises(urllib.error.URLError):
        scrape(port)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_port_answers_this_host_only_unless_told_otherwise(monkeypatch, host):
    bound = []
    original = socket.socket.bind

    def bind(self, address):
        bound.append(address[0])
        return original(self, address)

    monkeypatch.setattr(socket.socket, "bind", bind)
    paths = {"model": "m", "images": "i", "output": "o.csv"}
    told = {} if host == "127.0.0.1" else {"metrics_host": host}
    config = ScoringConfig(**paths, metrics_port=free_port(), **told)
    with job_metrics(config, 1, {}, {"output": "s"}):
        pass
    assert bound[1:] == [host]


def test_a_port_that_is_taken_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"metrics_port={port} cannot be opened on .*in use"):
            with JobMetrics("", port, 1, {}, {}):
                pass


def test_a_port_must_be_one():
    with pytest.raises(ValueError, match="metrics_port must lie in 0..65535, got 70000"):
        ScoringConfig(model="m", images="i", output="o.csv", metrics_port=70000)
