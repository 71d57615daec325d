"""Shows custom resources of a real API server under the paths of pods and namespaces, and makes trouble when told to.

Usage: proxy.py UPSTREAM_PORT CERTIFICATE_FOLDER
Prints its own port. Controls, each by GET /_control?NAME=VALUE:
  token=TEXT    requests must carry this bearer token, except those of the test itself; empty: none
  delay_ms=N    answers come this much later
  expire=1      the next watch asks for a resource version that is long gone
  cut=1         closes every open answer
"""

import contextlib
import http.client
import http.server
import json
import socket
import ssl
import sys
import threading
import time
import urllib.parse

UPSTREAM_PORT, FOLDER = int(sys.argv[1]), sys.argv[2]
OURS, THEIRS = "/api/v1/", "/apis/mirror.weir.test/v1/"
GROUP, CORE = b'"apiVersion":"mirror.weir.test/v1"', b'"apiVersion":"v1"'

context = ssl.create_default_context(cafile=f"{FOLDER}/ca.crt")
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE  # The API server makes its own certificate.
context.load_cert_chain(f"{FOLDER}/client.crt", f"{FOLDER}/client.key")

state = {"token": "", "delay_ms": "0", "expire": "0"}
open_answers = set()


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def control(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query, keep_blank_values=True)
        for name, values in query.items():
            if name == "cut":
                for answer in list(open_answers):
                    # One that ended meanwhile is closed already.
                    with contextlib.suppress(OSError):
                        answer.shutdown(socket.SHUT_RDWR)
            else:
                state[name] = values[0]
        self.send_response(200)
        self.end_headers()

    def refuse(self):
        body = json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Unauthorized", "code": 401}).encode()
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def pass_on(self):
        if self.path.startswith("/_control"):
            return self.control()
        is_test = self.headers.get("User-Agent", "").startswith("ureq")
        if state["token"] and not is_test and self.headers.get("Authorization") != f"Bearer {state['token']}":
            return self.refuse()
        time.sleep(int(state["delay_ms"]) / 1000)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = body.replace(CORE, GROUP)
        path = self.path.replace(OURS, THEIRS, 1)
        if "watch=" in path and state["expire"] == "1":
            state["expire"] = "0"
            path = "&".join("resourceVersion=1" if part.startswith("resourceVersion=") else part for part in path.split("&"))
        upstream = http.client.HTTPSConnection("127.0.0.1", UPSTREAM_PORT, context=context, timeout=600)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        try:
            upstream.request(self.command, path, body=body or None, headers=headers)
            self.answer(upstream.getresponse())
        except OSError:
            self.close_connection = True
        finally:
            upstream.close()

    def answer(self, response):
        self.send_response(response.status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        open_answers.add(self.connection)
        try:
            # A watch has a line for each event; a list is one line.
            while line := response.readline():
                self.wfile.write(line.replace(GROUP, CORE))
                self.wfile.flush()
        finally:
            open_answers.discard(self.connection)

    do_GET = do_POST = do_DELETE = do_PUT = pass_on


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


server = Server(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()  # Ends with the test that started it.
