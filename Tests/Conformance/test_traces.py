"""Traces as a collector gets them: OTLP over HTTP, read with OpenTelemetry's own messages. A publish and its webhook are one trace; a
collector that is slow or gone costs the server nothing."""
import base64
import http.server
import json
import threading
import time

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from support import Server, free_port
from test_webhooks import Receiver

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def request_of(text):
    """As the JSON encoding of OTLP differs from Protobuf's: ids are hexadecimal."""
    body = json.loads(text)
    for resource in body["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for name in ("traceId", "spanId", "parentSpanId"):
                    if name in span:
                        span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return json_format.ParseDict(body, trace_service_pb2.ExportTraceServiceRequest())  # refuses unknown members and wrong types


class Collector:
    def __init__(self):
        self.requests, self.headers, self.statuses = [], [], []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = collector.statuses.pop(0) if collector.statuses else 200
                if status == 200:
                    collector.requests.append(request_of(body))
                    collector.headers.append((self.path, dict(self.headers)))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self):
        return [span for request in list(self.requests) for resource in request.resource_spans for scope in resource.scope_spans
                for span in scope.spans]

    def wait(self, condition, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition(self.spans()):
            assert time.monotonic() < deadline, sorted({span.name for span in self.spans()})
            time.sleep(0.05)
        return self.spans()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def attributes(span):
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}


def publish(server, key, parent=None):
    body = {"project_id": "p", "data_key": key, "data": {"text": f"zebra crossing {key}"}}
    return server.call("POST", "/api/v1/data/publish", body, headers={"traceparent": parent} if parent else {})


def test_a_publish_and_its_webhook_are_one_trace():
    receiver = Receiver()
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": None, "CONTEX_TRACES_HEADERS": "Authorization=Bearer%20marked-secret", "CONTEX_TRACES_SERVICE": "here"}
    with Collector() as collector:
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url + "/"
        with Server(environment=environment) as server:
            registration = {"agent_id": "a", "project_id": "p", "data_needs": ["zebra crossing"], "notification_method": "webhook",
                            "webhook_url": receiver.url}
            assert server.call("POST", "/api/v1/agents/register", registration).status == 200
            answer = publish(server, "k", PARENT)
            assert answer.status == 200 and answer.headers["X-Trace-Id"] == TRACE
            sent = receiver.next()
            while "update" not in sent[1]["X-Contex-Event"]:
                sent = receiver.next()  # the initial context, which is of another trace
            assert sent[1]["traceparent"].split("-")[1] == TRACE
            spans = [span for span in collector.wait(lambda spans: any(span.name == "webhook" and span.trace_id.hex() == TRACE for span in spans))
                     if span.trace_id.hex() == TRACE]
            with open(server.log_path) as log:
                assert "marked-secret" not in log.read()
        assert collector.headers[0][0] == "/v1/traces" and collector.headers[0][1]["Authorization"] == "Bearer marked-secret"
        resource = {item.key: item.value.string_value for item in collector.requests[0].resource_spans[0].resource.attributes}
        assert resource["service.name"] == "here" and resource["service.version"]
    receiver.close()
    by_id = {span.span_id: span for span in spans}
    names = {span.name for span in spans}
    assert {"POST /api/v1/data/publish", "contex publish", "prepare", "embed", "wait", "apply", "commit", "webhook"} <= names, names
    root = next(span for span in spans if span.name == "POST /api/v1/data/publish")
    assert root.parent_span_id.hex() == "00f067aa0ba902b7" and root.kind == 2
    for span in spans:
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        assert span is root or span.parent_span_id in by_id, span.name
    hook = next(span for span in spans if span.name == "webhook")
    assert by_id[hook.parent_span_id].name == "contex publish" and hook.kind == 3 and attributes(hook)["http.response.status_code"] == 200
    assert sent[1]["traceparent"].split("-")[2] == hook.span_id.hex()


def test_a_collector_that_comes_back_loses_nothing():
    with Collector() as collector:
        collector.statuses = [503, 429]
        with Server(environment={"CONTEX_TRACES_ENDPOINT": collector.url}) as server:
            assert publish(server, "k", PARENT).status == 200
            collector.wait(lambda spans: any(span.trace_id.hex() == TRACE and span.name == "commit" for span in spans))
            assert "contex_trace_export_failures_total 2" in server.call("GET", "/api/v1/metrics").body.decode()


def test_a_collector_that_is_gone_or_never_answers_is_no_matter():
    class Silent(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            time.sleep(30)

    silent = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    silent.daemon_threads = True
    threading.Thread(target=silent.serve_forever, daemon=True).start()
    for endpoint in (f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{silent.server_port}"):
        with Server(environment={"CONTEX_TRACES_ENDPOINT": endpoint}) as server:
            for number in range(50):
                assert publish(server, f"k{number}").status == 200
            assert server.call("GET", "/api/v1/health").json["status"] == "healthy"
            started = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - started < 20
    silent.shutdown()
    silent.server_close()


def test_an_address_that_is_none_is_refused_at_the_start():
    for environment in ({"CONTEX_TRACES_ENDPOINT": "collector:4318"}, {"CONTEX_TRACES_ENDPOINT": "http://u:marked@x"},
                        {"CONTEX_TRACES_ENDPOINT": "http://x:1", "CONTEX_TRACES_HEADERS": "marked secret"}):
        server = Server(environment=environment)
        server.launch()
        assert server.process.wait(30) != 0
        with open(server.log_path) as log:
            text = log.read()
        assert "CONTEX_TRACES_" in text and "marked" not in text, text
        server.close()
