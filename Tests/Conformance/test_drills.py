"""The drills that take seconds; `tools/proof drills` runs them all. Every alert has one."""
import pytest

import drills
from alarms import shipped


def test_every_alert_has_a_drill():
    assert sorted(alert for one in drills.DRILLS.values() for alert in one.alerts) == sorted(shipped())


@pytest.mark.parametrize("name", [one.name for one in drills.DRILLS.values() if one.is_short])
def test_drill(name):
    one = drills.DRILLS[name]
    if missing := one.missing():
        pytest.skip(f"this machine has no {', '.join(missing)}")
    one.run()
