"""Reads what the story of the collector kept with the parsers that others use.

The folder holds metrics.txt, the text of /metrics, and otlp.txt, one delivery a line: path, space, JSON body.
Needs prometheus-client and opentelemetry-proto; changes nothing.
"""

import argparse
import base64
import json
import pathlib
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

WANTED = {
    "gen_ai_server_time_to_first_token_seconds": "histogram",
    "gen_ai_server_time_per_output_token_seconds": "histogram",
    "gen_ai_server_request_duration_seconds": "histogram",
    "gen_ai_client_token_usage": "histogram",
    "steward_goodput_requests_per_second": "gauge",
    "steward_goodput_tokens_per_second": "gauge",
    "steward_goodput_attainment_ratio": "gauge",
    "steward_cost_usd": "counter",
    "steward_fallback": "counter",
    "steward_target_state": "gauge",
    "steward_overhead_seconds": "histogram",
}

# Ids of sessions, requests and users are never labels.
FORBIDDEN = ("session", "request_id", "user", "principal")


def check_prometheus(text):
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for name, kind in WANTED.items():
        assert families[name].type == kind, f"{name} is {families[name].type}"
    for family in families.values():
        for sample in family.samples:
            assert not [label for label in sample.labels if label.endswith(FORBIDDEN)], sample
    counts = [sample for sample in families["gen_ai_server_time_to_first_token_seconds"].samples if sample.name.endswith("_count")]
    assert sum(sample.value for sample in counts) >= 1, counts
    return len(families)


def hex_to_base64(body):
    """OTLP writes the ids of traces and spans in hexadecimal; protobuf's own JSON writes bytes in base64."""
    for resource in body["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for name in ("traceId", "spanId", "parentSpanId"):
                    if name in span:
                        span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return body


def quantile(point, share):
    """The upper bound of the bucket that holds this share, as the data model defines buckets."""
    base = 2 ** (2**-point.scale)
    rank, seen = share * point.count, point.zero_count
    for place, count in enumerate(point.positive.bucket_counts):
        seen += count
        if seen >= rank:
            return base ** (point.positive.offset + place + 1)
    return 0.0


def check_otlp(lines):
    metrics, spans = {}, []
    for line in lines:
        path, body = line.split(" ", 1)
        if path == "/v1/metrics":
            request = json_format.ParseDict(json.loads(body), ExportMetricsServiceRequest())
            scope = request.resource_metrics[0].scope_metrics[0]
            metrics.update({metric.name: metric for metric in scope.metrics})
        else:
            request = json_format.ParseDict(hex_to_base64(json.loads(body)), ExportTraceServiceRequest())
            spans.extend(request.resource_spans[0].scope_spans[0].spans)
    points = metrics["gen_ai.server.time_to_first_token"].exponential_histogram.data_points
    assert points and all(point.scale == 6 for point in points)
    for point in points:
        assert sum(point.positive.bucket_counts) + point.zero_count == point.count
        if point.count == 1:
            assert abs(quantile(point, 0.5) - point.sum) / point.sum < 0.012, point
    roots = [span for span in spans if not span.parent_span_id]
    children = [span for span in spans if span.parent_span_id]
    assert roots and children
    assert all(len(span.trace_id) == 16 and len(span.span_id) == 8 for span in spans)
    assert all(span.end_time_unix_nano >= span.start_time_unix_nano > 0 for span in spans)
    return len(metrics), len(spans)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=pathlib.Path)
    folder = options.parse_args().folder
    families = check_prometheus((folder / "metrics.txt").read_text())
    print(f"PASS prometheus: {families} families")
    metrics, spans = check_otlp((folder / "otlp.txt").read_text().splitlines())
    print(f"PASS otlp: {metrics} metrics, {spans} spans")
    print("2 passed, 0 failed")


if __name__ == "__main__":
    sys.exit(main())
