"""The figures as Prometheus reads them.

Names end in their unit, counters in ``_total``.  The only labels are states,
ways and ports: their values stand in this program.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jobmon_server.figures import Figures

CONTENT_TYPE = CONTENT_TYPE_LATEST


def write(figures: Figures) -> bytes:
    """One scrape."""
    registry = CollectorRegistry()
    registry.register(_Reading(figures))
    return generate_latest(registry)


class _Reading(Collector):
    """One reading of the figures as a collector."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        figures = self._figures
        yield _by("jobmon_jobs", "Jobs that the server knows, by state.", "state", figures.jobs)
        yield _by(
            "jobmon_agents", "Agents of jobs that have not ended, by how they are rung.", "callback", figures.agents
        )
        gauges = (
            ("jobmon_channels", "Channels that agents have open.", figures.channels),
            ("jobmon_streams", "Answers that people are reading.", figures.streams),
            ("jobmon_shells", "Shells that are open.", figures.shells),
            ("jobmon_requests_waiting", "Requests that wait for an agent to come.", figures.waiting),
            ("jobmon_store_rows_waiting", "Rows that wait to be written into the store.", figures.unwritten),
            ("jobmon_store_bytes", "Size of the store on the disk.", figures.store_bytes),
            ("jobmon_start_time_seconds", "When the server started, since 1970.", figures.started),
            (
                "jobmon_certificate_expiry_time_seconds",
                "When the server's certificate ends, since 1970; 0 where it cannot be read.",
                figures.certificate_end,
            ),
        )
        for name, help_, value in gauges:
            yield GaugeMetricFamily(name, help_, value=value)
        yield CounterMetricFamily("jobmon_beats", "Genuine datagrams taken from agents.", value=figures.beats)
        yield CounterMetricFamily(
            "jobmon_datagrams_refused", "Datagrams passed over in silence.", value=figures.refused_datagrams
        )
        handshakes = CounterMetricFamily("jobmon_handshakes", "TLS handshakes done, by port.", labels=["port"])
        for port, count in figures.handshakes.items():
            handshakes.add_metric([port], count)
        yield handshakes
        info = GaugeMetricFamily("jobmon_server_info", "Which server this is.", labels=["cluster", "version"])
        info.add_metric([figures.cluster, figures.version], 1)
        yield info


def _by(name: str, help_: str, label: str, counts: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family
