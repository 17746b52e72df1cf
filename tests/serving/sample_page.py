"""A small page with the parts that the server and the wheel need."""

from __future__ import annotations

from dcsend.serving.page import Page

__all__ = ["HTML", "PAGE", "POLICY"]

POLICY = "default-src 'none'; script-src 'sha256-AAAA=' 'wasm-unsafe-eval'"
HTML = f"""<!doctype html><html><head><meta charset="utf-8">\
<meta http-equiv="Content-Security-Policy" content="{POLICY}"><title>dcsend</title></head>
<body><script type="text/plain" id="service-worker">
self.addEventListener("fetch", (event) => {{ if (1 < 2 && 3 > 2) event.respondWith(0); }});
</script>{"<p>café" * 200}</body></html>""".encode()
PAGE = Page(HTML)
