"""A real Prometheus with the alerts that are shipped, for which an hour passes in a minute: ranges, `for`, and the two bounds that are ages are a
sixtieth of what the files say. All else is their own words. Standard library only."""
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from support import CHECKOUT, HOST, Connection, free_port

RULES = CHECKOUT / "tools/deploy/observability/prometheus"
RUNBOOKS = CHECKOUT / "docs/runbooks"
FASTER = 60
SCRAPE_MILLISECONDS = 500
# Ages and times that stand in an expression as numbers: alert -> (as shipped, a sixtieth).
NUMBERS = {"ContexSnapshotHeld": ("> 300", "> 5"), "ContexStoreGrows": (", 86400)", ", 1440)")}
SECONDS = {"s": 1, "m": 60, "h": 3600}


class Failed(Exception):
    pass


def shipped():
    """Of every alert its own lines of the file."""
    blocks = re.split(r"(?m)^      - alert: ", (RULES / "alerts.yml").read_text())[1:]
    return {block.split("\n", 1)[0].strip(): block for block in blocks}


def runbook(alert):
    """The runbook that the alert leads to."""
    return RUNBOOKS / re.search(r"runbook_url: /docs/runbooks/(\S+)", shipped()[alert])[1]


def faster(text):
    def shorter(match):
        milliseconds = int(match[2]) * SECONDS[match[3]] * 1_000 // FASTER
        return f"{match[1]}{milliseconds}ms{match[4]}"
    text = re.sub(r"(\[|offset )(\d+)([smh])(\]|\))", shorter, text)
    return re.sub(r"(?m)(^ +for: )(\d+)([smh])($)", shorter, text)


def faster_alerts():
    text = (RULES / "alerts.yml").read_text()
    for alert, (slow, quick) in NUMBERS.items():
        block = shipped()[alert]
        assert block.count(slow) == 1, f"{alert} says {slow} no more"
        text = text.replace(block, block.replace(slow, quick))
    return faster(text)


class Watch:
    """Prometheus, watching one server's port of operators."""

    def __init__(self, metrics_port):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="contex-watch-"))
        self.port, self.process = free_port(), None
        scrape = f"{SCRAPE_MILLISECONDS}ms"
        configuration = (RULES / "prometheus.yml").read_text().replace("127.0.0.1:8004", f"{HOST}:{metrics_port}")
        configuration = re.sub(r"(scrape|evaluation)_interval: 15s", rf"\1_interval: {scrape}", configuration)
        (self.folder / "prometheus.yml").write_text(configuration.replace("global:\n", f"global:\n  scrape_timeout: {scrape}\n"))
        (self.folder / "recording.yml").write_text(faster((RULES / "recording.yml").read_text()))
        (self.folder / "alerts.yml").write_text(faster_alerts())

    def __enter__(self):
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/tsdb",
                 f"--web.listen-address={HOST}:{self.port}"], stdout=log, stderr=log)
        try:
            self.until(lambda: self.value('up{job="contex"}') == 1, 60, "Prometheus does not reach the server")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def until(self, condition, seconds, what):
        """The seconds that it took."""
        started = time.monotonic()
        while time.monotonic() < started + seconds:
            try:
                if condition():
                    return time.monotonic() - started
            except (OSError, ValueError):  # it is starting
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise Failed(f"{what}, after {seconds} s; {self.alerts() if self.process.poll() is None else ''}\n{(self.folder / 'log').read_text()[-1_500:]}")

    def ask(self, path):
        connection = Connection(self.port)
        try:
            return connection.call("GET", path).json["data"]
        finally:
            connection.close()

    def value(self, query):
        """None while there is none."""
        from urllib.parse import quote
        found = self.ask("/api/v1/query?query=" + quote(query))["result"]
        return float(found[0]["value"][1]) if found else None

    def alerts(self):
        """What is pending or firing: name -> the alert as Prometheus tells it."""
        return {alert["labels"]["alertname"]: alert for alert in self.ask("/api/v1/alerts")["alerts"]}

    def fires(self, alert, seconds):
        taken = self.until(lambda: self.alerts().get(alert, {}).get("state") == "firing", seconds, f"{alert} does not fire")
        told = self.alerts().get(alert)
        # What wakes somebody must say where to read on.
        if told and not (RUNBOOKS / told["annotations"]["runbook_url"].rsplit("/", 1)[1]).is_file():
            raise Failed(f"{alert} leads to no runbook: {told}")
        return taken

    def silent(self, alert, seconds):
        return self.until(lambda: alert not in self.alerts(), seconds, f"{alert} goes on")
