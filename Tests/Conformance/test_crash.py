"""A few rounds of the crash proof; `tools/proof crash` runs a hundred."""
import os
import random

import proof_crash


def test_nothing_acknowledged_is_lost_after_kill():
    seed = int(os.environ.get("CONTEX_TEST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"seed {seed}")
    proof_crash.run(8, seed)
