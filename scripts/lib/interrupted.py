"""Runs scripts/recover and cuts it off, for the rehearsal.

    interrupted.py STEPS COMMAND ARGUMENT...    after so many change sets; or, with STEPS `writes=N`, before the Nth write
"""
import sys

import recovery


def main():
    steps = sys.argv.pop(1)
    left = int(steps.rpartition("=")[2])

    def cut_off(whole):
        def run(*given, **named):
            nonlocal left
            if left == 0:
                recovery.refuse("cut off by the rehearsal")
            left -= 1
            return whole(*given, **named)
        return run

    if steps.startswith("writes="):
        client = recovery.Place.client
        def watched(place, service):
            made = client(place, service)
            if service == "dynamodb":
                for name in ("update_item", "put_item"):
                    if not hasattr(getattr(made, name), "watched"):
                        watcher = cut_off(getattr(made, name))
                        watcher.watched = True
                        setattr(made, name, watcher)
            return made
        recovery.Place.client = watched
    else:
        recovery.change = cut_off(recovery.change)
    return recovery.main()


if __name__ == "__main__":
    sys.exit(main())
