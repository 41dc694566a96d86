"""A receiver of OpenTelemetry traces over OTLP/HTTP, which reads them by the official protocol's
own messages and writes each span as a line of JSON. Runs in the environment of
tests/requirements/otlp.txt: trace_receiver.py PORT FILE.
"""

from __future__ import annotations

import gzip
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


def values(attributes) -> dict:
    made = {}
    for attribute in attributes:
        ((_, value),) = MessageToDict(attribute.value).items()
        made[attribute.key] = value
    return made


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        known = self.path == "/v1/traces"
        if known:
            with open(sys.argv[2], "a") as out:
                for spans in ExportTraceServiceRequest.FromString(body).resource_spans:
                    of = values(spans.resource.attributes)
                    for span in (span for scope in spans.scope_spans for span in scope.spans):
                        line = {
                            "service": of.get("service.name"),
                            "name": span.name,
                            "kind": span.kind,
                            "trace": span.trace_id.hex(),
                            "id": span.span_id.hex(),
                            "parent": span.parent_span_id.hex(),
                            "nanos": span.end_time_unix_nano - span.start_time_unix_nano,
                            "attributes": values(span.attributes),
                        }
                        out.write(json.dumps(line) + "\n")
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/x-protobuf")
        self.end_headers()
        self.wfile.write(ExportTraceServiceResponse().SerializeToString())

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
