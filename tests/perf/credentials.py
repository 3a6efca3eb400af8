# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The keys of the bench: the same ones, with the same limits, for the gate and for each peer."""
import os

from stage import Control

GOOD = (10_000, 100_000)  # the most that a key may have in a minute and a day
SPENT = (10_000, 1)  # used up until midnight
SPENT_KEYS = UNKNOWN_KEYS = 100


class Credentials:
    """Texts of keys that are good, spent and unknown; number: of the first two together."""

    def __init__(self, gate, number):
        self.control = Control(gate.socket)
        self.serial = 0
        self.spent = self.make(SPENT_KEYS, SPENT)
        self.good = self.make(number - SPENT_KEYS, GOOD)
        self.unknown = self.revoked(UNKNOWN_KEYS)
        self.control.close()

    def record(self, limits):
        self.serial += 1
        body = {"account": f"bench-{self.serial}", "label": "bench"}
        body |= {"perMinute": limits[0], "perDay": limits[1]}
        return self.control.call("POST", "/v1/keys", body)

    def make(self, number, limits):
        return [self.record(limits)["key"] for _ in range(number)]

    def revoked(self, number):
        """Keys that are well-formed and not known: the gate has to look them up."""
        records = [self.record(GOOD) for _ in range(number)]
        for record in records:
            self.control.call("DELETE", f"/v1/keys/{record['id']}")
        return [record["key"] for record in records]

    def write(self, folder):
        """Write what the peers read."""
        os.mkdir(folder)
        rows = [(key, *GOOD) for key in self.good] + [(key, *SPENT) for key in self.spent]
        files = {
            "limits": [f"{key} {minute} {day}" for key, minute, day in rows],
            "minute.map": [f"{key} {minute}" for key, minute, _ in rows],
            "day.map": [f"{key} {day}" for key, _, day in rows],
            "good.map": [f'"Bearer {key}" {i};' for i, key in enumerate(self.good)],
            "spent.map": [f'"Bearer {key}" {i};' for i, key in enumerate(self.spent)],
        }
        for name, lines in files.items():
            with open(f"{folder}/{name}", "w", encoding="ascii") as file:
                file.write("\n".join(lines) + "\n")
