"""The API of Kubernetes as far as an agent asks it: pods of one node and namespaces, listed and watched over TLS.

Arguments: address, folder with server.pem and the token. Whoever lacks the token, or asks for more, gets 401 or 403.
"""

import http.server
import json
import ssl
import sys
import time
import urllib.parse

ADDRESS, FOLDER = sys.argv[1:]
TOKEN = open(FOLDER + "/token").read()
POD = {
    "metadata": {
        "name": "web-0",
        "namespace": "shop",
        "uid": "0d2e7a9c-7a55-4a44-8f0e-2f1e7f8a9b10",
        "labels": {"app.kubernetes.io/name": "web", "tier": "front"},
        "resourceVersion": "10",
    },
    "spec": {"nodeName": "node-1", "containers": [{"name": "app", "image": "shop/web:1"}]},
    "status": {
        "podIP": "10.99.0.77",
        "containerStatuses": [
            {"name": "app", "image": "shop/web:1", "imageID": "sha256:1", "containerID": "containerd://abc",
             "ready": True, "restartCount": 0}
        ],
    },
}
NAMESPACE = {
    "metadata": {"name": "shop", "uid": "n-1", "labels": {"team": "sales"}, "resourceVersion": "10"},
    "spec": {},
    "status": {"phase": "Active"},
}
LISTS = {
    "/api/v1/pods": ("PodList", [POD], "spec.nodeName=node-1"),
    "/api/v1/namespaces": ("NamespaceList", [NAMESPACE], None),
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if self.headers.get("Authorization") != "Bearer " + TOKEN:
            return self.answer(401, {"kind": "Status", "status": "Failure", "code": 401})
        kind, items, selector = LISTS.get(url.path, (None, None, None))
        if kind is None or query.get("fieldSelector") != selector:
            return self.answer(403, {"kind": "Status", "status": "Failure", "code": 403})
        if query.get("watch") in ("true", "1"):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while True:
                time.sleep(3600)
        self.answer(200, {"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": "10"}, "items": items})

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form, *words):
        print(form % words, file=sys.stderr, flush=True)


server = http.server.ThreadingHTTPServer((ADDRESS, 443), Handler)
server.daemon_threads = True
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(FOLDER + "/server.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
