"""Load by wrk (https://github.com/wg/wrk), when it is on PATH: a Lua script is written for each slice."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from string import Template

from benchmarks.load import Load, fresh_prefix
from benchmarks.rows import Requests
from fhir_ins.store.mongod import LOOPBACK

# wrk gives times in microseconds, and counts as errors the statuses above 399.
SCRIPT = Template(r"""
local prefix, serial, pool = $prefix, 0, {}
local method, path, headers, body = $method, $path, $headers, $body

local function fill(template, key)
  return (template:gsub("{key}", key))
end

local function render(key)
  return wrk.format(method, fill(path, key), headers, body and fill(body, key))
end

function init()
  math.randomseed(tonumber(prefix))
  for key in io.lines($keys) do pool[#pool + 1] = render(key) end
end

function request()
  if #pool > 0 then return pool[math.random(#pool)] end
  serial = serial + 1
  return render(string.format("%s%010d", prefix, serial))
end

function done(summary, latency)
  local failed = summary.errors
  local errors = failed.connect + failed.read + failed.write + failed.timeout + failed.status
  local p50, p99 = latency:percentile(50) / 1e3, latency:percentile(99) / 1e3
  print(string.format('\n{"requests": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "errors": %d}',
    summary.requests, summary.duration / 1e6, p50, p99, errors))
end
""")


def available() -> bool:
    return shutil.which("wrk") is not None


def load(port: int, requests: Requests, connections: int, seconds: float) -> Load:
    """Asks as fast as `connections` allow for `seconds`, rounded: wrk knows whole seconds only."""
    with tempfile.TemporaryDirectory() as directory:
        script, keys = Path(directory, "load.lua"), Path(directory, "keys")
        keys.write_text("".join(f"{key}\n" for key in requests.keys))
        script.write_text(SCRIPT.substitute(lua_values(requests, keys)))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script)]
        ran = subprocess.run([*command, f"http://{LOOPBACK}:{port}"], stdout=subprocess.PIPE, text=True, check=True)
    return Load(**json.loads(ran.stdout.splitlines()[-1]))


def lua_values(requests: Requests, keys: Path) -> dict[str, str]:
    """The values of the script, as Lua literals."""
    headers = ", ".join(f"[{quoted(name)}] = {quoted(value)}" for name, value in requests.headers.items())
    return {
        "prefix": quoted(fresh_prefix()),
        "method": quoted(requests.method),
        "path": quoted(requests.path),
        "headers": f"{{{headers}}}",
        "body": quoted(requests.body) if requests.body else "nil",
        "keys": quoted(str(keys)),
    }


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
