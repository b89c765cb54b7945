"""Times to the second, over 24 hours: what is compared with logs must read like them."""

DATE_FORMAT = "j M Y"
DATETIME_FORMAT = "j M Y, H:i:s"
