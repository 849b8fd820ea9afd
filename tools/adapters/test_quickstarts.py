"""The blocks of docs/quickstarts.md, each as it stands but for the server's address."""
import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT

BLOCKS = re.findall(r"^## (.*?)$|```python\n(.*?)```", (ROOT / "docs/quickstarts.md").read_text(), re.M | re.S)
CASES, title = [], ""
for heading, code in BLOCKS:
    title = heading or title
    if code:
        CASES.append(pytest.param(code, id=title))


@pytest.mark.parametrize("code", CASES)
def test_quickstart(contex, code):
    for name in re.findall(r"^(?:from|import) ([a-z_]+)", code, re.M):
        if not name.startswith("contex_"):
            pytest.importorskip(name)
    folders = [ROOT / "tools/sdk/python/src", *(ROOT / "tools/adapters").glob("*/src")]
    ran = subprocess.run([sys.executable, "-c", code.replace("http://localhost:8001", contex.url)], capture_output=True, text=True, timeout=120,
                         env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))})
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()
