"""``python -m worker.monitor``"""

from __future__ import annotations

import logging
import signal

import django

from cnmweb.loading import loading


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    with loading():
        django.setup()
        from django.conf import settings

        from worker.runtime_of_host import folders_of_host

        from .loop import Monitor
        from .traffic import Sampler, meter_off

    folders = folders_of_host()
    folders.exits.mkdir(mode=0o700, parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(SystemExit(0)))
    Sampler(settings.HOST_NAME).start()
    try:
        Monitor(settings.HOST_NAME, folders).run()
    finally:
        meter_off()


if __name__ == "__main__":
    main()
