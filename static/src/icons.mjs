// The icons of the sprite, by their names in @tabler/icons (outline). A template that asks for another one fails its test.
export const ICONS = [
  "activity", "alert-circle", "alert-triangle", "api", "arrow-right", "at", "ban", "book-2", "box", "brand-docker",
  "check", "chevron-down", "chevron-left", "chevron-right", "chevron-up", "circle", "circle-check", "circle-dashed", "circle-dot",
  "circle-minus", "columns-3", "circle-x", "clock", "clock-pause", "copy", "cpu", "dashboard", "database", "device-floppy", "edit", "external-link",
  "eye", "file-text", "git-compare", "hand-stop", "history", "home", "info-circle", "key", "language", "link", "list-details",
  "download", "list-tree", "loader-2", "bookmark", "lock", "send", "login", "logout", "maximize", "menu-2", "message-question", "minus", "moon", "network", "network-off", "packages",
  "pencil", "photo", "player-pause", "player-play", "player-stop", "plug", "plug-connected", "plug-connected-x", "plus", "power",
  "refresh", "router", "rotate-clockwise", "route", "search", "server", "server-2", "settings", "shield-check", "shield-lock",
  "skull", "sun", "sun-moon", "table", "tag", "terminal-2", "tool", "topology-star-3", "trash", "user", "user-plus", "users", "wall",
  "wifi", "wifi-off", "world", "x", "zoom-in", "zoom-out",
];
