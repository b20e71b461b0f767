"""A small S3 server over a folder, without signature checks, that can misbehave on demand.

It answers what a reader needs: ListBuckets, ListObjectsV2, HEAD, and GET with ranges and If-Match. Bodies
go out by sendfile, so that it is also quick enough to stand behind a benchmark where MinIO cannot be built.
"""

import email.utils
import hashlib
import os
import re
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.sax.saxutils import escape

XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
PAGE_KEYS = 1000


class FakeS3:
    """Serves `root` (one sub-folder a bucket) on a free loopback port.

    `fault(method, key)` is asked before each answer. None: answer well. A number: answer with this HTTP
    status. "truncate": promise the whole body, send half, hang up. "ignore_range": 200 and the whole
    object whatever range was asked for. "stall": send nothing. "reset": hang up without an answer.
    """

    def __init__(self, root: Path, fault=None):
        self.root = Path(root).resolve()
        self.fault = fault or (lambda method, key: None)
        self.requests: list[tuple[str, str]] = []
        handler = type("Handler", (_Handler,), {"s3": self})
        self._http = _Http(("127.0.0.1", 0), handler)
        self.port = self._http.server_address[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "FakeS3":
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    s3: FakeS3

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, body: bool):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        bucket, _, key = urllib.parse.unquote(url.path).lstrip("/").partition("/")
        fault = self.s3.fault(self.command, f"{bucket}/{key}" if key else bucket)
        self.s3.requests.append((self.command, f"{bucket}/{key}"))
        if fault == "reset":
            self.close_connection = True
        elif fault == "stall":
            time.sleep(60)
            self.close_connection = True
        elif isinstance(fault, int):
            code = {403: "AccessDenied", 404: "NoSuchKey", 503: "SlowDown"}.get(fault, "InternalError")
            self._error(fault, code)
        elif not bucket:
            self._list_buckets()
        elif not (self.s3.root / bucket).is_dir():
            self._error(404, "NoSuchBucket")
        elif not key:
            self._list_objects(bucket, query)
        else:
            self._object(self.s3.root / bucket / key, body, fault)

    def _error(self, status: int, code: str):
        self._xml(f"<Error><Code>{code}</Code><Message>{code}</Message></Error>", status)

    def _xml(self, text: str, status: int = 200):
        data = (XML + text).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _list_buckets(self):
        names = sorted(entry.name for entry in self.s3.root.iterdir() if entry.is_dir())
        buckets = "".join(
            f"<Bucket><Name>{escape(name)}</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket>"
            for name in names
        )
        owner = "<Owner><ID>demo</ID><DisplayName>demo</DisplayName></Owner>"
        self._xml(f"<ListAllMyBucketsResult {NAMESPACE}>{owner}<Buckets>{buckets}</Buckets></ListAllMyBucketsResult>")

    def _list_objects(self, bucket: str, query: dict):
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token") or query.get("start-after", "")
        folder = self.s3.root / bucket
        keys = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
        contents, prefixes, last, truncated = [], [], "", False
        for key in keys:
            if not key.startswith(prefix) or key <= after:
                continue
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            common = key[: cut + len(delimiter)] if cut >= 0 else None
            if common and (common in prefixes[-1:] or (after and after.startswith(common))):
                last = key
                continue
            if len(contents) + len(prefixes) >= PAGE_KEYS:
                truncated = True
                break
            if common:
                prefixes.append(common)
            else:
                contents.append(key)
            last = key
        parts = [f"<Name>{escape(bucket)}</Name><Prefix>{escape(prefix)}</Prefix><MaxKeys>{PAGE_KEYS}</MaxKeys>"]
        parts.append(f"<KeyCount>{len(contents) + len(prefixes)}</KeyCount>")
        parts.append(f"<IsTruncated>{'true' if truncated else 'false'}</IsTruncated>")
        if truncated:
            parts.append(f"<NextContinuationToken>{escape(last)}</NextContinuationToken>")
        for key in contents:
            stat = (folder / key).stat()
            when = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(stat.st_mtime))
            parts.append(
                f"<Contents><Key>{escape(key)}</Key><LastModified>{when}</LastModified>"
                f"<ETag>{escape(_etag(stat))}</ETag><Size>{stat.st_size}</Size></Contents>"
            )
        parts += [f"<CommonPrefixes><Prefix>{escape(common)}</Prefix></CommonPrefixes>" for common in prefixes]
        self._xml(f"<ListBucketResult {NAMESPACE}>{''.join(parts)}</ListBucketResult>")

    def _object(self, path: Path, body: bool, fault):
        try:
            file = open(path, "rb")
        except OSError:
            return self._error(404, "NoSuchKey")
        with file:
            stat = os.fstat(file.fileno())
            wanted = self.headers.get("If-Match")
            if wanted and wanted != "*" and wanted.strip('"') != _etag(stat).strip('"'):
                return self._error(412, "PreconditionFailed")
            start, end, partial = 0, stat.st_size, False
            asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
            if asked and fault != "ignore_range":
                first, last = asked.groups()
                start = int(first) if first else max(0, stat.st_size - int(last))
                end = min(int(last) + 1, stat.st_size) if first and last else stat.st_size
                partial = True
                if start >= stat.st_size:
                    return self._error(416, "InvalidRange")
            self.send_response(206 if partial else 200)
            self.send_header("Content-Length", str(end - start))
            if partial:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{stat.st_size}")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("ETag", _etag(stat))
            self.send_header("Last-Modified", email.utils.formatdate(stat.st_mtime, usegmt=True))
            self.end_headers()
            if not body:
                return None
            if fault == "truncate":
                end = start + (end - start) // 2
                self.close_connection = True
            self.wfile.flush()
            while start < end:
                sent = os.sendfile(self.connection.fileno(), file.fileno(), start, end - start)
                if sent == 0:
                    break
                start += sent
        return None


def _etag(stat: os.stat_result) -> str:
    seed = f"{stat.st_ino} {stat.st_size} {stat.st_mtime_ns}"
    return f'"{hashlib.md5(seed.encode()).hexdigest()}"'
