"""Opens a page in headless Chromium, and returns what a script finds there."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-extensions",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--virtual-time-budget=4000",
    "--enable-logging=stderr",
    "--window-size=1200,900",
)
_REPORT = """
(async () => {{
  const found = {{}};
  const errors = [];
  window.addEventListener("error", (event) => errors.push(event.message));
  try {{
    {script}
  }} catch (problem) {{
    errors.push(String(problem.stack));
  }}
  found.errors = errors;
  found.requests = performance.getEntriesByType("resource").map((entry) => entry.name);
  const result = document.createElement("pre");
  result.id = "test-result";
  result.textContent = JSON.stringify(found);
  document.body.append(result);
}})();
"""


def run_in_page(html: str, script: str, folder: Path) -> dict[str, Any]:
    """Run a script in a page after its own scripts.

    Args:
        html: The page. Its policy is extended by the script.
        script: JavaScript that adds what it finds to `found`; it may wait with `await`.
        folder: An empty folder.

    Returns:
        What the script found; also "errors" (of the page and the script), "requests" (addresses
        that the page fetched) and "console" (what the browser wrote to its console).
    """
    code = _REPORT.format(script=script)
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode("ascii")
    assert "script-src '" in html
    html = html.replace("script-src '", f"script-src 'sha256-{digest}' '", 1)
    html = html.replace("</body>", f"<script>{code}</script></body>")
    page = folder / "page.html"
    page.write_text(html, encoding="utf-8")
    command = [str(CHROMIUM), *_OPTIONS, f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    done = subprocess.run(
        [*command, page.as_uri()], capture_output=True, text=True, timeout=60, check=True
    )
    result = re.search(r'<pre id="test-result">(.*?)</pre>', done.stdout, re.DOTALL)
    assert result is not None, done.stderr
    text = result[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return {**json.loads(text), "console": console}
