"""python s3_server.py FOLDER: the files below a folder as the objects of an S3 server, held in memory. Prints its address.

Just enough of S3 for reading and writing runs: list by page, get, put, put if absent. Nothing is checked, so that what is
measured is who asks. The first folder of an object's path is its bucket.
"""

import asyncio
import bisect
import sys
from pathlib import Path
from xml.sax.saxutils import escape

import uvloop
from aiohttp import web

WHEN, TAG = "2026-01-01T00:00:00.000Z", '"0"'


def main() -> None:
    root = Path(sys.argv[1])
    objects = {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    names = sorted(objects)

    def listing(bucket: str, prefix: str, after: str, delimiter: str) -> web.Response:
        begin = f"{bucket}/{prefix}"
        at = bisect.bisect_right(names, f"{bucket}/{after}") if after else bisect.bisect_left(names, begin)
        found, folders = [], set()
        while at < len(names) and names[at].startswith(begin) and len(found) + len(folders) < 1000:
            folder, cut, _ = names[at][len(begin) :].partition(delimiter) if delimiter else ("", "", "")
            if cut:
                folders.add(prefix + folder + delimiter)
                at = bisect.bisect_left(names, begin + folder + chr(ord(delimiter) + 1))
            else:
                found.append(names[at][len(bucket) + 1 :])
                at += 1
        more = at < len(names) and names[at].startswith(begin)
        xml = [f"<ListBucketResult><Name>{bucket}</Name><IsTruncated>{str(more).lower()}</IsTruncated>"]
        if more:
            xml.append(f"<NextContinuationToken>{escape(names[at - 1][len(bucket) + 1 :])}</NextContinuationToken>")
        for name in found:
            size = len(objects[f"{bucket}/{name}"])
            xml.append(
                f"<Contents><Key>{escape(name)}</Key><LastModified>{WHEN}</LastModified><ETag>{TAG}</ETag>"
                f"<Size>{size}</Size></Contents>"
            )
        xml += [f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in sorted(folders)]
        return web.Response(text="".join([*xml, "</ListBucketResult>"]), content_type="application/xml")

    async def answer(request: web.BaseRequest) -> web.Response:
        name = request.path.lstrip("/")
        headers = {"ETag": TAG, "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        if request.method == "PUT":
            if name in objects and request.headers.get("If-None-Match") == "*":
                return web.Response(status=412)
            if name not in objects:
                bisect.insort(names, name)
            objects[name] = await request.read()
        elif "list-type" in request.query:
            ask = request.query
            after = ask.get("continuation-token", "")
            return listing(name.rstrip("/"), ask.get("prefix", ""), after, ask.get("delimiter", ""))
        elif request.method == "HEAD" and "/" not in name:
            return web.Response()  # there is any bucket
        elif name not in objects:
            return web.Response(status=404)
        return web.Response(body=b"" if request.method == "PUT" else objects[name], headers=headers)

    async def serve() -> None:
        runner = web.ServerRunner(web.Server(answer))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await asyncio.Event().wait()

    uvloop.run(serve())


if __name__ == "__main__":
    main()
